import Borrowers
import Foundation
import Pipeline
import StatusPage
import Testing

private func service(_ status: PipelineStatus) -> StatusService {
  StatusService(build: .init(version: "1.2.3", modelsVersion: "overdue-1", topic: "borrower-events")) { status }
}

private func get(_ path: String, _ status: PipelineStatus) -> (status: UInt32, body: String) {
  let answer = service(status).answer(HTTPRequest(method: "GET", path: path))
  return (answer.status, String(decoding: answer.body, as: UTF8.self))
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

  @Test func `an unknown path is a problem`() {
    #expect(get("/nothing", PipelineStatus()).status == 404)
  }
}
