import Borrowers
import Features
import Models

/// What settings would do to the borrowers held, were they in force now: counted, and nothing is changed.
public struct PreviewCounts: Equatable, Sendable {
  public var borrowers = 0
  public var alertsOpenBefore = 0
  public var alertsOpenAfter = 0
  /// By `AlertStatus.rawValue`: what would be published.
  public var alerts = [Int](repeating: 0, count: 5)
  /// Of the alerts open then, by `Severity.rawValue` of their level.
  public var alertLevelsAfter = [Int](repeating: 0, count: 5)
  public var leadsOpenBefore = 0
  public var leadsOpenAfter = 0
  /// By `LeadStatus.rawValue`.
  public var leads = [Int](repeating: 0, count: 4)
  /// Probability x exposure x loss given default over all borrowers, with the old share lost and with the new one.
  public var expectedLossBefore = 0.0
  public var expectedLossAfter = 0.0
  /// The part of it that lies with borrowers whose alert is open.
  public var alertedLossBefore = 0.0
  public var alertedLossAfter = 0.0
  /// The forecast borrowing over 30 days of the borrowers whose lead is open.
  public var expectedLendingBefore = 0.0
  public var expectedLendingAfter = 0.0

  public init() {}

  public mutating func merge(_ other: PreviewCounts) {
    borrowers += other.borrowers
    alertsOpenBefore += other.alertsOpenBefore
    alertsOpenAfter += other.alertsOpenAfter
    for index in alerts.indices { alerts[index] += other.alerts[index] }
    for index in alertLevelsAfter.indices { alertLevelsAfter[index] += other.alertLevelsAfter[index] }
    leadsOpenBefore += other.leadsOpenBefore
    leadsOpenAfter += other.leadsOpenAfter
    for index in leads.indices { leads[index] += other.leads[index] }
    expectedLossBefore += other.expectedLossBefore
    expectedLossAfter += other.expectedLossAfter
    alertedLossBefore += other.alertedLossBefore
    alertedLossAfter += other.alertedLossAfter
    expectedLendingBefore += other.expectedLendingBefore
    expectedLendingAfter += other.expectedLendingAfter
  }
}

/// A preview over one engine, in slices: borrowers may change, come and go between two of them. Each that is held all the
/// time is counted once.
public struct SettingsPreview: Sendable {
  public let settings: DecisionSettings
  private let alertPolicy: AlertPolicy
  private let leadPolicy: LeadPolicy
  private let rules: RuleSet
  /// Of the store when it was looked at last; nil before.
  private var handles: [BorrowerHandle]?
  private var nextIndex = 0
  private var removals: UInt64 = 0
  public private(set) var counts = PreviewCounts()

  /// `settings` are valid.
  public init(_ settings: DecisionSettings) {
    self.settings = settings
    alertPolicy = AlertPolicy(settings.alerts)
    leadPolicy = LeadPolicy(settings.leads)
    rules = RuleSet(settings.alerts)
  }
}

extension SettingsPreview {
  /// Looks at the store again when somebody was removed since: only a handle of now is valid. They come in the order of
  /// the arena, so what was counted lies before the next one.
  fileprivate mutating func prepare(_ store: borrowing BorrowerStore) {
    guard handles == nil || removals != store.removals else { return }
    let last = nextIndex > 0 ? handles?[nextIndex - 1] : nil
    let now = store.handles()
    nextIndex = last.map { last in now.firstIndex { last < $0 } ?? now.count } ?? 0
    handles = now
    removals = store.removals
  }

  fileprivate mutating func next() -> BorrowerHandle? {
    guard let handles, nextIndex < handles.count else { return nil }
    defer { nextIndex += 1 }
    return handles[nextIndex]
  }

  fileprivate func evaluate(_ facts: RuleFacts) -> UInt64 { rules.rules.isEmpty ? 0 : rules.evaluate(facts) }

  fileprivate func level(_ fired: UInt64) -> Severity { rules.level(fired) }

  fileprivate mutating func count(
    _ facts: AlertFacts, open: OpenAlert?, cleared: ClearedAlert?, loss: (before: Double, after: Double)
  ) {
    var level = open?.level
    switch alertPolicy.decide(facts, open: open, cleared: cleared) {
    case .none: break
    case .hold(let new): level = new
    case .raise(let new):
      level = new
      counts.alerts[Int(AlertStatus.raised.rawValue)] += 1
    case .escalate(let new):
      level = new
      counts.alerts[Int(AlertStatus.escalated.rawValue)] += 1
    case .ease(let new):
      level = new
      counts.alerts[Int(AlertStatus.eased.rawValue)] += 1
    case .clear:
      level = nil
      counts.alerts[Int(AlertStatus.cleared.rawValue)] += 1
    }
    counts.expectedLossBefore += loss.before
    counts.expectedLossAfter += loss.after
    if open != nil {
      counts.alertsOpenBefore += 1
      counts.alertedLossBefore += loss.before
    }
    if let level {
      counts.alertsOpenAfter += 1
      counts.alertLevelsAfter[Int(level.rawValue)] += 1
      counts.alertedLossAfter += loss.after
    }
  }

  fileprivate mutating func count(_ facts: LeadFacts, open: OpenLead?, endedAt: EventTime?) {
    let lending = facts.forecast == facts.forecast ? facts.forecast : 0
    var isOpen = open != nil
    if isOpen {
      counts.leadsOpenBefore += 1
      counts.expectedLendingBefore += lending
    }
    switch leadPolicy.decide(facts, open: open, endedAt: endedAt) {
    case .none: break
    case .open:
      isOpen = true
      counts.leads[Int(LeadStatus.opened.rawValue)] += 1
    case .update: counts.leads[Int(LeadStatus.updated.rawValue)] += 1
    case .withdraw:
      isOpen = false
      counts.leads[Int(LeadStatus.withdrawn.rawValue)] += 1
    }
    if isOpen {
      counts.leadsOpenAfter += 1
      counts.expectedLendingAfter += lending
    }
  }

  fileprivate mutating func noteBorrower() { counts.borrowers += 1 }
}

extension PartitionEngine {
  /// Counts up to `limit` more borrowers; false when all are. Called between two steps.
  public mutating func advance(_ preview: inout SettingsPreview, limit: Int) -> Bool {
    preview.prepare(store)
    for _ in 0..<limit {
      guard let handle = preview.next() else { return false }
      load(handle)
      preview.noteBorrower()
      let now = borrowerTime
      count(&preview, now)
    }
    return true
  }

  private func count(_ preview: inout SettingsPreview, _ now: EventTime) {
    let scores = decision.scores
    let probability = scores.overdueProbability
    let exposure = state.exposure
    let facts = RuleFacts(
      information: state.basicInformation, daysPastDue: state.daysPastDue(at: now),
      amountPastDue: state.amountPastDue(at: now), exposure: exposure, now: now)
    let loss = probability == probability ? probability * exposure : 0
    let share = (settings ?? configuration.settings).alerts.lossGivenDefault
    let cleared =
      decision.alertClearedAt == .distantPast
      ? nil : ClearedAlert(at: decision.alertClearedAt, severity: decision.clearedSeverity)
    preview.count(
      AlertFacts(
        probability: probability, ruleLevel: preview.level(preview.evaluate(facts)), override: overrideFact(now),
        now: now),
      open: decision.hasAlert ? OpenAlert(severity: decision.alertSeverity, level: decision.alertLevel) : nil,
      cleared: cleared, loss: (loss * share, loss * preview.settings.alerts.lossGivenDefault))
    preview.count(
      LeadFacts(
        utilization: scores.predictedUtilization, overdueProbability: probability, forecast: scores.forecast,
        hasConsent: facts.information.marketingConsent == true, isPastDue: state.isPastDue(at: now), now: now),
      open: decision.hasLead
        ? OpenLead(
          forecast: HeldScores.value(decision.leadForecastHundredths, 100), validUntil: decision.leadValidUntil) : nil,
      endedAt: decision.leadEndedAt == .distantPast ? nil : decision.leadEndedAt)
  }
}
