import Borrowers

/// What is wrong with settings as JSON: everything at once.
public struct SettingsError: Error, Equatable, Sendable, CustomStringConvertible {
  public var problems: [SettingsProblem]
  public var description: String { problems.map(\.description).joined(separator: "; ") }

  public init(_ problems: [SettingsProblem]) { self.problems = problems }
}

extension DecisionSettings {
  /// Canonical: the same settings give the same text. Keys are those of the configuration file.
  public var json: String { value.canonical }

  /// Reads settings as JSON: keys that are not there keep the value of `base`, unknown keys and wrong types are refused,
  /// and so is what `validate` finds.
  public init(json: String, over base: DecisionSettings = DecisionSettings()) throws(SettingsError) {
    let value = try JSONText.parse(json).get()
    self = base
    var reader = SettingsReader()
    reader.read(value, "") { key, value, path, reader in
      switch key {
      case "alerts": reader.readAlerts(value, path, into: &alerts)
      case "leads": reader.readLeads(value, path, into: &leads)
      default: return false
      }
      return true
    }
    let problems = reader.problems.isEmpty ? validate() : reader.problems
    guard problems.isEmpty else { throw SettingsError(problems) }
  }

  private var value: JSONText {
    .object([
      ("alerts", alerts.value),
      (
        "leads",
        .object([
          ("utilization_threshold", .number(leads.utilizationThreshold)), ("margin", .number(leads.margin)),
          ("overdue_at_most", .number(leads.overdueAtMost)), ("cooldown_days", .number(leads.cooldownDays)),
          ("valid_days", .number(leads.validDays)), ("update_share", .number(leads.updateShare)),
        ])
      ),
    ])
  }
}

extension AlertSettings {
  fileprivate var value: JSONText {
    .object([
      (
        "bands",
        .object([
          ("low", .number(low)), ("medium", .number(medium)), ("high", .number(high)), ("critical", .number(critical)),
        ])
      ),
      ("raise_at", .text("\(raiseAt.name)")), ("clear_margin", .number(clearMargin)),
      ("cooldown_hours", .number(cooldownHours)), ("loss_given_default", .number(lossGivenDefault)),
      ("allow_protected", .truth(allowProtected)),
      (
        "rules",
        .list(
          rules.map { rule in
            .object([
              ("name", .text(rule.name)), ("when", .text(rule.when)), ("severity", .text("\(rule.severity.name)")),
            ])
          })
      ),
    ])
  }
}

/// Reads values by key and collects what is wrong.
private struct SettingsReader {
  var problems: [SettingsProblem] = []

  mutating func refuse(_ path: String, _ message: String) {
    problems.append(SettingsProblem(keyPath: path.isEmpty ? "settings" : path, message: message))
  }

  /// Calls `field` for each key; it answers false for one that it does not know.
  mutating func read(
    _ value: JSONText, _ path: String,
    _ field: (String, JSONText, String, inout SettingsReader) -> Bool
  ) {
    guard case .object(let fields) = value else { return refuse(path, "must be an object") }
    for (key, value) in fields {
      let inner = path.isEmpty ? key : "\(path).\(key)"
      if !field(key, value, inner, &self) { refuse(inner, "is no setting; see the configuration's reference") }
    }
  }

  mutating func read(_ value: JSONText, _ path: String, into target: inout Double) {
    guard case .number(let number) = value else { return refuse(path, "must be a number") }
    target = number
  }

  mutating func read(_ value: JSONText, _ path: String, into target: inout Bool) {
    guard case .truth(let truth) = value else { return refuse(path, "must be true or false") }
    target = truth
  }

  mutating func read(_ value: JSONText, _ path: String, into target: inout String) {
    guard case .text(let text) = value else { return refuse(path, "must be a text") }
    target = text
  }

  mutating func read(_ value: JSONText, _ path: String, into target: inout Severity) {
    var name = ""
    read(value, path, into: &name)
    guard let severity = Severity(name: name), severity != .none else {
      return refuse(path, "must be low, medium, high or critical")
    }
    target = severity
  }

  mutating func readAlerts(_ value: JSONText, _ path: String, into alerts: inout AlertSettings) {
    read(value, path) { key, value, path, reader in
      switch key {
      case "bands": reader.readBands(value, path, into: &alerts)
      case "raise_at": reader.read(value, path, into: &alerts.raiseAt)
      case "clear_margin": reader.read(value, path, into: &alerts.clearMargin)
      case "cooldown_hours": reader.read(value, path, into: &alerts.cooldownHours)
      case "loss_given_default": reader.read(value, path, into: &alerts.lossGivenDefault)
      case "allow_protected": reader.read(value, path, into: &alerts.allowProtected)
      case "rules": reader.readRules(value, path, into: &alerts.rules)
      default: return false
      }
      return true
    }
  }

  private mutating func readBands(_ value: JSONText, _ path: String, into alerts: inout AlertSettings) {
    read(value, path) { key, value, path, reader in
      switch key {
      case "low": reader.read(value, path, into: &alerts.low)
      case "medium": reader.read(value, path, into: &alerts.medium)
      case "high": reader.read(value, path, into: &alerts.high)
      case "critical": reader.read(value, path, into: &alerts.critical)
      default: return false
      }
      return true
    }
  }

  private mutating func readRules(_ value: JSONText, _ path: String, into rules: inout [RuleSettings]) {
    guard case .list(let values) = value else { return refuse(path, "must be a list of rules") }
    rules = []
    for (index, value) in values.enumerated() {
      var rule = RuleSettings(name: "", when: "", severity: .none)
      read(value, "\(path)[\(index)]") { key, value, path, reader in
        switch key {
        case "name": reader.read(value, path, into: &rule.name)
        case "when": reader.read(value, path, into: &rule.when)
        case "severity": reader.read(value, path, into: &rule.severity)
        default: return false
        }
        return true
      }
      rules.append(rule)
    }
  }

  mutating func readLeads(_ value: JSONText, _ path: String, into leads: inout LeadSettings) {
    read(value, path) { key, value, path, reader in
      switch key {
      case "utilization_threshold": reader.read(value, path, into: &leads.utilizationThreshold)
      case "margin": reader.read(value, path, into: &leads.margin)
      case "overdue_at_most": reader.read(value, path, into: &leads.overdueAtMost)
      case "cooldown_days": reader.read(value, path, into: &leads.cooldownDays)
      case "valid_days": reader.read(value, path, into: &leads.validDays)
      case "update_share": reader.read(value, path, into: &leads.updateShare)
      default: return false
      }
      return true
    }
  }
}

extension Severity {
  public init?(name: String) {
    switch name {
    case "none": self = .none
    case "low": self = .low
    case "medium": self = .medium
    case "high": self = .high
    case "critical": self = .critical
    default: return nil
    }
  }
}
