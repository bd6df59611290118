import Glibc

/// Runs the command line; returns the exit status. Errors go to standard error, each in one line.
@inline(never) public func runCommandLine(_ arguments: [String]) -> Int32 {
  Interruption.install()
  do throws(CommandFailure) {
    return try dispatch(arguments).code
  } catch {
    for line in error.lines { StandardStreams.report(line) }
    return error.status.code
  }
}

/// Finds the command and gives it what stands behind its name.
private func dispatch(_ arguments: [String]) throws(CommandFailure) -> ExitStatus {
  guard let name = arguments.first else {
    throw .misused("lendpulse: say a command, such as lendpulse demo (lendpulse --help lists them)")
  }
  switch name {
  case "--version":
    try StandardStreams.print("lendpulse \(Version.current)\n")
    return .done
  case "--help", "-h", "help":
    try StandardStreams.print(helpText(for: arguments.dropFirst().first))
    return .done
  default: break
  }
  guard let command = Commands.all.first(where: { $0.name == name }) else {
    let suggestion = Suggestion.phrase(for: name, among: Commands.all.map(\.name))
    throw .misused("lendpulse: unknown command \(name)\(suggestion) (lendpulse --help lists them)")
  }
  let rest = arguments.dropFirst()
  if rest.contains("--help") || rest.contains("-h") {
    try StandardStreams.print(command.help)
    return .done
  }
  return try command.run(ParsedArguments(rest, for: command))
}

private func helpText(for name: String?) -> String {
  if let command = Commands.all.first(where: { $0.name == name }) { return command.help }
  return Commands.help
}

/// The version of this source tree.
enum Version {
  static let current = "0.1.0"
}

/// Every command, in the order of its help.
enum Commands {
  static let all: [CommandDefinition] = [
    .demo, .run, .topics, .score, .replay, .train, .evaluate, .forecast, .examples, .import, .simulate, .features,
    .models,
    .check,
  ]

  static var help: String {
    let lines =
      [
        "Lendpulse reads borrower events from Kafka, scores each borrower at every event, and publishes scores,",
        "overdue alerts and leads exactly once.", "", "Usage: lendpulse COMMAND [OPTIONS]", "", "Commands:",
      ] + CommandDefinition.columns(all.map { ($0.name, $0.summary) }) + [
        "", "lendpulse COMMAND --help shows a command's options and examples; lendpulse --version the version.",
        "To see it work with no set-up: lendpulse demo",
      ]
    return lines.joined(separator: "\n") + "\n"
  }
}
