import Testing

@testable import Pipeline

/// Every state that a worker with two partitions can come to, by every order of events: searched through to the end, with
/// what must hold in each.
struct WorkerStateExploration {
  @Test func `in every state that can be reached nothing is lost, repeated or left waiting`() {
    var patience = WorkerState.Patience()
    patience.abortsMax = 2
    patience.abortsWhileLeavingMax = 1
    patience.replacementsMax = 2
    let first = ExploredWorker(WorkerState(patience: patience))
    var seen: Set<String> = [first.key]
    var frontier = [first]
    var steps = 0
    // Breadth first, so that a problem is shown by the shortest way to it.
    var index = 0
    while index < frontier.count {
      let worker = frontier[index]
      index += 1
      for event in worker.possibleEvents {
        steps += 1
        var next = worker
        next.take(event)
        if let problem = next.problem {
          Issue.record("\(problem)\n\(next.history.map { "\($0)" }.joined(separator: "\n"))")
          return
        }
        if !next.hasEnded, seen.insert(next.key).inserted { frontier.append(next) }
      }
    }
    print("states: \(seen.count), events tried in them: \(steps)")
    #expect(seen.count > 1_000)
  }
}

/// The worker around its decisions, reduced to what they must not get wrong: whose state is in memory, whose outputs are
/// in which batch, whose partitions they are.
private struct ExploredWorker {
  enum Event: CustomStringConvertible {
    case decide(WorkerEvent)
    /// A live partition puts something out.
    case output(Int32)

    var description: String {
      switch self {
      case .decide(let event): "\(event)"
      case .output(let partition): "output of \(partition)"
      }
    }
  }

  var state: WorkerState
  /// The group's view: from the assignment until the release.
  var owned: Set<Int32> = []
  var toRelease: Set<Int32> = []
  /// Whose engine is in memory.
  var held: Set<Int32> = []
  var restoring: [Int32: UInt64] = [:]
  var waiting: Set<Int32> = []
  var underWay: Set<Int32>?
  /// With the committing thread; else it is to be handed over again.
  var isHandedOver = false
  /// Of the transaction under way, whose state was dropped since.
  var tainted: Set<Int32> = []
  var isOpening = true
  var hasEnded = false
  var problem: String?
  var history: [Event] = []

  static let partitions: [Int32] = [0, 1]
  static let error = BrokerError(.abortable, "")

  init(_ state: WorkerState) { self.state = state }

  /// Equal for what behaves alike: epochs are compared with each other alone, counters have an end.
  var key: String {
    let phases = Self.partitions.map { partition in
      let isAwaited = restoring[partition].map { $0 == state.epoch(partition) }
      return "\(state.phase(partition).map { "\($0)" } ?? "-")\(isAwaited.map { "\($0)" } ?? "")"
    }
    let flags = [
      state.producer == .ready, state.isCommitting, state.isStopping, state.isTainted, state.isPausing, state.isFlushed,
      isHandedOver, isOpening,
    ].map { $0 ? "1" : "0" }.joined()
    let sets = [owned, toRelease, held, waiting, tainted, underWay ?? [9], Set(state.revoked ?? [9])]
    return "\(phases) \(flags) \(sets.map { $0.sorted() }) \(state.abortsInARow) \(min(state.replacementsInARow, 3))"
  }

  // MARK: What can happen

  var possibleEvents: [Event] {
    var events: [Event] = []
    for partition in Self.partitions {
      if !owned.contains(partition) {
        events.append(.decide(.assigned([partition])))
      } else {
        if !toRelease.contains(partition) { events.append(.decide(.revoked([partition]))) }
        events.append(.decide(.lost([partition])))
        events.append(.decide(.outOfRange(partition)))
      }
      if let epoch = restoring[partition] {
        events.append(.decide(.restored(partition, epoch: epoch)))
        events.append(.decide(.restoreFailed(partition, epoch: epoch, BrokerError(.retriable, ""))))
        events.append(.decide(.restoreFailed(partition, epoch: epoch, BrokerError(.outOfRange, ""))))
      }
      events.append(.decide(.restored(partition, epoch: 0)))
      if state.phase(partition) == .live, held.contains(partition) { events.append(.output(partition)) }
    }
    if owned.count == 2 {
      events.append(.decide(.lost(Self.partitions)))
      if toRelease.isEmpty { events.append(.decide(.revoked(Self.partitions))) }
    }
    if owned.isEmpty { events.append(.decide(.assigned(Self.partitions))) }
    if isOpening {
      events.append(.decide(.producerReady))
      events.append(.decide(.producerFailed(BrokerError(.unreachable, ""))))
    }
    if isHandedOver {
      let outcomes: [TransactionOutcome] = [
        .committed, .aborted(Self.error), .notHandedOver(Self.error), .fenced(Self.error), .unknown(Self.error),
        .fatal(Self.error),
      ]
      events += outcomes.map { .decide(.transactionEnded($0)) }
    }
    if state.isPausing { events.append(.decide(.republishing)) }
    return events + [.decide(.commitDue), .decide(.stopRequested), .decide(.consumerFailed(Self.error))]
  }

  mutating func take(_ event: Event) {
    history.append(event)
    switch event {
    case .output(let partition): waiting.insert(partition)
    case .decide(let event): decide(event)
    }
    if !hasEnded { check() }
  }

  private mutating func decide(_ event: WorkerEvent) {
    switch event {
    case .assigned(let added): owned.formUnion(added)
    case .revoked(let removed): toRelease.formUnion(removed)
    case .lost(let removed): owned.subtract(removed)
    case .restored(let partition, let epoch), .restoreFailed(let partition, let epoch, _):
      if restoring[partition] == epoch { restoring[partition] = nil }
    case .producerReady, .producerFailed: isOpening = false
    case .republishing: isHandedOver = true
    case .transactionEnded(let outcome):
      isHandedOver = false
      if outcome == .committed {
        underWay = nil
        tainted = []
      }
    default: break
    }
    for action in state.handle(event) { perform(action) }
  }

  // MARK: What it leads to

  private mutating func perform(_ action: WorkerAction) {
    switch action {
    case .accept, .reportStopped: break
    case .restore(let partition, let epoch, _):
      require(underWay?.contains(partition) != true, "\(partition) is restored while its position may still move")
      require(!held.contains(partition), "\(partition) is restored beside its state")
      restoring[partition] = epoch
    case .abandonRestore(let partition): restoring[partition] = nil
    case .begin(let partition):
      require(owned.contains(partition), "\(partition) begins and is not ours")
      held.insert(partition)
    case .submit:
      require(underWay == nil, "two transactions at a time")
      require(waiting.isSubset(of: held), "outputs of a state that was dropped are published")
      require(waiting.isSubset(of: owned), "outputs of a partition that is not ours are published")
      guard !waiting.isEmpty else { return decide(.transactionEnded(.committed)) }
      underWay = waiting
      waiting = []
      isHandedOver = true
    case .republish:
      require(tainted.isEmpty, "a transaction is published again whose states were dropped")
      require(underWay?.isSubset(of: owned) == true, "a transaction is published again whose partitions were lost")
    case .discardWaiting:
      require(waiting.isDisjoint(with: held), "outputs are forgotten whose state stays")
      waiting = []
    case .discardTransaction:
      require(!isHandedOver, "the committing thread's transaction is touched")
      require(held.isDisjoint(with: underWay ?? []), "a transaction is forgotten whose states stay")
      underWay = nil
      tainted = []
    case .dropState(let partition):
      held.remove(partition)
      if underWay?.contains(partition) == true { tainted.insert(partition) }
    case .release(let partitions):
      for partition in partitions {
        require(!held.contains(partition), "\(partition) is released with its state")
        if owned.contains(partition) {
          require(underWay?.contains(partition) != true, "\(partition) is released under its transaction")
        }
      }
      owned.subtract(partitions)
      toRelease.subtract(partitions)
    case .openProducer:
      require(!isHandedOver, "a producer is replaced under its transaction")
      isOpening = true
    case .end: hasEnded = true
    }
  }

  private mutating func require(_ condition: Bool, _ text: String) { if !condition, problem == nil { problem = text } }

  /// What holds between two events.
  private mutating func check() {
    require(waiting.isSubset(of: held), "outputs wait whose state was dropped")
    require(waiting.isSubset(of: owned), "outputs wait of a partition that is not ours")
    for partition in Self.partitions {
      let phase = state.phase(partition)
      require(phase != .live || held.contains(partition), "\(partition) is live without a state")
      require(phase != .live || owned.contains(partition), "\(partition) is live and not ours")
      require((phase != nil) == owned.contains(partition), "\(partition): ours, and not known")
      require(
        phase != .restoring || state.isStopping || restoring[partition] == state.epoch(partition),
        "\(partition) waits for no restore")
    }
    require(state.isCommitting == (isHandedOver || state.isPausing), "it waits for a transaction that is not there")
    require(state.producer == .ready || isOpening, "it waits for a producer that nobody opens")
    guard !state.isCommitting else { return }
    require(toRelease.isEmpty, "revoked partitions are kept for nothing")
    require(underWay == nil, "a transaction is left over")
    if state.producer == .ready {
      for partition in Self.partitions { require(state.phase(partition) != .waiting, "\(partition) is left waiting") }
    }
  }
}
