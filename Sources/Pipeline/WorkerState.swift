// The decisions of a worker about ownership, transactions and recovery, without any I/O: events in, actions out. The
// worker performs the actions in their order. Tests go through it state by state.

/// What a transaction came to.
public enum TransactionOutcome: Equatable, Sendable {
  case committed
  /// Confirmed: nothing of it is visible, and the producer can go on.
  case aborted(BrokerError)
  /// It was not begun: the worker is no member of the group. What it owned is others', as the group will say when it is
  /// polled, which a loop whose batch is full would not come to.
  case notHandedOver(BrokerError)
  case fenced(BrokerError)
  case unknown(BrokerError)
  case fatal(BrokerError)
}

public enum WorkerEvent: Equatable, Sendable {
  case assigned([Int32])
  case revoked([Int32])
  case lost([Int32])
  case outOfRange(Int32)
  case consumerFailed(BrokerError)
  case producerReady
  case producerFailed(BrokerError)
  case restored(Int32, epoch: UInt64)
  case restoreFailed(Int32, epoch: UInt64, BrokerError)
  /// The outputs that are waiting are due.
  case commitDue
  case transactionEnded(TransactionOutcome)
  /// The pause of an aborted transaction is over, and it is handed over again.
  case republishing
  case stopRequested
}

public enum WorkerAction: Equatable, Sendable {
  /// Answer the assignment; nothing is fetched yet.
  case accept([Int32])
  case restore(Int32, epoch: UInt64, afterMilliseconds: Int64)
  /// A restore under way is of no use any more.
  case abandonRestore(Int32)
  /// Take over the restored engine and fetch from its position.
  case begin(Int32)
  /// Hand what is waiting over to the committing thread, as one transaction.
  case submit
  /// Hand the same transaction over again.
  case republish(afterMilliseconds: Int64)
  /// Forget what is waiting for the next transaction.
  case discardWaiting
  /// Forget the transaction that was handed over.
  case discardTransaction
  /// Forget the engine of a partition.
  case dropState(Int32)
  case release([Int32])
  case openProducer(afterMilliseconds: Int64, reason: BrokerError?)
  case reportStopped(Int32, BrokerError)
  /// Leave the group and end; with an error the process fails.
  case end(BrokerError?)
}

public struct WorkerState: Sendable {
  public enum Phase: Equatable, Sendable {
    /// Ours, with no state; waits for the producer and for the transaction under way to end.
    case waiting
    case restoring
    case live
    /// To be given up, once what it put out is committed.
    case revoking
    /// Cannot go on; others do. Its line is in the log and in the status.
    case stopped
  }

  struct Partition: Equatable, Sendable {
    var phase: Phase
    /// Told apart: results of an earlier restore, or of an earlier time that it was ours.
    var epoch: UInt64
    var restoreFailures = 0
  }

  enum Producer: Equatable, Sendable { case opening, ready }

  private(set) var partitions: [Int32: Partition] = [:]
  private(set) var producer = Producer.opening
  private(set) var isCommitting = false
  private(set) var isStopping = false
  private(set) var hasEnded = false
  /// The transaction under way holds outputs of partitions that were lost: it must not be published again.
  private(set) var isTainted = false
  /// The transaction was aborted, and is not handed over again yet.
  private(set) var isPausing = false
  /// What was revoked and not yet released.
  private(set) var revoked: [Int32]?
  /// All that was put out before the revocation, or the stop, was handed over.
  private(set) var isFlushed = false
  private(set) var abortsInARow = 0
  private(set) var replacementsInARow = 0
  private var nextEpoch: UInt64 = 1

  /// How often is tried again.
  public struct Patience: Equatable, Sendable {
    /// Confirmed aborts of one transaction before it is given up: with the growing pause, a minute and a half.
    public var abortsMax = 100
    /// The same while partitions are to be given up or the worker is to end: others wait for it.
    public var abortsWhileLeavingMax = 5
    /// New producers in a row, without a commit between them, before the process ends: about half a minute of trying.
    public var replacementsMax = 30

    public init() {}
  }

  public let patience: Patience

  public init(patience: Patience = Patience()) { self.patience = patience }

  public func phase(_ partition: Int32) -> Phase? { partitions[partition]?.phase }
  public func epoch(_ partition: Int32) -> UInt64? { partitions[partition]?.epoch }
  public var ownsAny: Bool { !partitions.isEmpty }
  /// Whether outputs of a live partition may be made and handed over now.
  public var canSubmit: Bool { producer == .ready && !isCommitting && !hasEnded }

  public mutating func handle(_ event: WorkerEvent) -> [WorkerAction] {
    guard !hasEnded else { return [] }
    switch event {
    case .assigned(let added): return assign(added)
    case .revoked(let removed): return revoke(removed)
    case .lost(let removed): return lose(removed)
    case .outOfRange(let partition): return stop(partition, Self.outOfRange(partition))
    case .consumerFailed(let error): return end(error)
    case .producerReady:
      producer = .ready
      return proceed()
    case .producerFailed(let error): return producerFailed(error)
    case .restored(let partition, let epoch): return restored(partition, epoch)
    case .restoreFailed(let partition, let epoch, let error): return restoreFailed(partition, epoch, error)
    case .commitDue:
      guard canSubmit else { return [] }
      isCommitting = true
      return [.submit]
    case .transactionEnded(let outcome): return ended(outcome)
    case .republishing:
      isPausing = false
      return []
    case .stopRequested:
      guard !isStopping else { return [] }
      isStopping = true
      isFlushed = false
      return sorted.filter { $0.value.phase == .restoring }.map { .abandonRestore($0.key) } + proceed()
    }
  }

  // MARK: Ownership

  private mutating func assign(_ added: [Int32]) -> [WorkerAction] {
    for partition in added { partitions[partition] = Partition(phase: .waiting, epoch: takeEpoch()) }
    return [.accept(added)] + proceed()
  }

  private mutating func revoke(_ removed: [Int32]) -> [WorkerAction] {
    var actions: [WorkerAction] = []
    for partition in removed {
      guard let phase = partitions[partition]?.phase else { continue }
      if phase == .restoring { actions.append(.abandonRestore(partition)) }
      partitions[partition]?.phase = .revoking
    }
    revoked = (revoked ?? []) + removed
    isFlushed = false
    return actions + proceed()
  }

  private mutating func lose(_ removed: [Int32]) -> [WorkerAction] {
    var actions: [WorkerAction] = []
    for partition in removed {
      guard let held = partitions.removeValue(forKey: partition) else { continue }
      if held.phase == .restoring { actions.append(.abandonRestore(partition)) }
      actions.append(.dropState(partition))
    }
    // What is waiting or under way may hold outputs of the lost beside those of the kept: the kept begin again from what
    // was committed, once the outcome of the transaction under way is known. What a partition puts out that was being
    // restored meanwhile is nobody's but its own: so what is waiting goes now, and not at that outcome.
    actions += dropStates() + [.discardWaiting]
    if isPausing {
      isPausing = false
      isCommitting = false
      actions.append(.discardTransaction)
    }
    isTainted = isCommitting
    revoked = revoked.map { waiting in waiting.filter { !removed.contains($0) } }
    if revoked?.isEmpty == true { revoked = nil }
    return actions + [.release(removed)] + proceed()
  }

  /// Drops the state of every partition that has one, since its outputs are forgotten: kept, it would be ahead of what
  /// was published. A live one waits to be restored, a revoked one to be released, a stopped one for nothing.
  private mutating func dropStates() -> [WorkerAction] {
    var actions: [WorkerAction] = []
    for (partition, held) in sorted where held.phase != .waiting && held.phase != .restoring {
      actions.append(.dropState(partition))
      if held.phase == .live { partitions[partition] = Partition(phase: .waiting, epoch: takeEpoch()) }
    }
    return actions
  }

  // MARK: Transactions

  private mutating func ended(_ outcome: TransactionOutcome) -> [WorkerAction] {
    isCommitting = false
    switch outcome {
    case .committed:
      abortsInARow = 0
      replacementsInARow = 0
      guard !isTainted else { return discardTainted() }
      return proceed()
    case .aborted(let error):
      guard !isTainted else { return discardTainted() }
      abortsInARow += 1
      let isLeaving = isStopping || revoked != nil
      if abortsInARow > (isLeaving ? patience.abortsWhileLeavingMax : patience.abortsMax) {
        return isLeaving ? beginAgain() + proceed() : end(error)
      }
      isCommitting = true
      isPausing = true
      return [.republish(afterMilliseconds: Self.pause(abortsInARow))]
    case .notHandedOver:
      isTainted = false
      return beginAgain() + proceed()
    case .fenced(let error), .unknown(let error):
      isTainted = false
      producer = .opening
      replacementsInARow += 1
      if replacementsInARow > patience.replacementsMax { return end(error) }
      return beginAgain()
        + [.openProducer(afterMilliseconds: Self.pause(replacementsInARow), reason: error)] + proceed()
    case .fatal(let error):
      return end(error)
    }
  }

  /// Forgets all that is not known to be committed; states are read back from what is.
  private mutating func beginAgain() -> [WorkerAction] {
    abortsInARow = 0
    isFlushed = true
    return dropStates() + [.discardTransaction, .discardWaiting]
  }

  private mutating func discardTainted() -> [WorkerAction] {
    isTainted = false
    abortsInARow = 0
    return [.discardTransaction] + proceed()
  }

  private mutating func producerFailed(_ error: BrokerError) -> [WorkerAction] {
    switch error.kind {
    case .fatal, .authentication, .invalidSetting, .missingTopic, .unfitTopic: return end(error)
    default:
      replacementsInARow += 1
      return [.openProducer(afterMilliseconds: Self.pause(replacementsInARow), reason: error)]
    }
  }

  // MARK: Recovery

  private mutating func restored(_ partition: Int32, _ epoch: UInt64) -> [WorkerAction] {
    guard let held = partitions[partition], held.epoch == epoch, held.phase == .restoring else { return [] }
    partitions[partition]?.phase = .live
    partitions[partition]?.restoreFailures = 0
    return [.begin(partition)]
  }

  private mutating func restoreFailed(_ partition: Int32, _ epoch: UInt64, _ error: BrokerError) -> [WorkerAction] {
    guard let held = partitions[partition], held.epoch == epoch, held.phase == .restoring else { return [] }
    switch error.kind {
    case .outOfRange, .unfitTopic, .missingTopic: return stop(partition, error)
    case .fatal, .authentication, .invalidSetting: return end(error)
    default:
      let failures = held.restoreFailures + 1
      let next = takeEpoch()
      partitions[partition] = Partition(phase: .restoring, epoch: next, restoreFailures: failures)
      return [.restore(partition, epoch: next, afterMilliseconds: Self.pause(failures))]
    }
  }

  private mutating func stop(_ partition: Int32, _ error: BrokerError) -> [WorkerAction] {
    guard let held = partitions[partition], held.phase == .live || held.phase == .restoring else { return [] }
    // What a live one has put out stays in its transaction: it was decided before.
    partitions[partition]?.phase = .stopped
    return [.reportStopped(partition, error)]
  }

  // MARK: What can go on now

  private mutating func proceed() -> [WorkerAction] {
    guard !isCommitting else { return [] }
    var actions: [WorkerAction] = []
    if revoked != nil || isStopping {
      if !isFlushed {
        isFlushed = true
        guard producer != .ready else {
          isCommitting = true
          return [.submit]
        }
        // Without a producer what is waiting cannot be published: its partitions begin again, here or elsewhere.
        actions += dropStates() + [.discardWaiting]
      }
      if let released = revoked {
        revoked = nil
        for partition in released where partitions.removeValue(forKey: partition) != nil {
          actions.append(.dropState(partition))
        }
        actions.append(.release(released))
      }
      if isStopping { return actions + end(nil) }
    }
    guard producer == .ready else { return actions }
    for (partition, held) in sorted where held.phase == .waiting {
      partitions[partition]?.phase = .restoring
      actions.append(.restore(partition, epoch: held.epoch, afterMilliseconds: 0))
    }
    return actions
  }

  private mutating func end(_ error: BrokerError?) -> [WorkerAction] {
    hasEnded = true
    return [.end(error)]
  }

  private mutating func takeEpoch() -> UInt64 {
    defer { nextEpoch += 1 }
    return nextEpoch
  }

  /// In the order of partitions, so that the same events give the same actions.
  private var sorted: [(key: Int32, value: Partition)] { partitions.sorted { $0.key < $1.key } }

  /// A pause that doubles from 10 ms to at most a second.
  static func pause(_ attempt: Int) -> Int64 { min(1_000, 5 << Int64(min(attempt, 10))) }

  private static func outOfRange(_ partition: Int32) -> BrokerError {
    BrokerError(
      .outOfRange,
      "partition \(partition): its next offset is not in the input topic any more; the topic's retention is too short")
  }
}
