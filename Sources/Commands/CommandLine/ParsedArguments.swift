/// What stood behind a command's name, checked against its definition.
struct ParsedArguments: Equatable, Sendable {
  /// The command's name, for errors.
  var command: String
  /// The choice given, of a command that has choices.
  var choice: String?
  /// What followed the choice, as many as its definition names.
  private(set) var operands: [String] = []
  private(set) var values: [String: [String]] = [:]

  /// Whether an option was given.
  func has(_ option: String) -> Bool { values[option] != nil }
  /// The value of an option that may be given once.
  subscript(option: String) -> String? { values[option]?.last }
  /// The values of an option that may be given again.
  func all(_ option: String) -> [String] { values[option] ?? [] }

  /// The value of a required option.
  func required(_ option: String) -> String {
    guard let value = self[option] else { preconditionFailure("\(option) is not declared as required") }
    return value
  }

  func integer(_ option: String, _ range: ClosedRange<Int>) throws(CommandFailure) -> Int? {
    guard let text = self[option] else { return nil }
    guard let value = Int(text), range.contains(value) else {
      throw misuse("\(option) must be a whole number of \(range.lowerBound) to \(range.upperBound), not \(text)")
    }
    return value
  }

  func misuse(_ problem: String) -> CommandFailure {
    .misused("lendpulse \(command): \(problem) (lendpulse \(command) --help shows its use)")
  }

  /// Takes `--flag value`, `--flag=value`, and a choice; refuses all else by name.
  init(_ arguments: some Sequence<String>, for definition: CommandDefinition) throws(CommandFailure) {
    command = definition.name
    var words = Array(arguments)[...]
    while let word = words.popFirst() {
      if word.hasPrefix("--") && word != "--" {
        try takeOption(word, &words, definition)
      } else if word.hasPrefix("-") && word != "-" {
        throw misuse("unknown option \(word); options begin with two hyphens")
      } else {
        try takeChoice(word, definition)
      }
    }
    if !definition.choices.isEmpty && choice == nil {
      throw misuse("say \(Self.either(definition.choices.map(\.name)))")
    }
    if let taken = definition.choices.first(where: { $0.name == choice }), operands.count < taken.operands.count {
      throw misuse("\(taken.name) needs \(taken.operands.joined(separator: " ")): \(taken.spelling)")
    }
    for option in definition.options where option.isRequired && !has(option.name) {
      throw misuse("\(option.name) \(option.value ?? "") is required".replacing("  ", with: " "))
    }
  }

  private mutating func takeOption(
    _ word: String, _ words: inout ArraySlice<String>, _ definition: CommandDefinition
  ) throws(CommandFailure) {
    let equals = word.firstIndex(of: "=")
    let name = String(word[..<(equals ?? word.endIndex)])
    guard let option = definition.options.first(where: { $0.name == name }) else {
      let suggestion = Suggestion.phrase(for: name, among: definition.options.map(\.name) + ["--help"])
      throw misuse("unknown option \(name)\(suggestion)")
    }
    var value = equals.map { String(word[word.index(after: $0)...]) }
    if option.value == nil {
      guard value == nil else { throw misuse("\(name) takes no value") }
      value = ""
    } else if value == nil {
      guard let next = words.first, !next.hasPrefix("--") else {
        throw misuse("\(name) needs a value: \(name) \(option.value ?? "")")
      }
      value = next
      words.removeFirst()
    }
    guard option.repeats || !has(name) else { throw misuse("\(name) is given twice; it takes one value") }
    guard option.value == nil || value != "" else { throw misuse("\(name) has an empty value") }
    values[name, default: []].append(value ?? "")
  }

  private mutating func takeChoice(_ word: String, _ definition: CommandDefinition) throws(CommandFailure) {
    let names = definition.choices.map(\.name)
    guard !names.isEmpty else { throw misuse("unexpected argument \(word)") }
    if let choice {
      let wanted = definition.choices.first { $0.name == choice }?.operands ?? []
      guard operands.count < wanted.count else {
        throw misuse("unexpected argument \(word): \(([choice] + operands).joined(separator: " ")) was said already")
      }
      operands.append(word)
      return
    }
    guard names.contains(word) else {
      throw misuse("unknown: \(word); say \(Self.either(names))\(Suggestion.phrase(for: word, among: names))")
    }
    choice = word
  }

  private static func either(_ names: [String]) -> String {
    names.count < 2 ? names.joined() : names.dropLast().joined(separator: ", ") + " or " + names[names.count - 1]
  }
}
