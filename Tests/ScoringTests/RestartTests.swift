import Borrowers
import Foundation
import Scoring
import Testing

@Suite struct RestartTests {
  /// Histories of a run; more by `LENDPULSE_HISTORIES` (a release build takes some thousands a minute).
  private static let histories = Int(ProcessInfo.processInfo.environment["LENDPULSE_HISTORIES"] ?? "") ?? 30

  @Test func `crashes anywhere change no output and no state`() {
    var crashes = 0
    var checkpoints = 0
    for seed in 1...UInt64(Self.histories) {
      let history = RandomHistory(seed: seed, events: 40 + Int(seed % 4) * 60)
      var undisturbed = LogDriver(history, seed: 0)
      undisturbed.run()
      var random = Random(seed: seed &* 7_919)
      var disturbed = LogDriver(history, seed: random.next())
      disturbed.commitChance = [5, 20, 60].randomElement(using: &random)
      disturbed.crashChance = [1, 4].randomElement(using: &random)
      disturbed.sliceChance = [10, 40, 90].randomElement(using: &random)
      disturbed.run()
      crashes += disturbed.crashes
      checkpoints += disturbed.checkpoints
      let expected = undisturbed.committed.outputs
      let actual = disturbed.committed.outputs
      if expected != actual {
        let index = zip(expected, actual).prefix { $0 == $1 }.count
        Issue.record(
          """
          seed \(seed): record \(index) of \(expected.count) (\(actual.count)) differs:
          expected \(index < expected.count ? "\(expected[index])" : "none")
          actual   \(index < actual.count ? "\(actual[index])" : "none")
          """)
        return
      }
      guard undisturbed.stateHash == disturbed.stateHash else {
        Issue.record("seed \(seed): the state differs")
        return
      }
    }
    print("crashes: \(crashes), checkpoints: \(checkpoints)")
    #expect(crashes > Self.histories / 2)
    #expect(checkpoints > Self.histories / 2)
  }

  @Test func `random histories keep the promises of alerts and leads`() {
    var statuses: [String: Int] = [:]
    for seed in 1...UInt64(Self.histories) {
      let history = RandomHistory(seed: seed, events: 150)
      var driver = LogDriver(history, seed: 0)
      driver.run()
      check(driver.committed.outputs, history, seed: seed, &statuses)
    }
    // Whatever is promised of a status is shown by some history.
    for status in ["raised", "escalated", "eased", "cleared", "opened", "updated", "withdrawn"] {
      #expect(statuses[status, default: 0] > 0, "no history has \(status): \(statuses)")
    }
    for reason in ["utilization", "consent", "past_due", "expired", "erased"] {
      #expect(statuses["because \(reason)", default: 0] > 0, "no lead is withdrawn because of \(reason): \(statuses)")
    }
    for trigger in ["event", "due_passed", "lead_expired", "control"] {
      #expect(statuses["trigger \(trigger)", default: 0] > 0, "no record is triggered by \(trigger): \(statuses)")
    }
  }

  private func check(_ outputs: [Published], _ history: RandomHistory, seed: UInt64, _ statuses: inout [String: Int]) {
    var openAlert: [String: String] = [:]
    var openLead: [String: String] = [:]
    var scored: [String: Int] = [:]
    for record in outputs {
      if let trigger = record.field("trigger") { statuses["trigger \(trigger)", default: 0] += 1 }
      switch record.topic {
      case .scores:
        guard record.value != nil else { continue }
        let trigger = record.field("trigger") ?? ""
        #expect(trigger == "event" || trigger == "due_passed", "seed \(seed)")
        if trigger == "event" { scored[record.field("source") ?? "", default: 0] += 1 }
      case .alerts:
        follow(record, "alert_id", opening: "raised", closing: "cleared", &openAlert, &statuses, seed)
      case .leads:
        follow(record, "lead_id", opening: "opened", closing: "withdrawn", &openLead, &statuses, seed)
        if let because = record.field("withdrawn_because") { statuses["because \(because)", default: 0] += 1 }
      case .platformDaily: #expect(record.key == "" || ["default", "cards"].contains(record.key), "seed \(seed)")
      default: Issue.record("seed \(seed): nothing else is published")
      }
    }
    #expect(scored.values.allSatisfy { $0 == 1 }, "seed \(seed): one score for each accepted event")
  }

  private func follow(
    _ record: Published, _ idName: String, opening: String, closing: String, _ open: inout [String: String],
    _ statuses: inout [String: Int], _ seed: UInt64
  ) {
    let status = record.field("status") ?? ""
    let id = record.field(idName) ?? ""
    statuses[status, default: 0] += 1
    #expect(id.utf8.count == 32, "seed \(seed)")
    if status == opening {
      #expect(open[record.key] == nil, "seed \(seed): a second one is opened for \(record.key)")
      open[record.key] = id
    } else {
      #expect(open[record.key] == id, "seed \(seed): \(status) of one that is not open")
      if status == closing { open[record.key] = nil }
    }
  }
}

extension Array {
  fileprivate func randomElement(using random: inout Random) -> Element { random.pick(self) }
}
