import Borrowers

/// A seeded world of borrowers. It yields their events in the order of event time, a day at a time: memory is bounded by
/// the number of borrowers (about 350 bytes each, and one day's events), however long it lasts.
///
/// The same seed, borrowers, days and start give the same events on every machine. A borrower's life does not depend on
/// how many others there are.
///
/// Behind every borrower stands a hidden truth: financial health that drifts and takes shocks decides whether payments
/// come in time, late or never, and shows in scores, deposits, salaries and the pages looked at; an appetite for credit
/// decides how often needs arise, which announce themselves by searches and page views before money is drawn.
public struct World: ~Copyable {
  public let seed: UInt64
  public let days: Int
  /// 00:00 UTC of the first day.
  public let start: EventTime
  /// 2025-01-01.
  public static let defaultStart = EventTime(milliseconds: 1_735_689_600_000)
  /// Truths are taken every so many days, for a horizon as long.
  public static let truthDays = 30

  private var borrowers: [SimulatedBorrower] = []
  private let firstDayNumber: Int
  private let eventIDKey: UInt64
  private let recordsTruth: Bool
  private var nextDay = 0
  private var planned: [PlannedEvent] = []
  /// Of the day under way: time within the day above the index into `planned`, so that sorting the keys sorts the day.
  private var order: [UInt64] = []
  private var nextInDay = 0
  private var truths: [BorrowerTruth] = []
  private var nextTruthIndex = 0

  /// `start` is cut to 00:00 UTC. `borrowers` and `days` are at least 1, and the world ends before the year 2100.
  public init(
    seed: UInt64, borrowers count: Int, days: Int, start: EventTime = World.defaultStart, recordsTruth: Bool = false
  ) {
    precondition(count >= 1 && count <= 1 << 32 && days >= 1)
    let dayNumber = Int((Double(start.milliseconds) / Double(EventTime.millisecondsPerDay)).rounded(.down))
    self.seed = seed
    self.days = days
    self.recordsTruth = recordsTruth
    firstDayNumber = dayNumber
    self.start = EventTime(milliseconds: Int64(dayNumber) * EventTime.millisecondsPerDay)
    // Other seeds and starts have other event ids, so that one world after the other is no repeat of the first.
    eventIDKey = RandomSource.mix(seed &+ RandomSource.mix(UInt64(bitPattern: Int64(dayNumber))))
    self.borrowers.reserveCapacity(count)
    for index in 0..<count { self.borrowers.append(SimulatedBorrower(seed: seed, index: index, days: days)) }
  }

  /// The borrowers of the world.
  public var borrowerCount: Int { borrowers.count }

  /// Overwrites `event` with the next one; false when the world has ended.
  public mutating func next(into event: inout BorrowerEvent) -> Bool {
    while nextInDay == order.count {
      guard nextDay < days else { return false }
      liveOneDay()
    }
    let plan = planned[Int(order[nextInDay] & 0xffff_ffff)]
    nextInDay += 1
    fill(&event, from: plan)
    return true
  }

  /// The next truth whose horizon has passed in the events yielded so far, in the order of as-of date and borrower.
  public mutating func nextTruth() -> BorrowerTruth? {
    guard nextTruthIndex < truths.count else { return nil }
    nextTruthIndex += 1
    return truths[nextTruthIndex - 1]
  }

  /// `B0000001` for borrower 0.
  public static func appendBorrowerID(_ borrower: Int, to text: inout [UInt8]) {
    text.append(UInt8(ascii: "B"))
    var divisor = 1_000_000
    while divisor * 10 <= borrower + 1 { divisor *= 10 }
    while divisor > 0 {
      text.append(UInt8(ascii: "0") + UInt8((borrower + 1) / divisor % 10))
      divisor /= 10
    }
  }

  private mutating func liveOneDay() {
    let day = CalendarDay(number: firstDayNumber + nextDay)
    if recordsTruth && nextDay % World.truthDays == 0 { takeTruths() }
    planned.removeAll(keepingCapacity: true)
    order.removeAll(keepingCapacity: true)
    nextInDay = 0
    for index in borrowers.indices {
      borrowers[index].live(nextDay, date: day, borrower: UInt32(index), into: &planned)
    }
    nextDay += 1
    precondition(planned.count < 1 << 32)
    order.reserveCapacity(planned.count)
    for (index, plan) in planned.enumerated() { order.append(UInt64(plan.millisecond) << 32 | UInt64(index)) }
    order.sort()
    if recordsTruth && nextDay == days && nextDay % World.truthDays == 0 { takeTruths() }
  }

  /// Ends the horizon that began `truthDays` ago, and begins the next.
  private mutating func takeTruths() {
    if nextTruthIndex == truths.count {
      truths.removeAll(keepingCapacity: true)
      nextTruthIndex = 0
    }
    let asOf = start + Int64(nextDay - World.truthDays) * EventTime.millisecondsPerDay
    for index in borrowers.indices {
      let isPresent = borrowers[index].joinDay < nextDay - World.truthDays
      if nextDay >= World.truthDays && isPresent && !borrowers[index].isErased {
        truths.append(
          BorrowerTruth(
            borrower: index, asOf: asOf, defaultPropensity: borrowers[index].truthPropensity,
            overdue: borrowers[index].truthOverdue, drawnCents: borrowers[index].truthDrawn))
      }
      borrowers[index].truthPropensity = borrowers[index].defaultPropensity
      borrowers[index].truthOverdue = false
      borrowers[index].truthDrawn = 0
    }
  }

  private func fill(_ event: inout BorrowerEvent, from plan: PlannedEvent) {
    var text: [UInt8] = []
    swap(&text, &event.text)
    text.removeAll(keepingCapacity: true)
    event = BorrowerEvent()
    let borrower = Int(plan.borrower)
    event.kind = plan.kind
    event.occurredAt = start + Int64(plan.day) * EventTime.millisecondsPerDay + Int64(plan.millisecond)
    event.borrowerID = appending(to: &text) { World.appendBorrowerID(borrower, to: &$0) }
    let id = RandomSource.mix(eventIDKey ^ (UInt64(plan.borrower) << 32 | UInt64(plan.sequence)))
    event.eventID = appending(to: &text) { World.appendBase32(id, to: &$0) }
    event.platform = appending(to: &text) { $0 += Vocabulary.platforms[Int(plan.platform)] }
    if plan.loan != PlannedEvent.noLoan {
      event.loanID = appending(to: &text) {
        World.appendBorrowerID(borrower, to: &$0)
        $0.append(UInt8(ascii: "-"))
        if plan.loan == PlannedEvent.cardLoan {
          $0 += Vocabulary.platforms[Vocabulary.card]
        } else {
          $0.append(UInt8(ascii: "L"))
          World.appendDecimal(Int(plan.loan), to: &$0)
        }
      }
    }
    let money = Double(plan.cents) / 100
    let extra = Double(plan.extra)
    switch plan.kind {
    case .profileUpdated:
      fillProfile(&event.profile, of: borrower, &text)
    case .creditScoreUpdated:
      event.amount = Double(plan.cents)
    case .assetsUpdated:
      event.deposits = money
      if plan.extra > 0 { event.propertyValue = extra }
    case .statementIssued:
      event.amount = money
      if plan.dueDay >= 0 {
        event.minimumDue = extra / 100
        event.dueAt = endOfDay(Int(plan.dueDay))
      }
    case .installmentDue:
      event.amount = money
      event.dueAt = endOfDay(Int(plan.dueDay))
    case .paymentMissed:
      event.amount = money
      event.daysPastDue = extra
    case .drawdown:
      event.amount = money
      if plan.extra > 0 { event.installments = extra }
    case .limitChanged, .loanApplied, .repayment, .purchase, .wealthTransaction, .bankTransaction:
      event.amount = money
    case .pageView, .search, .sessionStarted, .borrowerErased:
      break
    }
    if let words = plan.kind.details { event.detail = appending(to: &text) { $0 += words[Int(plan.detail)] } }
    swap(&text, &event.text)
  }

  private func fillProfile(_ profile: inout ProfileUpdate, of borrower: Int, _ text: inout [UInt8]) {
    let person = borrowers[borrower]
    profile.birthYear = Double(person.birthYear)
    profile.monthlyIncome = Double(person.monthlyIncome) / 100
    profile.region = appending(to: &text) { $0 += Vocabulary.regions[person.region] }
    profile.householdRegion = appending(to: &text) { $0 += Vocabulary.regions[person.householdRegion] }
    profile.education = appending(to: &text) { $0 += Vocabulary.education[person.education] }
    profile.occupation = appending(to: &text) { $0 += Vocabulary.occupations[person.occupation] }
    profile.maritalStatus = appending(to: &text) { $0 += Vocabulary.maritalStatus[person.maritalStatus] }
    profile.gender = appending(to: &text) { $0 += Vocabulary.genders[person.gender] }
    profile.marketingConsent = person.consent
  }

  /// What is due on a day is due when it ends.
  private func endOfDay(_ day: Int) -> EventTime { start + Int64(day + 1) * EventTime.millisecondsPerDay }

  private func appending(to text: inout [UInt8], _ write: (inout [UInt8]) -> Void) -> TextSlice {
    let before = text.count
    write(&text)
    return TextSlice(start: UInt32(before), count: UInt32(text.count - before))
  }

  /// Thirteen digits of Crockford's alphabet.
  private static func appendBase32(_ value: UInt64, to text: inout [UInt8]) {
    for shift in stride(from: UInt64(60), through: 0, by: -5) { text.append(alphabet[Int(value >> shift & 31)]) }
  }

  private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

  private static func appendDecimal(_ value: Int, to text: inout [UInt8]) {
    var divisor = 1
    while divisor * 10 <= value { divisor *= 10 }
    while divisor > 0 {
      text.append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
      divisor /= 10
    }
  }
}
