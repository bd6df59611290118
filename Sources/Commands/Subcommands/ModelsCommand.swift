import Models

extension CommandDefinition {
  static let models = CommandDefinition(
    name: "models",
    summary: "shows the registry of models: which serves what, since when, measured how",
    choices: [
      ChoiceDefinition(name: "list", meaning: "every version with its figures; the champion is the one that serves"),
      ChoiceDefinition(name: "verify", meaning: "reads every file of every version and checks it against its hash"),
    ],
    options: [OptionDefinition(name: "--models", value: "DIR", isRequired: true, meaning: "the folder of models")],
    examples: [
      ("lendpulse models list --models models", "what is there"),
      ("lendpulse models verify --models models", "exit status 1 when a file is damaged"),
    ]
  ) { arguments throws(CommandFailure) in
    let report = try modelReport(arguments)
    try StandardStreams.print(report.lines.map { $0 + "\n" }.joined())
    return report.isGood ? .done : .failed
  }
}

private func modelReport(_ arguments: ParsedArguments) throws(CommandFailure) -> (lines: [String], isGood: Bool) {
  let directory = arguments.required("--models")
  do throws(ModelError) {
    if arguments.choice == "list" { return (try ModelRegistry.list(directory: directory), true) }
    return try ModelRegistry.verify(directory: directory)
  } catch {
    throw .failed("lendpulse models: \(error.description)")
  }
}
