import Borrowers
import Scoring

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
struct Random {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}

/// Input and journal of one partition, made from a seed: few borrowers, so that they meet everything: late events,
/// repeats, erasures, dues, threshold changes, idle advances, clocks that jump.
struct RandomHistory {
  var input: [TestEvent] = []
  var journal: [(precedes: Int64, entry: JournalEntry)] = []

  static let borrowers = ["A", "B", "C", "@partition", "borrower-with-a-longer-identifier", "F"]

  init(seed: UInt64, events: Int) {
    var random = Random(seed: seed)
    // Of its own, so that the rest is what it would be without overrides.
    var decided = Random(seed: ~seed)
    var day = 0.0
    journal.append((0, .settings(DecisionSettings(), controlID: "file:1")))
    journal.append((0, .models(version: "m", digest: "d")))
    for index in 0..<events {
      day += random.chance(4) ? Double(random.below(45)) : Double(random.below(1_000)) / 700
      if random.chance(3) { journal.append((Int64(index), .settings(Self.settings(&random), controlID: "c\(index)"))) }
      if decided.chance(4) {
        journal.append(
          (Int64(index), .control(offset: Int64(index), id: "control:\(index)", Self.alertOverride(&decided, day))))
      }
      if random.chance(3) {
        let watermark = time(day: day + Double(random.below(10)) / 3)
        journal.append((Int64(index), .idleAdvance(watermark: watermark)))
      }
      if (index + Int(seed)) % 47 == 11 {
        journal.append((Int64(index), .forecastInterval(hours: [24, 7, 48, 1, 13][index % 5])))
      }
      var event = Self.event(&random, index: index, day: day)
      if random.chance(5), let earlier = input.last { event = earlier }
      input.append(event)
    }
    if random.chance(50) { journal.append((Int64(events), .idleAdvance(watermark: time(day: day + 40)))) }
  }

  private static func alertOverride(_ random: inout Random, _ day: Double) -> ControlChange {
    let action = random.pick([AlertOverride.Action.lift, .snooze, .force, .force])
    let severity = action == .force ? random.pick([Severity.none, .low, .medium, .high, .critical]) : .none
    return .alertOverride(
      AlertOverride(
        action: action, severity: severity, until: time(day: day + Double(random.below(60)) / 2 - 1),
        borrowerID: Array(random.pick(borrowers).utf8), salt: [UInt8(random.below(256))]))
  }

  private static func settings(_ random: inout Random) -> DecisionSettings {
    var settings = DecisionSettings()
    if random.chance(50) { settings.alerts.medium = 0.15 }
    if random.chance(30) { settings.alerts.raiseAt = .high }
    if random.chance(50) { settings.alerts.cooldownHours = 1 }
    if random.chance(50) { settings.leads.utilizationThreshold = 0.3 }
    if random.chance(50) { settings.leads.cooldownDays = 1 }
    if random.chance(50) { settings.leads.validDays = 3 }
    if random.chance(50) {
      settings.alerts.rules.append(RuleSettings(name: "owes", when: "exposure > 500", severity: .medium))
    }
    return settings
  }

  private static func event(_ random: inout Random, index: Int, day: Double) -> TestEvent {
    let kinds: [EventKind] = [
      .drawdown, .drawdown, .repayment, .repayment, .installmentDue, .installmentDue, .statementIssued, .paymentMissed,
      .pageView, .pageView, .pageView, .pageView, .limitChanged, .limitChanged, .profileUpdated, .profileUpdated,
      .purchase, .search,
      .sessionStarted, .bankTransaction, .loanApplied,
    ]
    let kind = random.chance(3) ? .borrowerErased : random.pick(kinds)
    // A late one now and then.
    let at = random.chance(8) ? day - Double(random.below(20)) : day
    var event = TestEvent(
      kind, "e\(index)", day: at, borrower: random.pick(borrowers), platform: random.pick(["default", "cards"]),
      loan: random.chance(50) ? "L\(random.below(3))" : nil, amount: Double(random.below(100_000)) / 100)
    switch kind {
    case .installmentDue: event.dueAt = time(day: day + Double(random.below(60) - 10) / 2)
    case .statementIssued where random.chance(50): event.dueAt = time(day: day + Double(random.below(20)))
    case .paymentMissed: event.daysPastDue = Double(random.below(80))
    case .profileUpdated: event.consent = random.chance(75)
    case .limitChanged: event.amount = 1_000 + event.amount * 10
    default: break
    }
    // A record written long before its event time, by its timestamp: the watermark must not pass it.
    if random.chance(5) { event.timestamp = time(day: max(0, day - 3)) }
    return event
  }
}
