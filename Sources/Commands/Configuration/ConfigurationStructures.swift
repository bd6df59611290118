// The keys whose values are lists or mappings.

import Kafka
import Scoring

/// `kafka.properties`: any librdkafka property but those that exactly-once, or lendpulse's own names, depend on.
enum KafkaProperties {
  static let path = "kafka.properties"

  static func read(_ value: inout ConfigurationValue) -> [KafkaProperty]? {
    if value.node.isNull { return [] }
    guard let entries = value.mapping() else { return nil }
    var properties: [KafkaProperty] = []
    for entry in entries {
      var part = value.part("." + entry.key, entry.value)
      part.origin = value.origin.at(line: entry.line)
      readProperty(entry.key, &part).map { properties.append($0) }
      value.problems += part.problems
    }
    return properties
  }

  /// One property; never tells its value.
  static func readProperty(_ name: String, _ value: inout ConfigurationValue) -> KafkaProperty? {
    if let reason = KafkaSettings.refusal(of: name) {
      value.refuse("cannot be set: \(reason)")
      return nil
    }
    guard case .scalar(let text, _) = value.node.content else {
      value.refuse("must be one value, with the property's whole name as its key, such as sasl.username: …")
      return nil
    }
    return KafkaProperty(name: name, value: text)
  }
}

/// `alerts.rules`.
enum AlertRules {
  static let path = "alerts.rules"
  static let countMax = 64
  private static let fields = ["name", "when", "severity"]

  static func read(_ value: inout ConfigurationValue) -> [RuleSettings]? {
    guard let elements = value.list() else { return nil }
    guard elements.count <= countMax else {
      value.refuse("must be at most \(countMax) rules, not \(elements.count)")
      return nil
    }
    var rules: [RuleSettings] = []
    for (index, element) in elements.enumerated() {
      var part = value.part("[\(index)]", element)
      if let rule = readRule(&part) {
        if !rule.name.isEmpty, rules.contains(where: { $0.name == rule.name }) {
          part.refuse("a rule named \(rule.name) stands above")
        }
        rules.append(rule)
        value.parts.append(part.parts[0])
      }
      value.problems += part.problems
    }
    return rules
  }

  private static func readRule(_ value: inout ConfigurationValue) -> RuleSettings? {
    guard let entries = value.mapping() else { return nil }
    var texts: [String: ConfigurationValue] = [:]
    for entry in entries {
      guard fields.contains(entry.key) else {
        var unknown = value.part(".\(entry.key)", entry.value)
        unknown.origin = value.origin.at(line: entry.line)
        unknown.refuse("is unknown\(Suggestion.phrase(for: entry.key, among: fields))")
        value.problems += unknown.problems
        continue
      }
      texts[entry.key] = value.part(".\(entry.key)", entry.value)
    }
    for missing in fields where texts[missing] == nil { value.refuse("needs \(missing)") }
    guard var name = texts["name"], var when = texts["when"], var severity = texts["severity"] else { return nil }
    defer { value.problems += name.problems + when.problems + severity.problems }
    let nameText = name.text()
    if let nameText, !isName(nameText) {
      name.refuse("must be 1 to 64 lower-case letters, digits or '_', and begin with a letter")
    }
    let whenText = when.text(expecting: "a condition such as \"days_past_due >= 60\"")
    let level = severity.choice(ConfigurationKey.severities)
    guard let whenText else { return nil }
    // The condition is judged even where name or severity is refused: whoever mends them should know all.
    value.parts = [(when.key, when.origin)]
    return RuleSettings(name: nameText ?? "", when: whenText, severity: level ?? .high)
  }

  private static func isName(_ text: String) -> Bool {
    guard let first = text.utf8.first, (1...64).contains(text.utf8.count) else { return false }
    let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
    return letters.contains(first)
      && text.utf8.allSatisfy {
        letters.contains($0) || $0 == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
      }
  }
}

/// `repayment.periods_days`.
enum RepaymentPeriods {
  static func read(_ value: inout ConfigurationValue) -> [Int]? {
    guard let elements = value.list() else { return nil }
    guard (1...16).contains(elements.count) else {
      value.refuse("must be a list of 1 to 16 numbers of days")
      return nil
    }
    var days: [Int] = []
    for (index, element) in elements.enumerated() {
      var part = value.part("[\(index)]", element)
      if let number = part.integer(1...92) {
        if days.contains(number) { part.refuse("\(number) stands there already") }
        days.append(number)
      }
      value.problems += part.problems
    }
    return days
  }
}
