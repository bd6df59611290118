import Borrowers
import Features
import Models

extension PartitionEngine {
  /// Applies, scores and decides one event.
  public mutating func apply(
    _ event: borrowing BorrowerEvent, _ source: RecordSource, traceparent: UnsafeBufferPointer<UInt8>,
    _ outputs: inout OutputBatch
  ) -> ApplyResult {
    assert(control == nil && passed.isEmpty, "steps are done before the next record is applied")
    id.removeAll()
    unsafe event.withBytes(of: event.borrowerID) { unsafe id.append($0) }
    let handle = unsafe store.find(id.bytes)
    if recovery.isUnderWay, isIncluded(handle, inputOffset: source.offset) { return .accepted }
    if source.offset >= totalsStand.inputOffset { totals.note(event.occurredAt) }
    guard event.kind != .borrowerErased else {
      unsafe erase(handle, event, source, traceparent, &outputs)
      return .accepted
    }
    load(handle)
    let timerBefore = handle == nil ? .none : nextTimer
    let result = state.apply(
      event, watermark: watermark, dedupeWindowMilliseconds: configuration.dedupeWindowMilliseconds)
    guard result == .accepted else {
      if !outputs.isMuted { counters.repeated[Int(event.kind.rawValue)] += 1 }
      return result
    }
    if !outputs.isMuted { countAccepted(event) }
    addTotals(event, offset: source.offset)
    let now = borrowerTime
    begin(event, source)
    unsafe publishScore(now, traceparent, &outputs)
    unsafe decide(now, traceparent, &outputs)
    let saved = save()
    if handle == nil { timers.noteAdded(saved) }
    let timer = nextTimer
    if timer.due < timerBefore.due { timers.push(saved, at: fireTime(timer)) }
    return .accepted
  }

  private mutating func countAccepted(_ event: borrowing BorrowerEvent) {
    counters.accepted[Int(event.kind.rawValue)] += 1
    if event.occurredAt < watermark { counters.late += 1 }
  }

  /// Nothing of the borrower stays. The state topic's tombstone follows with the next slice.
  private mutating func erase(
    _ handle: BorrowerHandle?, _ event: borrowing BorrowerEvent, _ source: RecordSource,
    _ traceparent: UnsafeBufferPointer<UInt8>, _ outputs: inout OutputBatch
  ) {
    if !outputs.isMuted { countAccepted(event) }
    guard let handle else { return }
    load(handle)
    subtractExposure(offset: source.offset)
    begin(event, source)
    if !outputs.isMuted { unsafe outputs.appendTombstone(.scores, key: id.bytes, traceparent: traceparent) }
    unsafe closeForErasure(max(borrowerTime, event.occurredAt), traceparent, &outputs)
    store.remove(handle)
    timers.noteRemoved(handle)
    recovery.forget(handle)
    tombstones.append(UInt8(id.count))
    unsafe tombstones.append(id.bytes)
  }

  /// The context of what an event makes.
  private mutating func begin(_ event: borrowing BorrowerEvent, _ source: RecordSource) {
    beginContext(.event, asOf: event.occurredAt)
    score.context.sourceOffset = source.offset
    score.context.platform.removeAll(keepingCapacity: true)
    unsafe event.withBytes(of: event.platform) { unsafe score.context.platform.append(contentsOf: $0) }
    score.context.triggeringEventID.removeAll(keepingCapacity: true)
    unsafe event.withBytes(of: event.eventID) { unsafe score.context.triggeringEventID.append(contentsOf: $0) }
  }

  /// Platform and triggering event are the caller's to set.
  mutating func beginContext(_ trigger: Trigger, asOf: EventTime) {
    score.context.trigger = trigger
    score.context.asOf = asOf
    score.context.borrowerID.removeAll(keepingCapacity: true)
    unsafe score.context.borrowerID.append(contentsOf: id.bytes)
  }

  // MARK: Scores

  /// Scores the borrower as of `now` and publishes it.
  mutating func publishScore(
    _ now: EventTime, _ traceparent: UnsafeBufferPointer<UInt8>, _ outputs: inout OutputBatch
  ) {
    predict(now)
    guard !outputs.isMuted else { return }
    counters.scores.note(decision.scores)
    score.overdueProbability = decision.scores.overdueProbability
    score.overdueBasis = decision.scores.basis
    score.borrowingProbability30d = decision.scores.borrowingProbability
    score.forecastBorrowing30d = decision.scores.forecast
    score.forecastBorrowing30dLower = decision.scores.forecastLower
    score.forecastBorrowing30dUpper = decision.scores.forecastUpper
    score.predictedUtilization = decision.scores.predictedUtilization
    unsafe outputs.begin(.scores, key: id.bytes, traceparent: traceparent)
    score.encode(configuration.format, into: &outputs.bytes)
    outputs.end()
  }

  private mutating func predict(_ now: EventTime) {
    var scores = HeldScores()
    scores.previousOverdueMillionths = decision.scores.overdueMillionths
    scores.basis = state.owes(at: now) ? .owing : .ifLent
    if models.overdue != nil || models.demand != nil || models.utilization != nil { fillInput(now) }
    if let overdue = models.overdue {
      scores.overdueMillionths = HeldScores.millionths(overdue.predict(input, &workspace).probability)
    }
    if let demand = models.demand {
      let prediction = demand.predict(input, &workspace)
      scores.borrowingMillionths = HeldScores.millionths(prediction.borrowingProbability)
      let mean = HeldScores.hundredths(prediction.amount)
      let lower = HeldScores.hundredths(prediction.lower)
      let upper = HeldScores.hundredths(prediction.upper)
      // A forecast is whole or not there.
      if mean != HeldScores.absent && lower != HeldScores.absent && upper != HeldScores.absent {
        scores.forecastHundredths = mean
        scores.forecastLowerHundredths = lower
        scores.forecastUpperHundredths = upper
      }
    }
    if let utilization = models.utilization {
      scores.utilizationMillionths = HeldScores.millionths(utilization.predict(input, &workspace))
    }
    decision.scores = scores
  }

  /// Features of the borrower under work as of its time; computed once for an event.
  mutating func fillInput(_ now: EventTime) {
    guard !isInputFilled else { return }
    state.fill(&input, at: now)
    isInputFilled = true
  }
}
