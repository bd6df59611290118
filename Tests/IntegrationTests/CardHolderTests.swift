import Foundation
import TestSupport
import Testing

/// 19,994 real card holders (UCI, "Default of Credit Card Clients"): trained on two thirds of them, the daemon then reads the
/// rest from a real Kafka.
@Suite(.serialized, .enabled(if: RealKafka.isThere && CardHolders.areThere)) struct CardHolderTests {
  @Test func `real card holders are scored once each event, as the file is, and who will be overdue stands out`()
    async throws
  {
    let holders = try await CardHolders.load()
    let deployment = try Deployment(models: holders.models, workers: 2)
    try await deployment.createTopics(partitions: 4)
    try await deployment.feed(holders.served)
    let expected = try await deployment.scoreFile(holders.served, partitions: 4)

    let counts = expected.mapValues { $0.values.map(\.count).reduce(0, +) }
    let subscriber = try deployment.subscribe("scores")
    let daemon = try deployment.startDaemon()
    try await subscriber.wait(forLines: counts["scores"] ?? 0, within: 300)
    daemon.send(SIGTERM)
    let status = try await daemon.wait(within: 10)
    #expect(status == 143, "\(daemon.standardError.suffix(2_000))")
    subscriber.send(SIGTERM)

    try await deployment.compare(with: expected)
    let scores = try await deployment.read("scores")
    let byEvent = try scores.map { try $0.json() }.filter { $0["trigger"] as? String == "event" }
    let ids = byEvent.map { "\($0["borrower_id"] ?? "") \($0["triggering_event_id"] ?? "")" }
    #expect(ids.count == holders.served.count, "one score for each accepted event")
    #expect(Set(ids).count == ids.count, "no score twice")

    var last: [String: Double] = [:]
    for score in byEvent {
      last[score["borrower_id"] as? String ?? ""] = (score["overdue_probability"] as? NSNumber)?.doubleValue
    }
    let auc = areaUnderCurve(last.compactMap { id, p in holders.overdue[id].map { (p, $0) } })
    print("overdue AUC of the last scores of \(last.count) card holders not trained on: \(auc)")
    #expect(last.count == holders.servedClients)
    #expect(auc >= 0.775)
  }
}

extension Deployment {
  /// Every record of each key, in order, byte for byte.
  func compare(with expected: [String: [String: [String]]]) async throws {
    for kind in ["scores", "alerts", "leads"] {
      let published = Dictionary(grouping: try await read(kind), by: \.key).mapValues { $0.compactMap(\.value) }
      let wanted = expected[kind] ?? [:]
      let differing = Set(published.keys).union(wanted.keys).filter { published[$0] != wanted[$0] }.sorted()
      let first = differing.first.map { "\($0): \(published[$0] ?? []) is not \(wanted[$0] ?? [])" } ?? ""
      #expect(differing.isEmpty, "\(kind) of \(differing.count) borrowers differ, first \(first.prefix(3_000))")
    }
  }
}

/// The share of pairs of one overdue and one not that the score puts in the right order; ties count half.
func areaUnderCurve(_ pairs: [(score: Double, label: Bool)]) -> Double {
  let sorted = pairs.sorted { $0.score < $1.score }
  var rankSum = 0.0
  var start = 0
  while start < sorted.count {
    var end = start
    while end < sorted.count && sorted[end].score == sorted[start].score { end += 1 }
    let meanRank = Double(start + 1 + end) / 2
    rankSum += meanRank * Double(sorted[start..<end].count { $0.label })
    start = end
  }
  let positives = Double(pairs.count { $0.label })
  let negatives = Double(pairs.count) - positives
  return (rankSum - positives * (positives + 1) / 2) / (positives * negatives)
}

/// The table of card holders as events: two thirds trained on with October's outcome, one third to be served.
struct CardHolders {
  static let environment = ProcessInfo.processInfo.environment
  static let table =
    environment["LENDPULSE_TEST_CLIENTS"]
    ?? Repository.root.appendingPathComponent("../shared/data/uci_default.csv.gz").standardizedFileURL.path
  static let tool =
    environment["LENDPULSE_TEST_CLIENTS_TOOL"]
    ?? Repository.root.appendingPathComponent("../shared/tools/uci_events.py").standardizedFileURL.path
  static var areThere: Bool {
    FileManager.default.isReadableFile(atPath: table) && FileManager.default.isReadableFile(atPath: tool)
  }

  /// Keeps `models` there.
  let directory: TemporaryDirectory
  let models: String
  /// Event lines up to September, in the order of time.
  let served: [Data]
  let servedClients: Int
  let overdue: [String: Bool]

  static func load() async throws -> CardHolders {
    let directory = try TemporaryDirectory()
    let python = Repository.tool("python3") ?? "python3"
    let whole = try await run(
      python,
      [
        tool, table, "--events", directory.file("all.ndjson"), "--labels", directory.file("labels.csv"),
        "--with-outcome",
      ], within: 120)
    try #require(whole.status == 0, "\(whole.errors)")

    var history = Data()
    var served: [Data] = []
    var clients = Set<String>()
    let lines = try Data(contentsOf: URL(fileURLWithPath: directory.file("all.ndjson"))).split(separator: 0x0a)
    for line in lines {
      let id = Deployment.borrower(of: String(decoding: line, as: UTF8.self))
      if (Int(id.dropFirst()) ?? 0) % 3 != 0 {
        history += line + [0x0a]
      } else if line.range(of: Data(#""occurred_at":"2005-10-"#.utf8)) == nil {
        served.append(Data(line))
        clients.insert(id)
      }
    }
    try history.write(to: URL(fileURLWithPath: directory.file("history.ndjson")))
    let models = directory.file("models")
    try await train("overdue", asOf: "2005-10-01", through: "2005-11-01", directory, models)
    try await train("demand", asOf: "2005-09-01", through: "2005-10-01", directory, models)
    try await train("utilization", asOf: "2005-09-01", through: "2005-10-01", directory, models)

    var overdue: [String: Bool] = [:]
    for row in try String(contentsOfFile: directory.file("labels.csv"), encoding: .utf8).split(
      whereSeparator: \.isNewline)
    {
      let cells = row.split(separator: ",")
      overdue[String(cells[0])] = cells[1] == "1"
    }
    return CardHolders(
      directory: directory, models: models, served: served, servedClients: clients.count, overdue: overdue)
  }

  private static func train(
    _ what: String, asOf: String, through: String, _ directory: TemporaryDirectory, _ models: String
  ) async throws {
    let result = try await run(
      Repository.binary,
      [
        "train", what, "--history", directory.file("history.ndjson"), "--models", models, "--as-of", asOf,
        "--observed-through", through, "--seed", "1",
      ], within: 900)
    try #require(result.status == 0, "train \(what): \(result.errors)")
  }
}
