import Borrowers
import Features

/// An event in plain values.
struct RawEvent {
  var kind: EventKind
  var at: Int64
  var id: String
  var platform = "default"
  var loan: String?
  var amount = Double.nan
  var minimumDue = Double.nan
  var days = Double.nan
  var dueAt: Int64?
  var deposits = Double.nan
  var property = Double.nan
  var birthYear = Double.nan
  var income = Double.nan
  var education: String?
  var gender: String?
  var maritalStatus: String?
  var householdRegion: String?
  var consent: Bool?

  init(_ kind: EventKind, at: Int64, id: String) {
    self.kind = kind
    self.at = at
    self.id = id
  }

  var event: BorrowerEvent {
    var event = BorrowerEvent()
    event.kind = kind
    event.occurredAt = EventTime(milliseconds: at)
    event.eventID = event.appendText(id)
    event.borrowerID = event.appendText("B1")
    event.platform = event.appendText(platform)
    if let loan { event.loanID = event.appendText(loan) }
    event.amount = amount
    event.minimumDue = minimumDue
    event.daysPastDue = days
    if let dueAt { event.dueAt = EventTime(milliseconds: dueAt) }
    event.deposits = deposits
    event.propertyValue = property
    event.profile.birthYear = birthYear
    event.profile.monthlyIncome = income
    if let education { event.profile.education = event.appendText(education) }
    if let gender { event.profile.gender = event.appendText(gender) }
    if let maritalStatus { event.profile.maritalStatus = event.appendText(maritalStatus) }
    if let householdRegion { event.profile.householdRegion = event.appendText(householdRegion) }
    event.profile.marketingConsent = consent
    return event
  }
}

/// Random histories: in order or late, repeats, silence, jumps, amounts from nothing to 1e15.
struct HistoryGenerator {
  var random: SplitMix
  var now: Int64
  var number = 0
  var past: [RawEvent] = []
  static let day = EventTime.millisecondsPerDay

  init(seed: UInt64) {
    random = SplitMix(seed: seed)
    now = 1_700_000_000_000 + Int64(random.below(1_000_000_000))
  }

  private mutating func amount() -> Double {
    if random.chance(0.02) { return random.chance(0.5) ? 1e15 : 0 }
    return Double(random.below(500_000)) / (random.chance(0.5) ? 100 : 1)
  }

  mutating func next() -> RawEvent {
    if !past.isEmpty && random.chance(0.05) { return past[random.below(past.count)] }
    now += Int64(random.uniform() * random.uniform() * 4 * Double(HistoryGenerator.day))
    if random.chance(0.01) { now += Int64(random.below(200)) * HistoryGenerator.day }
    number += 1
    var at = now
    if random.chance(0.15) {
      at -= Int64(random.uniform() * Double(random.chance(0.5) ? 3_600_000 : 120 * HistoryGenerator.day))
    }
    var event = RawEvent(EventKind(rawValue: UInt8(1 + random.below(16)))!, at: at, id: "E\(number)")
    event.platform = ["card", "cash-loan", "default"][random.below(3)]
    if random.chance(0.6) { event.loan = "L\(random.below(3))" }
    complete(&event)
    past.append(event)
    return event
  }

  private mutating func complete(_ event: inout RawEvent) {
    switch event.kind {
    case .profileUpdated:
      if random.chance(0.5) { event.birthYear = Double(1940 + random.below(60)) }
      if random.chance(0.5) { event.income = amount() }
      if random.chance(0.5) {
        event.education = ["graduate_school", "university", "high_school", "other", "phd"][random.below(5)]
      }
      if random.chance(0.5) { event.gender = ["female", "male", "x"][random.below(3)] }
      if random.chance(0.5) { event.maritalStatus = ["married", "single", "widowed"][random.below(3)] }
      if random.chance(0.5) { event.householdRegion = ["north", "south"][random.below(2)] }
      if random.chance(0.5) { event.consent = random.chance(0.5) }
    case .creditScoreUpdated: event.amount = Double(300 + random.below(550))
    case .assetsUpdated:
      if random.chance(0.7) { event.deposits = amount() }
      if random.chance(0.7) { event.property = amount() }
    case .installmentDue:
      event.amount = amount()
      event.loan = "L\(random.below(3))"
      event.dueAt = event.at + Int64(random.below(60) - 5) * HistoryGenerator.day
    case .statementIssued:
      event.amount = amount() * (random.chance(0.1) ? -1 : 1)
      if random.chance(0.5) {
        event.minimumDue = amount() / 10
        event.dueAt = event.at + Int64(random.below(30)) * HistoryGenerator.day
      }
    case .paymentMissed:
      event.days = Double(random.below(90))
      if random.chance(0.5) { event.amount = amount() }
    case .wealthTransaction, .bankTransaction: event.amount = amount() * (random.chance(0.5) ? -1 : 1)
    case .pageView, .search, .sessionStarted, .borrowerErased: break
    default: event.amount = amount()
    }
  }
}
