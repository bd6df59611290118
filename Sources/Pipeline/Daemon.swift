import Borrowers
import Models
import Synchronization

/// The whole pipeline of a process: its workers, each with threads of its own.
///
///     let daemon = Daemon(settings: settings, broker: broker, models: models, log: log)
///     try daemon.start()
///     ... daemon.status ...
///     daemon.stop(waitMilliseconds: 5_000)
///
/// Any thread may call it.
public final class Daemon: Sendable {
  private let settings: PipelineSettings
  private let broker: any Broker
  private let models: ModelSet
  private let log: any EventLog
  private let clock: any Clock
  private let boards: [StatusBoard]
  let inboxes: [WorkerInbox]
  private let isStopRequested = Atomic(false)
  private let ended = Mailbox<BrokerError?>()
  private let started = Mutex<(control: ControlCenter?, partitions: Int?)>((nil, nil))
  private let outcome = Mutex<(endedWorkers: Int, error: BrokerError?)>((0, nil))

  public init(
    settings: PipelineSettings, broker: any Broker, models: ModelSet, log: any EventLog,
    clock: any Clock = SystemClock()
  ) {
    self.settings = settings
    self.broker = broker
    self.models = models
    self.log = log
    self.clock = clock
    boards = (0..<max(1, settings.workers)).map { _ in StatusBoard() }
    inboxes = boards.map { _ in WorkerInbox() }
  }

  /// Connects, checks the topics, starts the workers. Returns when they run; they restore and score from then on.
  /// Throws one clear line when the broker is not there, refuses the login, or a topic is missing or unfit.
  public func start() throws(BrokerError) {
    let partitions = try broker.prepare()
    let control = ControlCenter(
      settings: settings, models: models, channel: try broker.makeControlChannel(), clock: clock, log: log)
    try control.start()
    started.withLock { $0 = (control, partitions) }
    let context = WorkerContext(
      settings: settings, broker: broker, models: models, log: log, clock: clock, partitionCount: partitions,
      control: control)
    context.snapshots?.sweep(wall: clock.wall)
    for index in boards.indices {
      startThread { [self] in
        let error = runWorker(index, context)
        // One that fails ends all: what it held is taken over where it stands, by a restart or by others.
        if error != nil { isStopRequested.store(true, ordering: .relaxed) }
        ended.put(error)
      }
    }
  }

  private func runWorker(_ index: Int, _ context: WorkerContext) -> BrokerError? {
    do throws(BrokerError) {
      let worker = try Worker(index: index, context: context, board: boards[index], inbox: inboxes[index])
      return worker.run { isStopRequested.load(ordering: .relaxed) }
    } catch {
      log.record(.failed(worker: index, reason: error.description))
      return error
    }
  }

  /// Asks the workers to finish, commit and leave the group; returns at once.
  public func requestStop() {
    isStopRequested.store(true, ordering: .relaxed)
    control?.stop()
  }

  /// What is asked for while it runs; nil before the start.
  public var control: ControlCenter? { started.withLock { $0.control } }
  /// Of the input topic; nil before the start.
  public var partitionCount: Int? { started.withLock { $0.partitions } }

  /// Waits until all workers have ended; nil `waitMilliseconds`: for ever. Returns whether they have. What is not
  /// committed then is decided again at the next start: nothing is lost.
  public func waitUntilEnded(waitMilliseconds: Int?) -> Bool {
    let deadline = waitMilliseconds.map { clock.monotonic + Int64($0) * 1_000_000 }
    while outcome.withLock({ $0.endedWorkers }) < boards.count {
      let left = deadline.map { Int(($0 - clock.monotonic) / 1_000_000) }
      if let left, left <= 0 { return false }
      // Woken by each worker; asked again every second, since another thread may have taken the message.
      guard let error = ended.take(waitMilliseconds: min(left ?? 1_000, 1_000)) else { continue }
      outcome.withLock { outcome in
        outcome.endedWorkers += 1
        if outcome.error == nil { outcome.error = error }
      }
    }
    return true
  }

  /// Stops: finish, commit, leave the group. Returns whether all ended in time.
  @discardableResult public func stop(waitMilliseconds: Int = 5_000) -> Bool {
    requestStop()
    return waitUntilEnded(waitMilliseconds: waitMilliseconds)
  }

  /// What made it end, of the worker that failed first; nil while it runs and after a clean stop.
  public var failure: BrokerError? { outcome.withLock { $0.error } }

  /// The newest picture, a few times a second; never waits for the loop.
  public var status: PipelineStatus {
    var all = PipelineStatus()
    for board in boards { all.merge(board.read()) }
    all.partitions.sort { $0.partition < $1.partition }
    return all
  }
}
