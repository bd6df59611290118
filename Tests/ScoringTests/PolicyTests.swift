import Borrowers
import Testing

@testable import Scoring

@Suite struct AlertPolicyTests {
  private let policy = AlertPolicy(AlertSettings())

  @Test(
    "bands hold their lower edge and not their upper one",
    arguments: [
      (0.0, Severity.none), (0.099999, .none), (0.1, .low), (0.249999, .low), (0.25, .medium), (0.5, .high),
      (0.749999, .high), (0.75, .critical), (1.0, .critical),
    ])
  func bands(_ probability: Double, _ expected: Severity) {
    #expect(policy.band(probability) == expected)
  }

  struct Case: Sendable {
    var p: Double
    var rule = Severity.none
    var open: (Severity, Severity)?
    /// Hours ago, severity.
    var cleared: (Double, Severity)?
    var action: AlertAction
  }

  @Test(
    "the table of alerts",
    arguments: [
      Case(p: 0.24, action: .none), Case(p: 0.25, action: .raise(.medium)), Case(p: 0.8, action: .raise(.critical)),
      Case(p: 0.01, rule: .critical, action: .raise(.critical)), Case(p: 0.01, rule: .low, action: .none),
      Case(p: 0.3, rule: .high, action: .raise(.high)), Case(p: .nan, rule: .critical, action: .none),
      // Open: severity so far, level.
      Case(p: 0.3, open: (.medium, .medium), action: .none),
      Case(p: 0.6, open: (.medium, .medium), action: .escalate(.high)),
      Case(p: 0.3, open: (.high, .high), action: .ease(.medium)),
      Case(p: 0.21, open: (.high, .medium), action: .ease(.low)), Case(p: 0.2, open: (.high, .low), action: .none),
      Case(p: 0.199999, open: (.high, .low), action: .clear(.low)),
      Case(p: 0.05, open: (.medium, .medium), action: .clear(.none)),
      Case(p: 0.05, rule: .medium, open: (.high, .high), action: .ease(.medium)),
      Case(p: 0.05, rule: .low, open: (.high, .high), action: .clear(.low)),
      Case(p: 0.6, open: (.high, .medium), action: .hold(.high)),
      Case(p: 0.05, rule: .critical, open: (.high, .high), action: .escalate(.critical)),
      Case(p: .nan, open: (.high, .high), action: .none),
      // Cleared before.
      Case(p: 0.3, cleared: (23.99, .medium), action: .none),
      Case(p: 0.3, cleared: (24, .medium), action: .raise(.medium)),
      Case(p: 0.3, cleared: (1, .low), action: .raise(.medium)),
      Case(p: 0.6, cleared: (1, .medium), action: .raise(.high)),
      Case(p: 0.6, cleared: (1, .high), action: .none),
    ])
  func decisions(_ row: Case) {
    let now = time(day: 10)
    let action = policy.decide(
      AlertFacts(probability: row.p, ruleLevel: row.rule, now: now),
      open: row.open.map { OpenAlert(severity: $0.0, level: $0.1) },
      cleared: row.cleared.map { ClearedAlert(at: now - Int64($0.0 * 3_600_000), severity: $0.1) })
    #expect(action == row.action)
  }
}

@Suite struct LeadPolicyTests {
  private let policy = LeadPolicy(LeadSettings())

  struct Case: Sendable {
    var u: Double
    var p = 0.1
    var forecast = 100.0
    var consent = true
    var pastDue = false
    /// Forecast at the last publication, days until it expires.
    var open: (Double, Double)?
    var endedDaysAgo: Double?
    var action: LeadAction
  }

  private static let opened = LeadAction.open(validUntil: time(day: 40))

  @Test(
    "the table of leads",
    arguments: [
      Case(u: 0.6, action: opened), Case(u: 0.599999, action: .none), Case(u: 0.7, p: 0.25, action: .none),
      Case(u: 0.7, p: 0.249999, action: opened), Case(u: 0.7, consent: false, action: .none),
      Case(u: 0.7, pastDue: true, action: .none), Case(u: 0.7, p: .nan, action: .none), Case(u: .nan, action: .none),
      Case(u: 0.7, forecast: .nan, action: opened), Case(u: 0.7, endedDaysAgo: 13.9, action: .none),
      Case(u: 0.7, endedDaysAgo: 14, action: opened),
      // Open.
      Case(u: 0.7, open: (100, 5), action: .none), Case(u: 0.7, forecast: 120, open: (100, 5), action: .none),
      Case(u: 0.7, forecast: 120.01, open: (100, 5), action: .update),
      Case(u: 0.7, forecast: 79.99, open: (100, 5), action: .update),
      Case(u: 0.7, forecast: 0.01, open: (0, 5), action: .update),
      Case(u: 0.7, forecast: 0, open: (0, 5), action: .none),
      Case(u: 0.7, forecast: 1, open: (.nan, 5), action: .update),
      Case(u: 0.7, forecast: .nan, open: (.nan, 5), action: .none),
      Case(u: 0.55, open: (100, 5), action: .none), Case(u: 0.549999, open: (100, 5), action: .withdraw(.utilization)),
      Case(u: 0.7, p: 0.25, open: (100, 5), action: .withdraw(.overdueRisk)),
      Case(u: 0.7, consent: false, open: (100, 5), action: .withdraw(.consent)),
      Case(u: 0.7, pastDue: true, open: (100, 5), action: .withdraw(.pastDue)),
      Case(u: 0.7, open: (100, 0), action: .withdraw(.expired)),
      Case(u: 0.1, p: 0.9, consent: false, pastDue: true, open: (100, 0), action: .withdraw(.expired)),
      Case(u: 0.1, p: 0.9, consent: false, pastDue: true, open: (100, 1), action: .withdraw(.consent)),
      Case(u: .nan, p: .nan, open: (100, 5), action: .none),
    ])
  func decisions(_ row: Case) {
    let now = time(day: 10)
    let facts = LeadFacts(
      utilization: row.u, overdueProbability: row.p, forecast: row.forecast, hasConsent: row.consent,
      isPastDue: row.pastDue, now: now)
    let action = policy.decide(
      facts, open: row.open.map { OpenLead(forecast: $0.0, validUntil: now + Int64($0.1 * 86_400_000)) },
      endedAt: row.endedDaysAgo.map { now - Int64($0 * 86_400_000) })
    #expect(action == row.action)
  }
}
