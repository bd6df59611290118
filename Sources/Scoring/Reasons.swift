import Borrowers
import Features
import Models

/// The reasons of an alert or a lead: at most four, one for each code, largest first, only those that raise the score;
/// rules that fire stand before the model's.
enum Reasons {
  static let countMax = 4

  /// Appends the model's reasons to `reasons`: of each code the feature that contributes most.
  static func append(_ contributions: [Contribution], to reasons: inout [Reason]) {
    let catalogue = FeatureCatalogue.all
    var bound: Contribution?
    while reasons.count < countMax, let contribution = largest(of: contributions, after: bound) {
      bound = contribution
      let feature = catalogue[contribution.feature]
      guard !reasons.contains(where: { $0.code == feature.reasonCode }) else { continue }
      let value = decimal(contribution.value)
      reasons.append(
        Reason(
          code: feature.reasonCode, feature: feature.name, value: value, contribution: contribution.contribution,
          text: text(feature, value: value)))
    }
  }

  /// The largest that raises the score and comes after `bound`. Ties by the order of the catalogue.
  private static func largest(of contributions: [Contribution], after bound: Contribution?) -> Contribution? {
    func comesBefore(_ a: Contribution, _ b: Contribution) -> Bool {
      a.contribution != b.contribution ? a.contribution > b.contribution : a.feature < b.feature
    }
    var found: Contribution?
    for contribution in contributions where contribution.contribution > 0 {
      if let bound, !comesBefore(bound, contribution) { continue }
      if let best = found, !comesBefore(contribution, best) { continue }
      found = contribution
    }
    return found
  }

  /// Appends the rules that fire, the gravest first, in the order of the settings among equals. The feature is the first
  /// that the condition names; a rule has no contribution to the score: 0.
  static func append(_ rules: RuleSet, fired: UInt64, _ facts: RuleFacts, to reasons: inout [Reason]) {
    guard fired != 0 else { return }
    let indices = rules.rules.indices.filter { fired & 1 << UInt64($0) != 0 }
      .sorted { a, b in
        let (left, right) = (rules.rules[a].severity, rules.rules[b].severity)
        return left != right ? left > right : a < b
      }
    for index in indices where reasons.count < countMax {
      let rule = rules.rules[index]
      let name = String(decoding: rule.name, as: UTF8.self)
      let field = rule.program.firstField
      reasons.append(
        Reason(
          code: "RULE_\(name)", feature: field.name, value: facts.number(field), contribution: 0,
          text: "Rule \(name) applies: \(rule.text)"))
    }
  }

  /// A feature's value as the shortest decimal that names its 32-bit number: 0.1 and not 0.10000000149.
  private static func decimal(_ value: Float) -> Double { Double("\(value)") ?? .nan }

  /// What the code means, the feature that weighs most in it, and its value.
  static func text(_ feature: FeatureDefinition, value: Double) -> String {
    let meaning = ReasonCode(rawValue: feature.reasonCode).map { "\($0.text)" } ?? feature.meaning
    let shown = value == value ? format(value, unit: feature.unit) : "unknown"
    return "\(meaning.prefix(1).uppercased())\(meaning.dropFirst()): \(feature.name) is \(shown)"
  }

  static func format(_ value: Double, unit: String) -> String {
    switch unit {
    case "ratio": "\(decimalText(value * 100, places: 1)) %"
    case "money": decimalText(value, places: 2)
    case "days", "hours", "years": value == 1 ? "1 \(unit.dropLast())" : "\(decimalText(value, places: 1)) \(unit)"
    default: decimalText(value, places: 2)
    }
  }

  /// At most so many places, no zeros at the end.
  private static func decimalText(_ value: Double, places: Int) -> String {
    let unit = places == 1 ? 10.0 : 100.0
    let scaled = (abs(value) * unit).rounded()
    guard scaled < 0x1p53 else { return "\(value)" }
    let whole = Int64(scaled)
    let (integer, fraction) = whole.quotientAndRemainder(dividingBy: Int64(unit))
    var digits = String(fraction)
    digits = String(repeating: "0", count: places - digits.count) + digits
    while digits.last == "0" { digits.removeLast() }
    let sign = value < 0 && whole != 0 ? "-" : ""
    return sign + String(integer) + (digits.isEmpty ? "" : "." + digits)
  }
}
