import Foundation

/// The value given for one key, with where it came from; what is wrong with it is collected in `problems`.
struct ConfigurationValue {
  var key: String
  var node: YAMLNode
  var origin: ConfigurationOrigin
  var problems: [ConfigurationProblem] = []
  /// Of a list: where each element that was taken stands, for checks that come later.
  var parts: [(key: String, origin: ConfigurationOrigin)] = []

  /// The value of a part: an element of a list, a field of a mapping.
  func part(_ name: String, _ node: YAMLNode) -> ConfigurationValue {
    ConfigurationValue(key: key + name, node: node, origin: origin.at(line: node.line))
  }

  mutating func refuse(_ message: String) {
    problems.append(ConfigurationProblem(origin: origin, key: key, message: message))
  }

  // MARK: Single values. Each returns nil when it has refused the value.

  mutating func text(expecting expected: String = "text") -> String? {
    guard case .scalar(let text, _) = node.content, !node.isNull else {
      refuse("must be \(expected), not \(node.kind)")
      return nil
    }
    return text
  }

  mutating func integer(_ range: ClosedRange<Int>) -> Int? {
    guard let text = plainScalar("a whole number") else { return nil }
    guard let value = Int(text) else {
      refuse("must be a whole number, not \(quoted(text))")
      return nil
    }
    guard range.contains(value) else {
      refuse("must be \(range.lowerBound) to \(range.upperBound), not \(value)")
      return nil
    }
    return value
  }

  mutating func number(_ range: ClosedRange<Double>) -> Double? {
    guard let text = plainScalar("a number") else { return nil }
    guard text.utf8.allSatisfy(Self.isOfDecimal), let value = Double(text), value.isFinite else {
      refuse("must be a number, not \(quoted(text))")
      return nil
    }
    guard range.contains(value) else {
      refuse("must be \(Self.short(range.lowerBound)) to \(Self.short(range.upperBound)), not \(text)")
      return nil
    }
    return value
  }

  mutating func boolean() -> Bool? {
    guard let text = plainScalar("true or false") else { return nil }
    switch text {
    case "true", "True", "TRUE": return true
    case "false", "False", "FALSE": return false
    default:
      refuse("must be true or false, not \(quoted(text))")
      return nil
    }
  }

  /// One of the named choices.
  mutating func choice<Choice>(_ choices: [(name: String, value: Choice)]) -> Choice? {
    let names = choices.map(\.name)
    let expected = names.dropLast().joined(separator: ", ") + " or " + names[names.count - 1]
    guard let text = text(expecting: expected) else { return nil }
    guard let choice = choices.first(where: { $0.name == text }) else {
      refuse("must be \(expected), not \(quoted(text))\(Suggestion.phrase(for: text, among: names))")
      return nil
    }
    return choice.value
  }

  mutating func list() -> [YAMLNode]? {
    guard case .sequence(let elements) = node.content else {
      refuse("must be a list, not \(node.kind)")
      return nil
    }
    return elements
  }

  mutating func mapping() -> [YAMLEntry]? {
    guard case .mapping(let entries) = node.content else {
      refuse("must be a mapping, not \(node.kind)")
      return nil
    }
    return entries
  }

  private mutating func plainScalar(_ expected: String) -> String? {
    guard case .scalar(let text, let isPlain) = node.content, !node.isNull else {
      refuse("must be \(expected), not \(node.kind)")
      return nil
    }
    guard isPlain else {
      refuse("must be \(expected), not text in quotes")
      return nil
    }
    return text
  }

  /// For an error: cut short, on one line.
  private func quoted(_ text: String) -> String {
    let line = text.prefix(40).map { $0.isNewline ? " " : $0 }
    return "\"\(String(line))\(text.count > 40 ? "…" : "")\""
  }

  private static func isOfDecimal(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: "e"), UInt8(ascii: "E"):
      true
    default: false
    }
  }

  /// A whole number without its `.0`.
  static func short(_ number: Double) -> String {
    number == number.rounded() && abs(number) < 1e15 ? String(Int(number)) : String(number)
  }
}

extension ConfigurationOrigin {
  /// The same file at another line; flags and variables have none.
  func at(line: Int) -> ConfigurationOrigin {
    guard case .file(let path, _) = self else { return self }
    return .file(path, line: line)
  }
}
