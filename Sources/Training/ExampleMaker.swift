import Borrowers
import Features
import History

/// Makes one borrower's examples through the feature code of the daemon.
struct ExampleMaker: ~Copyable {
  private var state = BorrowerState()
  private var input = ModelInput()
  private let asOf: AsOfDates
  private let options: ExampleOptions
  private var scratch: (id: [UInt8], platform: [UInt8], loan: [UInt8]) = ([], [], [])

  init(_ asOf: AsOfDates, _ options: ExampleOptions) {
    self.asOf = asOf
    self.options = options
  }

  /// Appends the borrower as of each date to `table`, and as it was scored right after drawn events to `asServed`.
  mutating func append(_ events: BorrowerEvents, to table: inout ExampleTable, asServed: inout ExampleTable) {
    guard events.count > 0, events[0].occurredAt < asOf.dates.last! else { return }
    let outcomes = BorrowerOutcomes(events, options.labels)
    let borrower = Murmur.hash64(events.borrowerID)
    let draws = EventDraws(events, borrower: borrower, asOf, count: options.asOfEvents).indices
    var nextDraw = 0
    var seen = 0
    state.reset()
    for (index, date) in asOf.dates.enumerated() {
      while seen < events.count, events[seen].occurredAt < date {
        let time = events[seen].occurredAt
        fireDues(before: time)
        // The history has left repeats out already, so the window only needs to be a valid one.
        _ = state.apply(
          events[seen], watermark: time, dedupeWindowMilliseconds: 7 * EventTime.millisecondsPerDay)
        seen += 1
        guard nextDraw < draws.count, draws[nextDraw] == seen - 1 else { continue }
        nextDraw += 1
        add(to: &asServed, outcomes, borrower: borrower, date: index, time: time, seen: seen)
      }
      guard seen > 0 else { continue }
      fireDues(before: date)
      add(to: &table, outcomes, borrower: borrower, date: index, time: date, seen: seen)
    }
  }

  private mutating func add(
    to table: inout ExampleTable, _ outcomes: BorrowerOutcomes, borrower: UInt64, date: Int, time: EventTime, seen: Int
  ) {
    state.fill(&input, at: time)
    table.append(
      input, borrower: borrower, date: date, time: time, owes: state.owes(at: time),
      isPastDue: state.isPastDue(at: time),
      labels: outcomes.labels(
        asOf: time, seen: seen, horizonEnd: time + asOf.horizonMilliseconds, observedThrough: asOf.observedThrough))
  }

  /// As the daemon's timers do, so that the state has seen what it would have seen.
  private mutating func fireDues(before time: EventTime) {
    while state.nextDue < time {
      _ = state.fireDue(
        triggeringEventID: &scratch.id, platform: &scratch.platform, loanID: &scratch.loan)
    }
  }
}

/// The events right after which a borrower is looked at: drawn without replacement from those in the 30 days before each
/// date, whose horizon has then been observed.
///
/// The draw hangs on the borrower's id and the number of those events alone, not on the training's seed: a table that many
/// machines made in pieces holds what one would have made, whatever seed it is trained with.
struct EventDraws {
  private static let windowMilliseconds = 30 * EventTime.millisecondsPerDay
  private static let stream: UInt64 = 0xA5_5E2F
  /// Ascending places among the borrower's events.
  private(set) var indices: [Int] = []

  init(_ events: BorrowerEvents, borrower: UInt64, _ asOf: AsOfDates, count: Int) {
    guard count > 0 else { return }
    var date = 0
    for index in 0..<events.count {
      let time = events[index].occurredAt
      while date < asOf.dates.count, asOf.dates[date] <= time { date += 1 }
      guard date < asOf.dates.count else { break }
      if time >= asOf.dates[date] - Self.windowMilliseconds { indices.append(index) }
    }
    guard indices.count > count else { return }
    var random = SeededRandom(seed: borrower, stream: Self.stream)
    for place in 0..<count { indices.swapAt(place, place + random.below(indices.count - place)) }
    indices.removeLast(indices.count - count)
    indices.sort()
  }
}
