import Testing

@testable import Pipeline

/// The decisions of a worker, state by state.
struct WorkerStateTests {
  let failure = BrokerError(.abortable, "aborted")
  let fenced = BrokerError(.fenced, "fenced")

  /// A worker whose producer is open, with these partitions live.
  func live(_ partitions: [Int32]) -> WorkerState {
    var state = WorkerState()
    _ = state.handle(.producerReady)
    _ = state.handle(.assigned(partitions))
    for partition in partitions { _ = state.handle(.restored(partition, epoch: state.epoch(partition)!)) }
    return state
  }

  // MARK: Restoring

  @Test func `an assignment is accepted, and restored when the producer is open`() {
    var state = WorkerState()
    #expect(state.handle(.assigned([0, 1])) == [.accept([0, 1])])
    #expect(
      state.handle(.producerReady) == [
        .restore(0, epoch: 1, afterMilliseconds: 0), .restore(1, epoch: 2, afterMilliseconds: 0),
      ])
    #expect(state.phase(0) == .restoring)
  }

  @Test func `a restored partition begins, others go on restoring`() {
    var state = WorkerState()
    _ = state.handle(.producerReady)
    _ = state.handle(.assigned([0, 1]))
    #expect(state.handle(.restored(1, epoch: 2)) == [.begin(1)])
    #expect(state.phase(1) == .live)
    #expect(state.phase(0) == .restoring)
  }

  @Test func `a restore of an earlier time that the partition was ours is ignored`() {
    var state = WorkerState()
    _ = state.handle(.producerReady)
    _ = state.handle(.assigned([0]))
    _ = state.handle(.lost([0]))
    #expect(state.handle(.assigned([0])) == [.accept([0]), .restore(0, epoch: 2, afterMilliseconds: 0)])
    #expect(state.handle(.restored(0, epoch: 1)) == [])
    #expect(state.handle(.restored(0, epoch: 2)) == [.begin(0)])
  }

  @Test func `a restore that may succeed later is tried again, with a growing pause`() {
    var state = WorkerState()
    _ = state.handle(.producerReady)
    _ = state.handle(.assigned([0]))
    let unstable = BrokerError(.retriable, "a transaction is open")
    #expect(
      state.handle(.restoreFailed(0, epoch: 1, unstable)) == [.restore(0, epoch: 2, afterMilliseconds: 10)])
    #expect(
      state.handle(.restoreFailed(0, epoch: 2, unstable)) == [.restore(0, epoch: 3, afterMilliseconds: 20)])
    #expect(state.handle(.restoreFailed(0, epoch: 1, unstable)) == [])
  }

  @Test func `a position outside the log stops its partition alone`() {
    var state = WorkerState()
    _ = state.handle(.producerReady)
    _ = state.handle(.assigned([0, 1]))
    let gone = BrokerError(.outOfRange, "gone")
    #expect(state.handle(.restoreFailed(0, epoch: 1, gone)) == [.reportStopped(0, gone)])
    #expect(state.phase(0) == .stopped)
    #expect(state.handle(.restored(1, epoch: 2)) == [.begin(1)])
  }

  @Test func `a partition assigned while a transaction is under way waits for its end`() {
    var state = live([0])
    #expect(state.handle(.commitDue) == [.submit])
    #expect(state.handle(.assigned([1])) == [.accept([1])])
    #expect(state.handle(.transactionEnded(.committed)) == [.restore(1, epoch: 2, afterMilliseconds: 0)])
  }

  // MARK: Transactions

  @Test func `one transaction at a time`() {
    var state = live([0])
    #expect(state.handle(.commitDue) == [.submit])
    #expect(state.handle(.commitDue) == [])
    #expect(state.handle(.transactionEnded(.committed)) == [])
    #expect(state.handle(.commitDue) == [.submit])
  }

  @Test func `a confirmed abort publishes the same again and keeps the state`() {
    var state = live([0])
    _ = state.handle(.commitDue)
    #expect(state.handle(.transactionEnded(.aborted(failure))) == [.republish(afterMilliseconds: 10)])
    #expect(state.phase(0) == .live)
    #expect(state.handle(.commitDue) == [])
    #expect(state.handle(.transactionEnded(.committed)) == [])
  }

  @Test func `a fenced worker commits nothing, and begins again with a new producer`() {
    var state = live([0, 1])
    _ = state.handle(.commitDue)
    #expect(
      state.handle(.transactionEnded(.fenced(fenced))) == [
        .dropState(0), .dropState(1), .discardTransaction, .discardWaiting,
        .openProducer(afterMilliseconds: 10, reason: fenced),
      ])
    #expect(state.handle(.commitDue) == [])
    #expect(
      state.handle(.producerReady) == [
        .restore(0, epoch: 3, afterMilliseconds: 0), .restore(1, epoch: 4, afterMilliseconds: 0),
      ])
  }

  @Test func `an unknown outcome is read back from the committed position`() {
    var state = live([0])
    _ = state.handle(.commitDue)
    let unknown = BrokerError(.unknownOutcome, "timed out")
    #expect(
      state.handle(.transactionEnded(.unknown(unknown))) == [
        .dropState(0), .discardTransaction, .discardWaiting, .openProducer(afterMilliseconds: 10, reason: unknown),
      ])
    #expect(state.phase(0) == .waiting)
  }

  @Test func `a fatal error ends the worker`() {
    var state = live([0])
    _ = state.handle(.commitDue)
    let fatal = BrokerError(.fatal, "fatal")
    #expect(state.handle(.transactionEnded(.fatal(fatal))) == [.end(fatal)])
    #expect(state.handle(.commitDue) == [])
  }

  @Test func `a transaction that is aborted again and again ends the worker with its reason`() {
    var state = live([0])
    _ = state.handle(.commitDue)
    for _ in 0..<state.patience.abortsMax {
      guard case .republish = state.handle(.transactionEnded(.aborted(failure))).first else {
        Issue.record("not published again")
        return
      }
    }
    #expect(state.handle(.transactionEnded(.aborted(failure))) == [.end(failure)])
  }

  @Test func `a producer that is fenced again and again ends the worker with its reason`() {
    var state = live([0])
    for _ in 0..<state.patience.replacementsMax {
      _ = state.handle(.commitDue)
      _ = state.handle(.transactionEnded(.fenced(fenced)))
      _ = state.handle(.producerReady)
      _ = state.handle(.restored(0, epoch: state.epoch(0)!))
    }
    _ = state.handle(.commitDue)
    #expect(state.handle(.transactionEnded(.fenced(fenced))) == [.end(fenced)])
  }

  @Test func `a refused login while opening the producer ends the worker, an absent broker is waited for`() {
    var state = WorkerState()
    let absent = BrokerError(.unreachable, "no broker")
    #expect(
      state.handle(.producerFailed(absent)) == [.openProducer(afterMilliseconds: 10, reason: absent)])
    let refused = BrokerError(.authentication, "refused")
    #expect(state.handle(.producerFailed(refused)) == [.end(refused)])
  }

  // MARK: Revoked and lost

  @Test func `what was put out is committed before a revoked partition is released`() {
    var state = live([0, 1])
    #expect(state.handle(.revoked([1])) == [.submit])
    #expect(state.phase(1) == .revoking)
    #expect(state.phase(0) == .live)
    #expect(state.handle(.transactionEnded(.committed)) == [.dropState(1), .release([1])])
    #expect(state.phase(1) == nil)
  }

  @Test func `a revocation waits for the transaction under way, then for the rest`() {
    var state = live([0])
    _ = state.handle(.commitDue)
    #expect(state.handle(.revoked([0])) == [])
    #expect(state.handle(.transactionEnded(.committed)) == [.submit])
    #expect(state.handle(.transactionEnded(.committed)) == [.dropState(0), .release([0])])
  }

  @Test func `an abort while revoking publishes again, and gives up after a few`() {
    var state = live([0, 1])
    _ = state.handle(.revoked([0]))
    for _ in 0..<state.patience.abortsWhileLeavingMax {
      guard case .republish = state.handle(.transactionEnded(.aborted(failure))).first else {
        Issue.record("not published again")
        return
      }
    }
    #expect(
      state.handle(.transactionEnded(.aborted(failure))) == [
        .dropState(0), .dropState(1), .discardTransaction, .discardWaiting, .dropState(0), .release([0]),
        .restore(1, epoch: 3, afterMilliseconds: 0),
      ])
  }

  @Test func `a partition revoked while it restores is released`() {
    var state = WorkerState()
    _ = state.handle(.producerReady)
    _ = state.handle(.assigned([0]))
    #expect(state.handle(.revoked([0])) == [.abandonRestore(0), .submit])
    #expect(state.handle(.transactionEnded(.committed)) == [.dropState(0), .release([0])])
    #expect(state.handle(.restored(0, epoch: 1)) == [])
  }

  @Test func `fenced while revoking releases without committing`() {
    var state = live([0])
    _ = state.handle(.revoked([0]))
    #expect(
      state.handle(.transactionEnded(.fenced(fenced))) == [
        .dropState(0), .discardTransaction, .discardWaiting, .openProducer(afterMilliseconds: 10, reason: fenced),
        .dropState(0),
        .release([0]),
      ])
  }

  @Test func `lost partitions are released at once, and nothing of theirs is committed`() {
    var state = live([0])
    #expect(state.handle(.lost([0])) == [.dropState(0), .discardWaiting, .release([0])])
    #expect(state.handle(.commitDue) == [.submit])  // Nothing waits: the worker answers itself.
  }

  @Test func `lost under a transaction: it is not published again after an abort`() {
    var state = live([0])
    _ = state.handle(.commitDue)
    #expect(state.handle(.lost([0])) == [.dropState(0), .discardWaiting, .release([0])])
    #expect(state.handle(.transactionEnded(.aborted(failure))) == [.discardTransaction])
  }

  @Test func `lost while an aborted transaction waits to be published again: it is forgotten`() {
    var state = live([0, 1])
    _ = state.handle(.commitDue)
    #expect(state.handle(.transactionEnded(.aborted(failure))) == [.republish(afterMilliseconds: 10)])
    #expect(
      state.handle(.lost([0])) == [
        .dropState(0), .dropState(1), .discardWaiting, .discardTransaction, .release([0]),
        .restore(1, epoch: 3, afterMilliseconds: 0),
      ])
  }

  @Test func `lost and assigned again under a transaction: it is restored only when that has ended`() {
    var state = live([0])
    _ = state.handle(.commitDue)
    _ = state.handle(.lost([0]))
    #expect(state.handle(.assigned([0])) == [.accept([0])])
    #expect(
      state.handle(.transactionEnded(.committed)) == [
        .discardTransaction, .restore(0, epoch: 2, afterMilliseconds: 0),
      ])
  }

  @Test func `what a partition puts out that went live under a tainted transaction is not forgotten with it`() {
    var state = live([0])
    _ = state.handle(.assigned([1]))
    _ = state.handle(.commitDue)
    #expect(state.handle(.lost([0])) == [.dropState(0), .discardWaiting, .release([0])])
    #expect(state.handle(.restored(1, epoch: 2)) == [.begin(1)])
    #expect(state.handle(.transactionEnded(.aborted(failure))) == [.discardTransaction])
  }

  @Test func `a stopped partition's state goes with its outputs`() {
    var state = live([0])
    #expect(state.handle(.outOfRange(0)).count == 1)
    _ = state.handle(.commitDue)
    #expect(state.handle(.transactionEnded(.fenced(fenced))).first == .dropState(0))
    #expect(state.phase(0) == .stopped)
  }

  @Test func `what a partition put out before there was a producer is forgotten when it is revoked`() {
    var state = live([0])
    _ = state.handle(.assigned([1]))
    _ = state.handle(.commitDue)
    _ = state.handle(.transactionEnded(.fenced(fenced)))
    _ = state.handle(.restored(1, epoch: 2))
    #expect(
      state.handle(.revoked([1])) == [.dropState(1), .discardWaiting, .dropState(1), .release([1])])
  }

  @Test func `without a membership the worker begins again, and does not wait for one`() {
    var state = live([0])
    _ = state.handle(.commitDue)
    #expect(
      state.handle(.transactionEnded(.notHandedOver(failure))) == [
        .dropState(0), .discardTransaction, .discardWaiting, .restore(0, epoch: 2, afterMilliseconds: 0),
      ])
  }

  // MARK: Stopping

  @Test func `a clean stop commits what is waiting, then leaves`() {
    var state = live([0])
    #expect(state.handle(.stopRequested) == [.submit])
    #expect(state.handle(.transactionEnded(.committed)) == [.end(nil)])
  }

  @Test func `a stop waits for the transaction under way first`() {
    var state = live([0])
    _ = state.handle(.commitDue)
    #expect(state.handle(.stopRequested) == [])
    #expect(state.handle(.transactionEnded(.committed)) == [.submit])
    #expect(state.handle(.transactionEnded(.committed)) == [.end(nil)])
  }

  @Test func `a stop without a producer leaves at once`() {
    var state = WorkerState()
    _ = state.handle(.assigned([0]))
    #expect(state.handle(.stopRequested) == [.discardWaiting, .end(nil)])
  }

  @Test func `a stop with partitions revoked releases them first`() {
    var state = live([0])
    _ = state.handle(.revoked([0]))
    #expect(state.handle(.stopRequested) == [])
    #expect(state.handle(.transactionEnded(.committed)) == [.submit])
    #expect(state.handle(.transactionEnded(.committed)) == [.dropState(0), .release([0]), .end(nil)])
  }

  @Test(arguments: 0..<200 as Range<UInt64>)
  func `whatever happens, one transaction is under way at most, and none is published of lost state`(seed: UInt64) {
    var random = SplitMix(state: seed)
    var state = WorkerState()
    var underWay = false
    var isPausing = false
    var owned: Set<Int32> = []
    for _ in 0..<400 {
      let event: WorkerEvent
      switch random.next() % 11 {
      case 0:
        let partition = Int32(random.next() % 4)
        guard !owned.contains(partition) else { continue }
        owned.insert(partition)
        event = .assigned([partition])
      case 1:
        guard let partition = owned.min(), state.phase(partition) != .revoking else { continue }
        event = .revoked([partition])
      case 2:
        guard !owned.isEmpty else { continue }
        event = .lost(owned.sorted())
        owned.removeAll()
      case 3: event = .producerReady
      case 4, 5:
        guard let partition = owned.max(), let epoch = state.epoch(partition) else { continue }
        event = .restored(partition, epoch: epoch)
      case 6, 7: event = .commitDue
      case 8, 9:
        if isPausing {
          isPausing = false
          underWay = true
          _ = state.handle(.republishing)
        }
        guard underWay else { continue }
        underWay = false
        event = .transactionEnded([.committed, .aborted(failure), .fenced(fenced)][Int(random.next() % 3)])
      default: event = .restoreFailed(Int32(random.next() % 4), epoch: 1, BrokerError(.retriable, "later"))
      }
      // The producer opens only when it was asked to.
      if event == .producerReady, state.canSubmit || underWay { continue }
      for action in state.handle(event) {
        switch action {
        case .discardTransaction: isPausing = false
        case .republish:
          #expect(!underWay, "seed \(seed)")
          isPausing = true
        case .submit:
          #expect(!underWay && !isPausing, "seed \(seed)")
          underWay = true
        case .release(let partitions): owned.subtract(partitions)
        case .restore(_, _, afterMilliseconds: 0):
          #expect(!underWay && !isPausing, "seed \(seed): restored from a position that may still move")
        case .end: return
        default: break
        }
      }
    }
  }
}

/// Sebastiano Vigna's SplitMix64: small, and the same everywhere.
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}
