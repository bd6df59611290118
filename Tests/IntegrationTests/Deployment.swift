import Foundation
import TestSupport
import Testing

/// A real Kafka for the whole run; `scripts/with-kafka` starts one and names it.
enum RealKafka {
  static let brokers = ProcessInfo.processInfo.environment["LENDPULSE_TEST_BROKERS"] ?? ""
  static var isThere: Bool { !brokers.isEmpty && Repository.tool("kcat") != nil }
}

/// A record as an independent client read it.
struct ReadRecord: Equatable, Sendable {
  var partition: Int
  var offset: Int
  var key: String
  var headers: String
  /// nil: a tombstone.
  var value: String?

  func json() throws -> [String: Any] {
    guard let value, let object = try JSONSerialization.jsonObject(with: Data(value.utf8)) as? [String: Any] else {
      throw CocoaError(.fileReadCorruptFile)
    }
    return object
  }
}

/// One installation of its own on the real Kafka: topics, group and transactional ids that no other test shares.
final class Deployment: Sendable {
  let directory: TemporaryDirectory
  let name = "t" + UUID().uuidString.prefix(8).lowercased()
  let models: String
  let workers: Int
  let brokers: String

  init(models: String, workers: Int = 2, brokers: String = RealKafka.brokers) throws {
    directory = try TemporaryDirectory()
    self.models = models
    self.workers = workers
    self.brokers = brokers
  }

  func topic(_ kind: String) -> String { "\(name)-\(kind)" }

  /// Writes the configuration; `extra` is YAML of more keys.
  func configuration(brokers: String? = nil, instance: String = "one", extra: String = "") throws -> String {
    try directory.write(
      "lendpulse-\(instance).yaml",
      """
      application_id: \(name)
      instance_id: \(instance)
      state_directory: \(directory.path)
      kafka: {bootstrap_servers: "\(brokers ?? self.brokers)"}
      topics:
        borrower_events: \(topic("events"))
        industry_indicators: \(topic("indicators"))
        alerts: \(topic("alerts"))
        leads: \(topic("leads"))
        scores: \(topic("scores"))
        repayment_forecasts: \(topic("forecasts"))
        dead_letters: \(topic("dead-letters"))
      models: \(models)
      workers: \(workers)
      windows: {idle_after_s: 0}
      http: {listen: "127.0.0.1:0"}
      \(extra)
      """)
  }

  func createTopics(partitions: Int) async throws {
    let result = try await run(
      Repository.binary, ["topics", "create", "--config", try configuration(), "--partitions", "\(partitions)"])
    try #require(result.status == 0, "\(result.output)\(result.errors)")
  }

  func startDaemon(_ arguments: [String] = []) throws -> ChildProcess {
    try ChildProcess(Repository.binary, ["run", "--config", try configuration()] + arguments)
  }

  /// Writes event lines (one JSON event each), keyed by borrower, with their event times as the records' timestamps.
  func feed(_ lines: [Data]) async throws {
    let records = try lines.map(Self.record)
    let (topic, brokers) = (topic("events"), brokers)
    let outcome = await onThread { Result { try Feeder(brokers: brokers).write(records, to: topic) } }
    try outcome.get()
  }

  static func record(_ line: Data) throws -> FeedRecord {
    guard let object = try JSONSerialization.jsonObject(with: line) as? [String: Any],
      let borrower = object["borrower_id"] as? String
    else { throw CocoaError(.fileReadCorruptFile) }
    return FeedRecord(
      key: Array(borrower.utf8), value: Array(line), timestamp: try milliseconds(object["occurred_at"] as Any))
  }

  /// Reads integer milliseconds or an RFC 3339 time, by Foundation.
  static func milliseconds(_ time: Any) throws -> Int64 {
    if let number = time as? NSNumber { return number.int64Value }
    let text = time as? String ?? ""
    let style = Date.ISO8601FormatStyle(includingFractionalSeconds: text.contains("."))
    return Int64((try style.parse(text).timeIntervalSince1970 * 1_000).rounded())
  }

  /// All that a subscriber to committed records finds on a topic, in the order of each partition.
  func read(_ kind: String) async throws -> [ReadRecord] {
    let result = try await run(
      Repository.tool("kcat") ?? "kcat", subscriberArguments(topic(kind)) + ["-e"], within: 120)
    try #require(result.status == 0, "\(result.errors)")
    return Self.records(result.output)
  }

  /// A subscriber that goes on reading: each committed record is a line of its output as soon as it is visible.
  func subscribe(_ kind: String) throws -> ChildProcess {
    try ChildProcess(Repository.tool("kcat") ?? "kcat", subscriberArguments(topic(kind)) + ["-u"])
  }

  private func subscriberArguments(_ topic: String) -> [String] {
    [
      "-C", "-b", brokers, "-t", topic, "-q", "-o", "beginning", "-X", "isolation.level=read_committed",
      "-f", #"%p\t%o\t%k\t%h\t%S\t%s\n"#,
    ]
  }

  static func records(_ output: String) -> [ReadRecord] {
    output.split(separator: "\n").map { line in
      let fields = line.split(separator: "\t", maxSplits: 5, omittingEmptySubsequences: false).map(String.init)
      return ReadRecord(
        partition: Int(fields[0]) ?? -1, offset: Int(fields[1]) ?? -1, key: fields[2], headers: fields[3],
        value: fields[4] == "-1" ? nil : fields[5])
    }
  }

  /// What `lendpulse score` says of the same lines, by output and key, in order.
  func scoreFile(_ lines: [Data], partitions: Int) async throws -> [String: [String: [String]]] {
    let input = directory.file("input.ndjson")
    try Data(lines.joined(separator: Data("\n".utf8)) + Data("\n".utf8)).write(to: URL(fileURLWithPath: input))
    let kinds = ["scores", "alerts", "leads"]
    let outputs = kinds.flatMap { ["--\($0)", directory.file("\($0).ndjson")] }
    let result = try await run(
      Repository.binary,
      ["score", "--input", input, "--models", models, "--config", try configuration(), "--partitions", "\(partitions)"]
        + outputs, within: 600)
    try #require(result.status == 0, "\(result.errors)")
    var found: [String: [String: [String]]] = [:]
    for kind in kinds {
      let text = try String(contentsOfFile: directory.file("\(kind).ndjson"), encoding: .utf8)
      found[kind] = Dictionary(grouping: text.split(separator: "\n").map(String.init)) { Self.borrower(of: $0) }
    }
    return found
  }

  /// The value of `"borrower_id"`, found without reading the rest.
  static func borrower(of line: String) -> String { text(#""borrower_id":""#, of: line) }

  /// The value of an event's `"event_id"`.
  static func eventID(of line: String) -> String { text(#""event_id":""#, of: line) }

  private static func text(_ start: String, of line: String) -> String {
    guard let name = line.range(of: start) else { return "" }
    return String(line[name.upperBound...].prefix { $0 != "\"" })
  }
}
