import Borrowers
import Features
import Foundation
import History
import Testing

@testable import Training

private let asOf = AsOfDates(
  dates: [date("2025-03-02"), date("2025-04-01")], observedThrough: date("2025-05-01"), horizonDays: 30)

private func made(_ history: EventHistory, _ change: (inout ExampleOptions) -> Void = { _ in }) throws -> ExampleSet {
  var options = ExampleOptions()
  change(&options)
  return try ExampleSet.make(history, asOf, options)
}

@Test func `a row as served is the state right after an event, and its label what came after that event`() throws {
  let events = [
    event(.limitChanged, "2025-02-01", 1000, borrower: "B"),
    event(.drawdown, "2025-03-20T10:00:00Z", 100, id: "first", borrower: "B"),
    event(.drawdown, "2025-03-20T10:00:00Z", 30, id: "same time", borrower: "B"),
    event(.paymentMissed, "2025-03-25", 20, days: 2, borrower: "B"),
    event(.drawdown, "2025-04-20", 7, borrower: "B"),
    event(.drawdown, "2025-04-25", 1000, borrower: "B"),
  ]
  // More draws than events: all of those in the 30 days before a date are taken.
  let set = try made(EventHistory(events: events)) { $0.asOfEvents = 9 }
  #expect(set.table.count == 2)
  #expect(set.asServed.times == [events[0], events[1], events[2], events[3]].map(\.occurredAt))
  #expect(set.asServed.dates == [0, 1, 1, 1])
  // Of two events of one time the later one is still to come.
  #expect(set.asServed.labels.map(\.drawn) == [0, 30, 0, 7])
  #expect(set.asServed.labels.map(\.isOverdue) == [false, true, true, false])
  #expect(set.asServed.labels.map(\.hasLimit) == [true, true, true, true])
  #expect(set.asServed.isPastDue == [false, false, false, true])

  var state = BorrowerState()
  var input = ModelInput()
  let copied = ModelInput()
  for (row, event) in events[0..<4].enumerated() {
    _ = state.apply(event, watermark: event.occurredAt, dedupeWindowMilliseconds: 604_800_000)
    state.fill(&input, at: event.occurredAt)
    set.asServed.read(row, into: copied)
    for column in 0..<FeatureCatalogue.count {
      #expect(unsafe input.features[column].bitPattern == copied.features[column].bitPattern)
    }
  }
}

@Test func `draws are the same each time, at most as many as asked for, and within 30 days before a date`() throws {
  let history = try EventHistory(events: simulated(80, days: 120))
  let set = try made(history)
  let again = try made(history) { $0.seed = 9 }
  #expect(set.asServed.times == again.asServed.times && set.asServed.count > 80)
  var draws: [UInt64: Int] = [:]
  for row in 0..<set.asServed.count {
    draws[set.asServed.borrowers[row], default: 0] += 1
    let ahead = asOf.dates[set.asServed.dates[row]] - set.asServed.times[row]
    #expect(ahead > 0 && ahead <= 30 * EventTime.millisecondsPerDay)
  }
  #expect(draws.values.max()! == 2)
  #expect(Set(set.asServed.borrowers).isSubset(of: Set(set.table.borrowers)))
  #expect(try made(history) { $0.asOfEvents = 0 }.asServed.count == 0)
}

@Test func `above the bound a seeded sample of borrowers is taken, each with all of its examples`() throws {
  let history = try EventHistory(events: simulated(200, days: 120))
  let whole = try made(history)
  #expect(whole.sample.isWhole && whole.sample.share == 1)
  #expect(whole.sample.examplesTaken == whole.table.count + whole.asServed.count)
  let part = try made(history) { $0.maxExamples = 200 }
  #expect(part.sample.examplesThere == whole.sample.examplesTaken && part.sample.borrowersThere == whole.borrowers)
  #expect(part.sample.examplesTaken <= 200 && part.sample.examplesTaken > 190)
  #expect(part.sample.borrowersTaken == part.borrowers && part.sample.share < 0.5)
  let taken = Set(part.table.borrowers)
  #expect(part.table.borrowers == whole.table.borrowers.filter(taken.contains))
  #expect(part.asServed.times.count == whole.asServed.borrowers.count(where: taken.contains))
  // A smaller sample is part of a larger one; another seed takes others.
  let fewer = try made(history) { $0.maxExamples = 60 }
  #expect(Set(fewer.table.borrowers).isSubset(of: taken))
  let others = try made(history) {
    $0.maxExamples = 200
    $0.seed = 2
  }
  #expect(Set(others.table.borrowers) != taken)
}
