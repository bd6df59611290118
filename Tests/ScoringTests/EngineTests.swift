import Borrowers
import Features
import Models
import Testing

@testable import Scoring

@Suite struct EngineTests {
  @Test func `an accepted event has one score and a repeat has none`() {
    var world = EngineWorld()
    let first = world.apply(TestEvent(.drawdown, "e1", day: 1, amount: 100))
    #expect(first.map(\.topic) == [.scores])
    #expect(first[0].key == "B1")
    #expect(first[0].field("trigger") == "event")
    #expect(first[0].field("triggering_event_id") == "e1")
    #expect(first[0].field("overdue_basis") == "owing")
    let second = world.apply(TestEvent(.drawdown, "e1", day: 1, amount: 100))
    #expect(second.isEmpty)
    #expect(world.engine.counters.accepted[Int(EventKind.drawdown.rawValue)] == 1)
    #expect(world.engine.counters.repeated[Int(EventKind.drawdown.rawValue)] == 1)
  }

  @Test func `a payment missed raises an alert and its repayment clears it`() {
    var world = EngineWorld()
    _ = world.apply(TestEvent(.drawdown, "e1", day: 1, amount: 100))
    let raised = world.apply(TestEvent(.paymentMissed, "e2", day: 2, amount: 50, daysPastDue: 65))
    #expect(raised.map(\.topic) == [.scores, .alerts])
    #expect(raised[1].field("status") == "raised")
    #expect(raised[1].field("severity") == "critical")
    #expect(raised[1].field("raised_by") == "[\"model\",\"rule:deep_arrears\"]")
    #expect(raised[1].field("days_past_due") == "65")
    #expect(raised[1].value?.contains("\"code\":\"RULE_deep_arrears\"") == true)
    #expect(raised[1].value?.contains("\"code\":\"ARREARS_DAYS\"") == true)
    let id = raised[1].field("alert_id")
    let cleared = world.apply(TestEvent(.repayment, "e3", day: 3, amount: 100))
    #expect(cleared.map(\.topic) == [.scores, .alerts])
    #expect(cleared[1].field("status") == "cleared")
    #expect(cleared[1].field("alert_id") == id)
    #expect(cleared[1].field("severity") == "critical")
  }
}
