import Borrowers
import Features
import Models
import Scoring

/// One partition as the worker keeps it: the engine, where it stands, and what is due for it.
///
/// One thread at a time: the restoring thread makes it, the loop takes it over with the answer to its request.
final class PartitionRunner: @unchecked Sendable {
  /// Why `advance` returned.
  enum Pause {
    /// All records were applied.
    case finished
    /// The batch of outputs is full; go on at the record `index` after a cut.
    case full
  }

  let partition: Int32
  private let limits: TransactionLimits
  var engine: PartitionEngine
  var checkpoint: CheckpointSchedule

  private(set) var inputOffset: Int64
  /// Behind the last entry whose offset is known.
  var journalOffset: Int64
  private(set) var steps: Int64
  /// Of partition 0: where the forecasts stand.
  private(set) var forecastPosition: ForecastPosition?
  /// Entries in the transaction that is being filled, and in the one under way: their offsets are not known yet.
  private(set) var journalFilling = 0
  private var journalUnderWay = 0
  /// Steps of a journal entry are left; they come before the next record.
  private(set) var hasSteps = false
  /// Steps of the record at `inputOffset`, or of the next one behind a gap, are begun and it is not applied yet.
  private var isMidRecord = false
  /// Of the journal entry taken again last: the input offset that it precedes.
  private var retakenPrecedes: Int64?
  /// The position is ahead of what was handed over last.
  private var hasMoved = false

  /// The event with the latest time, for the advance of an idle partition.
  private(set) var newestEvent: EventTime?
  private var newestRecordTimestamp = EventTime.distantPast
  private var lastArrival: Int64
  private var lastIdleAdvance: Int64
  /// Behind the control records that were looked at; nil: none was. The engine's own is behind the last one that it took.
  var controlCursor: Int64?
  /// By `DeadLetterCode.rawValue`.
  private(set) var deadLetters = [UInt64](repeating: 0, count: PipelineTotals().deadLetters.count)

  init(
    partition: Int32, engine: consuming PartitionEngine, position: Position, limits: TransactionLimits,
    checkpoint: CheckpointSchedule, now: Int64
  ) {
    self.partition = partition
    self.limits = limits
    self.engine = engine
    self.checkpoint = checkpoint
    inputOffset = position.inputOffset
    journalOffset = position.journalOffset
    steps = position.steps
    forecastPosition = position.forecasts
    controlCursor = self.engine.controlPosition
    lastArrival = now
    lastIdleAdvance = now
  }

  var position: Position {
    Position(
      inputOffset: inputOffset, journalOffset: journalOffset, steps: steps, watermark: engine.watermark,
      forecasts: forecastPosition)
  }

  // MARK: Input

  /// Applies the records from `index` to `end`, all of this partition. Nothing here allocates in the steady state.
  func advance(
    _ records: [LogRecord], _ index: inout Int, to end: Int, _ decoding: inout RecordDecoding,
    _ outputs: inout OutputBatch, now: Int64, onDeadLetter: (Int64, DeadLetterCode) -> Void
  ) -> Pause {
    lastArrival = now
    while index < end {
      let record = records[index]
      guard record.offset >= inputOffset else {
        index += 1
        continue
      }
      if limits.areReached(by: outputs) { return .full }
      if let failure = decoding.decode(record) {
        decoding.appendDeadLetter(record, failure, &outputs)
        deadLetters[Int(failure.code.rawValue)] += 1
        onDeadLetter(record.offset, failure.code)
      } else {
        let source = RecordSource(offset: record.offset, timestamp: record.timestamp)
        move(occurredAt: decoding.event.occurredAt, timestamp: record.timestamp, offset: record.offset)
        while engine.step(source, &outputs) {
          steps += 1
          hasMoved = true
          // Also where the record moved nothing: a due date that had passed when it was announced fires here.
          isMidRecord = true
          if limits.areReached(by: outputs) { return .full }
        }
        _ = unsafe engine.apply(decoding.event, source, traceparent: record.traceparentOrEmpty, &outputs)
        noteEvent(decoding.event.occurredAt, timestamp: record.timestamp)
      }
      inputOffset = record.offset + 1
      steps = 0
      isMidRecord = false
      hasMoved = true
      index += 1
    }
    return .finished
  }

  private func move(occurredAt: EventTime, timestamp: EventTime, offset: Int64) {
    let before = engine.watermark
    engine.moveWatermark(occurredAt: occurredAt, recordTimestamp: timestamp)
    guard engine.watermark > before else { return }
    // The position now stands before this record with its watermark moved: gaps of the log lie behind.
    inputOffset = offset
    steps = 0
    isMidRecord = true
    hasMoved = true
  }

  func noteEvent(_ occurredAt: EventTime, timestamp: EventTime) {
    guard newestEvent.map({ occurredAt >= $0 }) ?? true else { return }
    newestEvent = occurredAt
    newestRecordTimestamp = timestamp
  }

  // MARK: Journal

  /// Takes an entry, and writes it to the journal in the transaction that is being filled. Its steps are left to
  /// `finishSteps`.
  func take(_ entry: JournalEntry, models: ModelSet? = nil, _ outputs: inout OutputBatch) {
    precondition(!isMidRecord && !hasSteps, "a journal entry is taken between records")
    JournalRecord(precedes: inputOffset, entry: entry).append(to: &outputs, partition: partition)
    // Behind all that any borrower's restored state includes.
    engine.take(entry, journalOffset: .max)
    if let models { engine.use(models) }
    journalFilling += 1
    steps = 0
    hasSteps = true
    hasMoved = true
  }

  /// Does the steps of the entry taken last; false when the batch is full before all are done.
  func finishSteps(_ outputs: inout OutputBatch) -> Bool {
    guard hasSteps else { return true }
    let source = boundarySource
    while !limits.areReached(by: outputs) {
      guard engine.step(source, &outputs) else {
        hasSteps = false
        return true
      }
      steps += 1
      hasMoved = true
    }
    return false
  }

  /// Whether a journal entry may be taken now.
  var isBetweenRecords: Bool { !isMidRecord && !hasSteps }

  /// The source of what is decided between two records: the last one read.
  var boundarySource: RecordSource { RecordSource(offset: inputOffset - 1, timestamp: engine.watermark) }

  /// The watermark that silence calls for: the newest event's time and the time since its record was written, less the
  /// lateness; never ahead of the wall clock. Nil when it is not time, or would not move anything.
  func idleWatermark(idleAfterMilliseconds: Int64, latenessMilliseconds: Int64, now: Int64, wall: Int64) -> EventTime? {
    let idleAfter = idleAfterMilliseconds * 1_000_000
    guard idleAfterMilliseconds > 0, isBetweenRecords, let newestEvent,
      now - lastArrival >= idleAfter, now - lastIdleAdvance >= idleAfter
    else { return nil }
    lastIdleAdvance = now
    let elapsed = max(0, wall - newestRecordTimestamp.milliseconds)
    let advanced = min(newestEvent + (elapsed - latenessMilliseconds), EventTime(milliseconds: wall))
    return advanced > engine.watermark ? advanced : nil
  }

  // MARK: Transactions

  /// Forecasts were made, or indicators taken, up to there.
  func noteForecasts(at position: ForecastPosition) {
    forecastPosition = position
    hasMoved = true
  }

  /// What is to be committed for it; nil when nothing moved since.
  func cut() -> PartitionOffset? {
    guard hasMoved else { return nil }
    hasMoved = false
    defer {
      journalUnderWay = journalFilling
      journalFilling = 0
    }
    return PartitionOffset(partition: partition, position: position, journalEntries: journalFilling)
  }

  /// Whether its state is that of the committed position, between two records.
  var isAsCommitted: Bool {
    !hasMoved && isBetweenRecords && journalFilling == 0 && journalUnderWay == 0 && engine.canTakeSnapshot
  }

  func noteCommitted(_ offset: PartitionOffset) {
    journalUnderWay = 0
    journalOffset = max(journalOffset, offset.position.journalOffset)
  }

  /// A slice is cut only where no step is pending or begun, and only with a journal offset that is known.
  func isSliceDue(at now: Int64) -> Bool {
    isBetweenRecords && !engine.hasPendingSteps && journalFilling == 0 && journalUnderWay == 0
      && checkpoint.isDue(at: now, changedBytes: engine.changedBytes)
  }

  /// Writes a slice of at most `budget` bytes when one is due, and the partition's record behind the last one. Returns
  /// what a finished checkpoint came to.
  func writeSlice(budget: inout Int, now: Int64, _ outputs: inout OutputBatch) -> CheckpointSchedule.Progress? {
    guard budget > 0, isSliceDue(at: now) else { return nil }
    let (bytesBefore, entriesBefore) = (outputs.bytes.count, outputs.entries.count)
    let hasMore = engine.writeSlice(
      inputOffset: inputOffset, journalOffset: journalOffset, maxBytes: budget, &outputs)
    let bytes = outputs.bytes.count - bytesBefore
    budget -= bytes
    checkpoint.noteSlice(
      at: now, inputOffset: inputOffset, journalOffset: journalOffset,
      records: outputs.entries.count - entriesBefore, bytes: bytes)
    hasMoved = true
    guard !hasMore, let first = checkpoint.progress else { return nil }
    engine.writePartitionRecord(
      reapplyInputOffset: first.inputOffset, reapplyJournalOffset: first.journalOffset,
      inputOffset: inputOffset, journalOffset: journalOffset, &outputs)
    return checkpoint.finish(at: now)
  }

  // MARK: Applying the log again

  // Recovery mutes the outputs; a replay takes them.

  /// Applies a record again. One that cannot be read was a dead letter then.
  func reapply(_ record: LogRecord, _ decoding: inout RecordDecoding, _ outputs: inout OutputBatch) {
    finishRetakenSteps(&outputs)
    if let failure = decoding.decode(record) {
      if !outputs.isMuted { decoding.appendDeadLetter(record, failure, &outputs) }
    } else {
      let source = RecordSource(offset: record.offset, timestamp: record.timestamp)
      engine.moveWatermark(occurredAt: decoding.event.occurredAt, recordTimestamp: record.timestamp)
      while engine.step(source, &outputs) {}
      _ = unsafe engine.apply(decoding.event, source, traceparent: record.traceparentOrEmpty, &outputs)
      noteEvent(decoding.event.occurredAt, timestamp: record.timestamp)
    }
    if outputs.isMuted { outputs.removeAll() }
    inputOffset = record.offset + 1
  }

  /// Takes an entry again; the steps of the one before it are done first.
  func retake(
    _ entry: JournalEntry, precedes: Int64, journalOffset: Int64, models: ModelSet?, _ outputs: inout OutputBatch
  ) {
    finishRetakenSteps(&outputs)
    engine.take(entry, journalOffset: journalOffset)
    controlCursor = engine.controlPosition
    retakenPrecedes = precedes
    hasSteps = true
    if let models { engine.use(models) }
  }

  /// Does what steps are left of the entry taken again last. Without one, a timer that was passed when it was announced
  /// waits for the next record, as it did.
  func finishRetakenSteps(_ outputs: inout OutputBatch) {
    guard hasSteps else { return }
    while engine.step(boundarySource, &outputs) {}
    hasSteps = false
    if outputs.isMuted { outputs.removeAll() }
  }

  /// Ends re-application at the committed position: a watermark ahead of ours was moved by the record that comes next,
  /// after all steps before it were done; then the steps that were done are done again. With our watermark they are those
  /// of the journal entry there, if one is (it leaves none for the record); else those of the record that comes next.
  func settle(at position: Position, latenessMilliseconds: Int64, _ outputs: inout OutputBatch) {
    journalOffset = position.journalOffset
    forecastPosition = position.forecasts
    let isMoved = position.watermark > engine.watermark
    if isMoved {
      finishRetakenSteps(&outputs)
      engine.moveWatermark(
        occurredAt: position.watermark + latenessMilliseconds, recordTimestamp: position.watermark)
    }
    inputOffset = position.inputOffset
    hasSteps = !isMoved && retakenPrecedes == position.inputOffset
    let source = RecordSource(offset: hasSteps ? inputOffset - 1 : inputOffset, timestamp: engine.watermark)
    steps = 0
    while steps < position.steps, engine.step(source, &outputs) { steps += 1 }
    // Until that record is applied no journal entry may be taken: it would precede the steps that were done. (Steps that
    // the restored state includes were those of an entry: no state is written between two steps of a record.)
    isMidRecord = isMoved || (!hasSteps && steps > 0)
    steps = position.steps
    if outputs.isMuted { outputs.removeAll() }
  }
}

extension LogRecord {
  var traceparentOrEmpty: UnsafeBufferPointer<UInt8> {
    unsafe traceparent ?? UnsafeBufferPointer(start: nil, count: 0)
  }
}

extension JournalRecord {
  /// Appends it to the outputs of a transaction, for the journal's partition of the same number.
  func append(to outputs: inout OutputBatch, partition: Int32) {
    let start = outputs.bytes.count
    encode(into: &outputs.bytes)
    outputs.entries.append(
      OutputBatch.Entry(
        topic: .journal, partition: partition, keyStart: 0, keyCount: -1, valueStart: Int32(start),
        valueCount: Int32(outputs.bytes.count - start), headersStart: 0, headersCount: 0))
  }
}
