import Borrowers
import Features
import Testing

@testable import Scoring

@Suite struct TimerTests {
  @Test func `passed timers come in the order of due time, kind, borrower and loan`() {
    var store = BorrowerStore()
    var passed = PassedTimers()
    var expected: [String] = []
    var random = Random(seed: 4)
    var rows: [(due: Int64, kind: Trigger, borrower: String, loan: String)] = []
    for due in [5, 7] as [Int64] {
      for kind in [Trigger.duePassed, .leadExpired] {
        for borrower in ["A", "AB", "B"] {
          for loan in ["", "L", "L1"] { rows.append((due, kind, borrower, loan)) }
        }
      }
    }
    expected = rows.map { "\($0.due) \($0.kind) \($0.borrower) \($0.loan)" }
    // Some are collected, some are set while others fire, as late as they may be.
    var shuffled = rows
    for index in stride(from: shuffled.count - 1, to: 0, by: -1) { shuffled.swapAt(index, random.below(index + 1)) }
    func key(_ row: (due: Int64, kind: Trigger, borrower: String, loan: String)) -> String {
      "\(row.due) \(row.kind) \(row.borrower) \(row.loan)"
    }
    var held: [BorrowerHandle: String] = [:]
    for (index, row) in shuffled.enumerated() {
      let name = Array("h\(index)".utf8)
      let handle = unsafe name.withUnsafeBufferPointer { name in unsafe store.write(name, name) }
      held[handle] = key(row)
      let borrower = Array(row.borrower.utf8)
      unsafe borrower.withUnsafeBufferPointer { borrower in
        let due = EventTime(milliseconds: row.due)
        if index % 3 == 0 {
          unsafe passed.add(handle, due: due, kind: row.kind, borrowerID: borrower, loanID: Array(row.loan.utf8))
        } else {
          unsafe passed.collect(handle, due: due, kind: row.kind, borrowerID: borrower, loanID: Array(row.loan.utf8))
        }
      }
    }
    var actual: [String] = []
    while let timer = passed.next() { actual.append(held[timer.handle] ?? "?") }
    #expect(actual == expected)
    let isEmpty = passed.isEmpty
    #expect(isEmpty)
  }

  @Test func `a queue gives its entries back in order and none of a removed borrower`() {
    var store = BorrowerStore()
    var queue = TimerQueue()
    var random = Random(seed: 9)
    var expected: [Int64] = []
    for index in 0..<500 {
      let name = Array("b\(index)".utf8)
      let handle = unsafe name.withUnsafeBufferPointer { name in unsafe store.write(name, name) }
      let at = Int64(random.below(1_000))
      queue.push(handle, at: EventTime(milliseconds: at))
      if index % 7 == 0 { queue.noteRemoved(handle) } else { expected.append(at) }
    }
    var actual: [Int64] = []
    while let entry = queue.pop() { actual.append(entry.at.milliseconds) }
    #expect(actual == expected.sorted())
  }

  @Test func `a due date that passes unpaid scores the borrower at the due time, jitter and all`() {
    var world = EngineWorld()
    _ = world.apply(
      TestEvent(.drawdown, "e1", day: 1, amount: 100),
      TestEvent(.installmentDue, "e2", day: 1, loan: "L", amount: 50, dueDay: 5))
    let early = world.take(.idleAdvance(watermark: time(day: 5)))
    #expect(early.isEmpty, "not passed before the watermark is later")
    let fired = world.idle(toDay: 5)
    #expect(fired.map(\.topic) == [.scores])
    #expect(fired[0].field("trigger") == "due_passed")
    #expect(fired[0].field("triggering_event_id") == "e2")
    #expect(fired[0].field("as_of") == time(day: 5).text)
    let again = world.idle(toDay: 50)
    #expect(again.isEmpty, "it fires once")
  }

  @Test func `a due that was paid in time fires nothing`() {
    var world = EngineWorld()
    _ = world.apply(
      TestEvent(.drawdown, "e1", day: 1, amount: 100),
      TestEvent(.installmentDue, "e2", day: 1, loan: "L", amount: 50, dueDay: 5),
      TestEvent(.repayment, "e3", day: 2, loan: "L", amount: 50))
    let fired = world.idle(toDay: 20)
    #expect(fired.isEmpty)
  }

  @Test func `timers passed by one move fire in order before the record that moved it`() {
    var world = EngineWorld()
    for borrower in ["C", "A", "B"] {
      _ = world.apply(
        TestEvent(.installmentDue, "\(borrower)2", day: 1, borrower: borrower, loan: "L2", amount: 50, dueDay: 5),
        TestEvent(.installmentDue, "\(borrower)1", day: 1, borrower: borrower, loan: "L1", amount: 50, dueDay: 5),
        TestEvent(.installmentDue, "\(borrower)0", day: 1, borrower: borrower, loan: "L0", amount: 50, dueDay: 6))
    }
    let records = world.apply(TestEvent(.pageView, "late", day: 40, borrower: "D"))
    let scores = records.filter { $0.topic == .scores }.compactMap { $0.field("triggering_event_id") }
    #expect(scores == ["A1", "A2", "B1", "B2", "C1", "C2", "A0", "B0", "C0", "late"])
  }
}
