import Borrowers
import Foundation
import Simulation
import TestSupport

/// The release daemon as a process of its own on a real Kafka, exactly-once: throughput and CPU of the whole process
/// (librdkafka's threads too) while it works off a backlog, then the latency at half that rate.
struct WholeDaemon {
  let brokers: String
  let models: String
  let workers: Int
  let partitions = 4
  let borrowers: Int
  let days: Int
  let name = "bench\(UUID().uuidString.prefix(8).lowercased())"

  private var group: String { "Daemon with \(workers) worker\(workers == 1 ? "" : "s"), exactly-once" }
  private var input: String { "\(name)-events" }

  func measure(into report: inout Report) async throws {
    let directory = try TemporaryDirectory()
    let configuration = try directory.write("lendpulse.yaml", text(directory.path))
    let binary = Repository.root.appendingPathComponent(".build/release/lendpulse").path
    let made = try await run(
      binary, ["topics", "create", "--config", configuration, "--partitions", "\(partitions)"])
    guard made.status == 0 else { throw BenchmarkFailed(description: made.errors) }

    let feeder = try Feeder(brokers: brokers)
    let start =
      Clocks.now / EventTime.millisecondsPerDay * EventTime.millisecondsPerDay
      - Int64(days) * EventTime.millisecondsPerDay
    let total = try feedBacklog(feeder, start: EventTime(milliseconds: start))
    let daemon = try ChildProcess(binary, ["run", "--config", configuration])
    let rate = try await measureBacklog(total, daemon, into: &report)
    try await measureLatency(rate: rate / 2, feeder, total, daemon, into: &report)
    daemon.send(SIGTERM)
    try await daemon.wait(within: 10)
  }

  private func text(_ directory: String) -> String {
    """
    application_id: \(name)
    instance_id: bench
    state_directory: \(directory)
    kafka: {bootstrap_servers: "\(brokers)"}
    topics: {borrower_events: \(input), industry_indicators: \(name)-indicators, alerts: \(name)-alerts,
      leads: \(name)-leads, scores: \(name)-scores, repayment_forecasts: \(name)-forecasts, dead_letters: \(name)-dead}
    models: \(models)
    workers: \(workers)
    http: {listen: "127.0.0.1:0"}
    log: {level: warning}
    """
  }

  private func feedBacklog(_ feeder: Feeder, start: EventTime) throws -> Int64 {
    var world = World(seed: 5, borrowers: borrowers, days: days, start: start)
    var event = BorrowerEvent()
    var bytes = ByteBuffer()
    var records: [FeedRecord] = []
    var total: Int64 = 0
    var more = true
    while more {
      more = world.next(into: &event)
      if more {
        records.append(record(event, &bytes))
        total += 1
      }
      if records.count >= 200_000 || !more {
        try feeder.write(records, to: input)
        records.removeAll(keepingCapacity: true)
      }
    }
    return total
  }

  private func record(_ event: BorrowerEvent, _ bytes: inout ByteBuffer) -> FeedRecord {
    bytes.removeAll()
    event.encode(.json, into: &bytes)
    let key = unsafe event.withBytes(of: event.borrowerID) { unsafe Array($0) }
    return FeedRecord(key: key, value: unsafe Array(bytes.bytes), timestamp: event.occurredAt.milliseconds)
  }

  /// Between a tenth of the backlog and its end. Returns events a second.
  private func measureBacklog(_ total: Int64, _ daemon: ChildProcess, into report: inout Report) async throws -> Double
  {
    let probe = KafkaProbe(brokers: brokers, group: name)
    let deadline = Clocks.monotonic + 900_000_000_000
    var first: (events: Int64, time: Int64, cpu: Double)?
    var last = (events: Int64(0), time: Int64(0), cpu: 0.0)
    while last.events < total {
      try await Task.sleep(for: .milliseconds(100))
      guard daemon.isRunning, Clocks.monotonic < deadline else {
        throw BenchmarkFailed(
          description: "the daemon did not work off the backlog: \(daemon.standardError.suffix(500))")
      }
      last = (
        probe.committed(topic: input, partitions: partitions), Clocks.monotonic,
        Clocks.cpuSeconds(of: daemon.identifier)
      )
      if first == nil && last.events > total / 10 { first = last }
    }
    guard let first, last.events > first.events else {
      throw BenchmarkFailed(description: "the backlog was too short to measure")
    }
    let events = Double(last.events - first.events)
    let rate = events / (Double(last.time - first.time) / 1e9)
    report.add(group, "backlog", Double(total), "events")
    report.add(group, "throughput, event read to outputs committed", rate, "events/s")
    report.add(group, "CPU of the whole process", (last.cpu - first.cpu) / events * 1e6, "µs/event")
    report.add(group, "resident memory", Double(Clocks.residentBytes(of: "\(daemon.identifier)")) / 1e6, "MB")
    return rate
  }

  /// A steady stream for 20 s, after 10 s of the same that are not counted: the first events of a new day move every
  /// borrower's windows, and the broker meets this load for the first time. An event's id carries when it was handed to
  /// the producer.
  private func measureLatency(
    rate: Double, _ feeder: Feeder, _ before: Int64, _ daemon: ChildProcess, into report: inout Report
  ) async throws {
    let rate = min(rate, 40_000)
    var stream = Stream(borrowers: borrowers, days: days)
    try await feed(&stream, rate: rate, seconds: 10, mark: "w", feeder)
    let reader = LatencyReader(brokers: brokers, topic: "\(name)-scores", partitions: partitions)
    let cpu = Clocks.cpuSeconds(of: daemon.identifier)
    let seconds = 20.0
    let sent = try await feed(&stream, rate: rate, seconds: seconds, mark: "t", feeder)
    let used = Clocks.cpuSeconds(of: daemon.identifier) - cpu
    try feeder.write([], to: input)
    let deadline = Clocks.monotonic + 20_000_000_000
    while reader.count < sent, Clocks.monotonic < deadline { try await Task.sleep(for: .milliseconds(20)) }
    let latencies = reader.end()
    guard latencies.count >= sent else {
      throw BenchmarkFailed(description: "\(sent - latencies.count) of \(sent) events were not scored")
    }
    report.add(group, "rate of the latency measurement", Double(sent) / seconds, "events/s")
    report.add(group, "CPU of the whole process at that rate", used / Double(sent) * 1e6, "µs/event")
    for share in [0.5, 0.99, 0.999] {
      let value = latencies[min(latencies.count - 1, Int(share * Double(latencies.count)))]
      report.add(group, "event written to outputs visible, p\(share * 100)", value, "ms")
    }
  }

  /// Events of a world that begins anew when it ends, none of them of a due date or an erasure.
  private struct Stream: ~Copyable {
    let borrowers: Int
    let days: Int
    var world: World
    var event = BorrowerEvent()

    init(borrowers: Int, days: Int) {
      self.borrowers = borrowers
      self.days = days
      world = World(seed: 5, borrowers: borrowers, days: days)
    }

    mutating func next() {
      while true {
        guard world.next(into: &event) else {
          world = World(seed: 5, borrowers: borrowers, days: days)
          continue
        }
        if event.kind != .borrowerErased && event.dueAt.milliseconds < 0 { return }
      }
    }
  }

  /// Returns how many were sent.
  @discardableResult private func feed(
    _ stream: inout Stream, rate: Double, seconds: Double, mark: String, _ feeder: Feeder
  ) async throws -> Int {
    var bytes = ByteBuffer()
    let start = Clocks.monotonic
    var sent = 0
    while Double(Clocks.monotonic - start) / 1e9 < seconds {
      let due = Int(Double(Clocks.monotonic - start) / 1e9 * rate)
      var records: [FeedRecord] = []
      while sent < due {
        stream.next()
        stream.event.occurredAt = EventTime(milliseconds: Clocks.now)
        stream.event.eventID = stream.event.appendText("\(mark)\(Clocks.monotonic)-\(sent)")
        records.append(record(stream.event, &bytes))
        sent += 1
      }
      try feeder.enqueue(records, to: input)
      try await Task.sleep(for: .milliseconds(1))
    }
    return sent
  }
}
