import Foundation
import TestSupport
import Testing

/// A borrower who asked to be forgotten is found in no file any more: neither in the broker's, after compaction, nor in ours.
@Suite(
  .serialized,
  .enabled(if: RealKafka.isThere && ProcessInfo.processInfo.environment["LENDPULSE_TEST_KAFKA_DATA"] != nil))
struct ErasureTests {
  static let data = ProcessInfo.processInfo.environment["LENDPULSE_TEST_KAFKA_DATA"] ?? ""

  /// Files under `directory` that hold `id`, of which `isSearched` is true.
  static func files(under directory: String, holding id: String, _ isSearched: (String) -> Bool) -> [String] {
    let wanted = Data(id.utf8)
    let paths = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
    return paths.filter { path in
      guard isSearched(path), let content = FileManager.default.contents(atPath: directory + "/" + path) else {
        return false
      }
      return content.range(of: wanted) != nil
    }
  }

  @Test func `an erased borrower goes from scores, state, control, journal and local files`() async throws {
    let deployment = try Deployment(models: DaemonTests.demoModels, workers: 1)
    let quick = [
      "cleanup.policy": "compact", "segment.ms": "200", "min.cleanable.dirty.ratio": "0.001",
      "delete.retention.ms": "100", "max.compaction.lag.ms": "500", "file.delete.delay.ms": "100",
    ]
    let names = [deployment.topic("scores"), deployment.topic("state")]
    let made = await onThread {
      Result {
        let feeder = try Feeder(brokers: RealKafka.brokers)
        for name in names { try feeder.makeTopic(name, partitions: 1, settings: quick) }
      }
    }
    try made.get()
    try await deployment.createTopics(partitions: 1)
    let daemon = try deployment.startDaemon(["--set", "checkpoint.interval_s=1"])

    let erased = "forget-" + UUID().uuidString
    var time: Int64 = 1_760_000_000_000
    func event(_ borrower: String, _ type: String, _ fields: String = "") -> Data {
      time += 60_000
      return Data(
        #"{"event_id":"E\#(time)","borrower_id":"\#(borrower)","type":"\#(type)","occurred_at":\#(time)\#(fields)}"#
          .utf8)
    }
    // In arrears deep enough for the default rule to raise an alert.
    try await deployment.feed([
      event(erased, "limit_changed", #","credit_limit":1000"#),
      event(erased, "drawdown", #","amount":900,"loan_id":"L1""#),
      event(erased, "installment_due", #","amount":900,"loan_id":"L1","due_at":\#(time + 900_000_000)"#),
      event(erased, "payment_missed", #","days_past_due":90,"loan_id":"L1","amount":900"#),
      event("other", "page_view", #","page":"home""#),
    ])
    let topics = ["scores", "state", "control", "journal"].map { deployment.topic($0) + "-" }
    func found() -> [String] {
      Self.files(under: Self.data, holding: erased) { path in
        topics.contains { topic in path.split(separator: "/").dropLast().contains { $0.hasPrefix(topic) } }
      }
        + Self.files(under: deployment.directory.path, holding: erased) { _ in true }
    }
    let clock = ContinuousClock()
    var deadline = clock.now + .seconds(60)
    while !Set(found().compactMap { path in topics.first { path.contains($0) } }).isSuperset(of: topics.prefix(2)) {
      try #require(clock.now < deadline, "neither scores nor state ever held the borrower: \(found())")
      try await Task.sleep(for: .milliseconds(200))
    }

    try await deployment.feed([event(erased, "borrower_erased")])
    // Compaction works on closed segments: others' records close them.
    deadline = clock.now + .seconds(150)
    while !found().isEmpty {
      try #require(clock.now < deadline, "still in \(found())")
      try await deployment.feed([event("other", "page_view", #","page":"home""#)])
      try await Task.sleep(for: .milliseconds(400))
    }
    let alerts = try await deployment.read("alerts").filter { $0.key == erased }
    #expect(try alerts.map { try $0.json()["status"] as? String } == ["raised", "cleared"])
    daemon.send(SIGTERM)
    #expect(try await daemon.wait(within: 10) == 143, "\(daemon.standardError.suffix(2_000))")
    #expect(found().isEmpty, "\(found())")
    #expect(!daemon.standardError.contains(erased))
  }
}
