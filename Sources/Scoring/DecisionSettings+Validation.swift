/// What is wrong with one setting.
public struct SettingsProblem: Equatable, Sendable, CustomStringConvertible {
  /// As in the configuration file: `alerts.bands.low`, `alerts.rules[0].when`.
  public var keyPath: String
  /// One line that says what would mend it.
  public var message: String
  public var description: String { "\(keyPath): \(message)" }

  public init(keyPath: String, message: String) {
    self.keyPath = keyPath
    self.message = message
  }
}

extension DecisionSettings {
  /// All that is wrong, at once; empty when the settings can be taken.
  public func validate() -> [SettingsProblem] {
    var problems = Problems()
    alerts.validate(&problems)
    leads.validate(&problems)
    return problems.found
  }
}

private struct Problems {
  var found: [SettingsProblem] = []

  mutating func add(_ keyPath: String, _ message: String) {
    found.append(SettingsProblem(keyPath: keyPath, message: message))
  }

  mutating func require(_ keyPath: String, _ value: Double, in range: ClosedRange<Double>) {
    // NaN is in no range.
    if !range.contains(value) { add(keyPath, "must be from \(plain(range.lowerBound)) to \(plain(range.upperBound))") }
  }

  private func plain(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)"
  }
}

extension AlertSettings {
  fileprivate func validate(_ problems: inout Problems) {
    let bands = [("low", low), ("medium", medium), ("high", high), ("critical", critical)]
    for (index, band) in bands.enumerated() {
      problems.require("alerts.bands.\(band.0)", band.1, in: 0...1)
      if index > 0, band.1 <= bands[index - 1].1 {
        problems.add("alerts.bands.\(band.0)", "must be over alerts.bands.\(bands[index - 1].0); bands ascend")
      }
    }
    if raiseAt == .none { problems.add("alerts.raise_at", "must be low, medium, high or critical") }
    problems.require("alerts.clear_margin", clearMargin, in: 0...1)
    problems.require("alerts.cooldown_hours", cooldownHours, in: 0...87_600)
    problems.require("alerts.loss_given_default", lossGivenDefault, in: 0...1)
    if rules.count > RuleSet.countMax { problems.add("alerts.rules", "must be at most \(RuleSet.countMax) rules") }
    for (index, rule) in rules.enumerated() {
      rule.validate("alerts.rules[\(index)]", allowProtected: allowProtected, &problems)
      if rules[..<index].contains(where: { $0.name == rule.name }) {
        problems.add("alerts.rules[\(index)].name", "\(rule.name) is the name of an earlier rule; names are unique")
      }
    }
  }
}

extension RuleSettings {
  fileprivate func validate(_ keyPath: String, allowProtected: Bool, _ problems: inout Problems) {
    let isPlain = name.utf8.allSatisfy { byte in
      byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-") || (0x30...0x39).contains(byte)
        || (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte)
    }
    if name.isEmpty || name.utf8.count > 64 || !isPlain {
      problems.add("\(keyPath).name", "must be 1 to 64 letters, digits, _ or -")
    }
    if severity == .none { problems.add("\(keyPath).severity", "must be low, medium, high or critical") }
    do throws(RuleError) {
      _ = try RuleParser.compile(when, allowProtected: allowProtected)
    } catch {
      problems.add("\(keyPath).when", error.description)
    }
  }
}

extension LeadSettings {
  fileprivate func validate(_ problems: inout Problems) {
    problems.require("leads.utilization_threshold", utilizationThreshold, in: 0...100)
    problems.require("leads.margin", margin, in: 0...100)
    problems.require("leads.overdue_at_most", overdueAtMost, in: 0...1)
    problems.require("leads.cooldown_days", cooldownDays, in: 0...3_650)
    problems.require("leads.valid_days", validDays, in: (1.0 / 24)...3_650)
    problems.require("leads.update_share", updateShare, in: 0...1_000)
  }
}
