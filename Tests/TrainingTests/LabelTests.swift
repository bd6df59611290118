import Borrowers
import Features
import History
import Testing

@testable import Training

private let asOf = date("2026-03-01")
private let end = date("2026-03-31")

private func labels(
  _ events: [BorrowerEvent], _ change: (inout LabelSettings) -> Void = { _ in }, observed: String = "2026-12-31"
) -> ExampleLabels {
  var settings = LabelSettings()
  change(&settings)
  let grouped = borrower(events)
  return BorrowerOutcomes(grouped, settings).labels(
    asOf: asOf, seen: (0..<grouped.count).count { grouped[$0].occurredAt < asOf }, horizonEnd: end,
    observedThrough: date(observed))
}

@Test func `a payment missed within the horizon is overdue, one before or after it is not`() {
  func missed(_ time: String, days: Double = 1) -> Bool {
    labels([event(.paymentMissed, time, 10, days: days)]).isOverdue
  }
  #expect(missed("2026-03-01"))
  #expect(missed("2026-03-30T23:59:59.999Z"))
  #expect(!missed("2026-03-31"))
  #expect(!missed("2026-02-28T23:59:59.999Z"))
  #expect(!missed("2026-03-30T12:00:00Z", days: 0))
}

@Test func `a payment missed with fewer days than asked for is overdue when they have passed unpaid`() {
  let missed = event(.paymentMissed, "2026-03-05", 10, loan: "L", days: 3)
  #expect(!labels([missed], { $0.overdueDays = 30 }).isOverdue)
  #expect(labels([missed], { $0.overdueDays = 20 }).isOverdue)
  #expect(!labels([missed, event(.repayment, "2026-03-15", 10, loan: "L")], { $0.overdueDays = 20 }).isOverdue)
}

@Test func `a due amount is overdue a full day after its due time, unless it was paid by then`() {
  let due = event(.installmentDue, "2026-02-20", 100, loan: "L", due: "2026-03-10T12:00:00Z")
  func paid(_ time: String, _ amount: Double, loan: String? = "L") -> Bool {
    labels([due, event(.repayment, time, amount, loan: loan)]).isOverdue
  }
  #expect(labels([due]).isOverdue)
  #expect(!paid("2026-03-10", 100))
  #expect(!paid("2026-03-11T12:00:00Z", 100))
  #expect(paid("2026-03-11T12:00:00.001Z", 100))
  #expect(paid("2026-03-10", 99))
  #expect(paid("2026-03-10", 100, loan: "other"))
  #expect(!paid("2026-03-10", 100, loan: nil))
  // What was repaid before the due was announced is not of it.
  #expect(paid("2026-02-19", 100))
}

@Test func `the horizon bounds when a due amount becomes overdue, not when it was due`() {
  func due(_ at: String, days: Int = 1) -> Bool {
    labels([event(.installmentDue, "2026-01-01", 100, loan: "L", due: at)], { $0.overdueDays = days }).isOverdue
  }
  #expect(due("2026-02-28"))
  #expect(!due("2026-02-27T23:59:59Z"))
  #expect(due("2026-03-29T23:59:59Z"))
  #expect(!due("2026-03-30"))
  #expect(due("2026-01-30", days: 30))
  #expect(!due("2026-01-29", days: 30))
}

@Test func `money settles the oldest amount first and each unit of it once`() {
  let first = event(.installmentDue, "2026-02-20", 100, loan: "L", due: "2026-03-05")
  let second = event(.installmentDue, "2026-02-20", 100, loan: "L", due: "2026-03-10", id: "second")
  #expect(labels([first, second, event(.repayment, "2026-03-04", 150, loan: "L")]).isOverdue)
  #expect(!labels([first, second, event(.repayment, "2026-03-04", 200, loan: "L")]).isOverdue)
  let late = event(.repayment, "2026-03-09", 50, loan: "L")
  #expect(!labels([first, second, event(.repayment, "2026-03-04", 150, loan: "L"), late]).isOverdue)
}

@Test func `a statement's minimum is a due of its platform`() {
  let statement = event(.statementIssued, "2026-02-20", 900, minimum: 50, due: "2026-03-10")
  #expect(labels([statement]).isOverdue)
  #expect(!labels([statement, event(.repayment, "2026-03-01", 50)]).isOverdue)
  #expect(labels([statement, event(.repayment, "2026-03-01", 50, platform: "other")]).isOverdue)
  #expect(labels([statement, event(.repayment, "2026-03-01", 50, loan: "L")]).isOverdue)
}

@Test func `a missed payment before the date takes its passed dues along`() {
  let due = event(.installmentDue, "2026-02-01", 100, loan: "L", due: "2026-02-28")
  let missed = event(.paymentMissed, "2026-02-28T06:00:00Z", 100, loan: "L", days: 1)
  #expect(labels([due]).isOverdue)
  #expect(!labels([due, missed]).isOverdue)
  let other = event(.paymentMissed, "2026-02-28T06:00:00Z", 100, loan: "M", days: 1)
  #expect(labels([due, other]).isOverdue)
}

@Test func `arrears that moments come from are those that the features see`() {
  // Wherever the label's ledger has an amount open past its date, so has the state, and the other way round.
  var random = SeededRandom(seed: 11)
  for round in 0..<150 {
    var events: [BorrowerEvent] = []
    for index in 0..<(3 + random.below(12)) {
      let time = EventTime(milliseconds: asOf.milliseconds + Int64(random.below(40 * 24)) * 3_600_000)
      let amount = Double(1 + random.below(4)) * 50
      let loan = ["L", "M", nil][random.below(3)]
      let kind: EventKind = [.installmentDue, .repayment, .repayment, .paymentMissed][random.below(4)]
      events.append(
        event(
          kind, time.text, kind == .paymentMissed && random.below(3) == 0 ? .nan : amount, loan: loan,
          days: kind == .paymentMissed ? Double(1 + random.below(3)) : .nan,
          due: kind == .installmentDue ? (time + Int64(random.below(10) + 1) * 40_000_000).text : nil, id: "e\(index)"))
    }
    let ordered = borrower(events)
    var state = BorrowerState()
    for index in 0..<ordered.count {
      _ = state.apply(ordered[index], watermark: ordered[index].occurredAt, dedupeWindowMilliseconds: 604_800_000)
    }
    // At the end all that is open is past: nothing is due later than this.
    let late = asOf + 60 * EventTime.millisecondsPerDay
    let isOpen = OverdueMoments(ordered, overdueDays: 55).contains(
      from: late - 40 * 86_400_000, seen: 0, to: .distantFuture)
    #expect(isOpen == state.isPastDue(at: late), "round \(round) of seed 11")
  }
}

@Test func `demand is the sum of what is drawn within the horizon`() {
  let result = labels([
    event(.drawdown, "2026-02-28T23:59:59Z", 1), event(.drawdown, "2026-03-01", 2), event(.drawdown, "2026-03-30", 4),
    event(.drawdown, "2026-03-31", 8),
  ])
  #expect(result.drawn == 6 && result.hasDrawn)
  #expect(!labels([event(.search, "2026-03-02")]).hasDrawn)
}

@Test func `balance utilization is the last statement within the horizon over the limit at the date`() {
  let events = [
    event(.limitChanged, "2026-01-01", 1000), event(.limitChanged, "2026-02-01", 2000),
    event(.limitChanged, "2026-03-02", 4000), event(.statementIssued, "2026-02-28", 100),
    event(.statementIssued, "2026-03-05", 500), event(.statementIssued, "2026-03-30", -100),
    event(.statementIssued, "2026-03-31", 900),
  ]
  #expect(labels(events, { $0.utilizationTarget = .balance }).utilization == -0.05)
  #expect(labels(Array(events.prefix(4)), { $0.utilizationTarget = .balance }).utilization == nil)
  #expect(labels(events).hasLimit)
}

@Test func `cumulative utilization counts from the first grant, at most 365 days back, to the horizon's end`() {
  let grant = event(.limitChanged, "2025-06-01", 1000)
  let draws = [
    event(.drawdown, "2025-05-31", 1), event(.drawdown, "2025-06-01", 100, id: "same time as the grant"),
    event(.drawdown, "2026-03-30", 200), event(.drawdown, "2026-03-31", 400),
  ]
  #expect(labels([grant] + draws).utilization == 0.3)
  #expect(labels([grant, event(.limitChanged, "2026-01-01", 500)] + draws).utilization == 0.6)
  let old = event(.limitChanged, "2020-01-01", 1000)
  let tooOld = event(.drawdown, "2025-02-28T23:00:00Z", 5000)
  #expect(labels([old, tooOld, event(.drawdown, "2025-03-01", 10)]).utilization == 0.01)
}

@Test func `a person without a limit is measured by the days after a first grant within the horizon`() {
  let grant = event(.limitChanged, "2026-03-10", 1000)
  let draws = [
    event(.drawdown, "2026-03-09", 7), event(.drawdown, "2026-06-07", 300), event(.drawdown, "2026-06-08", 50),
  ]
  for target in UtilizationTarget.allCases {
    func utilization(_ events: [BorrowerEvent], days: Int = 90, observed: String = "2026-06-08") -> Double? {
      labels(
        events,
        {
          $0.utilizationTarget = target
          $0.prospectDays = days
        }, observed: observed
      ).utilization
    }
    #expect(utilization([grant] + draws) == 0.3)
    #expect(utilization([grant] + draws, observed: "2026-06-07T23:59:59Z") == nil)
    #expect(utilization([grant] + draws, days: 10) == 0)
    #expect(utilization(draws) == nil)
    #expect(utilization([event(.limitChanged, "2026-03-31", 1000)] + draws) == nil)
    #expect(utilization([event(.limitChanged, "2026-02-01", 0), grant] + draws) == 0.3)
  }
  #expect(!labels([grant]).hasLimit)
}

private func resolve(
  _ named: [String], through: String? = nil, horizon: Int = 30, first: String = "2026-01-01T10:00:00Z",
  last: String = "2026-06-15T10:00:00Z"
) throws -> AsOfDates {
  var summary = HistorySummary()
  summary.events = 10
  summary.earliest = date(first)
  summary.latest = date(last)
  return try AsOfDates.resolve(
    named: named.map { date($0) }, observedThrough: through.map { date($0) }, horizonDays: horizon, summary: summary,
    source: .ndjson(path: "h.ndjson"))
}

@Test func `default dates count back by 30 days from the end of what was observed, less the horizon`() throws {
  #expect(
    try resolve([]).dates.map(\.dateText) == ["2026-01-16", "2026-02-15", "2026-03-17", "2026-04-16", "2026-05-16"])
  #expect(try resolve([], through: "2026-03-01").dates.map(\.dateText) == ["2026-01-30"])
  #expect(
    try resolve([], horizon: 60).dates.map(\.dateText) == ["2026-01-16", "2026-02-15", "2026-03-17", "2026-04-16"])
}

@Test func `a date whose horizon was not observed, or with nothing before it, is refused`() throws {
  #expect(try resolve(["2026-05-16"]).dates == [date("2026-05-16")])
  #expect(try resolve(["2026-05-17"], through: "2026-06-16").dates.count == 1)
  for (named, mend) in [
    ("2026-05-17", "--observed-through"), ("2026-01-01", "no event"), ("2026-05-16T10:00:00Z", "date"),
  ] {
    let error = #expect(throws: TrainingError.self) { try resolve([named]) }
    #expect(
      error?.exitStatus == 2 && error?.description.contains(mend) == true && error?.description.contains("\n") == false)
  }
  let short = #expect(throws: TrainingError.self) { try resolve([], last: "2026-01-20T00:00:00Z") }
  #expect(short?.exitStatus == 1)
}

@Test func `an example sees what came before its date and nothing after`() throws {
  let before = [
    event(.limitChanged, "2026-02-01", 1000, borrower: "B"), event(.drawdown, "2026-02-10", 100, borrower: "B"),
    event(.statementIssued, "2026-02-28T23:59:59.999Z", 100, borrower: "B"),
  ]
  let after = [
    event(.drawdown, "2026-03-01", 300, borrower: "B"), event(.paymentMissed, "2026-03-20", 20, days: 2, borrower: "B"),
  ]
  let dates = AsOfDates(dates: [asOf], observedThrough: date("2026-04-01"), horizonDays: 30)
  let first = try ExampleSet.make(EventHistory(events: before), dates, ExampleOptions()).table
  let second = try ExampleSet.make(EventHistory(events: before + after), dates, ExampleOptions()).table
  #expect(first.count == 1 && second.count == 1)
  #expect(first.features.map(\.bitPattern) == second.features.map(\.bitPattern))
  #expect(first.owes == [true] && !first.labels[0].isOverdue && first.labels[0].drawn == 0)
  #expect(second.labels[0].isOverdue && second.labels[0].drawn == 300 && second.labels[0].utilization == 0.4)

  // Against the state of a borrower that was never cut off from its future.
  var state = BorrowerState()
  for event in before { _ = state.apply(event, watermark: event.occurredAt, dedupeWindowMilliseconds: 604_800_000) }
  var input = ModelInput()
  state.fill(&input, at: asOf)
  let copied = ModelInput()
  second.read(0, into: copied)
  for index in 0..<FeatureCatalogue.count {
    #expect(unsafe input.features[index].bitPattern == copied.features[index].bitPattern)
  }
  for index in 0..<ModelInput.pictureDays * ModelInput.pictureChannels {
    #expect(unsafe input.picture[index] == copied.picture[index])
  }
}

@Test
func `a borrower who owes nothing and does not draw is no overdue example, and one first seen later is none at all`()
  throws
{
  let dates = AsOfDates(dates: [asOf], observedThrough: date("2026-04-01"), horizonDays: 30)
  let table = try ExampleSet.make(
    EventHistory(events: [
      event(.search, "2026-02-01", borrower: "idle"), event(.search, "2026-02-01", borrower: "draws"),
      event(.drawdown, "2026-03-10", 5, borrower: "draws"), event(.search, "2026-03-02", borrower: "later"),
      event(.search, "2026-02-01", borrower: "erased"), event(.borrowerErased, "2026-02-02", borrower: "erased"),
    ]), dates, ExampleOptions()
  ).table
  #expect(table.count == 2)
  #expect((0..<2).count { table.isOverdueExample($0) } == 1)
}
