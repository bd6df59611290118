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
    let counters = world.engine.counters
    #expect(counters.accepted[Int(EventKind.drawdown.rawValue)] == 1)
    #expect(counters.repeated[Int(EventKind.drawdown.rawValue)] == 1)
  }

  @Test func `a late event is scored, counted late, and its time is as_of`() {
    var world = EngineWorld()
    let records = world.apply(
      TestEvent(.drawdown, "e1", day: 10, amount: 100), TestEvent(.pageView, "e2", day: 3))
    #expect(records.map { $0.field("as_of") } == [time(day: 10).text, time(day: 3).text])
    let late = world.engine.counters.late
    #expect(late == 1)
  }

  @Test func `no event moves the watermark past its record's timestamp, and nothing moves it back`() {
    var world = EngineWorld()
    world.engine.moveWatermark(occurredAt: time(day: 9), recordTimestamp: time(day: 5))
    var watermark = world.engine.watermark
    #expect(watermark == time(day: 5))
    world.engine.moveWatermark(occurredAt: time(day: 4), recordTimestamp: time(day: 20))
    watermark = world.engine.watermark
    #expect(watermark == time(day: 5))
    world.engine.moveWatermark(occurredAt: time(day: 9), recordTimestamp: time(day: 20))
    watermark = world.engine.watermark
    #expect(watermark == time(day: 9) - 300_000)
  }

  // MARK: Alerts

  @Test func `a payment missed raises an alert and its repayment clears it`() {
    var world = EngineWorld()
    _ = world.apply(TestEvent(.drawdown, "e1", day: 1, amount: 100))
    let raised = world.apply(TestEvent(.paymentMissed, "e2", day: 2, amount: 50, daysPastDue: 65))
    #expect(raised.map(\.topic) == [.scores, .alerts])
    #expect(raised[1].field("status") == "raised")
    #expect(raised[1].field("severity") == "critical")
    #expect(raised[1].field("raised_by") == "[\"model\",\"rule:deep_arrears\"]")
    #expect(raised[1].field("days_past_due") == "65")
    let id = raised[1].field("alert_id")
    let key = Array("B1\0event\0e2\0\(time(day: 2).text)".utf8)
    #expect(id == String(decoding: Murmur.hash128(key).hexadecimal, as: UTF8.self))
    let cleared = world.apply(TestEvent(.repayment, "e3", day: 3, amount: 100))
    #expect(cleared.map(\.topic) == [.scores, .alerts])
    #expect(cleared[1].field("status") == "cleared")
    #expect(cleared[1].field("alert_id") == id)
    #expect(cleared[1].field("severity") == "critical")
    // The same trouble again within the cooldown is quiet; after it, it is not.
    let quiet = world.apply(TestEvent(.paymentMissed, "e4", day: 3.5, amount: 50, daysPastDue: 65))
    #expect(quiet.map(\.topic) == [.scores])
    let again = world.apply(TestEvent(.pageView, "e5", day: 4))
    #expect(again.map(\.topic) == [.scores, .alerts])
    #expect(again[1].field("alert_id") != id)
  }

  @Test func `the reasons of an alert are rules first, then what raises the score, one for each code`() {
    var world = EngineWorld()
    _ = world.apply(
      TestEvent(.limitChanged, "e0", day: 1, amount: 200), TestEvent(.drawdown, "e1", day: 1, amount: 100))
    outputsOf(&world, TestEvent(.paymentMissed, "e2", day: 2, amount: 50, daysPastDue: 65))
    let reasons = world.outputs.alerts[0].reasons
    #expect(reasons.map(\.code) == ["RULE_deep_arrears", "ARREARS_DAYS", "UTILIZATION_HIGH"])
    #expect(reasons[0].value == 65 && reasons[0].feature == "days_past_due")
    #expect(reasons[1].text == "Days that a payment is past due: days_past_due is 65 days")
    #expect(abs(reasons[1].contribution - 6.5) < 1e-4)
    #expect(reasons[2].text == "Share of the credit limit in use: utilization is 50 %")
    #expect(abs(reasons[2].contribution - 0.75) < 1e-4)
  }

  private func outputsOf(_ world: inout EngineWorld, _ event: TestEvent) { _ = world.apply(event) }

  @Test func `without an overdue model there are no alerts and no leads, and scores all the same`() {
    var world = EngineWorld(TinyModels.withoutOverdue)
    let records =
      Self.prospect(&world) + world.apply(TestEvent(.paymentMissed, "m", day: 2, amount: 5, daysPastDue: 90))
    #expect(records.allSatisfy { $0.topic == .scores && $0.field("overdue_probability") == nil })
    #expect(records.last?.field("predicted_utilization") != nil)
  }

  @Test func `without a demand model a lead has no forecast`() {
    var world = EngineWorld(TinyModels.withoutDemand)
    let records = Self.prospect(&world)
    #expect(records.last?.topic == .leads)
    #expect(records.last?.field("forecast_borrowing_30d") == nil)
  }

  // MARK: Leads

  /// A person who consents and views pages until a lead opens.
  private static func prospect(_ world: inout EngineWorld, borrower: String = "B1") -> [Published] {
    var records = world.apply(TestEvent(.profileUpdated, "p", day: 1, borrower: borrower, consent: true))
    for view in 1...4 { records += world.apply(TestEvent(.pageView, "v\(view)", day: 1, borrower: borrower)) }
    return records
  }

  @Test func `a person without a limit becomes a lead, and consent taken back withdraws it`() {
    var world = EngineWorld()
    let records = Self.prospect(&world)
    #expect(records.map(\.topic) == [.scores, .scores, .scores, .scores, .scores, .leads])
    let opened = records[5]
    #expect(opened.field("status") == "opened")
    #expect(opened.field("overdue_basis") == "if_lent")
    #expect(opened.field("valid_until") == time(day: 31).text)
    #expect(opened.field("predicted_utilization") == "0.7")
    let withdrawn = world.apply(TestEvent(.profileUpdated, "p2", day: 2, consent: false))
    #expect(withdrawn.map(\.topic) == [.scores, .leads])
    #expect(withdrawn[1].field("withdrawn_because") == "consent")
    #expect(withdrawn[1].field("lead_id") == opened.field("lead_id"))
    // Quiet for the cooldown.
    let quiet = world.apply(TestEvent(.profileUpdated, "p3", day: 15.9, consent: true))
    #expect(quiet.map(\.topic) == [.scores])
    let again = world.apply(TestEvent(.pageView, "v9", day: 16))
    #expect(again.map(\.topic) == [.scores, .leads])
  }

  @Test func `a lead expires by its timer, without a score`() {
    var world = EngineWorld()
    let opened = Self.prospect(&world)[5]
    let expired = world.idle(toDay: 31)
    #expect(expired.map(\.topic) == [.leads])
    #expect(expired[0].field("status") == "withdrawn")
    #expect(expired[0].field("withdrawn_because") == "expired")
    #expect(expired[0].field("trigger") == "lead_expired")
    #expect(expired[0].field("as_of") == opened.field("valid_until"))
    #expect(expired[0].field("triggering_event_id") == "v4")
    let later = world.idle(toDay: 90)
    #expect(later.isEmpty)
  }

  // MARK: Control

  @Test func `a changed threshold decides again for every borrower in the order of ids, without scores`() {
    var world = EngineWorld()
    for borrower in ["B", "AB", "A"] {
      _ = world.apply(
        TestEvent(.limitChanged, "l", day: 1, borrower: borrower, amount: 100),
        TestEvent(.drawdown, "d", day: 1, borrower: borrower, platform: "cards", amount: 40))
    }
    var settings = DecisionSettings()
    settings.alerts.medium = 0.15
    let records = world.take(.settings(settings, controlID: "c1"))
    #expect(records.map(\.topic) == [.alerts, .alerts, .alerts])
    #expect(records.map(\.key) == ["A", "AB", "B"])
    for record in records {
      #expect(record.field("trigger") == "control")
      #expect(record.field("triggering_event_id") == "c1")
      #expect(record.field("as_of") == (time(day: 1) - 300_000).text)
      #expect(record.field("platform") == "cards")
      #expect(record.field("status") == "raised")
    }
    let repeated = world.take(.settings(settings, controlID: "c2"))
    #expect(repeated.isEmpty, "settings that are in force already change nothing")
  }

  // MARK: Erasure

  @Test func `an erased borrower leaves a tombstone, its alert cleared and its lead withdrawn`() {
    var settings = DecisionSettings()
    settings.leads.overdueAtMost = 1
    settings.alerts.medium = 0.12
    settings.alerts.low = 0.1
    var world = EngineWorld(settings: settings)
    let opened = Self.prospect(&world, borrower: "@B")
    #expect(opened.suffix(2).map(\.topic) == [.alerts, .leads] || opened.contains { $0.topic == .alerts })
    let erased = world.apply(TestEvent(.borrowerErased, "x", day: 2, borrower: "@B"))
    #expect(erased.map(\.topic) == [.scores, .alerts, .leads])
    #expect(erased[0].value == nil && erased[0].key == "@B")
    #expect(erased[1].field("status") == "cleared" && erased[1].field("reasons") == "[]")
    #expect(erased[2].field("withdrawn_because") == "erased")
    let borrowers = world.engine.borrowers
    #expect(borrowers == 0)
    let again = world.apply(TestEvent(.borrowerErased, "x2", day: 2, borrower: "@B"))
    #expect(again.isEmpty)
    world.outputs.removeAll()
    let hasMore = world.engine.writeSlice(inputOffset: 9, journalOffset: 2, maxBytes: 1 << 20, &world.outputs)
    #expect(!hasMore)
    let state = world.outputs.published
    #expect(state.map(\.key) == ["@@B", "@totals"])
    #expect(state[0].value == nil)
    // All its ids are forgotten.
    let anew = world.apply(TestEvent(.pageView, "v1", day: 3, borrower: "@B"))
    #expect(anew.count >= 1)
  }

  // MARK: Records

  @Test func `records are as they always were`() {
    var configuration = EngineConfiguration()
    configuration.currency = "EUR"
    var world = EngineWorld()
    world.engine = PartitionEngine(partition: 3, configuration: configuration, models: TinyModels.all)
    let version = TinyModels.all.version
    _ = world.apply(TestEvent(.limitChanged, "e1", day: 1, amount: 1_000))
    world.outputs.removeAll()
    world.applyOne(TestEvent(.drawdown, "e2", day: 1.5, platform: "cards", amount: 250.5), trace: "00-ab-cd-01")
    let record = world.outputs.published[0]
    #expect(
      record.value
        == #"{"borrower_id":"B1","platform":"cards","scope":"borrower","horizon_days":30,"currency":"EUR","#
        + #""model_version":"\#(version)","as_of":"2026-01-02T12:00:00.000Z","trigger":"event","#
        + #""triggering_event_id":"e2","source":{"topic":"borrower-events","partition":3,"offset":1},"#
        + #""overdue_probability":0.16462,"overdue_basis":"owing","borrowing_probability_30d":0.268941,"#
        + #""forecast_borrowing_30d":60.58,"forecast_borrowing_30d_lower":30.29,"#
        + #""forecast_borrowing_30d_upper":130.55,"predicted_utilization":0.3004,"#
        + #""utilization_target":"cumulative"}"#)
    #expect(record.headers == [11, 0] + Array("traceparent".utf8) + [11, 0, 0, 0] + Array("00-ab-cd-01".utf8))
  }
}
