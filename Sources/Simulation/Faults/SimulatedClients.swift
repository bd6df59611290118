import Borrowers
import Pipeline
import Scoring

/// What a process reaches the cluster through. Each call takes time, and may be the last one that the process makes.
final class SimulatedBroker: Broker, @unchecked Sendable {
  // Touched by the thread whose turn it is.
  let cluster: SimulatedCluster
  let process: SimulatedProcess
  let mutation: Mutation?

  init(_ cluster: SimulatedCluster, _ process: SimulatedProcess, _ mutation: Mutation?) {
    self.cluster = cluster
    self.process = process
    self.mutation = mutation
  }

  var deadLetterBytesMax: Int { 4_096 }
  var stateDeleteRetentionMilliseconds: Int64 {
    SimulatedCluster.tombstonesKept / 1_000_000 * SimulatedClock.wallSpeed
  }
  func prepare() throws(BrokerError) -> Int { cluster.partitions }
  func makeConsumer(worker: Int) throws(BrokerError) -> any InputConsumer { SimulatedConsumer(self) }
  func makeProducer(worker: Int) throws(BrokerError) -> any TransactionProducer {
    SimulatedProducer(self, id: "\(process.settings.instanceID)-\(worker)")
  }
  func makeReader(worker: Int) throws(BrokerError) -> any LogReader { SimulatedReader(self) }

  /// The way to the broker or back. Throws when the process is dead by then.
  func travel() throws(BrokerError) {
    cluster.faults.disturb(process)
    cluster.scheduler.rest(cluster.faults.delay())
    if process.isDead { throw BrokerError(.fatal, "the process is dead") }
  }
}

final class SimulatedConsumer: InputConsumer {
  final class Membership: GroupGeneration {
    let member: Int
    let generation: Int

    init(member: Int, generation: Int) {
      self.member = member
      self.generation = generation
    }
  }

  private let broker: SimulatedBroker
  private var cluster: SimulatedCluster { broker.cluster }
  var process: SimulatedProcess { broker.process }

  // What the client knows of its membership.
  var memberID: Int?
  var generationNumber = 0
  /// Told by the group, and not yet by the client.
  private var incoming: [ConsumerNotice] = []
  private var notices: [ConsumerNotice] = []
  private var isAnswering = false
  /// Told to the worker, and not released.
  private var known: Set<Int32> = []
  private var isLosing = false

  private var positions: [Int32: Int64] = [:]
  private var lent = LentBytes()
  private var isClosed = false

  init(_ broker: SimulatedBroker) {
    self.broker = broker
    cluster.group.subscribe(self)
  }

  // MARK: The group's side

  var isAnswerAwaited: Bool { isAnswering || !incoming.isEmpty }
  var isReadyToJoin: Bool { memberID == nil && !isClosed && !isLosing && !isAnswerAwaited && known.isEmpty }

  func receive(_ notice: ConsumerNotice) { incoming.append(notice) }

  /// The group has dropped it: what it held is lost, as soon as what was told before is answered.
  func forgetMembership() {
    memberID = nil
    incoming.removeAll()
    isLosing = true
  }

  // MARK: The worker's side

  func poll(into records: inout [LogRecord], limit: Int, waitMilliseconds: Int) {
    records.removeAll(keepingCapacity: true)
    lent.takeBack()
    guard (try? broker.travel()) != nil else { return }
    fetch(into: &records, limit: limit)
    if records.isEmpty, incoming.isEmpty, waitMilliseconds > 0 {
      cluster.scheduler.rest(cluster.faults.pollWait(milliseconds: waitMilliseconds), isWaiting: true)
      guard !process.isDead else { return }
      fetch(into: &records, limit: limit)
    }
    tell()
  }

  private func fetch(into records: inout [LogRecord], limit: Int) {
    let limit = min(limit, cluster.faults.fetchMax)
    for (partition, position) in positions.sorted(by: { $0.key < $1.key }) where records.count < limit {
      let log = cluster.log(.input, partition)
      for record in log.records[log.index(from: position)...].prefix(limit - records.count) {
        records.append(lent.lend(record, partition: partition))
        positions[partition] = record.offset + 1
      }
    }
  }

  /// One notice at a time: the client waits for its answer.
  private func tell() {
    guard !isAnswering else { return }
    if isLosing, incoming.isEmpty {
      isLosing = false
      guard !known.isEmpty else { return }
      isAnswering = true
      notices.append(.lost(known.sorted()))
    } else if !incoming.isEmpty {
      let notice = incoming.removeFirst()
      if case .assigned(let added) = notice { known.formUnion(added) }
      isAnswering = true
      notices.append(notice)
    }
  }

  func takeNotices() -> [ConsumerNotice] {
    defer { notices.removeAll() }
    return notices
  }

  func accept(_ partitions: [Int32]) throws(BrokerError) {
    if cluster.faults.isBusy() { throw BrokerError(.retriable, "find the end") }
    for partition in partitions { positions[partition] = cluster.log(.input, partition).end }
    isAnswering = false
  }

  func release(_ partitions: [Int32]) throws(BrokerError) {
    for partition in partitions { positions[partition] = nil }
    known.subtract(partitions)
    isAnswering = false
    if !process.isDead { cluster.group.released(partitions, by: self) }
  }

  func begin(_ partition: Int32, at offset: Int64) throws(BrokerError) {
    if cluster.faults.isBusy() { throw BrokerError(.retriable, "seek") }
    guard positions[partition] != nil else { throw BrokerError(.fatal, "begun before it was accepted") }
    positions[partition] = broker.mutation == .beginBehindThePosition ? offset + 1 : offset
  }

  func generation() -> (any GroupGeneration)? {
    guard !process.isDead else { return nil }
    return memberID.map { Membership(member: $0, generation: generationNumber) }
  }

  func knownEnd(_ partition: Int32) -> Int64? { cluster.log(.input, partition).end }
  func wake() { cluster.scheduler.wake(process) }

  func close() {
    isClosed = true
    if !process.isDead { cluster.group.leave(self) }
  }
}

final class SimulatedProducer: TransactionProducer {
  private let broker: SimulatedBroker
  private var cluster: SimulatedCluster { broker.cluster }
  private let id: String
  private var epoch = -1

  init(_ broker: SimulatedBroker, id: String) {
    self.broker = broker
    self.id = id
  }

  func open() throws(BrokerError) {
    try broker.travel()
    let deadline = cluster.scheduler.now + 10_000_000_000
    while true {
      if let opened = cluster.openProducer(id) {
        epoch = opened
        break
      }
      guard cluster.scheduler.now < deadline else {
        throw BrokerError(.retriable, "the last transaction is being ended")
      }
      cluster.scheduler.rest(5_000_000)
      try broker.travel()
    }
    try broker.travel()
  }

  func close() {}

  func commit(_ outputs: borrowing OutputBatch, _ offsets: inout [PartitionOffset], _ generation: any GroupGeneration)
    throws(BrokerError)
  {
    var records = SimulatedProducer.records(of: outputs)
    broker.mutation?.change(&records, &offsets)
    do throws(BrokerError) {
      try begin()
      if broker.mutation == .commitOffsetsBeforeOutputs {
        try send(offsets, generation)
        try end(.committed)
        try begin()
      }
      let journalEnds = try publish(records)
      for index in offsets.indices where offsets[index].journalEntries > 0 {
        guard let end = journalEnds[offsets[index].partition] else { continue }
        offsets[index].position.journalOffset = end
      }
      if cluster.faults.isRefused(.recordRefused) { throw BrokerError(.abortable, "a record was refused") }
      if broker.mutation == .stateInATransactionOfItsOwn {
        try end(.committed)
        try begin()
      }
      if broker.mutation != .commitOffsetsBeforeOutputs { try send(offsets, generation) }
      try end(.committed)
    } catch {
      guard error.kind == .abortable else { throw error }
      if broker.mutation != .skipTheAbort { try abort() }
      throw error
    }
  }

  /// The broker takes a next transaction when the last one has its markers.
  private func begin() throws(BrokerError) {
    try broker.travel()
    while cluster.isCompleting(id), !cluster.isFenced(id, epoch: epoch) {
      cluster.scheduler.rest(2_000_000)
      try broker.travel()
    }
    try check()
  }

  private func check() throws(BrokerError) {
    if cluster.isFenced(id, epoch: epoch) {
      cluster.faults.count(.fenced)
      throw BrokerError(.fenced, "the transactional id is another producer's now")
    }
  }

  private func publish(_ records: [SimulatedRecord]) throws(BrokerError) -> [Int32: Int64] {
    var journalEnds: [Int32: Int64] = [:]
    var index = 0
    while index < records.count {
      let end = min(records.count, index + cluster.faults.batchSize())
      try broker.travel()
      try check()
      let transaction = cluster.transaction(of: id)
      for record in records[index..<end] {
        let offset = cluster.log(record.topic, partition: record.partition(of: cluster.partitions)).append(
          SimulatedLog.Record(
            offset: 0, key: record.key, value: record.value, headers: record.headers,
            writtenAt: cluster.scheduler.now, transaction: transaction))
        if record.topic == .journal { journalEnds[record.givenPartition] = offset + 1 }
      }
      index = end
    }
    return journalEnds
  }

  private func send(_ offsets: [PartitionOffset], _ generation: any GroupGeneration) throws(BrokerError) {
    try broker.travel()
    try check()
    guard let membership = generation as? SimulatedConsumer.Membership else { preconditionFailure("another broker's") }
    if broker.mutation != .offsetsWithoutMembership {
      switch cluster.group.judge(member: membership.member, generation: membership.generation) {
      case .taken: break
      case .rebalancing:
        cluster.faults.count(.offsetsRefused)
        throw BrokerError(.abortable, "the group is rebalancing")
      case .unknownMember:
        cluster.faults.count(.offsetsRefused)
        throw BrokerError(.abortable, "the group has another generation")
      }
    }
    cluster.addOffsets(offsets, to: cluster.transaction(of: id))
    if cluster.faults.isRefused(.offsetsRefused) { throw BrokerError(.abortable, "the offsets were refused") }
  }

  /// The answer may be lost, with or without the effect.
  private func end(_ status: SimulatedTransaction.Status) throws(BrokerError) {
    try broker.travel()
    if cluster.faults.isLost(.requestLost) { throw BrokerError(.unknownOutcome, "no answer") }
    try check()
    cluster.decide(cluster.transaction(of: id), status)
    if cluster.faults.isLost(.answerLost) {
      if broker.mutation == .takeALostAnswerForAnAbort, status == .committed {
        throw BrokerError(.abortable, "no answer")
      }
      throw BrokerError(.unknownOutcome, "no answer")
    }
    try broker.travel()
  }

  private func abort() throws(BrokerError) {
    try broker.travel()
    guard cluster.producers[id]?.transaction != nil || cluster.isFenced(id, epoch: epoch) else { return }
    try end(.aborted)
  }
}

/// A record as a producer sends it.
struct SimulatedRecord {
  var topic: OutputTopic
  /// -1: by the key.
  var givenPartition: Int32
  var key: [UInt8]?
  var value: [UInt8]?
  var headers: [UInt8]

  func partition(of count: Int) -> Int32 {
    givenPartition >= 0 ? givenPartition : Int32(Murmur.partition(of: key ?? [], count: count))
  }
}

extension SimulatedProducer {
  static func records(of outputs: borrowing OutputBatch) -> [SimulatedRecord] {
    var records: [SimulatedRecord] = []
    for entry in outputs.entries {
      func slice(_ start: Int32, _ count: Int32) -> [UInt8]? {
        count < 0 ? nil : unsafe Array(outputs.bytes.bytes[Int(start)..<Int(start + count)])
      }
      records.append(
        SimulatedRecord(
          topic: entry.topic, givenPartition: entry.partition, key: slice(entry.keyStart, entry.keyCount),
          value: slice(entry.valueStart, entry.valueCount),
          headers: slice(entry.headersStart, entry.headersCount) ?? []))
    }
    return records
  }
}

final class SimulatedReader: LogReader {
  private let broker: SimulatedBroker
  private var cluster: SimulatedCluster { broker.cluster }
  private var lent = LentBytes()

  init(_ broker: SimulatedBroker) { self.broker = broker }

  func committed(_ partition: Int32) throws(BrokerError) -> CommittedOffset? {
    try broker.travel()
    if broker.mutation != .positionUnderAnOpenTransaction, cluster.hasPending(partition) {
      cluster.faults.count(.unstablePosition)
      throw BrokerError(.retriable, "a transaction is open over it")
    }
    let found = cluster.committed[partition]
    try broker.travel()
    return found
  }

  func partitions(of source: SourceLog) throws(BrokerError) -> Int {
    try broker.travel()
    return source == .platformDaily || source == .industryIndicators ? 1 : cluster.partitions
  }

  func bounds(_ source: SourceLog, _ partition: Int32) throws(BrokerError) -> Range<Int64> {
    try broker.travel()
    let log = cluster.log(source, partition)
    let end = broker.mutation == .restoreToTheStableOffset ? log.stableEnd : log.end
    let bounds = min(log.start, end)..<end
    try broker.travel()
    return bounds
  }

  func read(
    _ source: SourceLog, _ partition: Int32, _ range: Range<Int64>, while isWanted: () -> Bool,
    _ body: (LogRecord) throws -> Void
  ) throws {
    if broker.mutation == .forgetTheJournal, source == .journal { return }
    let log = cluster.log(source, partition)
    var next = range.lowerBound
    while next < range.upperBound, isWanted() {
      try broker.travel()
      if cluster.faults.isBusy() { throw BrokerError(.retriable, "the leader moved") }
      let end = min(range.upperBound, log.stableEnd)
      let found = log.records[log.index(from: next)...].prefix { $0.offset < end }.prefix(cluster.faults.batchSize())
      let showsAll = broker.mutation == .readUncommittedState && source == .state
      for record in found where record.isVisible || showsAll && !record.isMarker {
        lent.takeBack()
        try body(lent.lend(record, partition: partition))
      }
      if let last = found.last {
        next = last.offset + 1
      } else if log.stableEnd >= range.upperBound {
        return
      } else {
        // An open transaction is waited for.
        next = max(next, end)
        cluster.scheduler.rest(20_000_000)
      }
    }
  }

  func close() {}
}
