import Foundation
import TestSupport
import Testing

/// The daemon as its operator meets it, on a real Kafka.
@Suite(.serialized, .enabled(if: RealKafka.isThere)) struct DaemonTests {
  static let demoModels = Repository.root.appendingPathComponent("demo/models").path

  static func simulated(borrowers: Int, days: Int, seed: Int) async throws -> [Data] {
    let result = try await run(
      Repository.binary, ["simulate", "--borrowers", "\(borrowers)", "--days", "\(days)", "--seed", "\(seed)"],
      within: 120)
    try #require(result.status == 0, "\(result.errors)")
    return Data(result.output.utf8).split(separator: 0x0a).map { Data($0) }
  }

  /// Starts, ends it by a signal while it works, starts it again.
  static func interrupt(by signal: Int32) async throws {
    let lines = try await simulated(borrowers: 400, days: 90, seed: 21)
    let deployment = try Deployment(models: demoModels)
    try await deployment.createTopics(partitions: 4)
    let expected = try await deployment.scoreFile(lines, partitions: 4)
    let wanted = (expected["scores"] ?? [:]).values.map(\.count).reduce(0, +)
    let subscriber = try deployment.subscribe("scores")

    let first = try deployment.startDaemon()
    try await deployment.feed(Array(lines.prefix(lines.count / 2)))
    try await subscriber.wait(forLines: wanted / 4, within: 60)
    // While it works on what follows.
    try await deployment.feed(Array(lines.dropFirst(lines.count / 2)))
    first.send(signal)
    let status = try await first.wait(within: 10)
    #expect(status == (signal == SIGKILL ? -signal : 128 + signal), "\(first.standardError.suffix(2_000))")

    let second = try deployment.startDaemon()
    try await subscriber.wait(forLines: wanted, within: 120)
    second.send(SIGTERM)
    #expect(try await second.wait(within: 10) == 143, "\(second.standardError.suffix(2_000))")
    subscriber.send(SIGTERM)
    try await deployment.compare(with: expected)
  }

  @Test func `a clean stop and a start lose and repeat nothing`() async throws { try await Self.interrupt(by: SIGTERM) }

  @Test func `a kill and a start lose and repeat nothing`() async throws { try await Self.interrupt(by: SIGKILL) }

  @Test func `SIGTERM ends it within five seconds though records keep coming`() async throws {
    let lines = try await Self.simulated(borrowers: 2_000, days: 60, seed: 4)
    let deployment = try Deployment(models: Self.demoModels)
    try await deployment.createTopics(partitions: 2)
    try await deployment.feed(lines)
    let subscriber = try deployment.subscribe("scores")
    let daemon = try deployment.startDaemon()
    try await subscriber.wait(forLines: 1, within: 60)
    let clock = ContinuousClock()
    let start = clock.now
    daemon.send(SIGTERM)
    let status = try await daemon.wait(within: 10)
    #expect(status == 143, "\(daemon.standardError.suffix(2_000))")
    #expect(clock.now - start < .seconds(5))
    subscriber.send(SIGTERM)
  }

  @Test func `each kind of bad input becomes a dead letter with its code, and the next record is scored`() async throws
  {
    let deployment = try Deployment(models: Self.demoModels, workers: 1)
    // A lender's own topic, which takes larger records than we do: the one for dead letters follows it.
    let events = deployment.topic("events")
    try await onThread {
      Result {
        try Feeder(brokers: RealKafka.brokers).makeTopic(
          events, partitions: 1, settings: ["max.message.bytes": "4000000"])
      }
    }.get()
    try await deployment.createTopics(partitions: 1)
    let now: Int64 = 1_760_000_000_000
    let good = #"{"event_id":"E","borrower_id":"B","type":"page_view","occurred_at":1760000000000,"page":"home"}"#
    func with(_ old: String, _ new: String) -> [UInt8] { Array(good.replacingOccurrences(of: old, with: new).utf8) }
    let bad: [(code: String, key: String?, value: [UInt8]?)] = [
      ("invalid_json", "B", Array("{\"event_id\":".utf8)),
      ("invalid_utf8", "B", with("home", "h").flatMap { $0 == UInt8(ascii: "h") ? [0xff, 0xfe] : [$0] }),
      ("wrong_type", "B", with("\"home\"", "7")),
      ("out_of_range", "B", with(#""page_view""#, #""purchase","amount":1e400"#)),
      ("invalid_json", "B", with(#""page_view""#, #""purchase","amount":NaN"#)),
      ("missing_field", "B", with(#","page":"home""#, "")),
      ("unknown_type", "B", with("page_view", "teleport")),
      ("key_mismatch", "other", with("home", "home")),
      ("too_large", "B", with("home", String(repeating: "x", count: 2_000_000))),
      (
        "too_deep", "B",
        with(
          #""home""#,
          #""home","x":"# + String(repeating: "[", count: 10_000)
            + String(repeating: "]", count: 10_000))
      ),
      ("time_out_of_range", "B", with("1760000000000", "1860000000000")),
      ("time_out_of_range", "B", with("1760000000000", "100000000")),
      ("invalid_time", "B", with("1760000000000", #""yesterday""#)),
      ("empty_value", "B", []),
      ("empty_value", "B", nil),
    ]
    var records: [FeedRecord] = []
    for (index, item) in bad.enumerated() {
      records.append(
        FeedRecord(key: item.key.map { Array($0.utf8) }, value: item.value, timestamp: now, partition: 0))
      records.append(
        FeedRecord(
          key: Array("G".utf8), value: with(#""E","borrower_id":"B""#, #""G\#(index)","borrower_id":"G""#),
          timestamp: now, partition: 0))
    }
    let fed = records
    try await onThread { Result { try Feeder(brokers: RealKafka.brokers).write(fed, to: events) } }.get()

    let subscriber = try deployment.subscribe("scores")
    let daemon = try deployment.startDaemon()
    try await subscriber.wait(forLines: bad.count, within: 60)
    let letters = try await deployment.read("dead-letters")
    #expect(letters.count == bad.count)
    for (letter, item) in zip(letters, bad) {
      #expect(letter.headers.contains("lendpulse.error.code=\(item.code)"), "\(letter.headers)")
      #expect(letter.headers.contains("lendpulse.source.topic=\(events)"), "\(letter.headers)")
    }
    let scored = try await deployment.read("scores").map { try $0.json()["triggering_event_id"] as? String }
    #expect(scored == bad.indices.map { "G\($0)" })
    daemon.send(SIGTERM)
    #expect(try await daemon.wait(within: 10) == 143)
    #expect(!daemon.standardError.contains("teleport"), "a log holds no part of a record")
    subscriber.send(SIGTERM)
  }

  @Test func `a missing topic is one clear line and a failure`() async throws {
    let deployment = try Deployment(models: Self.demoModels)
    let result = try await run(Repository.binary, ["run", "--config", try deployment.configuration()], within: 60)
    #expect(result.status == 1 || result.status == 2)
    let lines = result.errors.split(separator: "\n").filter { $0.contains(deployment.topic("events")) }
    #expect(lines.count == 1, "\(result.errors)")
  }

  @Test func `an unreachable broker is one clear line and a failure`() async throws {
    let deployment = try Deployment(models: Self.demoModels)
    let result = try await run(
      Repository.binary, ["run", "--config", try deployment.configuration(brokers: "127.0.0.1:1")], within: 90)
    #expect(result.status == 1 || result.status == 2)
    let lines = Self.complaints(result)
    #expect(lines.count == 1 && lines[0].contains("127.0.0.1:1"), "\(result.errors)")
  }

  @Test func `models made for other features are refused by name`() async throws {
    let copy = try TemporaryDirectory()
    let models = copy.file("models")
    try FileManager.default.copyItem(atPath: Self.demoModels, toPath: models)
    var changed = 0
    let enumerator = FileManager.default.enumerator(atPath: models)
    while let path = enumerator?.nextObject() as? String {
      guard path.hasSuffix("manifest.json") else { continue }
      let file = models + "/" + path
      let text = try String(contentsOfFile: file, encoding: .utf8)
      let other = text.replacing(#/("featureHash"\s*:\s*")[0-9a-f]{4}/#) { "\($0.output.1)0bad" }
      if other != text { changed += 1 }
      try other.write(toFile: file, atomically: true, encoding: .utf8)
    }
    #expect(changed > 0)
    let deployment = try Deployment(models: models)
    try await deployment.createTopics(partitions: 1)
    let result = try await run(Repository.binary, ["run", "--config", try deployment.configuration()], within: 60)
    #expect(result.status == 1 || result.status == 2)
    let lines = Self.complaints(result)
    #expect(lines.count == 1 && lines[0].contains("manifest.json"), "\(result.errors)")
  }

  /// Standard error without the log's lines, which begin with their time.
  private static func complaints(_ result: Finished) -> [Substring] {
    result.errors.split(separator: "\n").filter { $0.first?.isNumber != true }
  }
}
