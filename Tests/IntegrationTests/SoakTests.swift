import Foundation
import Synchronization
import TestSupport
import Testing

/// Three real brokers and up to three daemons, under kills, pauses, restarts and growth, while events come at a fixed rate.
/// `scripts/soak` runs it; its length is `LENDPULSE_SOAK_SECONDS`.
@Suite(.serialized, .enabled(if: RealCluster.isWanted)) struct SoakTests {
  static let environment = ProcessInfo.processInfo.environment

  @Test func `whatever is killed, paused, added or taken away, every record is there once and in order`() async throws {
    let seconds = Double(Self.environment["LENDPULSE_SOAK_SECONDS"] ?? "") ?? 60
    let rate = Int(Self.environment["LENDPULSE_SOAK_RATE"] ?? "") ?? 200
    let seed = UInt64(Self.environment["LENDPULSE_SOAK_SEED"] ?? "") ?? UInt64.random(in: 1...1 << 40)
    print("soak: seed \(seed), \(Int(seconds)) s, \(rate) events/s")
    let cluster = try await RealCluster.start()
    let soak = try await Soak(cluster, seconds: seconds, rate: rate, seed: seed)
    do {
      try await soak.run()
      try soak.writeLogs()
    } catch {
      try soak.writeLogs()
      await cluster.stop()
      throw error
    }
    await cluster.stop()
  }
}

/// Three nodes that the test may kill: `LENDPULSE_KAFKA` names the program that runs them.
final class RealCluster: Sendable {
  static let tool =
    ProcessInfo.processInfo.environment["LENDPULSE_KAFKA"]
    ?? Repository.root.appendingPathComponent("../shared/kafka/kafka").standardizedFileURL.path
  static var isWanted: Bool { ProcessInfo.processInfo.environment["LENDPULSE_SOAK_SECONDS"] != nil }

  let directory: TemporaryDirectory
  let brokers: String

  private init(_ directory: TemporaryDirectory, _ brokers: String) {
    self.directory = directory
    self.brokers = brokers
  }

  static func start() async throws -> RealCluster {
    // Asked for, it must run.
    try #require(FileManager.default.isExecutableFile(atPath: tool), "\(tool) runs no Kafka")
    try #require(Repository.tool("kcat") != nil, "kcat is not installed")
    let directory = try TemporaryDirectory()
    // Below the kernel's own range, and apart from that of scripts/with-kafka.
    let port = Int.random(in: 12_000..<19_000)
    let started = try await TestSupport.run(
      tool, ["start", directory.path, "--port", "\(port)", "--nodes", "3"],
      environment: ["KAFKA_HEAP": "384m"], within: 180)
    try #require(started.status == 0, "\(started.errors)")
    let brokers = started.output.split(separator: "\n").last.map(String.init) ?? ""
    return RealCluster(directory, brokers)
  }

  func command(_ verb: String, _ node: Int) async throws {
    let done = try await TestSupport.run(Self.tool, [verb, directory.path, "\(node)"], within: 120)
    try #require(done.status == 0, "kafka \(verb) \(node): \(done.errors)")
  }

  func stop() async {
    for node in 1...3 { _ = try? await TestSupport.run(Self.tool, ["resume", directory.path, "\(node)"]) }
    _ = try? await TestSupport.run(Self.tool, ["kill", directory.path], within: 60)
  }
}

/// One soak.
private final class Soak {
  private let cluster: RealCluster
  private let deployment: Deployment
  private let seconds: Double
  private let rate: Int
  private let lines: [Data]
  private var random: SeededSource
  private var daemons: [String: ChildProcess] = [:]
  /// All that were started, in order.
  private var started: [(name: String, at: Double, daemon: ChildProcess)] = []
  private var counts: [String: Int] = [:]
  /// When a daemon was killed, in milliseconds since 1970.
  private var kills: [Int64] = []
  private let start = ContinuousClock.now

  private static let partitions = 6
  private static let instances = ["one", "two", "three"]

  init(_ cluster: RealCluster, seconds: Double, rate: Int, seed: UInt64) async throws {
    self.cluster = cluster
    self.seconds = seconds
    self.rate = rate
    random = SeededSource(state: seed)
    deployment = try Deployment(models: DaemonTests.demoModels, workers: 1, brokers: cluster.brokers)
    let wanted = Int(seconds) * rate
    let all = try await DaemonTests.simulated(borrowers: max(400, wanted / 40), days: 120, seed: Int(seed % 1_000) + 1)
    lines = Array(all.prefix(wanted))
  }

  func run() async throws {
    try await deployment.createTopics(partitions: Self.partitions)
    let expected = try await deployment.scoreFile(lines, partitions: Self.partitions)
    let wanted = (expected["scores"] ?? [:]).values.map(\.count).reduce(0, +)
    let subscriber = try deployment.subscribe("scores")
    try startDaemon("one")
    try startDaemon("two")
    let feeding = try feed()
    try await disturb()
    try await endDisturbance()
    try await feeding.value
    do {
      try await subscriber.wait(forLines: wanted, within: 180)
    } catch {
      throw Stalled(description: describeStall(subscriber, wanted))
    }
    for (name, daemon) in daemons {
      daemon.send(SIGTERM)
      let status = try await daemon.wait(within: 20)
      #expect(status == 143, "\(name): \(daemon.standardError.suffix(2_000))")
    }
    subscriber.send(SIGTERM)
    try await deployment.compare(with: expected)
    try await report(expected)
  }

  private struct Stalled: Error, CustomStringConvertible { var description: String }

  /// What is there of each partition, and what the daemons say.
  private func describeStall(_ subscriber: ChildProcess, _ wanted: Int) -> String {
    let scores = Deployment.records(subscriber.standardOutput)
    let counts = Dictionary(grouping: scores, by: \.partition).mapValues(\.count).sorted { $0.key < $1.key }
    let logs = daemons.map { "\($0): \($1.isRunning ? "runs" : "has ended")\n\($1.standardError.suffix(4_000))" }
    return "\(scores.count) of \(wanted) scores, by partition \(counts.map { "\($0.key): \($0.value)" });"
      + " faults \(self.counts)\n\(subscriber.standardError.suffix(1_000))\n" + logs.joined(separator: "\n")
  }

  private func startDaemon(_ name: String) throws {
    let configuration = try deployment.configuration(instance: name, extra: "checkpoint: {interval_s: 5}")
    let daemon = try ChildProcess(Repository.binary, ["run", "--config", configuration])
    daemons[name] = daemon
    started.append((name, elapsed, daemon))
  }

  /// At a fixed rate, on a thread of its own.
  private func feed() throws -> Task<Void, any Error> {
    let records = try lines.map(Deployment.record)
    let (topic, brokers, rate) = (deployment.topic("events"), cluster.brokers, rate)
    return Task {
      try await onThread {
        Result {
          let feeder = try Feeder(brokers: brokers, requestsInFlightMax: 1)
          let clock = ContinuousClock()
          let start = clock.now
          var sent = 0
          while sent < records.count {
            let elapsed = start.duration(to: clock.now) / .seconds(1)
            let due = min(records.count, Int(elapsed * Double(rate)))
            if due > sent { try feeder.enqueue(Array(records[sent..<due]), to: topic) }
            sent = max(sent, due)
            Thread.sleep(forTimeInterval: 0.02)
          }
          try feeder.write([], to: topic)
        }
      }.get()
    }
  }

  // MARK: What goes wrong

  private var elapsed: Double { start.duration(to: .now) / .seconds(1) }

  private func disturb() async throws {
    let end = elapsed + seconds
    try await pause(6)
    // Every other fault is a kill, so that a short run has some too.
    var isKill = false
    while elapsed < end - 8 {
      isKill.toggle()
      switch isKill ? 0 : 1 + random.next() % 7 {
      case 0: try await killDaemon()
      case 1, 2: try await pauseDaemon()
      case 3: try addDaemon()
      case 4: try await removeDaemon()
      case 5: try await killBroker()
      case 6: try await pauseBroker()
      default: try await restartBroker()
      }
      try await pause(2 + Double(random.next() % 5))
      try reviveDaemons()
    }
    if elapsed < end { try await pause(end - elapsed) }
  }

  private func pause(_ seconds: Double) async throws { try await Task.sleep(for: .seconds(seconds)) }
  private func count(_ what: String) { counts[what, default: 0] += 1 }
  private func pick() -> (name: String, daemon: ChildProcess)? {
    let running = daemons.filter { $0.value.isRunning }.sorted { $0.key < $1.key }
    guard !running.isEmpty else { return nil }
    let (name, daemon) = running[Int(random.next() % UInt64(running.count))]
    return (name, daemon)
  }

  private func killDaemon() async throws {
    guard let (name, daemon) = pick() else { return }
    count("daemon killed")
    kills.append(Int64(Date().timeIntervalSince1970 * 1_000))
    daemon.send(SIGKILL)
    try await daemon.wait(within: 10)
    try await pause(Double(random.next() % 20) / 10)
    try startDaemon(name)
    // Nothing else goes wrong for a while: how long its partitions were silent is then this kill's.
    try await pause(10)
  }

  /// Past its session, and sometimes past its transaction: it comes back as a zombie.
  private func pauseDaemon() async throws {
    guard let (_, daemon) = pick() else { return }
    count("daemon paused")
    daemon.send(SIGSTOP)
    try await pause(7 + Double(random.next() % 7))
    daemon.send(SIGCONT)
  }

  private func addDaemon() throws {
    guard let name = Self.instances.first(where: { daemons[$0]?.isRunning != true }) else { return }
    count("daemon added")
    try startDaemon(name)
  }

  private func removeDaemon() async throws {
    guard daemons.values.filter(\.isRunning).count > 1, let (name, daemon) = pick() else { return }
    count("daemon removed")
    daemon.send(SIGTERM)
    let status = try await daemon.wait(within: 20)
    #expect(status == 143, "\(name): \(daemon.standardError.suffix(2_000))")
  }

  private func killBroker() async throws {
    let node = 1 + Int(random.next() % 3)
    count("broker killed")
    try await cluster.command("kill", node)
    try await pause(1 + Double(random.next() % 5))
    try await cluster.command("up", node)
  }

  private func pauseBroker() async throws {
    let node = 1 + Int(random.next() % 3)
    count("broker paused")
    try await cluster.command("pause", node)
    try await pause(2 + Double(random.next() % 7))
    try await cluster.command("resume", node)
  }

  private func restartBroker() async throws {
    let node = 1 + Int(random.next() % 3)
    count("broker restarted")
    try await cluster.command("stop", node)
    try await cluster.command("up", node)
  }

  /// What ended by itself is started again, as its supervisor would.
  private func reviveDaemons() throws {
    for (name, daemon) in daemons where !daemon.isRunning {
      if daemon.standardError.contains("stopped") { continue }
      count("daemon ended by itself")
      print("soak: \(name) ended: \(daemon.standardError.suffix(600))")
      try startDaemon(name)
    }
    if !daemons.values.contains(where: \.isRunning) { try startDaemon("one") }
  }

  private func endDisturbance() async throws {
    for daemon in daemons.values where daemon.isRunning { daemon.send(SIGCONT) }
    try reviveDaemons()
    daemons = daemons.filter { $0.value.isRunning }
  }

  // MARK: Figures

  /// Each daemon's log, where `LENDPULSE_SOAK_LOGS` names a directory for them.
  func writeLogs() throws {
    guard let directory = SoakTests.environment["LENDPULSE_SOAK_LOGS"] else { return }
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    for (index, one) in started.enumerated() {
      let path = "\(directory)/\(index)-\(one.name).log"
      try "started after \(one.at) s\n\(one.daemon.standardError)".write(
        toFile: path, atomically: true, encoding: .utf8)
    }
  }

  private func report(_ expected: [String: [String: [String]]]) async throws {
    let faults = counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    let records = expected.mapValues { $0.values.map(\.count).reduce(0, +) }.sorted { $0.key < $1.key }
    print(
      "soak: \(lines.count) events, \(records.map { "\($0.key) \($0.value)" }.joined(separator: ", ")) compared;"
        + " \(counts.values.reduce(0, +)) faults: \(faults)")
    let gaps = try await gapsAfterKills().sorted()
    guard let worst = gaps.last else { return }
    print(
      "soak: kill -9 to the first new score of every partition: p50 \(gaps[gaps.count / 2]) ms, worst \(worst) ms"
        + " of \(gaps.count)")
  }

  /// For each kill the longest that any partition was silent from then on, by the times at which its scores were published.
  private func gapsAfterKills() async throws -> [Int64] {
    let result = try await TestSupport.run(
      Repository.tool("kcat") ?? "kcat",
      [
        "-C", "-b", cluster.brokers, "-t", deployment.topic("scores"), "-q", "-e", "-o", "beginning", "-X",
        "isolation.level=read_committed", "-f", #"%T\t%s\n"#,
      ], within: 180)
    var times: [Int: [Int64]] = [:]
    for line in result.output.split(separator: "\n") {
      guard let tab = line.firstIndex(of: "\t"), let time = Int64(line[..<tab]),
        let place = line.range(of: #""partition":"#)
      else { continue }
      times[Int(line[place.upperBound...].prefix { $0.isNumber }) ?? -1, default: []].append(time)
    }
    return kills.map { kill in
      times.values.compactMap { times in times.filter { $0 > kill }.min().map { $0 - kill } }.max() ?? 0
    }
  }
}

/// Sebastiano Vigna's SplitMix64.
private struct SeededSource {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}
