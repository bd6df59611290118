import Borrowers
import Models
import Scoring

/// Decides partitions of the input again from their beginning, with their journal, by the engine of `run`, and publishes
/// nothing.
///
///     let plans = try replay.plan(partitions: 12)
///     let summary = try replay.run(plans[0]) { outputs in ... }
///
/// Reads by a `LogReader` alone; used by one thread.
public final class Replay {
  private let settings: PipelineSettings
  private let reader: any LogReader
  private let clock: any Clock
  private var decoding: RecordDecoding
  /// Ends in front of the first record whose time (its event's, and never past the record's own timestamp) is this one or
  /// later, and in front of an idle advance to that time or past it.
  private let until: EventTime?
  private var models: [String: ModelSet] = [:]
  private let partitions: Int
  private let deadLetterBytesMax: Int

  /// How long an open transaction over the committed position is waited for.
  private static let patienceMilliseconds: Int64 = 60_000
  private static let pauseMilliseconds: Int64 = 50

  public init(
    settings: PipelineSettings, reader: any LogReader, partitions: Int, deadLetterBytesMax: Int,
    until: EventTime? = nil, clock: any Clock = SystemClock()
  ) {
    self.settings = settings
    self.reader = reader
    self.until = until
    self.clock = clock
    self.partitions = partitions
    self.deadLetterBytesMax = deadLetterBytesMax
    decoding = RecordDecoding(
      inputTopic: settings.topics.borrowerEvents, partitions: partitions, deadLetterBytesMax: deadLetterBytesMax)
  }

  // MARK: Plan

  /// From where to where each partition is decided again; partitions for which nothing was decided yet have none. Throws
  /// where the beginning of input or journal is gone, or a journal names models that are not there.
  public func plan(partitions: Int) throws -> [ReplayPlan] {
    let plans = try (0..<Int32(partitions)).compactMap { partition in
      try plan(partition: partition, committed: committed(partition))
    }
    for plan in plans { try loadModels(plan) }
    return plans
  }

  /// The committed positions, in the order of partitions.
  public func committedOffsets(partitions: Int) throws(BrokerError) -> [CommittedOffset?] {
    var offsets: [CommittedOffset?] = []
    for partition in 0..<Int32(partitions) { offsets.append(try committed(partition)) }
    return offsets
  }

  private func committed(_ partition: Int32) throws(BrokerError) -> CommittedOffset? {
    let deadline = clock.monotonic + Self.patienceMilliseconds * 1_000_000
    while true {
      do throws(BrokerError) {
        return try reader.committed(partition)
      } catch {
        guard error.kind == .retriable, clock.monotonic < deadline else { throw error }
        clock.rest(milliseconds: Self.pauseMilliseconds)
      }
    }
  }

  private func plan(partition: Int32, committed: CommittedOffset?) throws -> ReplayPlan? {
    let journal = try reader.bounds(.journal, partition)
    let input = try reader.bounds(.input, partition)
    guard journal.lowerBound == 0 else {
      throw BrokerError(
        .outOfRange,
        "\(settings.journalTopic)[\(partition)]: its beginning is gone (it begins at offset \(journal.lowerBound)): what"
          + " decided then is not known; it must be kept for ever (retention.ms=-1)")
    }
    guard let committed else {
      guard journal.isEmpty else {
        throw BrokerError(
          .outOfRange,
          "partition \(partition): there is a journal but no committed position: the offsets of the consumer group"
            + " \(settings.applicationID) are gone; set them back to say up to where it was decided")
      }
      return nil
    }
    guard let position = Position(inputOffset: committed.offset, metadata: committed.metadata) else {
      throw BrokerError(
        .outOfRange,
        "partition \(partition): the group's committed offset \(committed.offset) was not committed by lendpulse; name"
          + " the application_id whose decisions are to be replayed")
    }
    guard position.inputOffset <= input.upperBound, position.journalOffset <= journal.upperBound else {
      throw BrokerError(
        .outOfRange,
        "partition \(partition): the committed position \(position.inputOffset) is behind the end of its log"
          + " (\(input.upperBound)): the topic was made anew, and what was decided is gone")
    }
    let entries = try JournalRecord.readAll(
      reader, settings, partition, 0..<position.journalOffset, while: { true })
    guard let first = entries.first else {
      throw BrokerError(
        .outOfRange,
        "\(settings.journalTopic)[\(partition)]: holds nothing, and records up to offset \(position.inputOffset) were"
          + " decided: its beginning is gone")
    }
    let start = first.record.precedes
    guard input.lowerBound <= start || start == position.inputOffset else {
      throw BrokerError(
        .outOfRange,
        "\(settings.topics.borrowerEvents)[\(partition)]: its beginning is gone: it was decided from offset \(start) on"
          + " and begins at \(input.lowerBound); a replay needs an input that is kept for ever")
    }
    return ReplayPlan(partition: partition, position: position, inputStart: start, entries: entries)
  }

  private func loadModels(_ plan: ReplayPlan) throws {
    for entry in plan.entries {
      guard let (version, digest) = entry.record.entry.models, models[digest] == nil else { continue }
      do throws(ModelError) {
        models[digest] = try ModelSet.load(directory: settings.modelsDirectory, version: version, digest: digest)
      } catch {
        throw BrokerError(
          .unfitTopic,
          "\(error.description); \(settings.journalTopic)[\(plan.partition)]@\(entry.offset) names it, and what it decided"
            + " can only be decided again with it")
      }
    }
  }

  // MARK: Run

  /// Decides one partition again. `take` gets what it would publish, in order, and may be called at any place between
  /// two records.
  public func run(
    _ plan: ReplayPlan, format: RecordFormat? = nil, while isWanted: () -> Bool = { true },
    progress: (Int) -> Void = { _ in }, _ take: (borrowing OutputBatch) throws -> Void
  ) throws -> ReplaySummary {
    var configuration = settings.engine
    if let format { configuration.format = format }
    var entries = Array(plan.entries.reversed())
    guard let initial = firstModels(plan) else {
      throw BrokerError(.outOfRange, "\(settings.journalTopic)[\(plan.partition)]: names no models")
    }
    let engine = PartitionEngine(partition: plan.partition, configuration: configuration, models: initial)
    let start = Position(inputOffset: plan.inputStart, journalOffset: 0, steps: 0, watermark: .distantPast)
    let runner = PartitionRunner(
      partition: plan.partition, engine: engine, position: start, limits: settings.limits,
      checkpoint: CheckpointSchedule(intervalMilliseconds: 0, changedBytesMax: .max, now: 0, phase: 0), now: 0)
    var outputs = OutputBatch()
    var summary = ReplaySummary(partition: plan.partition)
    var hasEnded = false

    func takeEntries(before offset: Int64) throws {
      while let entry = entries.last, entry.record.precedes <= offset, !hasEnded {
        if case .idleAdvance(let watermark) = entry.record.entry, let until, watermark >= until {
          hasEnded = true
          return
        }
        var named: ModelSet?
        if let digest = entry.record.entry.models?.digest { named = models[digest] }
        runner.retake(
          entry.record.entry, precedes: entry.record.precedes, journalOffset: entry.offset, models: named, &outputs)
        entries.removeLast()
        summary.journalEntries += 1
        try hand(&outputs, take)
      }
    }

    try reader.read(
      .input, plan.partition, plan.inputStart..<plan.position.inputOffset, while: { !hasEnded && isWanted() }
    ) { record in
      guard !hasEnded else { return }
      if let until, time(of: record) >= until {
        hasEnded = true
        return
      }
      try takeEntries(before: record.offset)
      guard !hasEnded else { return }
      runner.reapply(record, &decoding, &outputs)
      summary.inputRecords += 1
      if outputs.bytes.count >= 1 << 18 {
        try hand(&outputs, take)
        progress(summary.inputRecords)
      }
    }
    if !hasEnded, isWanted() { try takeEntries(before: .max) }
    if hasEnded {
      runner.finishRetakenSteps(&outputs)
    } else if isWanted() {
      runner.settle(
        at: plan.position, latenessMilliseconds: settings.engine.allowedLatenessMilliseconds, &outputs)
    }
    try hand(&outputs, take)
    summary.isWhole = !hasEnded && isWanted()
    summary.position = runner.position
    summary.borrowers = runner.engine.borrowers
    summary.stateHash = runner.engine.stateHash()
    return summary
  }

  /// The state as a restart would restore it: where it stands, and its hash.
  public func restoredState(_ plan: ReplayPlan) throws -> (position: Position, stateHash: String) {
    guard let initial = firstModels(plan) else {
      throw BrokerError(.outOfRange, "\(settings.journalTopic)[\(plan.partition)]: names no models")
    }
    let borrowed = BorrowedReader(reader: reader)
    let restorer = Restorer(
      settings: settings,
      control: ControlCenter(settings: settings, models: initial, channel: nil, clock: clock),
      decoding: RecordDecoding(
        inputTopic: settings.topics.borrowerEvents, partitions: partitions, deadLetterBytesMax: deadLetterBytesMax),
      snapshots: nil, clock: clock
    ) { () throws(BrokerError) in borrowed.reader }
    let request = RestoreRequest(partition: plan.partition, epoch: 0, afterMilliseconds: 0)
    guard let result = restorer.perform(request).result else { preconditionFailure("nobody cancels it") }
    let runner = try result.get().runner
    return (runner.position, runner.engine.stateHash())
  }

  private func hand(_ outputs: inout OutputBatch, _ take: (borrowing OutputBatch) throws -> Void) throws {
    guard !outputs.isEmpty else { return }
    try take(outputs)
    outputs.removeAll()
  }

  private func time(of record: LogRecord) -> EventTime {
    guard decoding.decode(record) == nil else { return record.timestamp }
    return min(decoding.event.occurredAt, record.timestamp)
  }

  /// Those that decide until the journal names others.
  private func firstModels(_ plan: ReplayPlan) -> ModelSet? {
    for entry in plan.entries {
      if let digest = entry.record.entry.models?.digest { return models[digest] }
    }
    return nil
  }
}

/// The restorer works within the call that made it, on the thread of the replay.
private struct BorrowedReader: @unchecked Sendable { let reader: any LogReader }

/// What one partition is decided again from, and up to where.
public struct ReplayPlan: Sendable {
  public var partition: Int32
  /// The committed one: what was published goes up to it.
  public var position: Position
  /// Where the application began.
  public var inputStart: Int64
  var entries: [(offset: Int64, record: JournalRecord)]
}

/// What a partition's replay came to.
public struct ReplaySummary: Sendable {
  public var partition: Int32
  public var inputRecords = 0
  public var journalEntries = 0
  public var borrowers = 0
  /// The same on every machine.
  public var stateHash = ""
  public var position = Position(inputOffset: 0, journalOffset: 0, steps: 0, watermark: .distantPast)
  /// Whether it went up to the committed position.
  public var isWhole = false

  init(partition: Int32) { self.partition = partition }
}

extension JournalRecord {
  /// A range of a partition's journal; throws where an entry cannot be read.
  static func readAll(
    _ reader: any LogReader, _ settings: PipelineSettings, _ partition: Int32, _ range: Range<Int64>,
    while isWanted: () -> Bool
  ) throws -> [(offset: Int64, record: JournalRecord)] {
    var entries: [(offset: Int64, record: JournalRecord)] = []
    try reader.read(.journal, partition, range, while: isWanted) { record in
      guard let value = unsafe record.value, let entry = unsafe JournalRecord(value) else {
        throw BrokerError(
          .unfitTopic,
          "\(settings.journalTopic)[\(partition)]@\(record.offset): not a journal entry this version can read;"
            + " run the version that wrote it, or a newer one")
      }
      entries.append((record.offset, entry))
    }
    return entries
  }
}
