import Models

extension CommandDefinition {
  static let models = CommandDefinition(
    name: "models",
    summary: "shows and keeps the registry of models: which serves what, since when, measured how",
    details: """
      The champion of a kind serves; a challenger is a version to compare with it. Each is a file that names a version,
      replaced in one step. A daemon that runs takes a new champion by POST /v1/models/reload or at its next start.
      """,
    choices: [
      ChoiceDefinition(
        name: "list", meaning: "every version: its role, since when, on how many examples, its cost and its figures"),
      ChoiceDefinition(name: "verify", meaning: "reads every file of every version and checks it against its hash"),
      ChoiceDefinition(
        name: "promote", operands: ["KIND", "VERSION"], meaning: "makes a version the champion, once it is verified"),
      ChoiceDefinition(
        name: "challenge", operands: ["KIND", "VERSION"], meaning: "names a version the challenger, once it is verified"
      ),
    ],
    options: [
      OptionDefinition(name: "--models", value: "DIR", isRequired: true, meaning: "the folder of models"),
      OptionDefinition(name: "--json", meaning: "the list for programs"),
    ],
    examples: [
      ("lendpulse models list --models models", "what is there"),
      ("lendpulse models verify --models models", "exit status 1 when a file is damaged"),
      (
        "lendpulse models promote overdue overdue-20260301-1a2b3c4d --models models",
        "that version serves from the next start or reload on"
      ),
    ]
  ) { arguments throws(CommandFailure) in
    guard !arguments.has("--json") || arguments.choice == "list" else {
      throw arguments.misuse("--json is of models list")
    }
    let report = try modelReport(arguments)
    try StandardStreams.print(report.text)
    return report.isGood ? .done : .failed
  }
}

private func modelReport(_ arguments: ParsedArguments) throws(CommandFailure) -> (text: String, isGood: Bool) {
  let directory = arguments.required("--models")
  let alias: ModelAlias? = ["promote": .champion, "challenge": .challenger][arguments.choice ?? ""]
  let kind = try alias.map { _ throws(CommandFailure) in try modelKind(arguments) }
  func text(_ lines: [String]) -> String { lines.map { $0 + "\n" }.joined() }
  do throws(ModelError) {
    if let alias, let kind {
      let version = arguments.operands[1]
      try ModelRegistry.name(alias, directory: directory, kind: kind, version: version)
      return (text(["\(kind.rawValue): \(version) is the \(alias.rawValue)"]), true)
    }
    guard arguments.choice == "list" else {
      let verified = try ModelRegistry.verify(directory: directory)
      return (text(verified.lines), verified.isGood)
    }
    return arguments.has("--json")
      ? (try ModelRegistry.json(directory: directory), true)
      : (text(try ModelRegistry.list(directory: directory)), true)
  } catch {
    throw .failed("lendpulse models: \(error.description)")
  }
}

private func modelKind(_ arguments: ParsedArguments) throws(CommandFailure) -> ModelKind {
  let name = arguments.operands[0]
  guard let kind = ModelKind(rawValue: name) else {
    let kinds = ModelKind.allCases.map(\.rawValue)
    throw arguments.misuse(
      "there is no kind \(name); say \(kinds.joined(separator: ", "))\(Suggestion.phrase(for: name, among: kinds))")
  }
  return kind
}
