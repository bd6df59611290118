/// One option of a command.
struct OptionDefinition: Equatable, Sendable {
  /// With its two hyphens.
  var name: String
  /// What stands for its value in the help (`FILE`); nil: it has none.
  var value: String?
  /// Whether it may be given more than once.
  var repeats = false
  var isRequired = false
  var meaning: String

  /// The name with what stands for its value.
  var spelling: String { value.map { "\(name) \($0)" } ?? name }

  static let config = OptionDefinition(
    name: "--config", value: "FILE", meaning: "the configuration, a YAML file")
  static let set = OptionDefinition(
    name: "--set", value: "KEY=VALUE", repeats: true, meaning: "one key of the configuration, over file and environment"
  )

  func required() -> OptionDefinition {
    var option = self
    option.isRequired = true
    return option
  }

  func optional() -> OptionDefinition {
    var option = self
    option.isRequired = false
    return option
  }
}

/// A choice that stands after the command's name, such as `create` in `topics create`.
struct ChoiceDefinition: Equatable, Sendable {
  var name: String
  /// What must follow it, as the help names it: `KIND`, `VERSION`.
  var operands: [String] = []
  var meaning: String

  /// The name with what must follow it.
  var spelling: String { ([name] + operands).joined(separator: " ") }
}

/// One subcommand: what it takes, what its help says, and what it does.
struct CommandDefinition: Sendable {
  var name: String
  /// One line, lower case, without a full stop.
  var summary: String
  /// More, for its own help; may be empty.
  var details = ""
  /// Exactly one of these is required where there are any.
  var choices: [ChoiceDefinition] = []
  var options: [OptionDefinition] = []
  /// Command lines with what they do.
  var examples: [(line: String, effect: String)] = []
  var run: @Sendable (ParsedArguments) throws(CommandFailure) -> ExitStatus

  /// The first line of its help.
  var usage: String {
    let choice = choices.isEmpty ? "" : " " + choices.map(\.spelling).joined(separator: "|")
    let parts = options.map { option -> String in
      let text = option.spelling
      return option.isRequired ? text : option.repeats ? "[\(text)]..." : "[\(text)]"
    }
    return (["lendpulse \(name)\(choice)"] + parts).joined(separator: " ")
  }

  /// The text of `--help`.
  var help: String {
    var lines = ["Usage: \(usage)", "", summary.prefix(1).uppercased() + summary.dropFirst() + "."]
    if !details.isEmpty { lines += ["", details] }
    if !choices.isEmpty { lines += [""] + Self.columns(choices.map { ($0.spelling, $0.meaning) }) }
    let shown = options + [OptionDefinition(name: "--help", meaning: "this text")]
    lines += ["", "Options:"] + Self.columns(shown.map { ($0.spelling, Self.meaning($0)) })
    if !examples.isEmpty {
      lines += ["", "Examples:"]
      for example in examples { lines += ["  \(example.line)", "      \(example.effect)"] }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func meaning(_ option: OptionDefinition) -> String {
    option.meaning + (option.isRequired ? " (required)" : "") + (option.repeats ? " (may be given again)" : "")
  }

  /// Two columns, the first as wide as its widest entry.
  static func columns(_ rows: [(String, String)]) -> [String] {
    let width = rows.map(\.0.count).max() ?? 0
    return rows.map { "  " + $0.0 + String(repeating: " ", count: width - $0.0.count + 2) + $0.1 }
  }
}
