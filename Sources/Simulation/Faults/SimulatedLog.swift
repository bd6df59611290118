import Borrowers
import Pipeline

/// A transaction of the broker, as its coordinator decides it.
final class SimulatedTransaction {
  enum Status { case open, committed, aborted }

  let producer: String
  let began: Int64
  var status = Status.open
  /// Logs that hold records of it, in the order they were added.
  var logs: [SimulatedLog] = []
  /// Positions that it commits, by partition.
  var offsets: [Int32: CommittedOffset] = [:]

  init(producer: String, began: Int64) {
    self.producer = producer
    self.began = began
  }
}

/// One partition of one topic.
final class SimulatedLog {
  struct Record {
    var offset: Int64
    var key: [UInt8]?
    var value: [UInt8]?
    var headers: [UInt8] = []
    /// Milliseconds.
    var timestamp: Int64 = 0
    /// Of the virtual clock.
    var writtenAt: Int64 = 0
    var transaction: SimulatedTransaction?
    /// The end of a transaction: takes an offset, and is shown to nobody.
    var isMarker = false

    var isVisible: Bool { !isMarker && transaction.map { $0.status == .committed } ?? true }
  }

  let name: String
  private(set) var records: [Record] = []
  private(set) var end: Int64 = 0
  /// First offsets of transactions whose marker does not stand here yet.
  private var open: [(transaction: SimulatedTransaction, first: Int64)] = []

  init(name: String) { self.name = name }

  /// Nothing is deleted by age here, and compaction leaves the beginning where it is.
  var start: Int64 { 0 }
  /// The last stable offset: from there on nothing is shown to who reads committed records.
  var stableEnd: Int64 { open.map(\.first).min() ?? end }

  func append(_ record: Record, gap: Int64 = 0) -> Int64 {
    var record = record
    record.offset = end + gap
    end = record.offset + 1
    records.append(record)
    if let transaction = record.transaction, !open.contains(where: { $0.transaction === transaction }) {
      open.append((transaction, record.offset))
      transaction.logs.append(self)
    }
    return record.offset
  }

  func removeAll() {
    records.removeAll()
    open.removeAll()
  }

  func writeMarker(_ transaction: SimulatedTransaction) {
    records.append(Record(offset: end, transaction: transaction, isMarker: true))
    end += 1
    open.removeAll { $0.transaction === transaction }
  }

  /// Index of the first record at or behind an offset.
  func index(from offset: Int64) -> Int {
    var (low, high) = (0, records.count)
    while low < high {
      let middle = (low + high) / 2
      if records[middle].offset < offset { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Keeps the newest committed record of each key below the last stable offset, where it stands. Tombstones go when they
  /// are old; the newest records are in a segment that is not closed yet.
  func compact(now: Int64, tombstonesUntil: Int64) {
    let limit = min(stableEnd, end - 4)
    var newest: [[UInt8]: Int64] = [:]
    for record in records where record.offset < limit && record.isVisible {
      if let key = record.key { newest[key] = record.offset }
    }
    records.removeAll { record in
      guard record.offset < limit else { return false }
      guard record.isVisible, let key = record.key else { return true }
      if newest[key] != record.offset { return true }
      return record.value == nil && record.writtenAt < tombstonesUntil
    }
  }

  /// All that a reader of committed records is shown.
  var committed: [Record] { records.filter { $0.offset < stableEnd && $0.isVisible } }
}

/// Memory that lent records point into, until the next call.
@safe struct LentBytes: ~Copyable {
  private var buffers: [UnsafeMutableBufferPointer<UInt8>] = unsafe []

  mutating func lend(_ bytes: [UInt8]?) -> UnsafeBufferPointer<UInt8>? {
    guard let bytes else { return nil }
    let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(1, bytes.count))
    _ = unsafe buffer.initialize(from: bytes)
    unsafe buffers.append(buffer)
    return unsafe UnsafeBufferPointer(rebasing: buffer[..<bytes.count])
  }

  mutating func lend(_ record: SimulatedLog.Record, partition: Int32) -> LogRecord {
    unsafe LogRecord(
      partition: partition, offset: record.offset, timestamp: EventTime(milliseconds: record.timestamp),
      key: lend(record.key), value: lend(record.value))
  }

  mutating func takeBack() {
    while let buffer = unsafe buffers.popLast() { unsafe buffer.deallocate() }
  }

  deinit {
    for index in unsafe buffers.indices { unsafe buffers[index].deallocate() }
  }
}
