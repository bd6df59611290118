import Borrowers

/// What an alert's decision looks at.
struct AlertFacts {
  /// Calibrated and as published; NaN when there is no overdue model: then nothing is decided.
  var probability = Double.nan
  /// The highest severity of the rules that fire.
  var ruleLevel = Severity.none
  var override = OverrideFact.none
  /// The borrower's time.
  var now = EventTime.distantPast
}

/// What a person decided, until it ends.
enum OverrideFact: Equatable {
  case none
  case snoozed
  case forced(Severity)
}

/// The alert that is open.
struct OpenAlert {
  /// The highest since it was raised.
  var severity: Severity
  var level: Severity
}

/// The alert that was open before.
struct ClearedAlert {
  var at: EventTime
  var severity: Severity
}

enum AlertAction: Equatable {
  case none
  case raise(Severity)
  /// The level passes the severity so far.
  case escalate(Severity)
  /// The level falls.
  case ease(Severity)
  /// The level rises again, and not past the severity so far: kept, not published.
  case hold(Severity)
  case clear(Severity)
}

/// When an alert is raised, escalated, eased and cleared. Pure: the same facts give the same action.
struct AlertPolicy: Equatable {
  var low = 0.0
  var medium = 0.0
  var high = 0.0
  var critical = 0.0
  var raiseAt = Severity.medium
  /// The raising edge less the margin: an alert is cleared below it.
  var clearBelow = 0.0
  var cooldownMilliseconds: Int64 = 0
  var raisingEdge: Double { edge(of: raiseAt) }

  init(_ settings: AlertSettings) {
    low = settings.low
    medium = settings.medium
    high = settings.high
    critical = settings.critical
    raiseAt = settings.raiseAt
    clearBelow = decimalDifference(edge(of: settings.raiseAt), settings.clearMargin)
    cooldownMilliseconds = Int64((settings.cooldownHours * 3_600_000).rounded())
  }

  /// Bands are `lower <= p < upper`.
  func band(_ probability: Double) -> Severity {
    if probability >= critical { return .critical }
    if probability >= high { return .high }
    if probability >= medium { return .medium }
    return probability >= low ? .low : .none
  }

  private func edge(of severity: Severity) -> Double {
    switch severity {
    case .none: 0
    case .low: low
    case .medium: medium
    case .high: high
    case .critical: critical
    }
  }

  func decide(_ facts: AlertFacts, open: OpenAlert?, cleared: ClearedAlert?) -> AlertAction {
    guard facts.probability == facts.probability else { return .none }
    if case .forced(let level) = facts.override { return force(level, open) }
    let level = max(band(facts.probability), facts.ruleLevel)
    let isSnoozed = facts.override == .snoozed
    guard let open else { return isSnoozed ? .none : decideToRaise(level, facts, cleared) }
    if facts.probability < clearBelow && facts.ruleLevel < raiseAt { return .clear(level) }
    return isSnoozed ? .none : move(level, open)
  }

  /// A person's level: no cooldown keeps it back.
  private func force(_ level: Severity, _ open: OpenAlert?) -> AlertAction {
    guard let open else { return level >= raiseAt ? .raise(level) : .none }
    return level < raiseAt ? .clear(level) : move(level, open)
  }

  private func move(_ level: Severity, _ open: OpenAlert) -> AlertAction {
    if level > open.severity { return .escalate(level) }
    if level < open.level { return .ease(level) }
    return level > open.level ? .hold(level) : .none
  }

  private func decideToRaise(_ level: Severity, _ facts: AlertFacts, _ cleared: ClearedAlert?) -> AlertAction {
    guard level >= raiseAt else { return .none }
    if let cleared, level <= cleared.severity, facts.now - cleared.at < cooldownMilliseconds { return .none }
    return .raise(level)
  }
}

/// The difference of two settings as the decimals that they are: 0.6 less 0.05 is 0.55, though binary fractions say
/// 0.5499999999999999.
func decimalDifference(_ a: Double, _ b: Double) -> Double {
  ((a - b) * 1e9).rounded() / 1e9
}
