import Borrowers
import Scoring
import Synchronization

@testable import Pipeline

/// A broker in memory that keeps only what was committed, as a read-committed reader sees it. Offsets have gaps where a
/// transaction's marker would stand. Faults are asked for by the test.
final class MemoryBroker: Broker {
  struct Stored: Equatable, Sendable {
    var offset: Int64
    var key: [UInt8]?
    var value: [UInt8]?
    var timestamp: Int64 = 0
    var headers: [UInt8] = []
  }

  enum Fault: Sendable {
    /// The commit is refused, and that is confirmed.
    case abort
    case fenced
    /// The answer is lost; the commit was done.
    case lostAfterCommit
    /// The answer is lost; the commit was not done.
    case lostBeforeCommit
  }

  struct State {
    var logs: [SourceLog: [[Stored]]] = [:]
    var ends: [SourceLog: [Int64]] = [:]
    var committed: [Int32: CommittedOffset] = [:]
    var published: [OutputTopic: [Stored]] = [:]
    var producerEpoch: [Int: Int] = [:]
    var faults: [Fault] = []
    /// At that commit, counted from 1.
    var faultAt: (commit: Int, fault: Fault)?
    var commits = 0
  }

  let partitions: Int
  let state: Mutex<State>

  init(partitions: Int) {
    self.partitions = partitions
    var state = State()
    for log in [SourceLog.input, .state, .journal, .platformDaily, .industryIndicators] {
      state.logs[log] = Array(repeating: [], count: partitions)
      state.ends[log] = Array(repeating: 0, count: partitions)
    }
    self.state = Mutex(state)
  }

  var deadLetterBytesMax: Int { 4_096 }

  func prepare() throws(BrokerError) -> Int { partitions }
  func makeConsumer(worker: Int) throws(BrokerError) -> any InputConsumer { MemoryConsumer(self) }
  func makeProducer(worker: Int) throws(BrokerError) -> any TransactionProducer { MemoryProducer(self, worker) }
  func makeReader(worker: Int) throws(BrokerError) -> any LogReader { MemoryReader(self) }

  func feed(_ partition: Int, key: String?, value: String, timestamp: Int64, gap: Int64 = 0) {
    state.withLock { state in
      let offset = state.ends[.input]![partition] + gap
      state.ends[.input]![partition] = offset + 1
      state.logs[.input]![partition].append(
        Stored(offset: offset, key: key.map { Array($0.utf8) }, value: Array(value.utf8), timestamp: timestamp))
    }
  }

  func inject(_ fault: Fault) { state.withLock { $0.faults.append(fault) } }

  /// What was published for each key, in order.
  func published(_ topic: OutputTopic) -> [String: [String]] {
    var byKey: [String: [String]] = [:]
    for record in state.withLock({ $0.published[topic] ?? [] }) {
      let key = record.key.map { String(decoding: $0, as: UTF8.self) } ?? ""
      byKey[key, default: []].append(record.value.map { String(decoding: $0, as: UTF8.self) } ?? "tombstone")
    }
    return byKey
  }
}

final class MemoryConsumer: InputConsumer {
  private let broker: MemoryBroker
  private var notices: [ConsumerNotice] = []
  private var positions: [Int32: Int64] = [:]
  private var accepted: Set<Int32> = []
  private var held: [MemoryBroker.Stored] = []
  private var isMember = true
  let alive = Alive()

  final class Alive: GroupGeneration {}

  init(_ broker: MemoryBroker) {
    self.broker = broker
    notices = [.assigned((0..<Int32(broker.partitions)).map { $0 })]
  }

  func push(_ notice: ConsumerNotice) { notices.append(notice) }

  func poll(into records: inout [LogRecord], limit: Int, waitMilliseconds: Int) {
    records.removeAll()
    held.removeAll()
    var partitions: [Int32] = []
    broker.state.withLock { state in
      for (partition, position) in positions.sorted(by: { $0.key < $1.key }) {
        for record in state.logs[.input]![Int(partition)] where record.offset >= position && held.count < limit {
          held.append(record)
          partitions.append(partition)
          positions[partition] = record.offset + 1
        }
      }
    }
    for (index, partition) in partitions.enumerated() { records.append(LogRecord(held[index], partition)) }
  }

  func takeNotices() -> [ConsumerNotice] {
    defer { notices.removeAll() }
    return notices
  }

  func accept(_ partitions: [Int32]) throws(BrokerError) { accepted.formUnion(partitions) }
  func release(_ partitions: [Int32]) throws(BrokerError) {
    for partition in partitions {
      accepted.remove(partition)
      positions[partition] = nil
    }
  }
  func begin(_ partition: Int32, at offset: Int64) throws(BrokerError) {
    precondition(accepted.contains(partition))
    positions[partition] = offset
  }
  func generation() -> (any GroupGeneration)? { isMember ? alive : nil }
  func knownEnd(_ partition: Int32) -> Int64? { broker.state.withLock { $0.ends[.input]![Int(partition)] } }
  func wake() {}
  func close() { isMember = false }
}

final class MemoryProducer: TransactionProducer {
  private let broker: MemoryBroker
  private let worker: Int
  private var epoch = 0

  init(_ broker: MemoryBroker, _ worker: Int) {
    self.broker = broker
    self.worker = worker
  }

  func open() throws(BrokerError) {
    epoch = broker.state.withLock { state in
      state.producerEpoch[worker, default: 0] += 1
      return state.producerEpoch[worker]!
    }
  }

  func commit(_ outputs: borrowing OutputBatch, _ offsets: inout [PartitionOffset], _ generation: any GroupGeneration)
    throws(BrokerError)
  {
    var records: [(topic: OutputTopic, partition: Int32, stored: MemoryBroker.Stored)] = []
    for entry in outputs.entries {
      records.append((entry.topic, entry.partition, Self.stored(entry, outputs.bytes)))
    }
    let (epoch, worker) = (epoch, worker)
    var positions = offsets
    let kept = records
    let outcome: BrokerError? = broker.state.withLock { state in
      guard state.producerEpoch[worker] == epoch else { return BrokerError(.fenced, "fenced") }
      var fault = state.faults.popLast()
      if let planned = state.faultAt, state.commits + 1 >= planned.commit {
        fault = planned.fault
        state.faultAt = nil
      }
      switch fault {
      case .abort:
        // Its records took offsets all the same.
        for record in kept where record.topic == .journal { state.ends[.journal]![Int(record.partition)] += 1 }
        for record in kept where record.topic == .platformDaily { state.ends[.platformDaily]![0] += 1 }
        return BrokerError(.abortable, "aborted")
      case .fenced: return BrokerError(.fenced, "fenced")
      case .lostBeforeCommit: return BrokerError(.unknownOutcome, "lost")
      case .lostAfterCommit, nil: break
      }
      Self.apply(kept, &positions, &state)
      return fault == nil ? nil : BrokerError(.unknownOutcome, "lost")
    }
    offsets = positions
    if let outcome { throw outcome }
  }

  private static func apply(
    _ records: [(topic: OutputTopic, partition: Int32, stored: MemoryBroker.Stored)],
    _ offsets: inout [PartitionOffset], _ state: inout MemoryBroker.State
  ) {
    state.commits += 1
    var touched: Set<[Int]> = []
    for (topic, partition, record) in records {
      var stored = record
      let logs: [OutputTopic: SourceLog] = [.state: .state, .journal: .journal, .platformDaily: .platformDaily]
      guard let log = logs[topic] else {
        state.published[topic, default: []].append(stored)
        continue
      }
      stored.offset = state.ends[log]![Int(partition)]
      state.ends[log]![Int(partition)] += 1
      state.logs[log]![Int(partition)].append(stored)
      touched.insert([logIndex(log), Int(partition)])
    }
    for index in offsets.indices {
      let partition = offsets[index].partition
      if offsets[index].journalEntries > 0 {
        offsets[index].position.journalOffset = state.ends[.journal]![Int(partition)]
      }
      let position = offsets[index].position
      state.committed[partition] = CommittedOffset(offset: position.inputOffset, metadata: position.metadata)
    }
    for one in touched { state.ends[logsOfOutputs[one[0]]]![one[1]] += 1 }  // The marker.
  }

  private static let logsOfOutputs: [SourceLog] = [.state, .journal, .platformDaily]
  private static func logIndex(_ log: SourceLog) -> Int { logsOfOutputs.firstIndex(of: log)! }

  private static func stored(_ entry: OutputBatch.Entry, _ bytes: borrowing ByteBuffer) -> MemoryBroker.Stored {
    func slice(_ start: Int32, _ count: Int32) -> [UInt8]? {
      guard count >= 0 else { return nil }
      return unsafe Array(bytes.bytes[Int(start)..<Int(start + count)])
    }
    return MemoryBroker.Stored(
      offset: 0, key: slice(entry.keyStart, entry.keyCount), value: slice(entry.valueStart, entry.valueCount),
      headers: slice(entry.headersStart, entry.headersCount) ?? [])
  }

  func close() {}
}

final class MemoryReader: LogReader {
  private let broker: MemoryBroker

  init(_ broker: MemoryBroker) { self.broker = broker }

  func committed(_ partition: Int32) throws(BrokerError) -> CommittedOffset? {
    broker.state.withLock { $0.committed[partition] }
  }

  func partitions(of log: SourceLog) throws(BrokerError) -> Int { log == .platformDaily ? 1 : broker.partitions }

  func bounds(_ log: SourceLog, _ partition: Int32) throws(BrokerError) -> Range<Int64> {
    broker.state.withLock { state in
      let end = state.ends[log]![Int(partition)]
      return (state.logs[log]![Int(partition)].first?.offset ?? end)..<end
    }
  }

  func read(
    _ log: SourceLog, _ partition: Int32, _ range: Range<Int64>, while isWanted: () -> Bool,
    _ body: (LogRecord) throws -> Void
  ) throws {
    for record in broker.state.withLock({ $0.logs[log]![Int(partition)] }) where range.contains(record.offset) {
      guard isWanted() else { return }
      try body(LogRecord(record, partition))
    }
  }

  func close() {}
}

extension LogRecord {
  /// Borrows from memory that lives as long as the test's process: a test's log is small.
  init(_ stored: MemoryBroker.Stored, _ partition: Int32) {
    func lasting(_ bytes: [UInt8]?) -> UnsafeBufferPointer<UInt8>? {
      guard let bytes else { return nil }
      let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(1, bytes.count))
      _ = unsafe copy.initialize(from: bytes)
      return unsafe UnsafeBufferPointer(rebasing: copy[..<bytes.count])
    }
    unsafe self.init(
      partition: partition, offset: stored.offset, timestamp: EventTime(milliseconds: stored.timestamp),
      key: lasting(stored.key), value: lasting(stored.value))
  }
}

/// Moves a little with each look, so that waiting for it ends, and else when it is told to.
final class TestClock: Clock {
  private let now = Mutex<Int64>(1_000_000_000)
  let epoch: Int64

  init(epoch: Int64) { self.epoch = epoch }

  var monotonic: Int64 {
    now.withLock { now in
      now += 20_000
      return now
    }
  }
  var wall: Int64 { epoch + now.withLock { $0 } / 1_000_000 }
  func rest(milliseconds: Int64) { advance(milliseconds: milliseconds) }
  func advance(milliseconds: Int64) { now.withLock { $0 += milliseconds * 1_000_000 } }
}
