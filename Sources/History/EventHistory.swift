import Borrowers
import Dispatch
import Synchronization

/// How a history is read. Every bound is here.
public struct HistoryOptions: Sendable {
  /// Bytes of grouped events held in memory; a larger history goes to temporary files, hash-partitioned by borrower.
  /// One partition (1/64 of the history) has to fit into memory.
  public var memoryLimit = 512 << 20
  /// Where those files lie; they have no name there and vanish with the process.
  public var temporaryDirectory = HistoryOptions.systemTemporaryDirectory
  /// Whose borrowers are kept; nil: all.
  public var shard: HistoryShard?
  /// Bad lines described one by one; all are counted.
  public var reportedBadLines = 5
  /// How far apart two events of one event_id may lie and still be a repeat: `windows.dedupe_days`.
  public var dedupeWindowMilliseconds = 7 * EventTime.millisecondsPerDay
  public init() {}
}

/// A line of a file, or a row of a database, that is no event.
public struct BadLine: Equatable, Sendable {
  public enum Unit: String, Sendable { case line, row }

  public var unit = Unit.line
  /// From 1, in the order of reading.
  public var number: Int
  public var code: DeadLetterCode
  /// The field it is about; empty where none is.
  public var field: String

  public init(unit: Unit = .line, number: Int, code: DeadLetterCode, field: String) {
    self.unit = unit
    self.number = number
    self.code = code
    self.field = field
  }

  /// `line 7: out_of_range (amount)`; no part of the line, which may hold personal data.
  public var description: String { "\(unit.rawValue) \(number): \(code.name)\(field.isEmpty ? "" : " (\(field))")" }
}

/// How far reading has come.
public struct HistoryProgress: Sendable {
  public var events: Int
  /// Bytes of the file as it lies on disk, rows of a database; `totalBytes` is 0 where unknown.
  public var bytes: Int64
  public var totalBytes: Int64
}

/// What a history holds.
public struct HistorySummary: Equatable, Sendable {
  /// That are left: without repeats and without what an erasure took, of the borrowers that are kept. So a file and a
  /// database that has left these out already say the same.
  public var events = 0
  public var badLines = 0
  public var firstBadLines: [BadLine] = []
  /// Of the events that are left; `.distantFuture` where there is none.
  public var earliest = EventTime.distantFuture
  /// Of all that was read; `.distantPast` where there was nothing.
  public var latest = EventTime.distantPast
  /// Whether temporary files were needed.
  public var isSpilled = false
  public init() {}
}

/// The events of one borrower in order of event time, equal times in order of arrival. Repeats are gone, and so is
/// everything up to the last `borrower_erased`.
public struct BorrowerEvents {
  public internal(set) var borrowerID: [UInt8] = []
  public internal(set) var count = 0
  // Grows to the longest history met; the events behind `count` are kept for their capacity.
  var storage: [BorrowerEvent] = []

  public init() {}

  /// For tests and callers that have the events already: they are ordered, repeats and erased ones left out, as a
  /// history does.
  public init(
    borrowerID: [UInt8], _ events: [BorrowerEvent], dedupeWindowMilliseconds: Int64 = 7 * EventTime.millisecondsPerDay
  ) {
    self.borrowerID = borrowerID
    storage = events
    count = events.count
    var order = BorrowerOrder()
    order.arrange(&self, dedupeWindowMilliseconds: dedupeWindowMilliseconds)
  }

  public subscript(index: Int) -> BorrowerEvent {
    _read {
      precondition(index >= 0 && index < count)
      yield storage[index]
    }
  }
}

/// Past events grouped by borrower. Reading is streamed; what is held is bounded by `HistoryOptions.memoryLimit`.
/// Borrowers come in the same order whatever the limit, so that what is learned does not depend on it.
public final class EventHistory: Sendable {
  /// Borrowers are hashed to this many parts, each of which can be walked on its own.
  public static let partitionCount = 64

  public let summary: HistorySummary
  public let source: HistorySource
  private let dedupeWindowMilliseconds: Int64
  private let partitions: [StoredPartition]

  /// Reads all of `source`. `progress` is called about every 16,384 events.
  public init(
    _ source: HistorySource, options: HistoryOptions = HistoryOptions(),
    progress: (HistoryProgress) -> Void = { _ in }
  ) throws(HistoryError) {
    self.source = source
    dedupeWindowMilliseconds = options.dedupeWindowMilliseconds
    var grouping = Grouping(options: options)
    let read: HistorySummary
    switch source {
    case .ndjson(let path):
      var lines = try LineReader(path: path)
      read = try grouping.read(&lines, options: options, progress: progress)
    case .standardInput:
      var lines = try LineReader(standardInput: ())
      read = try grouping.read(&lines, options: options, progress: progress)
    case .sqlite(let path):
      var rows = try SQLiteEvents.open(path: path)
      read = try grouping.read(&rows, options: options, progress: progress)
    case .postgresql(let address):
      var rows = try PostgreSQLEvents.open(address: address)
      read = try grouping.read(&rows, options: options, progress: progress)
    }
    partitions = try grouping.finish()
    summary = Self.completed(read, partitions, dedupeWindowMilliseconds: dedupeWindowMilliseconds)
  }

  /// Events that are there already, for tests and simulations.
  public init(events: some Sequence<BorrowerEvent>, options: HistoryOptions = HistoryOptions()) throws(HistoryError) {
    source = .ndjson(path: "events")
    dedupeWindowMilliseconds = options.dedupeWindowMilliseconds
    var grouping = Grouping(options: options)
    var summary = HistorySummary()
    for event in events { try grouping.add(event, to: &summary) }
    partitions = try grouping.finish()
    self.summary = Self.completed(summary, partitions, dedupeWindowMilliseconds: dedupeWindowMilliseconds)
  }

  /// Counts what is left of each borrower, on all cores.
  private static func completed(
    _ read: HistorySummary, _ partitions: [StoredPartition], dedupeWindowMilliseconds: Int64
  ) -> HistorySummary {
    let left = Mutex((events: 0, earliest: EventTime.distantFuture))
    DispatchQueue.concurrentPerform(iterations: partitions.count) { index in
      var part = (events: 0, earliest: EventTime.distantFuture)
      partitions[index].forEachBorrower(dedupeWindowMilliseconds: dedupeWindowMilliseconds) { events in
        part.events += events.count
        part.earliest = min(part.earliest, events[0].occurredAt)
      }
      left.withLock { $0 = ($0.events + part.events, min($0.earliest, part.earliest)) }
    }
    var summary = read
    (summary.events, summary.earliest) = left.withLock { $0 }
    return summary
  }

  /// Calls `body` for each borrower of one partition that has events left, in an order that depends on the borrowers'
  /// ids alone. The value passed is reused.
  public func forEachBorrower<Failure: Error>(
    inPartition partition: Int, _ body: (BorrowerEvents) throws(Failure) -> Void
  ) throws(Failure) {
    try partitions[partition].forEachBorrower(dedupeWindowMilliseconds: dedupeWindowMilliseconds, body)
  }

  /// Whether a borrower of one hash comes before one of another: by partition, and within it by hash.
  public static func precedes(_ first: UInt64, _ second: UInt64) -> Bool {
    let partitions = (first % UInt64(partitionCount), second % UInt64(partitionCount))
    return partitions.0 != partitions.1 ? partitions.0 < partitions.1 : first < second
  }

  /// `forEachBorrower` over all partitions.
  public func forEachBorrower<Failure: Error>(_ body: (BorrowerEvents) throws(Failure) -> Void) throws(Failure) {
    for partition in 0..<Self.partitionCount { try forEachBorrower(inPartition: partition, body) }
  }
}

extension StoredPartition {
  /// Calls `body` for each borrower that has events left, in the order of the ids' hashes.
  fileprivate func forEachBorrower<Failure: Error>(
    dedupeWindowMilliseconds: Int64, _ body: (BorrowerEvents) throws(Failure) -> Void
  ) throws(Failure) {
    let bytes = read()
    var entries: [(borrower: UInt64, offset: Int)] = []
    var offset = 0
    while offset < bytes.count {
      let borrower = Self.readHash(bytes, at: &offset)
      let length = Int(StoredEvent.readVarint(bytes, &offset))
      entries.append((borrower, offset))
      offset += length
    }
    // Offsets stand for the order of arrival.
    entries.sort { $0.borrower != $1.borrower ? $0.borrower < $1.borrower : $0.offset < $1.offset }
    var group = BorrowerEvents()
    var order = BorrowerOrder()
    var start = 0
    while start < entries.count {
      var end = start + 1
      while end < entries.count, entries[end].borrower == entries[start].borrower { end += 1 }
      group.fill(bytes, entries[start..<end])
      order.arrange(&group, dedupeWindowMilliseconds: dedupeWindowMilliseconds)
      if group.count > 0 { try body(group) }
      start = end
    }
  }
}

extension BorrowerEvents {
  fileprivate mutating func fill(_ bytes: [UInt8], _ entries: ArraySlice<(borrower: UInt64, offset: Int)>) {
    count = entries.count
    while storage.count < count { storage.append(BorrowerEvent()) }
    for (index, entry) in entries.enumerated() {
      var offset = entry.offset
      StoredEvent.read(bytes, at: &offset, into: &storage[index])
    }
    let slice = storage[0].borrowerID
    borrowerID = Array(storage[0].text[Int(slice.start)..<Int(slice.start + slice.count)])
  }
}

/// Orders one borrower's events; its working memory is reused.
struct BorrowerOrder {
  private var firstSeen: [UInt64: EventTime] = [:]

  /// Expects the events in order of arrival.
  mutating func arrange(_ group: inout BorrowerEvents, dedupeWindowMilliseconds: Int64) {
    firstSeen.removeAll(keepingCapacity: true)
    var kept: [Int] = []
    kept.reserveCapacity(group.count)
    for index in 0..<group.count {
      let event = group.storage[index]
      // Before its erasure nothing counts, and an id may come again after it.
      if event.kind == .borrowerErased { firstSeen.removeAll(keepingCapacity: true) }
      let id = event.eventID
      let hash = unsafe event.text.withUnsafeBufferPointer {
        unsafe Murmur.hash64(UnsafeBufferPointer(rebasing: $0[Int(id.start)..<Int(id.start + id.count)]))
      }
      if let seen = firstSeen[hash], abs(event.occurredAt - seen) <= dedupeWindowMilliseconds { continue }
      firstSeen[hash] = event.occurredAt
      kept.append(index)
    }
    kept.sort {
      let a = group.storage[$0].occurredAt
      let b = group.storage[$1].occurredAt
      return a != b ? a < b : $0 < $1
    }
    if let erased = kept.lastIndex(where: { group.storage[$0].kind == .borrowerErased }) {
      kept.removeFirst(erased + 1)
    }
    apply(kept, to: &group)
  }

  /// Brings the kept events to the front, in their order.
  private func apply(_ kept: [Int], to group: inout BorrowerEvents) {
    let isInPlace = kept.enumerated().allSatisfy { $0.offset == $0.element }
    if !isInPlace {
      let ordered = kept.map { group.storage[$0] }
      group.storage.replaceSubrange(0..<ordered.count, with: ordered)
    }
    group.count = kept.count
  }
}
