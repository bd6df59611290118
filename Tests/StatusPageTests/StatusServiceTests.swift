import Borrowers
import Foundation
import Pipeline
import Scoring
import TestSupport
import Testing

@testable import StatusPage

/// A pipeline that only has a status, and one borrower.
private struct FakePipeline: ServedPipeline {
  var status = PipelineStatus()
  var answers: [String: BorrowerAnswer] = [:]
  var control: ControlCenter? { nil }
  var partitionCount: Int? { 4 }
  func partition(ofBorrower id: [UInt8]) -> Int32? { 0 }
  func borrower(_ id: [UInt8], waitMilliseconds: Int) -> BorrowerAnswer? {
    answers[String(decoding: id, as: UTF8.self)] ?? .unknown(partition: 0)
  }
  func preview(_ settings: DecisionSettings, waitMilliseconds: Int) -> PreviewAnswer? { nil }
}

private func service(
  _ pipeline: FakePipeline, owner: PartitionOwner = .nobody, tokens: String? = nil
) -> StatusService {
  var sources = StatusService.Sources()
  sources.owner = { _ in owner }
  return StatusService(
    build: .init(version: "1.2.3", modelsVersion: "overdue-1", topic: "borrower-events"), pipeline: pipeline,
    sources: sources, tokens: AccessTokens(path: tokens))
}

private func get(_ path: String, _ status: PipelineStatus) -> (status: UInt32, body: String) {
  let answer = service(FakePipeline(status: status)).answer(HTTPRequest(method: "GET", path: path))
  return (answer.status, String(decoding: answer.body, as: UTF8.self))
}

private func object(_ response: HTTPResponse) throws -> [String: Any] {
  try #require(JSONSerialization.jsonObject(with: Data(response.body)) as? [String: Any])
}

private func live(_ partition: Int32) -> PartitionStatus {
  var one = PartitionStatus(partition: partition)
  one.phase = .live
  one.offset = 42
  one.lag = 7
  one.borrowers = 3
  one.watermark = EventTime(milliseconds: 1_760_184_794_123)
  return one
}

@Suite struct StatusServiceTests {
  @Test func `a process without partitions is alive and not ready`() {
    #expect(get("/healthz", PipelineStatus()).status == 200)
    let ready = get("/readyz", PipelineStatus())
    #expect(ready.status == 503)
    #expect(ready.body == "not ready: no partition is assigned\n")
  }

  @Test func `it is ready when each partition is live`() {
    var status = PipelineStatus()
    status.partitions = [live(0), PartitionStatus(partition: 1)]
    #expect(get("/readyz", status).body == "not ready: partition 1 is waiting\n")
    status.partitions = [live(0), live(1)]
    #expect(get("/readyz", status).status == 200)
  }

  @Test func `metrics name what the status counts`() {
    var status = PipelineStatus()
    status.partitions = [live(0)]
    status.totals.accepted[Int(EventKind.repayment.rawValue)] = 5
    status.totals.deadLetters[Int(DeadLetterCode.misplaced.rawValue)] = 2
    status.totals.eventLatency.add(seconds: 0.015, count: 4)
    let text = get("/metrics", status).body
    for line in [
      "lendpulse_events_total{type=\"repayment\",result=\"accepted\"} 5",
      "lendpulse_dead_letters_total{code=\"misplaced\"} 2",
      "lendpulse_consumer_lag{topic=\"borrower-events\",partition=\"0\"} 7",
      "lendpulse_watermark_seconds{partition=\"0\"} 1760184794.123",
      "lendpulse_event_seconds_bucket{le=\"0.02\"} 4", "lendpulse_event_seconds_count 4", "lendpulse_borrowers 3",
      "lendpulse_build_info{version=\"1.2.3\",models=\"overdue-1\"} 1",
    ] {
      #expect(text.contains(line + "\n"), "\(line) is missing")
    }
  }

  @Test func `the status is JSON`() throws {
    var status = PipelineStatus()
    var stopped = PartitionStatus(partition: 1)
    stopped.phase = .stopped
    stopped.problem = "a \"quoted\" problem"
    status.partitions = [stopped, live(0)]
    let body = try #require(
      JSONSerialization.jsonObject(with: Data(get("/v1/status", status).body.utf8)) as? [String: Any])
    let partitions = try #require(body["partitions"] as? [[String: Any]])
    #expect(partitions.map { $0["partition"] as? Int } == [0, 1])
    #expect(partitions[0]["watermark"] as? String == "2025-10-11T12:13:14.123Z")
    #expect(partitions[1]["problem"] as? String == "a \"quoted\" problem")
    #expect(body["ready"] as? Bool == false)
  }

  @Test func `an unknown path is a problem, and so is a method that is not served`() throws {
    let answer = service(FakePipeline()).answer(HTTPRequest(method: "GET", path: "/nothing"))
    #expect(answer.status == 404)
    #expect(answer.contentType == "application/problem+json")
    #expect(try object(answer)["status"] as? Int == 404)
    let wrong = service(FakePipeline()).answer(HTTPRequest(method: "DELETE", path: "/v1/status"))
    #expect(wrong.status == 405)
    #expect(wrong.headers.contains { $0 == ("Allow", "GET, HEAD") })
  }

  @Test func `a body that the caller has already is not sent again`() {
    let one = service(FakePipeline())
    let first = one.answer(HTTPRequest(method: "GET", path: "/v1/alerts"))
    let tag = first.headers.first { $0.name == "ETag" }?.value ?? ""
    let again = one.answer(
      HTTPRequest(method: "GET", path: "/v1/alerts", headers: ["if-none-match": "\"x\", W/\(tag)"]))
    #expect(again.status == 304)
    #expect(again.body.isEmpty)
  }

  @Test func `the newest alerts come first, page by page`() throws {
    var status = PipelineStatus()
    status.recentAlerts = (0..<5).map { index in
      var alert = AlertRecord()
      alert.alertID = Array("a\(index)".utf8)
      return alert
    }
    let one = service(FakePipeline(status: status))
    func page(_ query: [String: String]) throws -> (ids: [String], next: String?) {
      let body = try object(one.answer(HTTPRequest(method: "GET", path: "/v1/alerts", query: query)))
      let alerts = try #require(body["alerts"] as? [[String: Any]])
      return (alerts.compactMap { $0["alert_id"] as? String }, body["next"] as? String)
    }
    #expect(try page(["limit": "2"]) == (["a4", "a3"], "/v1/alerts?limit=2&after=2"))
    #expect(try page(["limit": "2", "after": "4"]) == (["a0"], nil))
    for limit in ["0", "501", "x", "-1"] {
      #expect(
        one.answer(HTTPRequest(method: "GET", path: "/v1/alerts", query: ["limit": limit])).status == 400, "\(limit)")
    }
  }

  @Test func `a borrower that another instance holds is told with its owner`() throws {
    var pipeline = FakePipeline()
    pipeline.answers["B1"] = .elsewhere(partition: 3)
    let request = HTTPRequest(method: "GET", path: "/v1/borrowers/B1")
    let answer = service(pipeline, owner: .instance(address: "h:1")).answer(request)
    #expect(answer.status == 421)
    let body = try object(answer)
    #expect(body["owner"] as? String == "h:1")
    #expect(body["partition"] as? Int == 3)
    #expect(answer.headers.contains { $0 == ("Location", "http://h:1/v1/borrowers/B1") })
    #expect(service(pipeline).answer(request).status == 503)
    #expect(service(pipeline).answer(HTTPRequest(method: "GET", path: "/v1/borrowers/B2")).status == 404)
    let long = "/v1/borrowers/" + String(repeating: "x", count: 65)
    #expect(service(pipeline).answer(HTTPRequest(method: "GET", path: long)).status == 404)
  }

  @Test func `a held borrower is told whole`() throws {
    var view = BorrowerView()
    view.borrowerID = Array("B1".utf8)
    view.time = EventTime(milliseconds: 1_760_184_794_123)
    view.features = Array(repeating: .nan, count: 400)
    view.picture = [Float](repeating: 0, count: 90 * 16)
    view.picture[89 * 16 + 4] = 4.615120  // log(1 + 100)
    view.score.overdueProbability = 0.25
    var alert = AlertRecord()
    alert.severity = .high
    view.openAlert = alert
    var pipeline = FakePipeline()
    pipeline.answers["B1"] = .found(view)
    let body = try object(service(pipeline).answer(HTTPRequest(method: "GET", path: "/v1/borrowers/B1")))
    #expect((body["scores"] as? [String: Any])?["overdue_probability"] as? Double == 0.25)
    #expect((body["open_alert"] as? [String: Any])?["severity"] as? String == "high")
    #expect(body["open_lead"] is NSNull)
    let picture = try #require(body["picture"] as? [String: Any])
    #expect(picture["cells"] as? [[Double]] == [[89, 4, 100]])
    #expect(picture["first_date"] as? String == "2025-07-14")
  }

  // MARK: Tokens

  @Test func `only a token of the role operate may change something`() throws {
    let directory = try TemporaryDirectory()
    let file = try directory.write("tokens", "# comment\nplain-secret\nann:operate:s1\nbob:read:s2\n")
    let one = service(FakePipeline(), tokens: file)
    func put(_ authorization: String?) -> UInt32 {
      var request = HTTPRequest(method: "PUT", path: "/v1/thresholds", body: Array("{}".utf8))
      request.headers["authorization"] = authorization
      return one.answer(request).status
    }
    #expect(put(nil) == 401)
    #expect(put("Bearer wrong") == 401)
    #expect(put("Bearer s2") == 403)
    // Known: the pipeline itself has no control topic.
    #expect(put("Bearer s1") == 503)
    #expect(put("bearer plain-secret") == 503)
    // With a reading token, reading wants one.
    #expect(one.answer(HTTPRequest(method: "GET", path: "/v1/alerts")).status == 401)
    #expect(
      one.answer(HTTPRequest(method: "GET", path: "/v1/alerts", headers: ["authorization": "Bearer s2"])).status == 200)
    #expect(one.answer(HTTPRequest(method: "GET", path: "/metrics")).status == 200)
    #expect(service(FakePipeline()).answer(HTTPRequest(method: "PUT", path: "/v1/thresholds")).status == 403)
  }

  @Test func `guessing is slowed down, for the one who guesses`() throws {
    let directory = try TemporaryDirectory()
    let one = service(FakePipeline(), tokens: try directory.write("tokens", "secret\n"))
    func put(_ token: String, from client: String) -> UInt32 {
      var request = HTTPRequest(method: "PUT", path: "/v1/thresholds", headers: ["authorization": "Bearer \(token)"])
      request.client = client
      return one.answer(request).status
    }
    for _ in 0..<10 { #expect(put("wrong", from: "192.0.2.1") == 401) }
    #expect(put("secret", from: "192.0.2.1") == 429)
    #expect(put("secret", from: "192.0.2.2") == 503)
  }

  @Test func `bytes are compared whole`() {
    #expect(AccessTokens.areEqual(Array("abc".utf8), Array("abc".utf8)))
    for other in ["", "ab", "abd", "abca", "abcabc"] {
      #expect(!AccessTokens.areEqual(Array("abc".utf8), Array(other.utf8)), "\(other)")
    }
    #expect(!AccessTokens.areEqual([], []))
  }

  // MARK: Drift

  @Test func `equal shares have no drift, and a shifted population passes the band`() {
    let same = ScoreDrift.stability([1_000, 2_000, 3_000], [100, 200, 300])
    #expect(abs(same.index) < same.band)
    let shifted = ScoreDrift.stability([1_000, 2_000, 3_000], [300, 200, 100])
    #expect(shifted.index > 10 * shifted.band)
    #expect(ScoreDrift.stability([0, 0], [0, 0]).index == 0)
  }

  @Test(.enabled(if: Repository.tool("promtool") != nil))
  func `Prometheus finds nothing to say about the metrics`() async throws {
    var status = PipelineStatus()
    status.partitions = [live(0)]
    let text = get("/metrics", status).body
    let checked = try await run(
      Repository.tool("promtool") ?? "", ["check", "metrics"], input: Data(text.utf8))
    #expect(checked.status == 0, "\(checked.output)\(checked.errors)")
  }
}
