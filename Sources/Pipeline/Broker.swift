// What the loop needs of a broker. Three handles, each used by one thread: the consumer by the worker's loop, the
// producer by its committing thread, the reader by its restoring thread. Kafka implements it with librdkafka; a test
// with arrays.

import Borrowers
import Scoring

/// The logs that recovery reads.
public enum SourceLog: Sendable {
  case input, state, journal
  /// Those that forecasts are made of.
  case platformDaily, industryIndicators
}

/// One record, borrowed: its bytes are valid until the next call of what returned it.
@safe public struct LogRecord {
  public var partition: Int32
  public var offset: Int64
  /// The record's Kafka timestamp.
  public var timestamp: EventTime
  public var key: UnsafeBufferPointer<UInt8>?
  public var value: UnsafeBufferPointer<UInt8>?
  /// The headers that matter, nil where the record has none of that name.
  public var contentType: UnsafeBufferPointer<UInt8>?
  public var traceparent: UnsafeBufferPointer<UInt8>?

  public init(
    partition: Int32, offset: Int64, timestamp: EventTime, key: UnsafeBufferPointer<UInt8>?,
    value: UnsafeBufferPointer<UInt8>?, contentType: UnsafeBufferPointer<UInt8>? = nil,
    traceparent: UnsafeBufferPointer<UInt8>? = nil
  ) {
    self.partition = partition
    self.offset = offset
    self.timestamp = timestamp
    unsafe self.key = key
    unsafe self.value = value
    unsafe self.contentType = contentType
    unsafe self.traceparent = traceparent
  }
}

/// What the group or the connection did, as values: the loop answers each before it polls again.
public enum ConsumerNotice: Equatable, Sendable {
  /// Ours from now on; answered by `accept`.
  case assigned([Int32])
  /// To be given up; still ours until it is answered by `release`.
  case revoked([Int32])
  /// Perhaps others' already; answered by `release` at once.
  case lost([Int32])
  /// The position of a live partition is not in its log any more.
  case outOfRange(Int32)
  case failed(BrokerError)
}

/// The generation of the group that a transaction's offsets are committed under. Made by the consumer on the loop's
/// thread when a transaction is handed over, read by the producer: it may lag behind what the worker owns, never lead it.
public protocol GroupGeneration: AnyObject, Sendable {}

/// The worker's own consumer of the input: used by the loop's thread alone, except `wake`.
public protocol InputConsumer: AnyObject {
  /// Replaces `records` by the next ones, at most `limit`. Waits for the first at most `waitMilliseconds`, and for more
  /// not at all.
  func poll(into records: inout [LogRecord], limit: Int, waitMilliseconds: Int)
  /// What happened since the last call.
  func takeNotices() -> [ConsumerNotice]
  /// Takes partitions; what comes of them before `begin` is to be dropped. Throws a retriable error, and takes nothing,
  /// while the broker does not answer.
  func accept(_ partitions: [Int32]) throws(BrokerError)
  func release(_ partitions: [Int32]) throws(BrokerError)
  /// Fetches an accepted partition from `offset` on. Throws a retriable error where it is not ready for that yet.
  func begin(_ partition: Int32, at offset: Int64) throws(BrokerError)
  /// Nil while there is no valid membership: the broker would then take offsets unchecked.
  func generation() -> (any GroupGeneration)?
  /// The log's end as last seen by a fetch; nil before the first.
  func knownEnd(_ partition: Int32) -> Int64?
  /// Ends a `poll` that waits; from any thread.
  func wake()
  /// Leaves the group. Partitions still held are given up without an answer.
  func close()
}

/// The committed offset of one partition in a transaction.
public struct PartitionOffset: Sendable {
  public var partition: Int32
  public var position: Position
  /// Entries that this transaction writes to the partition's journal: the position's journal offset is behind them.
  public var journalEntries = 0

  public init(partition: Int32, position: Position, journalEntries: Int = 0) {
    self.partition = partition
    self.position = position
    self.journalEntries = journalEntries
  }
}

/// The worker's transactional producer: used by the committing thread alone. Its calls block.
public protocol TransactionProducer: AnyObject {
  /// Fences what had this transactional id before, and ends its open transaction.
  func open() throws(BrokerError)
  /// Publishes all in one transaction with the offsets. `offsets` receive their journal offsets. When this throws
  /// `abortable`, the transaction is aborted, that is confirmed, and the same may be published again.
  func commit(_ outputs: borrowing OutputBatch, _ offsets: inout [PartitionOffset], _ generation: any GroupGeneration)
    throws(BrokerError)
  func close()
}

/// A consumer of its own, outside the group, for state, journal and the input's tail: used by the restoring thread alone.
public protocol LogReader: AnyObject {
  /// The position committed for a partition of the input, with no transaction open over it; nil when there is none.
  /// Throws `retriable` while one is open.
  func committed(_ partition: Int32) throws(BrokerError) -> CommittedOffset?
  /// First offset that is there, and the offset behind the last.
  func bounds(_ log: SourceLog, _ partition: Int32) throws(BrokerError) -> Range<Int64>
  /// Reads what is committed of `range`, in order; waits for open transactions in it to end. `body` returns false to
  /// stop. Throws `outOfRange` when its beginning is gone.
  func read(
    _ log: SourceLog, _ partition: Int32, _ range: Range<Int64>, while isWanted: () -> Bool,
    _ body: (LogRecord) throws -> Void
  ) throws
  /// The partitions of a log's topic; 0 where it is not there.
  func partitions(of log: SourceLog) throws(BrokerError) -> Int
  func close()
}

public struct CommittedOffset: Equatable, Sendable {
  public var offset: Int64
  public var metadata: String

  public init(offset: Int64, metadata: String) {
    self.offset = offset
    self.metadata = metadata
  }
}

/// Makes the handles of each worker.
public protocol Broker: Sendable {
  /// Connects, checks the topics and makes the internal ones. Returns the input's number of partitions.
  func prepare() throws(BrokerError) -> Int
  func makeConsumer(worker: Int) throws(BrokerError) -> any InputConsumer
  func makeProducer(worker: Int) throws(BrokerError) -> any TransactionProducer
  func makeReader(worker: Int) throws(BrokerError) -> any LogReader
  /// The control topic; called once, after `prepare`.
  func makeControlChannel() throws(BrokerError) -> any ControlChannel
  /// The largest record that the dead-letter topic takes, in bytes.
  var deadLetterBytesMax: Int { get }
  /// How long the state topic keeps a tombstone after compaction, in milliseconds.
  var stateDeleteRetentionMilliseconds: Int64 { get }
}

extension Broker {
  /// Kafka's own default.
  public var stateDeleteRetentionMilliseconds: Int64 { 86_400_000 }
}

/// The clocks, so that a test can turn them.
public protocol Clock: Sendable {
  /// Nanoseconds that never go back.
  var monotonic: Int64 { get }
  /// Milliseconds since 1970.
  var wall: Int64 { get }
  /// Rests the calling thread.
  func rest(milliseconds: Int64)
}
