import Borrowers
import Features
import Models

/// Where the record under decision stands: the `source` of every output, and its headers' trace context.
public struct RecordSource: Sendable {
  public var offset: Int64
  /// The record's Kafka timestamp.
  public var timestamp: EventTime
  public init(offset: Int64, timestamp: EventTime) {
    self.offset = offset
    self.timestamp = timestamp
  }
}

/// What decided besides the input, in the order it was taken; written to the partition's journal in the transaction that
/// publishes its effects, with the input offset it precedes.
public enum JournalEntry: Equatable, Sendable {
  /// The wall clock moved an idle partition's watermark on.
  case idleAdvance(watermark: EventTime)
  /// Settings in force from here: of the file at the start (`controlID` begins with `file:`), or a control record.
  case settings(DecisionSettings, controlID: String)
  /// The models in force from here.
  case models(version: String, digest: String)

  public func encode(into buffer: inout ByteBuffer) { fatalError("interface") }
  public static func decode(_ bytes: UnsafeBufferPointer<UInt8>) -> JournalEntry? { fatalError("interface") }
}

/// Counters of one partition since it was made, for metrics and the status view.
public struct EngineCounters: Sendable {
  /// Indexed by `EventKind.rawValue`.
  public var accepted = [UInt64](repeating: 0, count: 18)
  public var repeated = [UInt64](repeating: 0, count: 18)
  public var late: UInt64 = 0
  public var timersFired: UInt64 = 0
  /// [status.rawValue][severity.rawValue]
  public var alerts = [[UInt64]](repeating: [UInt64](repeating: 0, count: 5), count: 5)
  /// By `LeadStatus.rawValue`.
  public var leads = [UInt64](repeating: 0, count: 4)
  public init() {}
}

/// One partition: its borrowers, its watermark, its timers, its settings. Pure: one thing in, outputs out; no I/O, no
/// clock. The same calls give the same outputs and the same state, byte for byte.
///
/// The loop, for each input record: `moveWatermark`, then `step` until it returns false (each fires one timer), then
/// `apply`. For each journal entry: `take`, then `step` until it returns false. A transaction may be cut between two steps.
public struct PartitionEngine: ~Copyable {
  public init(partition: Int32, configuration: EngineConfiguration, models: ModelSet) { fatalError("interface") }

  public var watermark: EventTime { fatalError("interface") }
  public var borrowers: Int { fatalError("interface") }
  public var stateBytes: Int { fatalError("interface") }
  public var counters: EngineCounters { fatalError("interface") }
  /// In force; nil before the first `take(.settings)`.
  public var settings: DecisionSettings? { fatalError("interface") }
  /// The digest of the models in force; nil before the first `take(.models)`.
  public var modelsDigest: String? { fatalError("interface") }

  /// The event time rule: the watermark becomes at most `occurredAt` less the lateness and never passes the record's
  /// timestamp. Never moves back.
  public mutating func moveWatermark(occurredAt: EventTime, recordTimestamp: EventTime) { fatalError("interface") }
  /// Does the next pending piece of work (a timer that the watermark has passed, in the order due time, kind,
  /// borrower_id, loan_id; or one borrower of a changed threshold, in byte order of id). False when none is left.
  public mutating func step(_ source: RecordSource, _ outputs: inout OutputBatch) -> Bool { fatalError("interface") }
  /// Applies, scores and decides one event.
  public mutating func apply(
    _ event: borrowing BorrowerEvent, _ source: RecordSource, traceparent: UnsafeBufferPointer<UInt8>,
    _ outputs: inout OutputBatch
  ) -> ApplyResult { fatalError("interface") }
  public mutating func take(_ entry: JournalEntry) { fatalError("interface") }
  /// From the borrower's next event or timer.
  public mutating func use(_ models: ModelSet) { fatalError("interface") }

  // Checkpoints. Slices are cut on record boundaries only (never between two steps of one record), so a borrower's
  // record includes all input before `inputOffset` and all journal before `journalOffset`.
  /// Bytes of borrowers changed since they were last written.
  public var changedBytes: Int { fatalError("interface") }
  /// Appends state records (key borrower_id, or a tombstone for an erased one) of up to `maxBytes`; false when nothing
  /// changed is left.
  public mutating func writeSlice(
    inputOffset: Int64, journalOffset: Int64, maxBytes: Int, _ outputs: inout OutputBatch
  ) -> Bool { fatalError("interface") }
  /// Appends the partition's own record (key `@partition`): the position to re-apply from (that of the checkpoint's first
  /// slice), the position it stands at (that of its last), watermark, totals, settings and models in force.
  public mutating func writePartitionRecord(
    reapplyInputOffset: Int64, reapplyJournalOffset: Int64, inputOffset: Int64, journalOffset: Int64,
    _ outputs: inout OutputBatch
  ) { fatalError("interface") }
  /// Takes a record of the state topic, in log order; a nil value is a tombstone.
  public mutating func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) throws(StateError) {
    fatalError("interface")
  }
  /// Ends the reading of state: where to re-apply from. Until the position it stood at, borrowers skip what they include.
  public mutating func finishRestore() -> (inputOffset: Int64, journalOffset: Int64)? { fatalError("interface") }

  /// A digest of all state, the same on every machine.
  public func stateHash() -> String { fatalError("interface") }
}
