import Foundation
import TestSupport
import Testing

/// Repayment forecasts on a real Kafka: those of the file, once each, whoever makes them.
@Suite(.serialized, .enabled(if: RealKafka.isThere)) struct RepaymentForecastTests {
  static let indicators = (0..<120).map { day in
    let date = Date(timeIntervalSince1970: 1_732_000_000 + Double(day) * 86_400)
    let text = date.formatted(.iso8601.year().month().day())
    return (
      date: text,
      value: #"{"series":"industry_repayment_rate","date":"\#(text)","value":\#(0.9 + Double(day % 7) / 100)}"#
    )
  }

  @Test func `forecasts of two processes that are killed in turn are those of the file`() async throws {
    let lines = try await DaemonTests.simulated(borrowers: 150, days: 90, seed: 33)
    let place = try TemporaryDirectory()
    let models = place.file("models")
    try FileManager.default.copyItem(atPath: DaemonTests.demoModels, toPath: models)
    let history = place.file("history.ndjson")
    try Data(lines.joined(separator: Data("\n".utf8)) + Data("\n".utf8)).write(to: URL(fileURLWithPath: history))
    let industry = try place.write("industry.ndjson", Self.indicators.map { $0.value + "\n" }.joined())
    let trained = try await run(
      Repository.binary,
      ["train", "repayment", "--history", history, "--models", models, "--industry", industry], within: 300)
    try #require(trained.status == 0, "\(trained.errors)")

    let deployment = try Deployment(models: models)
    try await deployment.createTopics(partitions: 4)
    let expected = try await Self.score(history, industry, deployment)
    let wanted = expected.values.reduce(0) { $0 + $1.count }
    #expect(wanted > 300)
    let records = Self.indicators.map {
      FeedRecord(
        key: Array("industry_repayment_rate|\($0.date)".utf8), value: Array($0.value.utf8), timestamp: 1_735_000_000_000
      )
    }
    let topic = deployment.topic("indicators")
    try await onThread { Result { try Feeder(brokers: RealKafka.brokers).write(records, to: topic) } }.get()

    let subscriber = try deployment.subscribe("forecasts")
    let first = try deployment.startDaemon()
    let second = try Self.start("two", deployment)
    try await deployment.feed(Array(lines.prefix(lines.count / 2)))
    try await subscriber.wait(forLines: wanted / 5, within: 90)
    first.send(SIGKILL)
    _ = try await first.wait(within: 10)
    try await deployment.feed(Array(lines[(lines.count / 2)..<(lines.count * 3 / 4)]))
    try await subscriber.wait(forLines: wanted * 3 / 5, within: 90)
    let third = try deployment.startDaemon()
    second.send(SIGKILL)
    _ = try await second.wait(within: 10)
    try await deployment.feed(Array(lines.dropFirst(lines.count * 3 / 4)))
    try await subscriber.wait(forLines: wanted, within: 120)
    third.send(SIGTERM)
    #expect(try await third.wait(within: 10) == 143, "\(third.standardError.suffix(2_000))")
    subscriber.send(SIGTERM)

    let published = try await deployment.read("forecasts")
    let found = Dictionary(grouping: published, by: \.key).mapValues { $0.compactMap(\.value) }
    #expect(found.keys.sorted() == expected.keys.sorted())
    for (platform, values) in expected {
      let own = found[platform] ?? []
      let difference = zip(own, values).first { $0 != $1 }
      #expect(
        own.count == values.count && difference == nil,
        "\(platform): \(own.count), \(values.count), \(difference as Any)")
    }
    #expect(published.allSatisfy { $0.headers.contains("schema=lendpulse.repayment-forecast.v1") })
  }

  private static func start(_ instance: String, _ deployment: Deployment) throws -> ChildProcess {
    try ChildProcess(
      Repository.binary, ["run", "--config", try deployment.configuration(), "--set", "instance_id=\(instance)"])
  }

  /// By platform, in order.
  private static func score(
    _ history: String, _ industry: String, _ deployment: Deployment
  ) async throws -> [String: [String]] {
    let result = try await run(
      Repository.binary,
      [
        "score", "--input", history, "--models", deployment.models, "--config", try deployment.configuration(),
        "--partitions", "4", "--industry", industry, "--forecasts", "-",
      ], within: 300)
    try #require(result.status == 0, "\(result.errors)")
    return Dictionary(grouping: result.output.split(separator: "\n").map(String.init)) { line in
      guard let name = line.range(of: #""platform":""#) else { return "" }
      return String(line[name.upperBound...].prefix { $0 != "\"" })
    }
  }
}
