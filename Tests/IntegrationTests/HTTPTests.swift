import Foundation
import TestSupport
import Testing

/// What is read and asked for over HTTP, on a real Kafka with two instances.
@Suite(.serialized, .enabled(if: RealKafka.isThere)) struct HTTPTests {
  private static let token = "a-secret-of-this-test"

  private struct NeverHeld: Error, CustomStringConvertible { var description: String }

  /// One process of a deployment and its HTTP port.
  private struct Instance {
    var process: ChildProcess
    var client: WebClient

    static func start(_ deployment: Deployment, _ name: String) async throws -> Instance {
      let tokens = try deployment.directory.write("tokens", "ann:operate:\(HTTPTests.token)\n")
      // Each advertises the port that it listens on, so that port is chosen before.
      let port = try FreePort().port
      let process = try ChildProcess(
        Repository.binary,
        [
          "run", "--config", try deployment.configuration(), "--set", "instance_id=\(name)", "--set",
          "http.listen=127.0.0.1:\(port)", "--set", "http.advertised=127.0.0.1:\(port)", "--set",
          "http.token_file=\(tokens)",
        ])
      return Instance(process: process, client: WebClient(port: port, token: HTTPTests.token))
    }

    /// Until the condition holds of a path's JSON; the last answer when it never does.
    func until(
      _ path: String, within seconds: Double = 60, _ holds: ([String: Any]) -> Bool
    ) async throws -> [String: Any] {
      let deadline = Date(timeIntervalSinceNow: seconds)
      var last: [String: Any] = [:]
      while Date() < deadline {
        let answer = await client.ask("GET", path)
        if answer.status == 200, let object = try? answer.object() {
          last = object
          if holds(object) { return object }
        }
        try await Task.sleep(for: .milliseconds(50))
      }
      throw NeverHeld(description: "\(path): \(last)\n\(process.standardError.suffix(3_000))")
    }

    func stop() async throws {
      process.send(SIGTERM)
      #expect(try await process.wait(within: 15) == 143, "\(process.standardError.suffix(2_000))")
    }
  }

  private static func partitions(_ status: [String: Any]) -> [[String: Any]] {
    status["partitions"] as? [[String: Any]] ?? []
  }

  @Test func `a changed threshold is decided by in every instance, told with who and why, and outlives a kill`()
    async throws
  {
    let lines = try await DaemonTests.simulated(borrowers: 200, days: 60, seed: 77)
    let deployment = try Deployment(models: DaemonTests.demoModels, workers: 1)
    try await deployment.createTopics(partitions: 4)
    let one = try await Instance.start(deployment, "one")
    let two = try await Instance.start(deployment, "two")
    for instance in [one, two] {
      _ = try await instance.until("/v1/status") { Self.partitions($0).count == 2 && $0["ready"] as? Bool == true }
    }
    let scores = try deployment.subscribe("scores")
    try await deployment.feed(lines)
    try await scores.wait(forLines: lines.count / 2, within: 120)

    // Thresholds.
    let refused = await WebClient(port: one.client.port).ask("PUT", "/v1/thresholds", "{}")
    #expect(refused.status == 401)
    let wrong = await one.client.ask("PUT", "/v1/thresholds", #"{"alerts":{"raise_at":"huge","x":1}}"#)
    #expect(wrong.status == 422)
    #expect((try wrong.object()["errors"] as? [Any])?.count == 2)
    let change =
      #"{"alerts":{"raise_at":"low","bands":{"low":0.02}},"leads":{"utilization_threshold":0.2},"why":"a test"}"#
    let foreseen = await one.client.ask("POST", "/v1/thresholds/preview", change)
    #expect(foreseen.status == 200)
    let alerts = try deployment.subscribe("alerts")
    let put = await one.client.ask("PUT", "/v1/thresholds", change)
    try #require(put.status == 200, "\(String(decoding: put.body, as: UTF8.self))")
    // Before it stand the files that the instances started with: of two that start at once, perhaps both.
    let changed = try #require(try put.object()["control_id"] as? String)
    let offset = try #require(Int(changed.dropFirst("control:".count)))
    for instance in [one, two] {
      _ = try await instance.until("/v1/status") {
        Self.partitions($0).allSatisfy { ($0["control"] as? Int ?? 0) > offset }
      }
    }
    try await alerts.wait(within: 60, toPrint: #""trigger":"control""#)
    let controlled = Deployment.records(alerts.standardOutput).filter {
      $0.value?.contains(#""trigger":"control""#) == true
    }
    #expect(controlled.allSatisfy { $0.value?.contains(#""triggering_event_id":"\#(changed)""#) == true })

    // A borrower that is elsewhere.
    let borrower = try #require(controlled.first?.key)
    let held = await one.client.ask("GET", "/v1/borrowers/\(borrower)")
    let elsewhere = await two.client.ask("GET", "/v1/borrowers/\(borrower)")
    #expect(Set([held.status, elsewhere.status]) == [200, 421])
    let (owner, stranger, problem) =
      held.status == 200 ? (one, two, elsewhere) : (two, one, held)
    #expect(try problem.object()["owner"] as? String == "127.0.0.1:\(owner.client.port)")
    let forwarded = await stranger.client.ask("GET", "/v1/borrowers/\(borrower)?forward=true")
    #expect(try forwarded.object()["borrower_id"] as? String == borrower)
    #expect((try forwarded.object()["open_alert"] as? [String: Any])?["alert_id"] != nil)

    // Its alert is cleared by a person, and nothing of the topic tells whose it was.
    let override = await owner.client.ask(
      "PUT", "/v1/borrowers/\(borrower)/alert-override",
      #"{"action":"override","severity":"none","until":"2031-01-01T00:00:00Z","why":"paid in cash"}"#)
    try #require(override.status == 200, "\(String(decoding: override.body, as: UTF8.self))")
    try await alerts.wait(within: 60, toPrint: #""triggering_event_id":"control:\#(offset + 1)""#)
    let cleared = Deployment.records(alerts.standardOutput).last
    #expect(cleared?.key == borrower)
    #expect(cleared?.value?.contains(#""status":"cleared""#) == true)
    let audit = try await one.client.ask("GET", "/v1/control?limit=2").object()
    #expect(!"\(audit)".contains(borrower))
    let entries = try #require(audit["control"] as? [[String: Any]])
    #expect(entries.map { $0["by"] as? String } == ["ann", "ann"])
    #expect(entries.map { $0["why"] as? String } == ["paid in cash", "a test"])

    // After a kill of both, one holds all, and what was asked for holds.
    for instance in [one, two] { instance.process.send(SIGKILL) }
    let third = try await Instance.start(deployment, "three")
    _ = try await third.until("/v1/status") { Self.partitions($0).count == 4 && $0["ready"] as? Bool == true }
    let after = try await third.client.ask("GET", "/v1/thresholds").object()
    #expect(after["control_id"] as? String == changed)
    #expect((after["alerts"] as? [String: Any])?["raise_at"] as? String == "low")
    let view = try await third.client.ask("GET", "/v1/borrowers/\(borrower)").object()
    #expect((view["alert_override"] as? [String: Any])?["action"] as? String == "override")
    #expect(view["open_alert"] is NSNull)
    let reload = try await third.client.ask("POST", "/v1/models/reload").object()
    #expect(reload["changed"] as? Bool == false)
    try await third.stop()
    alerts.send(SIGTERM)
    scores.send(SIGTERM)
  }
}
