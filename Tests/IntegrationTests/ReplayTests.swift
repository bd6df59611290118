import Foundation
import TestSupport
import Testing

/// `lendpulse replay` over what the daemon left on a real Kafka.
@Suite(.serialized, .enabled(if: RealKafka.isThere)) struct ReplayTests {
  /// The demo's models in a folder of their own, so that one can be taken away.
  static func copyModels(to directory: TemporaryDirectory) throws -> String {
    let copy = directory.file("models")
    try FileManager.default.copyItem(atPath: DaemonTests.demoModels, toPath: copy)
    return copy
  }

  @Test
  func `a run with a kill, idle advances, edited thresholds and other models verifies, and an altered byte is found`()
    async throws
  {
    let lines = try await DaemonTests.simulated(borrowers: 300, days: 60, seed: 31)
    let folder = try TemporaryDirectory()
    let deployment = try Deployment(models: try Self.copyModels(to: folder))
    try await deployment.createTopics(partitions: 3)
    let subscriber = try deployment.subscribe("scores")
    let third = lines.count / 3
    let quick = ["--set", "checkpoint.interval_s=1", "--set", "windows.idle_after_s=1"]

    let first = try deployment.startDaemon(quick)
    try await deployment.feed(Array(lines.prefix(third)))
    try await subscriber.wait(forLines: third / 2, within: 60)
    try await deployment.feed(Array(lines[third..<2 * third]))
    first.send(SIGKILL)
    _ = try await first.wait(within: 10)

    let second = try deployment.startDaemon(quick + ["--set", "alerts.raise_at=low", "--set", "leads.margin=0.02"])
    let journal = try deployment.subscribe("journal")
    // Settings and models of three partitions, then the edited settings, then idle advances.
    try await journal.wait(forLines: 12, within: 90)
    second.send(SIGTERM)
    #expect(try await second.wait(within: 10) == 143, "\(second.standardError.suffix(2_000))")

    try FileManager.default.removeItem(atPath: deployment.models + "/demand/champion")
    let last = try deployment.startDaemon(quick)
    try await deployment.feed(Array(lines[(2 * third)...]))
    let ids = Set(lines.suffix(40).map { Deployment.eventID(of: String(decoding: $0, as: UTF8.self)) })
    for id in ids { try await subscriber.wait(within: 120, toPrint: "\"triggering_event_id\":\"\(id)\"") }
    last.send(SIGTERM)
    #expect(try await last.wait(within: 10) == 143, "\(last.standardError.suffix(2_000))")
    subscriber.send(SIGTERM)
    journal.send(SIGTERM)

    let arguments = ["replay", "--config", try deployment.configuration(), "--verify"]
    let verified = try await run(Repository.binary, arguments, within: 300)
    #expect(verified.status == 0, "\(verified.output)\(verified.errors)")
    #expect(verified.output.contains("verified"), "\(verified.output)")
    #expect(verified.output.matches(of: #/partition [0-2]: .* state [0-9a-f]{32}/#).count == 3, "\(verified.output)")

    try await findAlteredByte(deployment, arguments)
    try FileManager.default.removeItem(atPath: folder.file("models/demand"))
    let without = try await run(Repository.binary, arguments, within: 60)
    #expect(without.status == 1 && without.errors.contains("demand-"), "\(without.errors)")
    #expect(without.errors.split(separator: "\n").count == 1, "\(without.errors)")
  }

  /// Plants one altered byte in a copy of the alerts.
  private func findAlteredByte(_ deployment: Deployment, _ arguments: [String]) async throws {
    let alerts = try await deployment.read("alerts")
    let copy = deployment.topic("alerts-copy")
    let altered = alerts.count / 2
    var records: [FeedRecord] = []
    for (index, alert) in alerts.enumerated() {
      var value = Array((alert.value ?? "").utf8)
      if index == altered {
        let field = try #require(alert.value?.range(of: #""days_past_due":"#))
        let position = alert.value!.utf8.distance(from: alert.value!.startIndex, to: field.upperBound)
        value[position] = value[position] == UInt8(ascii: "7") ? UInt8(ascii: "8") : UInt8(ascii: "7")
      }
      records.append(
        FeedRecord(
          key: Array(alert.key.utf8), value: value, timestamp: 1_760_000_000_000, partition: Int32(alert.partition),
          headers: alert.headers.split(separator: ",").map {
            let parts = $0.split(separator: "=", maxSplits: 1).map(String.init)
            return (parts[0], Array(parts[1].utf8))
          }))
    }
    let fed = records
    let partitions = (alerts.map(\.partition).max() ?? 0) + 1
    let outcome = await onThread {
      Result {
        let feeder = try Feeder(brokers: RealKafka.brokers)
        try feeder.makeTopic(copy, partitions: max(3, partitions), settings: [:])
        try feeder.write(fed, to: copy)
      }
    }
    try outcome.get()
    let result = try await run(Repository.binary, arguments + ["--set", "topics.alerts=\(copy)"], within: 300)
    #expect(result.status == 1, "\(result.output)")
    let offset = alerts[..<altered].count { $0.partition == alerts[altered].partition }
    #expect(
      result.errors.contains("\(copy)[\(alerts[altered].partition)]@\(offset), key hash"), "\(result.errors)")
    #expect(result.errors.contains("differs in days_past_due"), "\(result.errors)")
    #expect(!result.errors.contains(alerts[altered].key), "no line names a borrower")
  }
}
