import Foundation
import Models
import Pipeline
import Scoring

/// One seeded run: instances of the real worker over the simulated cluster, with kills, pauses, lost answers, rebalances
/// and everything else of `Fault` at every step; then what was published is compared with what the log says.
///
///     let report = FaultRun(seed: 7, models: models, modelsDirectory: directory).run()
///     report.problems      // empty
///
/// The same seed gives the same run.
public final class FaultRun {
  public struct Report: Sendable {
    public var seed: UInt64
    /// Empty when nothing was lost, repeated, taken back or left undone.
    public var problems: [String] = []
    public var faults: [Fault: Int] = [:]
    public var records = 0
    public var processes = 0
    public var restores = 0
    /// Of the restores those that a local snapshot spared the state topic.
    public var snapshotsTaken = 0
    public var snapshotsWritten = 0
    /// Records of the control topic.
    public var controlRecords = 0
    public var rebalances = 0
    /// Hand-overs between simulated threads.
    public var switches = 0
    /// Of the virtual clock.
    public var seconds = 0.0
    /// By partition, at the end.
    public var stateHashes: [Int32: String] = [:]
  }

  private let seed: UInt64
  let models: [ModelSet]
  private let mutation: Mutation?
  var random: RandomSource
  let scheduler = Scheduler()
  private let faults: FaultInjection
  let cluster: SimulatedCluster
  private let base: PipelineSettings
  private let workersOfEach: Int
  private let instancesMax: Int
  private let decisions: [DecisionSettings]
  private let swapsModels: Bool
  /// Whether somebody asks for things by the control topic while it runs.
  private let isControlled: Bool
  /// Where each instance's disk is; nil where none keeps snapshots.
  private let disks: String?
  var events: SimulatedEvents
  private var eventsLeft: Int
  /// Events between two looks at what may go wrong: few of them make a long run.
  private let eventsAtOnceMax: Int
  private var processes: [SimulatedProcess] = []
  var report: Report
  /// Takes a line for each thing that happens.
  private let trace: (@Sendable (String) -> Void)?
  private var isOver = false

  /// How long a run may take to settle when nothing goes wrong any more, in nanoseconds.
  private static let settlingMax: Int64 = 300_000_000_000

  /// `isDisturbed` false: one instance, and nothing goes wrong.
  public init(
    seed: UInt64, models: [ModelSet], modelsDirectory: String, mutation: Mutation? = nil, isDisturbed: Bool = true,
    trace: (@Sendable (String) -> Void)? = nil
  ) {
    self.trace = trace
    self.seed = seed
    self.models = models
    self.mutation = mutation
    var random = RandomSource(seed: RandomSource.mix(seed))
    faults = FaultInjection(seed: seed, scheduler: scheduler)
    faults.isOn = isDisturbed
    let partitions = random.integer(1...4)
    cluster = SimulatedCluster(partitions: partitions, scheduler: scheduler, faults: faults)
    var settings = PipelineSettings()
    settings.modelsDirectory = modelsDirectory
    settings.checkpointIntervalMilliseconds = Int64(random.integer(20...4_000))
    settings.limits.entriesMax = random.integer(3...60)
    settings.limits.sliceBytesMax = random.integer(200...3_000)
    settings.idleAfterMilliseconds = random.happens(0.3) ? Int64(random.integer(500...4_000)) : 0
    base = settings
    var decisions = [DecisionSettings()]
    if random.happens(0.4) {
      var other = DecisionSettings()
      other.alerts.medium = 0.4
      other.leads.utilizationThreshold = 0.8
      decisions.append(other)
    }
    let swapsModels = random.happens(0.3)
    let workersOfEach = random.integer(1...2)
    let instancesMax = isDisturbed ? random.integer(1...3) : 1
    events = SimulatedEvents(seed: seed, borrowers: random.integer(2...24))
    eventsLeft = random.integer(20...160)
    eventsAtOnceMax = random.integer(1...24)
    isControlled = random.happens(0.5)
    disks = random.happens(0.6) ? "\(NSTemporaryDirectory())lendpulse-disks-\(UUID().uuidString)" : nil
    self.decisions = decisions
    self.swapsModels = isDisturbed && swapsModels
    self.workersOfEach = workersOfEach
    self.instancesMax = instancesMax
    self.random = random
    report = Report(seed: seed)
  }

  public func run() -> Report {
    cluster.attend { [self] in isOver }
    scheduler.spawn(nil) { [self] in
      disturb()
      faults.isOn = false
      settle()
      if report.problems.isEmpty { restoreAnew() }
      for process in processes { process.kill() }
      isOver = true
    }
    scheduler.run()
    if let disks { try? FileManager.default.removeItem(atPath: disks) }
    // What holds each other is let go.
    for process in processes { process.forget() }
    report.controlRecords = Int(cluster.control.end)
    cluster.close()
    report.faults = faults.counts
    report.rebalances = cluster.group.generation
    report.switches = scheduler.switches
    report.seconds = Double(scheduler.now) / 1e9
    return report
  }

  // MARK: Processes

  private var living: [SimulatedProcess] { processes.filter { !$0.hasEnded } }
  var awake: [SimulatedProcess] { living.filter { $0.pausedUntil <= scheduler.now } }

  private func start(_ name: String) {
    var settings = base
    settings.instanceID = name
    settings.engine.settings = decisions[random.integer(0...decisions.count - 1)]
    let used = swapsModels ? models[random.integer(0...models.count - 1)] : models[0]
    // Its disk outlives a process; another instance has another one.
    if let disks {
      settings.stateDirectory = "\(disks)/\(name)"
      try? FileManager.default.createDirectory(atPath: "\(disks)/\(name)", withIntermediateDirectories: true)
    }
    let process = SimulatedProcess(name: name, settings: settings, workers: workersOfEach)
    let broker = SimulatedBroker(cluster, process, mutation)
    report.processes += 1
    processes.append(process)
    scheduler.spawn(process) { [self] in begin(process, broker, used) }
  }

  /// What a process does before its workers run: it reads the control topic to its end.
  private func begin(_ process: SimulatedProcess, _ broker: SimulatedBroker, _ used: ModelSet) {
    let control = ControlCenter(
      settings: process.settings, models: used, channel: SimulatedControlChannel(broker),
      clock: SimulatedClock(scheduler))
    guard (try? control.prepare()) != nil, !process.isDead else {
      process.endedWorkers = process.startedWorkers
      return
    }
    process.control = control
    scheduler.spawn(process) { while !process.hasEnded { control.look() } }
    for index in 0..<workersOfEach {
      scheduler.spawn(process) { [self] in run(index, of: process, broker, control, used) }
    }
  }

  /// A worker's own thread.
  private func run(
    _ index: Int, of process: SimulatedProcess, _ broker: SimulatedBroker, _ control: ControlCenter, _ used: ModelSet
  ) {
    defer { process.endedWorkers += 1 }
    var context = WorkerContext(
      settings: process.settings, broker: broker, models: used,
      log: SimulationLog(scheduler, process, trace) { [self] in note($0) },
      clock: SimulatedClock(scheduler), partitionCount: cluster.partitions, control: control)
    context.makeLane = { [scheduler] in SimulatedLane(scheduler, process) }
    if let mutation { context.exchange = { mutation.exchange($0) } }
    guard let worker = try? Worker(index: index, context: context, board: StatusBoard()) else { return }
    process.workers.append(worker)
    while !process.isDead, worker.turn(isStopRequested: process.isStopping) {}
    report.restores += worker.restoresDone
    if !process.isDead, worker.failure == nil { checkSnapshots(of: worker, process) }
    if !process.isDead, let failure = worker.failure {
      process.failure = failure
      process.isStopping = true
    }
  }

  /// A clean stop leaves one of every live partition, but of those in the middle of a record.
  private func checkSnapshots(of worker: Worker, _ process: SimulatedProcess) {
    guard let directory = process.settings.stateDirectory else { return }
    for partition in worker.livePartitions where worker.isBetweenRecords(partition) {
      let path = "\(directory)/\(process.settings.applicationID)-\(partition).snapshot"
      guard !FileManager.default.fileExists(atPath: path) else { continue }
      report.problems.append("a clean stop of \(process.name) left no snapshot of partition \(partition)")
    }
  }

  private func note(_ event: PipelineEvent) {
    switch event {
    case .restored(_, _, let summary) where summary.isFromSnapshot: report.snapshotsTaken += 1
    case .snapshotWritten: report.snapshotsWritten += 1
    default: break
    }
  }

  // MARK: The disturbed part

  private func disturb() {
    start("a")
    while eventsLeft > 0 {
      scheduler.rest(Int64(random.integer(1_000_000...400_000_000)))
      feed(random.integer(0...eventsAtOnceMax))
      if isControlled, random.happens(0.2) { ask() }
      if faults.isOn { interfere() }
      keepRunning()
    }
  }

  private func feed(_ count: Int) {
    for _ in 0..<min(count, eventsLeft) {
      eventsLeft -= 1
      let event = events.next(at: SimulatedClock.wall(at: scheduler.now) + Int64(random.integer(0...1_000)))
      // One partition for each borrower; a key that the broker's partitioner would put elsewhere is as good.
      let number = Int(event.key.dropFirst()) ?? 0
      _ = cluster.input[number % cluster.partitions].append(
        SimulatedLog.Record(
          offset: 0, key: Array(event.key.utf8), value: Array(event.value.utf8), timestamp: event.timestamp),
        gap: random.happens(0.1) ? 1 : 0)
    }
    for process in living { scheduler.wake(process) }
  }

  /// What an operator, a machine or the kernel does.
  private func interfere() {
    guard random.happens(0.25), let process = living.randomElement(using: &random) else { return }
    switch random.integer(0...5) {
    case 0:
      faults.count(.crash)
      process.kill()
    case 1:
      faults.count(.cleanStop)
      process.isStopping = true
    case 2:
      faults.count(.pause)
      faults.pause(process)
    case 3 where process.pausedUntil > scheduler.now:
      // Another one takes its name while it sleeps, as a supervisor does that thinks it dead.
      faults.count(.instanceReplaced)
      start(process.name)
      scheduler.spawn(nil, after: process.pausedUntil - scheduler.now + Int64(random.integer(0...8_000)) * 1_000_000) {
        process.kill()
      }
    default:
      let names = ["a", "b", "c"].prefix(instancesMax)
      guard let name = names.first(where: { name in !living.contains { $0.name == name } }) else { return }
      faults.count(.instanceAdded)
      start(name)
    }
  }

  /// A supervisor.
  private func keepRunning() {
    if living.isEmpty || random.happens(0.1) && !living.contains(where: { $0.name == "a" }) { start("a") }
  }

  // MARK: The end

  private func settle() {
    let deadline = scheduler.now + Self.settlingMax
    while !isSettled {
      scheduler.rest(100_000_000)
      keepRunning()
      if scheduler.now > deadline {
        report.problems.append("not settled: \(whatIsMissing)")
        return
      }
    }
    compare()
  }

  /// Everything is read, decided, published and committed, and nothing is under way.
  private var isSettled: Bool { whatIsMissing.isEmpty }

  private var whatIsMissing: String {
    let workers = awake.flatMap(\.workers)
    for partition in 0..<Int32(cluster.partitions) {
      let owners = workers.filter { $0.livePartitions.contains(partition) }
      guard owners.count == 1, let owner = owners.first, owner.isQuiet else {
        return "partition \(partition) has \(owners.count) owners: \(workers.map(\.summary))"
      }
      guard !cluster.hasPending(partition) else { return "a transaction is open over partition \(partition)" }
      let log = cluster.log(.input, partition)
      if let last = log.records.last, cluster.committed[partition].map({ $0.offset <= last.offset }) ?? true {
        return
          "partition \(partition) is committed to \(cluster.committed[partition]?.offset ?? -1) of \(last.offset + 1)"
      }
      guard cluster.log(.journal, partition).stableEnd == cluster.log(.journal, partition).end else {
        return "the journal of partition \(partition) has an open transaction"
      }
    }
    if let behind = awake.first(where: { $0.control?.end != cluster.control.end }) {
      return "\(behind.name) has not read the control topic to its end"
    }
    let logs = LogReplay.topics.flatMap { cluster.published($0) }
    return logs.contains { $0.stableEnd != $0.end } ? "an output has an open transaction" : ""
  }

  private func compare() {
    let wanted: LogReplay
    do {
      wanted = try LogReplay(cluster, base.engine, models: models)
    } catch {
      report.problems.append("\(error)")
      return
    }
    let found = LogReplay.published(cluster)
    report.records = found.values.reduce(0) { $0 + $1.count }
    for name in Set(found.keys).union(wanted.outputs.keys).sorted() {
      if let problem = Self.difference(name, found[name] ?? [], wanted.outputs[name] ?? []) {
        report.problems.append(problem)
      }
    }
    for worker in awake.flatMap(\.workers) {
      for partition in worker.livePartitions {
        report.stateHashes[partition] = worker.stateHash(of: partition)
        if report.stateHashes[partition] != wanted.hashes[partition] {
          report.problems.append(
            "the state of partition \(partition) is another one: \(worker.stateDetails(of: partition)), should be"
              + " \(wanted.details[partition] ?? "")")
        }
      }
    }
    compareControl(wanted)
    if !report.problems.isEmpty { report.problems.append("journals: \(wanted.journals)") }
  }

  /// The first difference, with what stands around it; nil when there is none.
  private static func difference(_ name: String, _ found: [String], _ wanted: [String]) -> String? {
    guard found != wanted else { return nil }
    let index = zip(found, wanted).prefix { $0 == $1 }.count
    let one = index < found.count ? found[index] : "missing"
    let other = index < wanted.count ? wanted[index] : "missing"
    let same = zip(one, other).prefix { $0 == $1 }.count
    func around(_ text: String) -> Substring { text.dropFirst(max(0, same - 60)).prefix(200) }
    return
      "\(name): \(found.count) records, should be \(wanted.count); number \(index) differs from its character \(same) on: "
      + "\(around(one)) should be \(around(other))"
  }

  /// All processes die, and one reads everything back.
  private func restoreAnew() {
    for process in living { process.kill() }
    start("z")
    let deadline = scheduler.now + Self.settlingMax
    while !isSettled {
      scheduler.rest(100_000_000)
      if living.isEmpty { start("z") }
      if scheduler.now > deadline {
        report.problems.append("not settled after a restore: \(whatIsMissing)")
        return
      }
    }
    compare()
  }
}

extension RandomSource: RandomNumberGenerator {}

/// What the workers have to say, with the process and the virtual time.
private final class SimulationLog: EventLog, @unchecked Sendable {
  // Used by the thread whose turn it is.
  private let scheduler: Scheduler
  private let process: SimulatedProcess
  private let trace: (@Sendable (String) -> Void)?
  private let note: (PipelineEvent) -> Void

  init(
    _ scheduler: Scheduler, _ process: SimulatedProcess, _ trace: (@Sendable (String) -> Void)?,
    note: @escaping (PipelineEvent) -> Void
  ) {
    self.scheduler = scheduler
    self.process = process
    self.trace = trace
    self.note = note
  }

  func record(_ event: PipelineEvent) {
    note(event)
    guard let trace else { return }
    let fields = event.fields.map { "\($0.name) \($0.value)" }.joined(separator: ", ")
    trace("\(scheduler.now / 1_000_000) ms \(process.name)\(process.isDead ? " (dead)" : ""): \(event.name) \(fields)")
  }
}
