import Borrowers
import Features
import Testing

@testable import Scoring

/// The totals that a partition writes, against sums made from the raw events.
@Suite struct TotalsTests {
  /// What a partition wrote, by its own reader.
  struct Written: Equatable {
    var passed: [EventTime] = []
    /// By time, then platform.
    var totals: [[String: PlatformChanges]] = []

    init(_ outputs: borrowing OutputBatch) throws {
      var reading: [String: PlatformChanges] = [:]
      for entry in outputs.entries where entry.topic == .platformDaily {
        switch try PlatformDailyRecord(outputs.slice(entry.valueStart, entry.valueCount)) {
        case .totals(_, _, let platform, let changes): reading[String(decoding: platform, as: UTF8.self)] = changes
        case .passed(_, let time):
          passed.append(time)
          totals.append(reading)
          reading = [:]
        case .indicator: Issue.record("a partition takes no indicators")
        }
      }
    }
  }

  /// Sums from raw events, event after event, with nothing of the engine's.
  struct Oracle {
    struct Sums: Equatable {
      var exposure = 0.0
      var repaid: [Int: Double] = [:]
      var drawn: [Int: Double] = [:]
      var due: [Int: Double] = [:]
    }

    private struct Account { var owed = 0.0, statementAt = EventTime.distantPast }
    private var accounts: [String: [String: Account]] = [:]
    /// Their event times.
    private var seen: [String: [String: EventTime]] = [:]
    private var watermark = EventTime.distantPast
    private var next: EventTime?
    private var now: [String: Sums] = [:]
    private(set) var passed: [EventTime] = []
    /// All there was up to each time passed.
    private(set) var cumulated: [[String: Sums]] = []
    let hours: Int64 = 24

    private func day(_ time: EventTime) -> Int { Int(time.milliseconds / 86_400_000) }

    mutating func apply(_ event: TestEvent) {
      watermark = max(watermark, min(event.at - 300_000, event.timestamp ?? event.at))
      while let time = next, watermark > time {
        passed.append(time)
        for platform in Array(now.keys) {
          let owed = exposure(platform)
          now[platform]?.exposure = owed
        }
        cumulated.append(now)
        next = time + hours * 3_600_000
      }
      if next == nil {
        let interval = hours * 3_600_000
        next = EventTime(milliseconds: (event.at.milliseconds / interval + 1) * interval)
      }
      if event.kind == .borrowerErased {
        accounts[event.borrower] = nil
        seen[event.borrower] = nil
        return
      }
      let isKnown = seen[event.borrower]?[event.id].map { watermark <= $0 + 7 * 86_400_000 } ?? false
      guard !isKnown else { return }
      seen[event.borrower, default: [:]][event.id] = event.at
      add(event)
    }

    private func exposure(_ platform: String) -> Double {
      accounts.values.reduce(0) { $0 + max(0, $1[platform]?.owed ?? 0) }
    }

    private mutating func add(_ event: TestEvent) {
      var account = accounts[event.borrower]?[event.platform] ?? Account()
      var sums = now[event.platform] ?? Sums()
      defer {
        accounts[event.borrower, default: [:]][event.platform] = account
        if [.drawdown, .repayment, .installmentDue, .statementIssued].contains(event.kind) {
          now[event.platform] = sums
        }
      }
      switch event.kind {
      case .drawdown:
        sums.drawn[day(event.at), default: 0] += event.amount
        if event.at >= account.statementAt { account.owed += event.amount }
      case .repayment:
        sums.repaid[day(event.at), default: 0] += event.amount
        if event.at >= account.statementAt { account.owed -= event.amount }
      case .installmentDue: sums.due[day(event.dueAt), default: 0] += event.amount
      case .statementIssued where event.at >= account.statementAt:
        account.owed = event.amount
        account.statementAt = event.at
      default: break
      }
    }
  }

  static func near(_ a: Double, _ b: Double) -> Bool { abs(a - b) < 1e-4 }

  @Test(arguments: 1...12 as ClosedRange<UInt64>)
  func `the totals at each time are those of the raw events`(seed: UInt64) throws {
    let history = RandomHistory(seed: seed, events: 300)
    var oracle = Oracle()
    var world = EngineWorld(TinyModels.onlyDemand)
    for event in history.input {
      oracle.apply(event)
      world.applyOne(event)
    }
    let written = try Written(world.outputs)
    try #require(written.passed == oracle.passed, "seed \(seed)")
    #expect(!written.passed.isEmpty, "seed \(seed)")
    var sums: [String: Oracle.Sums] = [:]
    for (index, totals) in written.totals.enumerated() {
      for (platform, changes) in totals {
        sums[platform, default: Oracle.Sums()].exposure += ExactMoney.amount(changes.exposure)
        for one in changes.days {
          sums[platform, default: Oracle.Sums()].repaid[Int(one.day), default: 0] += ExactMoney.amount(one.repaid)
          sums[platform, default: Oracle.Sums()].drawn[Int(one.day), default: 0] += ExactMoney.amount(one.drawn)
        }
        for due in changes.dues {
          sums[platform, default: Oracle.Sums()].due[Int(due.day), default: 0] += ExactMoney.amount(due.amount)
        }
      }
      let wanted = oracle.cumulated[index]
      for platform in Set(sums.keys).union(wanted.keys) {
        let (own, other) = (sums[platform] ?? Oracle.Sums(), wanted[platform] ?? Oracle.Sums())
        let place = "seed \(seed), \(platform) at \(written.passed[index].text)"
        #expect(Self.near(own.exposure, other.exposure), "\(place): \(own.exposure) and \(other.exposure)")
        for (name, a, b) in [
          ("repaid", own.repaid, other.repaid), ("drawn", own.drawn, other.drawn), ("due", own.due, other.due),
        ] {
          let days = Set(a.keys).union(b.keys)
          #expect(days.allSatisfy { Self.near(a[$0] ?? 0, b[$0] ?? 0) }, "\(place): \(name) differs")
        }
      }
    }
  }

  @Test func `a partition writes its totals from the first time after its first event, zeros included`() throws {
    var world = EngineWorld(TinyModels.onlyDemand)
    world.applyOne(TestEvent(.pageView, "e1", day: 10.5))
    world.applyOne(TestEvent(.pageView, "e2", day: 13.2))
    let written = try Written(world.outputs)
    #expect(written.passed == [time(day: 11), time(day: 12), time(day: 13)])
    #expect(written.totals.allSatisfy { $0.isEmpty })
  }

  @Test func `a late repayment counts under its own day, in the next totals`() throws {
    var world = EngineWorld(TinyModels.onlyDemand)
    world.applyOne(TestEvent(.drawdown, "e1", day: 0.5, amount: 100))
    world.applyOne(TestEvent(.pageView, "e2", day: 2.5))
    world.applyOne(TestEvent(.repayment, "e3", day: 0.75, amount: 30))
    world.applyOne(TestEvent(.pageView, "e4", day: 3.5))
    let written = try Written(world.outputs)
    #expect(written.passed == [time(day: 1), time(day: 2), time(day: 3)])
    let late = try #require(written.totals[2]["default"])
    #expect(late.days.map(\.day) == [Int32(EventTime.day(time(day: 0)))])
    #expect(late.days[0].repaid == 30_000_000 && late.days[0].drawn == 0)
    #expect(ExactMoney.amount(late.exposure) == -30)
  }

  @Test func `another interval acts from where it is taken`() throws {
    var world = EngineWorld(TinyModels.onlyDemand)
    world.applyOne(TestEvent(.pageView, "e1", day: 0.1))
    world.applyOne(TestEvent(.pageView, "e2", day: 1.1))
    let before = try Written(world.outputs)
    #expect(before.passed == [time(day: 1)])
    _ = world.take(.forecastInterval(hours: 6))
    world.applyOne(TestEvent(.pageView, "e3", day: 1.6))
    #expect(try Written(world.outputs).passed == [time(day: 1.25), time(day: 1.5)])
  }
}
