import Borrowers
import Scoring

/// The worker performs what `WorkerState` decides.
extension Worker {
  // MARK: What others did

  func takeNotices() {
    for notice in consumer.takeNotices() {
      switch notice {
      case .assigned(let partitions):
        context.log.record(.partitionsAssigned(worker: index, partitions: partitions))
        perform(state.handle(.assigned(partitions)))
      case .revoked(let partitions):
        context.log.record(.partitionsRevoked(worker: index, partitions: partitions))
        perform(state.handle(.revoked(partitions)))
      case .lost(let partitions):
        context.log.record(.partitionsLost(worker: index, partitions: partitions))
        perform(state.handle(.lost(partitions)))
      case .outOfRange(let partition):
        perform(state.handle(.outOfRange(partition)))
      case .failed(let error):
        perform(state.handle(.consumerFailed(error)))
      }
    }
  }

  func takeAnswers(waitMilliseconds: Int) {
    if let answer = committer.takeAnswer(waitMilliseconds: waitMilliseconds) {
      switch answer {
      case .opened: perform(state.handle(.producerReady))
      case .failed(let error): perform(state.handle(.producerFailed(error)))
      case .ended(let outcome): transactionEnded(outcome)
      }
    }
    while let answer = restorer.takeAnswer() { restoreEnded(answer) }
  }

  private func restoreEnded(_ answer: RestoreAnswer) {
    let partition = answer.request.partition
    if restores[partition] === answer.request { restores[partition] = nil }
    switch answer.result {
    case nil: return
    case .success(let (runner, summary)):
      let actions = state.handle(.restored(partition, epoch: answer.request.epoch))
      guard !actions.isEmpty else { return }
      runners[partition] = runner
      problems[partition] = nil
      status.noteRestore(summary)
      context.log.record(.restored(worker: index, partition: partition, summary: summary))
      perform(actions)
    case .failure(let error):
      let actions = state.handle(.restoreFailed(partition, epoch: answer.request.epoch, error))
      if case .restore = actions.first {
        context.log.record(.restoreDelayed(worker: index, partition: partition, reason: error.description))
      }
      perform(actions)
    }
  }

  private func transactionEnded(_ outcome: TransactionOutcome) {
    switch outcome {
    case .committed:
      if let committed = underWay { noteCommitted(committed) }
    case .aborted(let error), .notHandedOver(let error):
      status.totals.transactionsAborted += 1
      context.log.record(.transactionAborted(worker: index, reason: error.description))
    case .fenced(let error), .unknown(let error), .fatal(let error):
      status.totals.transactionsFailed += 1
      context.log.record(.transactionAborted(worker: index, reason: error.description))
    }
    perform(state.handle(.transactionEnded(outcome)))
  }

  private func noteCommitted(_ transaction: Transaction) {
    status.totals.transactionsCommitted += 1
    for offset in transaction.offsets { runners[offset.partition]?.noteCommitted(offset) }
    let now = context.clock.monotonic
    for arrival in transaction.arrivals {
      status.totals.eventLatency.add(seconds: Double(now - arrival.at) / 1e9, count: arrival.count)
    }
    status.view.keep(transaction.outputs.alerts, transaction.outputs.leads)
    status.view.keep(transaction.outputs.forecasts)
    status.totals.forecasts += UInt64(transaction.outputs.forecasts.count)
    transaction.removeAll()
    spare = transaction
    underWay = nil
  }

  // MARK: Actions

  func perform(_ actions: [WorkerAction]) {
    for action in actions {
      guard let exchange = context.exchange else {
        perform(action)
        continue
      }
      if let exchanged = exchange(action) { perform(exchanged) }
    }
  }

  private func perform(_ action: WorkerAction) {
    switch action {
    case .accept(let partitions):
      unaccepted = (unaccepted ?? []) + partitions
      acceptAssigned()
    case .release(let partitions): answer { () throws(BrokerError) in try consumer.release(partitions) }
    case .restore(let partition, let epoch, let milliseconds):
      if milliseconds == 0 { context.log.record(.restoreStarted(worker: index, partition: partition)) }
      let request = RestoreRequest(partition: partition, epoch: epoch, afterMilliseconds: milliseconds)
      restores[partition] = request
      restorer.submit(request)
    case .abandonRestore(let partition): restores.removeValue(forKey: partition)?.cancel()
    case .begin(let partition):
      starting.insert(partition)
      unadopted.insert(partition)
    case .submit: submit()
    case .republish(let milliseconds): republishAt = context.clock.monotonic + milliseconds * 1_000_000
    case .discardWaiting:
      filling.removeAll()
      policy.noteCut(at: context.clock.monotonic)
    case .discardTransaction: discardTransaction()
    case .dropState(let partition): forget(partition)
    case .openProducer(let milliseconds, let reason):
      if let reason { context.log.record(.producerReplaced(worker: index, reason: reason.description)) }
      committer.submit(.open(afterMilliseconds: milliseconds))
    case .reportStopped(let partition, let error):
      problems[partition] = error.description
      context.log.record(.partitionStopped(worker: index, partition: partition, reason: error.description))
    case .end(let error): end(error)
    }
  }

  private func answer(_ call: () throws(BrokerError) -> Void) {
    do throws(BrokerError) { try call() } catch { perform(state.handle(.consumerFailed(error))) }
  }

  private func forget(_ partition: Int32) {
    if partition == Self.forecastingPartition { forgetForecasts() }
    if let runner = runners.removeValue(forKey: partition) { status.noteForgotten(runner) }
    starting.remove(partition)
    unadopted.remove(partition)
    // Why a partition stopped is to be seen for as long as it is ours.
    if state.phase(partition) == nil { problems[partition] = nil }
  }

  private func discardTransaction() {
    if let failed = underWay {
      failed.removeAll()
      spare = failed
      underWay = nil
    }
    republishAt = nil
  }

  // MARK: Handing over

  func commitWhenDue(at now: Int64, inputIsDry: Bool) {
    republishWhenDue(at: now)
    if !policy.hasWork, liveRunners.contains(where: { $0.isSliceDue(at: now) }) { policy.noteWork(at: now) }
    if policy.isDue(at: now, inputIsDry: inputIsDry, isFull: isFull) {
      perform(state.handle(.commitDue))
    }
  }

  private func submit() {
    let now = context.clock.monotonic
    policy.noteCut(at: now)
    writeSlices(at: now)
    for runner in runners.values.sorted(by: { $0.partition < $1.partition }) {
      if let offset = runner.cut() { filling.offsets.append(offset) }
    }
    guard !filling.isEmpty else {
      perform(state.handle(.transactionEnded(.committed)))
      return
    }
    // Without an offset the group would not refuse it to a worker whose partitions are others' by now.
    precondition(!filling.offsets.isEmpty, "every transaction commits a position")
    guard let next = spare else { preconditionFailure("two transactions are under way") }
    underWay = filling
    filling = next
    spare = nil
    handOver()
  }

  func republishWhenDue(at now: Int64) {
    guard let at = republishAt, now >= at else { return }
    republishAt = nil
    perform(state.handle(.republishing))
    handOver()
  }

  /// The membership is asked for here, on the loop's thread, where what was revoked or lost is already known: a later one
  /// could stand for a generation in which the partitions were others'.
  private func handOver() {
    guard let transaction = underWay else { return }
    guard let generation = consumer.generation() else {
      transactionEnded(.notHandedOver(BrokerError(.abortable, "not a member of the consumer group at the moment")))
      return
    }
    committer.submit(.commit(transaction, generation))
  }

  /// Slices of the checkpoints that are due: all together at most `limits.sliceBytesMax` in one transaction.
  private func writeSlices(at now: Int64) {
    var budget = settings.limits.sliceBytesMax
    let live = liveRunners.filter { !starting.contains($0.partition) && !unadopted.contains($0.partition) }
    let turn = live.firstIndex { $0.partition >= nextCheckpoint } ?? 0
    for runner in live[turn...] + live[..<turn] {
      guard budget > 0 else {
        nextCheckpoint = runner.partition
        return
      }
      if let written = runner.writeSlice(budget: &budget, now: now, &filling.outputs) {
        context.log.record(
          .checkpointWritten(
            worker: index, partition: runner.partition, records: written.records, bytes: written.bytes,
            milliseconds: (now - written.started) / 1_000_000))
      }
    }
  }

  // MARK: Beginning and ending

  /// An assignment is answered; while the broker is away, again and again.
  func acceptAssigned() {
    guard let partitions = unaccepted else { return }
    do throws(BrokerError) {
      try consumer.accept(partitions)
      unaccepted = nil
    } catch {
      if error.kind != .retriable { perform(state.handle(.consumerFailed(error))) }
    }
  }

  /// Restored partitions are fetched from where they stand, as soon as the consumer is ready for that.
  func startRestored() {
    guard unaccepted == nil else { return }
    for partition in starting.sorted() {
      guard let runner = runners[partition] else { continue }
      do throws(BrokerError) {
        try consumer.begin(partition, at: runner.inputOffset)
        starting.remove(partition)
      } catch {
        guard error.kind != .retriable else { continue }
        perform(state.handle(.consumerFailed(error)))
      }
    }
  }

  private func end(_ error: BrokerError?) {
    guard endedWith == nil else { return }
    endedWith = .some(error)
    if let error { context.log.record(.failed(worker: index, reason: error.description)) }
    for request in restores.values { request.cancel() }
    publishStatus(at: Int64.max)
    committer.close()
    restorer.close()
    forgetForecasts()
    forecastReader?.close()
    consumer.close()
    // After the group was left, so that others begin at once.
    if error == nil { writeSnapshots() }
  }

  /// What a restart on this machine begins with: of partitions whose state is what was committed.
  private func writeSnapshots() {
    guard let snapshots = context.snapshots, underWay == nil, filling.isEmpty else { return }
    for runner in liveRunners where runner.isAsCommitted {
      let started = context.clock.monotonic
      guard snapshots.write(runner, wall: context.clock.wall) else { continue }
      context.log.record(
        .snapshotWritten(
          worker: index, partition: runner.partition, borrowers: runner.engine.borrowers,
          milliseconds: (context.clock.monotonic - started) / 1_000_000))
    }
  }
}
