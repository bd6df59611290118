import Borrowers
import Foundation
import TestSupport

/// A million due dates of one midnight, all unpaid, while live events go on: how long a live event waits for its score,
/// before that midnight and during it. Event time runs ten times as fast as the clock, so that the ten minutes over which
/// the timers are spread take one.
struct Midnight {
  let brokers: String
  let models: String
  let dues: Int
  let name = "midnight\(UUID().uuidString.prefix(8).lowercased())"

  private static let partitions = 4
  private static let speed: Int64 = 10
  private static let rate = 500.0
  private static let group = "A midnight of due dates under live events, one worker"

  func measure(into report: inout Report) async throws {
    let directory = try TemporaryDirectory()
    let configuration = try directory.write("lendpulse.yaml", text(directory.path))
    let binary = Repository.root.appendingPathComponent(".build/release/lendpulse").path
    let made = try await run(
      binary, ["topics", "create", "--config", configuration, "--partitions", "\(Self.partitions)"])
    guard made.status == 0 else { throw BenchmarkFailed(description: made.errors) }
    let day = EventTime.millisecondsPerDay
    let midnight = (Clocks.now / day) * day
    let feeder = try Feeder(brokers: brokers)
    try feedDues(feeder, midnight: midnight)
    let daemon = try ChildProcess(binary, ["run", "--config", configuration])
    let probe = KafkaProbe(brokers: brokers, group: name)
    let deadline = Clocks.monotonic + 600_000_000_000
    while probe.committed(topic: "\(name)-events", partitions: Self.partitions) < Int64(dues) {
      guard daemon.isRunning, Clocks.monotonic < deadline else {
        throw BenchmarkFailed(description: "the due dates were not read: \(daemon.standardError.suffix(500))")
      }
      try await Task.sleep(for: .milliseconds(100))
    }
    report.add(Self.group, "due dates of that midnight", Double(dues), "timers")
    // The watermark is five minutes behind: no timer fires in the first part.
    let before = try await live(feeder, from: midnight - 600_000, seconds: 30)
    add("before it", before, to: &report)
    // The watermark goes from just before the midnight to just behind the last of its timers.
    let during = try await live(feeder, from: midnight + 300_000, seconds: 61)
    add("during it", during, to: &report)
    daemon.send(SIGTERM)
    try await daemon.wait(within: 10)
  }

  private func add(_ part: String, _ latencies: [Double], to report: inout Report) {
    for share in [0.5, 0.99, 1] {
      let value = latencies[min(latencies.count - 1, Int(share * Double(latencies.count)))]
      report.add(
        Self.group, "live event to its score visible, \(part), \(share == 1 ? "worst" : "p\(Int(share * 100))")", value,
        "ms")
    }
  }

  private func text(_ directory: String) -> String {
    """
    application_id: \(name)
    instance_id: bench
    state_directory: \(directory)
    kafka: {bootstrap_servers: "\(brokers)"}
    topics: {borrower_events: \(name)-events, industry_indicators: \(name)-indicators, alerts: \(name)-alerts,
      leads: \(name)-leads, scores: \(name)-scores, repayment_forecasts: \(name)-forecasts, dead_letters: \(name)-dead}
    models: \(models)
    workers: 1
    windows: {idle_after_s: 0}
    http: {listen: "127.0.0.1:0"}
    log: {level: warning}
    """
  }

  private func feedDues(_ feeder: Feeder, midnight: Int64) throws {
    let announced = midnight - 3 * 3_600_000
    var records: [FeedRecord] = []
    for number in 0..<dues {
      let value =
        #"{"event_id":"d\#(number)","borrower_id":"B\#(number)","type":"installment_due","occurred_at":\#(announced),"#
        + #""amount":100,"loan_id":"L","due_at":\#(midnight)}"#
      records.append(FeedRecord(key: Array("B\(number)".utf8), value: Array(value.utf8), timestamp: announced))
      if records.count == 100_000 || number == dues - 1 {
        try feeder.write(records, to: "\(name)-events")
        records.removeAll(keepingCapacity: true)
      }
    }
  }

  /// Page views of all borrowers in turn, at a fixed rate; sorted latencies in milliseconds.
  private func live(_ feeder: Feeder, from first: Int64, seconds: Double) async throws -> [Double] {
    let reader = LatencyReader(brokers: brokers, topic: "\(name)-scores", partitions: Self.partitions)
    let start = Clocks.monotonic
    var sent = 0
    while Double(Clocks.monotonic - start) / 1e9 < seconds {
      let elapsed = Clocks.monotonic - start
      let time = first + elapsed / 1_000_000 * Self.speed
      var records: [FeedRecord] = []
      while sent < Int(Double(elapsed) / 1e9 * Self.rate) {
        let borrower = "B\((sent * 7_919) % dues)"
        let value =
          #"{"event_id":"t\#(Clocks.monotonic)-\#(sent)","borrower_id":"\#(borrower)","type":"page_view","#
          + #""occurred_at":\#(time),"page":"home"}"#
        records.append(FeedRecord(key: Array(borrower.utf8), value: Array(value.utf8), timestamp: time))
        sent += 1
      }
      try feeder.enqueue(records, to: "\(name)-events")
      try await Task.sleep(for: .milliseconds(1))
    }
    try feeder.write([], to: "\(name)-events")
    let deadline = Clocks.monotonic + 120_000_000_000
    while reader.count < sent, Clocks.monotonic < deadline { try await Task.sleep(for: .milliseconds(20)) }
    let latencies = reader.end()
    guard latencies.count >= sent else {
      throw BenchmarkFailed(description: "\(sent - latencies.count) of \(sent) live events were not scored")
    }
    return latencies
  }
}
