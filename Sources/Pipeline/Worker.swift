// Where the work happens: one worker is one thread that shares nothing. Its loop is `turn`.

import Borrowers
import Models
import Scoring
import Synchronization

/// What every worker of a process is made of.
package struct WorkerContext: Sendable {
  var settings: PipelineSettings
  var broker: any Broker
  var models: ModelSet
  var log: any EventLog
  var clock: any Clock
  var partitionCount: Int
  /// Nil: what the configuration says, and no changes.
  package var control: ControlCenter?
  /// Where committing and restoring happen; nil: on threads of their own.
  package var makeLane: (@Sendable () -> any BackgroundLane)?
  /// For tests that show that a mistake is found: what is done in place of an action, nil for nothing.
  package var exchange: (@Sendable (WorkerAction) -> WorkerAction?)?

  package init(
    settings: PipelineSettings, broker: any Broker, models: ModelSet, log: any EventLog, clock: any Clock,
    partitionCount: Int, control: ControlCenter? = nil
  ) {
    self.settings = settings
    self.broker = broker
    self.models = models
    self.log = log
    self.clock = clock
    self.partitionCount = partitionCount
    self.control = control
  }

  /// Nil where none are kept.
  var snapshots: SnapshotStore? {
    settings.stateDirectory.map {
      SnapshotStore(
        directory: $0, applicationID: settings.applicationID,
        ageMaxMilliseconds: broker.stateDeleteRetentionMilliseconds / 2)
    }
  }

  func makeDecoding() -> RecordDecoding {
    RecordDecoding(
      inputTopic: settings.topics.borrowerEvents, partitions: partitionCount,
      deadLetterBytesMax: broker.deadLetterBytesMax)
  }
}

/// Used by its own thread alone.
package final class Worker {
  static let recordsPerPollMax = 512
  static let idleWaitMilliseconds = 100

  let index: Int
  let context: WorkerContext
  let settings: PipelineSettings
  let board: StatusBoard
  let control: ControlCenter
  let inbox: WorkerInbox
  var previews: [PreviewRun] = []
  let consumer: any InputConsumer
  let committer: Background<CommitRequest, CommitAnswer>
  let restorer: Background<RestoreRequest, RestoreAnswer>
  /// Made when partition 0 comes here.
  var forecastReader: Background<ForecastRequest, ForecastAnswer>?

  var state = WorkerState()
  var runners: [Int32: PartitionRunner] = [:]
  /// Assigned, and not accepted yet.
  var unaccepted: [Int32]?
  /// Restored, and waiting to be fetched from where they stand.
  var starting: Set<Int32> = []
  /// What the control topic says is still to be compared with what is in force.
  var unadopted: Set<Int32> = []
  /// Of the book that every partition has taken all of.
  var controlVersion: UInt64 = 0
  var restores: [Int32: RestoreRequest] = [:]
  var problems: [Int32: String] = [:]
  /// Where partition 0 is live.
  var forecasting: Forecasting?
  var filling = Transaction()
  /// With the committing thread, or to be handed to it again.
  var underWay: Transaction?
  var spare: Transaction? = Transaction()
  var policy: CommitPolicy
  var republishAt: Int64?
  var decoding: RecordDecoding
  var records: [LogRecord] = []
  var status = WorkerReport()
  var endedWith: BrokerError??
  /// Where the budget of a transaction's slices goes first.
  var nextCheckpoint: Int32 = 0

  package convenience init(index: Int, context: WorkerContext, board: StatusBoard) throws(BrokerError) {
    try self.init(index: index, context: context, board: board, inbox: WorkerInbox())
  }

  init(index: Int, context: WorkerContext, board: StatusBoard, inbox: WorkerInbox) throws(BrokerError) {
    self.inbox = inbox
    self.index = index
    self.context = context
    self.board = board
    settings = context.settings
    let control =
      context.control
      ?? ControlCenter(settings: context.settings, models: context.models, channel: nil, clock: context.clock)
    self.control = control
    policy = CommitPolicy(intervalMilliseconds: settings.commitIntervalMilliseconds)
    decoding = context.makeDecoding()
    let consumer = try context.broker.makeConsumer(worker: index)
    self.consumer = consumer
    let waker = Waker(consumer)
    let work = Committer(clock: context.clock) { [broker = context.broker] () throws(BrokerError) in
      try broker.makeProducer(worker: index)
    }
    committer = Background(
      lane: context.makeLane?(), answered: { waker.wake() }, finish: { work.close() }, { work.perform($0) })
    let reading = Restorer(
      settings: settings, control: control, decoding: context.makeDecoding(),
      snapshots: context.snapshots, clock: context.clock
    ) { [broker = context.broker] () throws(BrokerError) in try broker.makeReader(worker: index) }
    restorer = Background(
      lane: context.makeLane?(), answered: { waker.wake() }, finish: { reading.close() }, { reading.perform($0) })
    inbox.onQuestion { waker.wake() }
    committer.submit(.open(afterMilliseconds: 0))
  }

  // MARK: The loop

  /// One turn: what others did, what came in, what goes out. False when the worker has ended.
  package func turn(isStopRequested: Bool) -> Bool {
    takeNotices()
    takeAnswers(waitMilliseconds: 0)
    if isStopRequested { perform(state.handle(.stopRequested)) }
    guard endedWith == nil else { return false }
    acceptAssigned()
    startRestored()
    if !state.isStopping { decideBetweenRecords() }
    answerQuestions()

    let polledAt = context.clock.monotonic
    consumer.poll(
      into: &records, limit: Self.recordsPerPollMax,
      waitMilliseconds: waitMilliseconds(at: polledAt))
    let now = context.clock.monotonic
    // While it stops it polls for the group's sake: what is decided now would not be committed any more, and would leave
    // the states ahead of what is.
    if !state.isStopping {
      apply(at: now)
      if records.isEmpty { advanceIdle(at: now) }
    }
    commitWhenDue(at: now, inputIsDry: records.count < Self.recordsPerPollMax)
    publishStatus(at: now)
    return endedWith == nil
  }

  /// Runs to its end; returns what made it fail.
  func run(isStopRequested: () -> Bool) -> BrokerError? {
    context.log.record(.workerStarted(worker: index))
    while turn(isStopRequested: isStopRequested()) {}
    context.log.record(.workerEnded(worker: index))
    return endedWith ?? nil
  }

  /// Until a cut is due. None is while a transaction is under way: its answer ends the waiting.
  private func waitMilliseconds(at now: Int64) -> Int {
    underWay == nil ? policy.waitMilliseconds(at: now, idleMax: idleWait) : idleWait
  }

  /// While an assigned or a restored partition cannot be fetched yet, or a transaction is to be handed over again, turns are short.
  private var idleWait: Int {
    guard previews.isEmpty else { return 0 }
    return starting.isEmpty && republishAt == nil && unaccepted == nil ? Self.idleWaitMilliseconds : 5
  }

  private func decideBetweenRecords() {
    takeControl()
    finishSteps()
    forecast(at: context.clock.monotonic)
  }

  // MARK: Input

  private func apply(at now: Int64) {
    var index = 0
    var applied = 0
    while index < records.count, endedWith == nil {
      let partition = records[index].partition
      var end = index + 1
      while end < records.count, records[end].partition == partition { end += 1 }
      guard state.phase(partition) == .live, !starting.contains(partition), let runner = runners[partition] else {
        // Not ours to apply: fetched before it was begun, or after it was revoked.
        index = end
        continue
      }
      finishSteps(of: runner)
      let first = index
      let started = context.clock.monotonic
      let pause = runner.advance(records, &index, to: end, &decoding, &filling.outputs, now: now) { offset, code in
        context.log.record(
          .deadLetter(worker: self.index, partition: partition, offset: offset, code: code.name.description))
      }
      if index > first {
        applied += index - first
        status.noteScored(index - first, nanoseconds: context.clock.monotonic - started)
      }
      policy.noteWork(at: now)
      if pause == .full {
        noteArrivals(&applied, at: now)
        makeRoom()
      }
    }
    noteArrivals(&applied, at: now)
  }

  private func noteArrivals(_ applied: inout Int, at now: Int64) {
    if applied > 0 { filling.arrivals.append((at: now, count: applied)) }
    applied = 0
  }

  /// Hands the full batch over, waiting for the one under way. What must be answered by polling waits meanwhile.
  private func makeRoom() {
    while isFull, endedWith == nil {
      perform(state.handle(.commitDue))
      guard isFull, endedWith == nil else { return }
      republishWhenDue(at: context.clock.monotonic)
      takeAnswers(waitMilliseconds: 20)
    }
  }

  /// Partitions whose input is silent: their watermark goes on with the wall clock.
  private func advanceIdle(at now: Int64) {
    guard settings.idleAfterMilliseconds > 0, underWay == nil else { return }
    for runner in liveRunners where !starting.contains(runner.partition) {
      guard
        let watermark = runner.idleWatermark(
          idleAfterMilliseconds: settings.idleAfterMilliseconds,
          latenessMilliseconds: settings.engine.allowedLatenessMilliseconds, now: now, wall: context.clock.wall)
      else { continue }
      runner.take(.idleAdvance(watermark: watermark), &filling.outputs)
      policy.noteWork(at: now)
    }
  }

  /// Steps of journal entries come before the next record.
  private func finishSteps() {
    guard runners.values.contains(where: \.hasSteps) else { return }
    for runner in liveRunners where !starting.contains(runner.partition) { finishSteps(of: runner) }
  }

  private func finishSteps(of runner: PartitionRunner) {
    guard runner.hasSteps else { return }
    policy.noteWork(at: context.clock.monotonic)
    while state.phase(runner.partition) == .live, endedWith == nil, !runner.finishSteps(&filling.outputs) { makeRoom() }
  }

  /// Takes what the control topic says and is not in force yet, each at one point of each partition's log, and journals
  /// it.
  private func takeControl() {
    let newest = control.bookVersion
    guard newest != controlVersion || !unadopted.isEmpty else { return }
    let book = control.book
    var isBehind = false
    for runner in liveRunners where !starting.contains(runner.partition) {
      if takeControl(of: book, runner) { unadopted.remove(runner.partition) } else { isBehind = true }
    }
    if !isBehind { controlVersion = newest }
  }

  /// False when not all could be taken: a record is under work, the partition went meanwhile, or it is ahead of the book.
  private func takeControl(of book: ControlBook, _ runner: PartitionRunner) -> Bool {
    while state.phase(runner.partition) == .live, endedWith == nil {
      finishSteps(of: runner)
      guard runner.isBetweenRecords, runners[runner.partition] === runner else { return false }
      guard book.covers(runner.controlCursor) else {
        control.noteAhead(runner.controlCursor ?? 0)
        return false
      }
      let next = book.next(
        &runner.controlCursor, partition: runner.partition, settings: runner.engine.settings,
        modelsDigest: runner.engine.modelsDigest)
      if let next {
        runner.take(next.entry, models: next.models, &filling.outputs)
        logTaken(next.entry, runner.partition)
      } else if runner.engine.forecastEveryHours != settings.engine.forecastEveryHours {
        let hours = settings.engine.forecastEveryHours
        runner.take(.forecastInterval(hours: hours), &filling.outputs)
        context.log.record(.forecastIntervalTaken(worker: index, partition: runner.partition, hours: hours))
      } else {
        return true
      }
      policy.noteWork(at: context.clock.monotonic)
    }
    return false
  }

  private func logTaken(_ entry: JournalEntry, _ partition: Int32) {
    guard case .control(_, let id, let change) = entry else { return }
    switch change {
    case .settings: context.log.record(.settingsTaken(worker: index, partition: partition, controlID: id))
    case .models(let version, _):
      context.log.record(.modelsTaken(worker: index, partition: partition, version: version))
    case .alertOverride: context.log.record(.overrideTaken(worker: index, partition: partition, controlID: id))
    }
  }

  var isFull: Bool { settings.limits.areReached(by: filling.outputs) }

  /// In the order of partitions.
  var liveRunners: [PartitionRunner] {
    runners.values.filter { state.phase($0.partition) == .live }.sorted { $0.partition < $1.partition }
  }
}

/// Ends a waiting poll from another thread; `wake` is the one call of a consumer that any thread may make.
private final class Waker: @unchecked Sendable {
  private weak var consumer: (any InputConsumer)?

  init(_ consumer: any InputConsumer) { self.consumer = consumer }

  func wake() { consumer?.wake() }
}
