import Pipeline
import Scoring

/// The brokers as one: logs, transactions and the consumer group, as far as Kafka promises them. Touched by the thread
/// whose turn it is.
final class SimulatedCluster {
  static let transactionTimeout: Int64 = 10_000_000_000
  static let tombstonesKept: Int64 = 120_000_000_000

  let partitions: Int
  let scheduler: Scheduler
  let faults: FaultInjection
  let input: [SimulatedLog]
  let state: [SimulatedLog]
  let journal: [SimulatedLog]
  /// One partition.
  let platformDaily = SimulatedLog(name: "platform daily")
  private let industryIndicators = SimulatedLog(name: "industry indicators")
  /// One partition, without transactions.
  let control = SimulatedLog(name: "control")
  /// By `OutputTopic.rawValue`, as many partitions as the input.
  private let published: [[SimulatedLog]]
  private(set) var producers: [String: TransactionalProducer] = [:]
  /// Positions, and transactions over them whose end has not reached the group yet.
  private(set) var committed: [Int32: CommittedOffset] = [:]
  private var pending: [Int32: [SimulatedTransaction]] = [:]
  let group: SimulatedGroup

  struct TransactionalProducer {
    var epoch = 0
    var transaction: SimulatedTransaction?
    /// Decided, and its markers are on their way.
    var isCompleting = false
  }

  init(partitions: Int, scheduler: Scheduler, faults: FaultInjection) {
    self.partitions = partitions
    self.scheduler = scheduler
    self.faults = faults
    func logs(_ name: String) -> [SimulatedLog] { (0..<partitions).map { SimulatedLog(name: "\(name)[\($0)]") } }
    input = logs("input")
    state = logs("state")
    journal = logs("journal")
    published = OutputTopic.allCases.map { logs("\($0)") }
    group = SimulatedGroup(partitions: partitions, scheduler: scheduler, faults: faults)
  }

  func log(_ source: SourceLog, _ partition: Int32) -> SimulatedLog {
    switch source {
    case .input: input[Int(partition)]
    case .state: state[Int(partition)]
    case .journal: journal[Int(partition)]
    case .platformDaily: platformDaily
    case .industryIndicators: industryIndicators
    }
  }

  func log(_ topic: OutputTopic, partition: Int32) -> SimulatedLog {
    switch topic {
    case .state: state[Int(partition)]
    case .journal: journal[Int(partition)]
    case .platformDaily: platformDaily
    default: published[Int(topic.rawValue)][Int(partition)]
    }
  }

  func published(_ topic: OutputTopic) -> [SimulatedLog] {
    topic == .platformDaily ? [platformDaily] : published[Int(topic.rawValue)]
  }

  // MARK: Transactions

  /// A new epoch; what had the id before is fenced, and its transaction is aborted. Nil while one is being ended.
  func openProducer(_ id: String) -> Int? {
    var producer = producers[id] ?? TransactionalProducer()
    guard !producer.isCompleting else { return nil }
    producer.epoch += 1
    producers[id] = producer
    if let open = producer.transaction {
      decide(open, .aborted)
      return nil
    }
    return producer.epoch
  }

  func isFenced(_ id: String, epoch: Int) -> Bool { producers[id]?.epoch != epoch }
  func isCompleting(_ id: String) -> Bool { producers[id]?.isCompleting ?? false }

  /// The transaction of a producer that is not fenced; begun if there is none.
  func transaction(of id: String) -> SimulatedTransaction {
    if let open = producers[id]?.transaction { return open }
    let begun = SimulatedTransaction(producer: id, began: scheduler.now)
    producers[id]?.transaction = begun
    return begun
  }

  func addOffsets(_ offsets: [PartitionOffset], to transaction: SimulatedTransaction) {
    for offset in offsets {
      transaction.offsets[offset.partition] = CommittedOffset(
        offset: offset.position.inputOffset, metadata: offset.position.metadata)
      pending[offset.partition, default: []].append(transaction)
    }
  }

  /// The outcome is final from here on. The markers follow, each in its time, and the producer waits for them.
  func decide(_ transaction: SimulatedTransaction, _ status: SimulatedTransaction.Status) {
    transaction.status = status
    producers[transaction.producer]?.transaction = nil
    producers[transaction.producer]?.isCompleting = true
    scheduler.spawn(nil) { [self] in
      var steps: [() -> Void] = transaction.logs.map { log in { log.writeMarker(transaction) } }
      steps.append { [self] in settle(transaction) }
      for step in faults.shuffled(steps) {
        scheduler.rest(faults.markerDelay())
        step()
      }
      producers[transaction.producer]?.isCompleting = false
    }
  }

  private func settle(_ transaction: SimulatedTransaction) {
    for (partition, offset) in transaction.offsets {
      if transaction.status == .committed { committed[partition] = offset }
      pending[partition]?.removeAll { $0 === transaction }
    }
  }

  func hasPending(_ partition: Int32) -> Bool { !(pending[partition] ?? []).isEmpty }

  /// Transactions open for too long are aborted, and their producers fenced.
  func expireTransactions() {
    for (id, producer) in producers.sorted(by: { $0.key < $1.key }) {
      guard let open = producer.transaction, scheduler.now - open.began > Self.transactionTimeout else { continue }
      producers[id]?.epoch += 1
      decide(open, .aborted)
      faults.count(.transactionTimedOut)
    }
  }

  /// Nothing is asked of it any more.
  func close() {
    for log in input + state + journal + [platformDaily, control] + published.joined() { log.removeAll() }
    producers.removeAll()
    pending.removeAll()
    group.close()
  }

  // MARK: The brokers' own work

  /// Runs beside the workers until `isOver`.
  func attend(until isOver: @escaping () -> Bool) {
    scheduler.spawn(nil) { [self] in
      while !isOver() {
        scheduler.rest(100_000_000)
        expireTransactions()
        group.advance()
        if faults.compacts() {
          for log in state { log.compact(now: scheduler.now, tombstonesUntil: scheduler.now - Self.tombstonesKept) }
        }
      }
    }
  }
}
