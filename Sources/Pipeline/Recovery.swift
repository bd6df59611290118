import Borrowers
import Features
import Models
import Scoring
import Synchronization

/// Asks for a partition's state as of its committed position. Cancelled by the loop when it is of no use any more.
final class RestoreRequest: Sendable {
  let partition: Int32
  let epoch: UInt64
  let afterMilliseconds: Int64
  private let cancelled = Atomic(false)

  init(partition: Int32, epoch: UInt64, afterMilliseconds: Int64) {
    self.partition = partition
    self.epoch = epoch
    self.afterMilliseconds = afterMilliseconds
  }

  func cancel() { cancelled.store(true, ordering: .relaxed) }
  var isWanted: Bool { !cancelled.load(ordering: .relaxed) }
}

struct RestoreAnswer: Sendable {
  var request: RestoreRequest
  /// Nil when it was cancelled.
  var result: Result<(runner: PartitionRunner, summary: RestoreSummary), BrokerError>?
}

/// The work of the restoring thread: reads the committed position, the state, and the tail of input and journal from
/// the state's checkpoint to that position. Other partitions go on meanwhile.
final class Restorer: @unchecked Sendable {
  // Used by the restoring thread alone (or inline by the loop's, which is then the only thread).
  private var reader: (any LogReader)?
  private var decoding: RecordDecoding
  /// The models before those of now, while partitions are restored with them.
  private var earlier: ModelSet?
  private let settings: PipelineSettings
  private let models: ModelSet
  private let clock: any Clock
  private let make: @Sendable () throws(BrokerError) -> any LogReader

  init(
    settings: PipelineSettings, models: ModelSet, decoding: consuming RecordDecoding, clock: any Clock,
    make: @escaping @Sendable () throws(BrokerError) -> any LogReader
  ) {
    self.settings = settings
    self.models = models
    self.decoding = decoding
    self.clock = clock
    self.make = make
  }

  func perform(_ request: RestoreRequest) -> RestoreAnswer {
    clock.rest(milliseconds: request.afterMilliseconds)
    guard request.isWanted else { return RestoreAnswer(request: request, result: nil) }
    do throws(BrokerError) {
      if reader == nil { reader = try make() }
      guard let reader else { preconditionFailure("no reader was made") }
      let restored = try restore(request, reader)
      return RestoreAnswer(request: request, result: request.isWanted ? .success(restored) : nil)
    } catch {
      return RestoreAnswer(request: request, result: request.isWanted ? .failure(error) : nil)
    }
  }

  func close() {
    reader?.close()
    reader = nil
  }

  private func restore(_ request: RestoreRequest, _ reader: any LogReader) throws(BrokerError)
    -> (runner: PartitionRunner, summary: RestoreSummary)
  {
    let started = clock.monotonic
    let partition = request.partition
    var summary = RestoreSummary()
    // The order matters: state that a later transaction wrote can only be ahead of a position read before it, if it was
    // not ours; and no other may write once the position is ours.
    let committed = try reader.committed(partition)
    let input = try reader.bounds(.input, partition)
    let journal = try reader.bounds(.journal, partition)

    var engine = PartitionEngine(partition: partition, configuration: settings.engine, models: models)
    summary.stateRecords = try readState(request, reader, &engine)
    let checkpoint = engine.finishRestore()
    let schedule = CheckpointSchedule(
      intervalMilliseconds: settings.checkpointIntervalMilliseconds, changedBytesMax: settings.checkpointChangedBytes,
      now: clock.monotonic, phase: Double(partition % 16) / 16)

    if committed == nil, checkpoint == nil { try checkUnbegun(request, reader, journal) }
    let plan = try RecoveryPlan(
      partition: partition, committed: committed, checkpoint: checkpoint, input: input, journal: journal)
    if checkpoint == nil {
      // What an unfinished first checkpoint left behind says nothing without the partition's record.
      engine = PartitionEngine(partition: partition, configuration: settings.engine, models: models)
    }
    if let digest = engine.modelsDigest, let version = engine.modelsVersion {
      engine.use(try modelSet(version: version, digest: digest))
    }
    let runner = PartitionRunner(
      partition: partition, engine: engine, position: plan.start, limits: settings.limits, checkpoint: schedule,
      now: clock.monotonic)
    try reapply(request, reader, runner, plan, input, &summary)
    summary.borrowers = runner.engine.borrowers
    summary.milliseconds = (clock.monotonic - started) / 1_000_000
    return (runner, summary)
  }

  private func readState(_ request: RestoreRequest, _ reader: any LogReader, _ engine: inout PartitionEngine)
    throws(BrokerError) -> Int
  {
    let bounds = try reader.bounds(.state, request.partition)
    var records = 0
    do {
      try reader.read(.state, request.partition, bounds, while: { request.isWanted }) { record in
        guard let key = unsafe record.key else { return }
        unsafe try engine.restore(key: key, value: record.value)
        records += 1
      }
    } catch let error as StateError {
      throw BrokerError(.unfitTopic, Self.describe(error, partition: request.partition, topic: settings.stateTopic))
    } catch let error as BrokerError {
      throw error
    } catch {
      throw BrokerError(.fatal, "\(error)")
    }
    return records
  }

  private func reapply(
    _ request: RestoreRequest, _ reader: any LogReader, _ runner: PartitionRunner, _ plan: RecoveryPlan,
    _ input: Range<Int64>, _ summary: inout RestoreSummary
  ) throws(BrokerError) {
    guard let position = plan.position else { return }
    do {
      var entries = try readJournal(request, reader, plan.journalStart..<position.journalOffset)
      summary.journalRecords = entries.count
      // Without a checkpoint all is applied again from where the partition began: its first entry says where that was.
      let inputStart =
        plan.inputStart ?? min(entries.first?.record.precedes ?? position.inputOffset, position.inputOffset)
      try plan.checkStart(inputStart, input: input)
      entries.reverse()  // So that the next one is taken from the end.
      var muted = OutputBatch()
      muted.isMuted = true
      var read = 0
      try reader.read(.input, request.partition, inputStart..<position.inputOffset, while: { request.isWanted }) {
        record in
        while let entry = entries.last, entry.record.precedes <= record.offset {
          try retake(entry, runner, &muted)
          entries.removeLast()
        }
        runner.reapply(record, &decoding, &muted)
        read += 1
      }
      summary.inputRecords = read
      guard request.isWanted else { return }
      while let entry = entries.popLast() {
        try retake(entry, runner, &muted)
      }
      runner.settle(
        at: position, latenessMilliseconds: settings.engine.allowedLatenessMilliseconds, &muted)
      if runner.newestEvent == nil { try readNewestEvent(request, reader, runner, input, position) }
    } catch let error as BrokerError {
      throw error
    } catch {
      throw BrokerError(.fatal, "\(error)")
    }
  }

  private func retake(
    _ entry: (offset: Int64, record: JournalRecord), _ runner: PartitionRunner, _ muted: inout OutputBatch
  ) throws(BrokerError) {
    var named: ModelSet?
    if case .models(let version, let digest) = entry.record.entry {
      named = try modelSet(version: version, digest: digest)
    }
    runner.retake(entry.record.entry, journalOffset: entry.offset, models: named, &muted)
  }

  /// The models in force at a point of the journal: scores that were held then decide later on.
  private func modelSet(version: String, digest: String) throws(BrokerError) -> ModelSet {
    if digest == models.digest { return models }
    if let earlier, earlier.digest == digest { return earlier }
    do throws(ModelError) {
      let loaded = try ModelSet.load(directory: settings.modelsDirectory, version: version, digest: digest)
      earlier = loaded
      return loaded
    } catch {
      throw BrokerError(
        .unfitTopic, "\(error.description); a partition is restored with the models that its journal names")
    }
  }

  private func readJournal(_ request: RestoreRequest, _ reader: any LogReader, _ range: Range<Int64>) throws
    -> [(offset: Int64, record: JournalRecord)]
  {
    var entries: [(offset: Int64, record: JournalRecord)] = []
    try reader.read(.journal, request.partition, range, while: { request.isWanted }) { record in
      guard let value = unsafe record.value, let entry = unsafe JournalRecord(value) else {
        throw BrokerError(
          .unfitTopic,
          "\(settings.journalTopic)[\(request.partition)]@\(record.offset): not a journal entry this version can read;"
            + " run the version that wrote it, or a newer one")
      }
      entries.append((record.offset, entry))
    }
    return entries
  }

  /// A partition without position and state begins at its earliest record, unless its journal says that it began before.
  private func checkUnbegun(_ request: RestoreRequest, _ reader: any LogReader, _ journal: Range<Int64>)
    throws(BrokerError)
  {
    var isEmpty = true
    do {
      try reader.read(.journal, request.partition, journal, while: { request.isWanted }) { _ in isEmpty = false }
    } catch let error as BrokerError { throw error } catch { throw BrokerError(.fatal, "\(error)") }
    guard isEmpty else {
      throw BrokerError(
        .outOfRange,
        "partition \(request.partition): there is a journal but no committed position (the consumer group's offsets are"
          + " gone); set them back, or delete the internal topics to begin again")
    }
  }

  /// An idle partition without a tail to apply again still needs its newest event for its next advance.
  private func readNewestEvent(
    _ request: RestoreRequest, _ reader: any LogReader, _ runner: PartitionRunner, _ input: Range<Int64>,
    _ position: Position
  ) throws {
    let start = max(input.lowerBound, position.inputOffset - 64)
    guard start < position.inputOffset else { return }
    try reader.read(.input, request.partition, start..<position.inputOffset, while: { request.isWanted }) { record in
      guard decoding.decode(record) == nil else { return }
      runner.noteEvent(decoding.event.occurredAt, timestamp: record.timestamp)
    }
  }

  private static func describe(_ error: StateError, partition: Int32, topic: String) -> String {
    switch error {
    case .newerVersion(let version):
      "\(topic)[\(partition)]: state of the newer version \(version); run the version that wrote it, or a newer one"
    case .damaged:
      "\(topic)[\(partition)]: damaged state; restore the topic, or delete it and the group's offsets to begin again"
    }
  }
}

/// From where to where a partition's log is applied again: decided from offsets alone.
struct RecoveryPlan: Equatable {
  /// Where the engine stands before anything is applied again.
  var start: Position
  /// Where it is to stand; nil for a partition that begins.
  var position: Position?
  var journalStart: Int64
  /// Nil: from the input offset that the journal's first entry precedes, since there is no checkpoint yet.
  var inputStart: Int64?
  private var partition: Int32

  init(
    partition: Int32, committed: CommittedOffset?, checkpoint: (inputOffset: Int64, journalOffset: Int64)?,
    input: Range<Int64>, journal: Range<Int64>
  ) throws(BrokerError) {
    self.partition = partition
    guard let committed else {
      guard checkpoint == nil else {
        throw BrokerError(
          .outOfRange,
          "partition \(partition): there is state but no committed position (the consumer group's offsets are gone);"
            + " set them back, or delete the state topic to begin again")
      }
      start = Position(
        inputOffset: input.lowerBound, journalOffset: journal.upperBound, steps: 0, watermark: .distantPast)
      journalStart = journal.upperBound
      inputStart = input.lowerBound
      return
    }
    guard let position = Position(inputOffset: committed.offset, metadata: committed.metadata) else {
      throw BrokerError(
        .outOfRange,
        "partition \(partition): the group's committed offset \(committed.offset) was not committed by lendpulse;"
          + " use another application_id, or delete the group's offsets")
    }
    self.position = position
    journalStart = checkpoint?.journalOffset ?? journal.lowerBound
    inputStart = checkpoint?.inputOffset
    start = Position(
      inputOffset: checkpoint?.inputOffset ?? position.inputOffset, journalOffset: journalStart, steps: 0,
      watermark: .distantPast)
    guard position.inputOffset <= input.upperBound, position.journalOffset <= journal.upperBound else {
      throw BrokerError(
        .outOfRange,
        "partition \(partition): the committed position \(position.inputOffset) is behind the end of its log"
          + " (\(input.upperBound)): the topic was made anew; delete the group's offsets and the internal topics")
    }
    guard journalStart <= position.journalOffset, inputStart ?? 0 <= position.inputOffset else {
      throw BrokerError(
        .outOfRange,
        "partition \(partition): its state is ahead of the committed position \(position.inputOffset): the group's offsets"
          + " were set back; delete the internal topics to begin again, or restore the offsets")
    }
    if let inputStart { try checkStart(inputStart, input: input) }
  }

  /// Whether the input from there on is still in the log.
  func checkStart(_ offset: Int64, input: Range<Int64>) throws(BrokerError) {
    guard offset < input.lowerBound, let position, offset < position.inputOffset else { return }
    throw BrokerError(
      .outOfRange,
      "partition \(partition): the input from offset \(offset) is needed and begins at \(input.lowerBound);"
        + " its retention is too short")
  }
}
