import Borrowers
import Features
import Models

/// A changed threshold decides again for every borrower, from the scores held; an override for one.
struct ControlDecisions {
  var id: [UInt8]
  /// The watermark when it was taken.
  var asOf: EventTime
  /// Of its journal entry, when it is read back.
  var journalOffset: Int64?
  var alertOverride: AlertOverride?
  /// In byte order of id, the next one last; nil before the first step.
  var remaining: [BorrowerHandle]?
}

extension PartitionEngine {
  // MARK: Control

  /// Decides the next borrower again; false when all were.
  mutating func decideAgain(_ outputs: inout OutputBatch) -> Bool {
    if control?.remaining == nil {
      if let one = control?.alertOverride {
        let named = borrowers(of: one)
        control?.remaining = named
      } else {
        control?.remaining = store.sortedHandles().reversed()
      }
    }
    // Taken out, so that removing the last one copies nothing.
    guard let handle = control?.remaining?.popLast(), let asOf = control?.asOf else {
      control = nil
      return false
    }
    if recovery.isUnderWay, isIncluded(handle, journalOffset: control?.journalOffset) { return true }
    loadWithID(handle)
    beginContext(.control, asOf: asOf)
    if let id = control?.id {
      score.context.triggeringEventID.removeAll(keepingCapacity: true)
      score.context.triggeringEventID.append(contentsOf: id)
    }
    score.context.platform.removeAll(keepingCapacity: true)
    state.readLastPlatform(into: &score.context.platform)
    let timerBefore = nextTimer
    let alertBefore = (decision.hasAlert, decision.alertLevel, decision.alertSeverity)
    let leadBefore = (decision.hasLead, decision.leadForecastHundredths)
    if let one = control?.alertOverride { takeOverride(one) }
    unsafe decide(borrowerTime, UnsafeBufferPointer(start: nil, count: 0), &outputs)
    // A borrower for whom nothing changes is not written again.
    guard
      control?.alertOverride != nil || alertBefore != (decision.hasAlert, decision.alertLevel, decision.alertSeverity)
        || leadBefore != (decision.hasLead, decision.leadForecastHundredths)
    else { return true }
    save()
    let timer = nextTimer
    if timer.due < timerBefore.due { timers.push(handle, at: fireTime(timer)) }
    return true
  }

  /// The one borrower that an override names, if it is held: every id is hashed with the override's salt, 0.4 s for a
  /// million of them, once for each override.
  private func borrowers(of one: AlertOverride) -> [BorrowerHandle] {
    var candidate = ByteBuffer(capacity: 64)
    for handle in store.handles() {
      candidate.removeAll()
      store.readID(handle, into: &candidate)
      if unsafe SHA256.digest(salt: one.salt, candidate.bytes) == one.digest { return [handle] }
    }
    return []
  }

  /// Holds it of the borrower under work; one that has ended already holds nothing.
  private mutating func takeOverride(_ one: AlertOverride) {
    decision.liftOverride()
    guard one.action != .lift, one.until > borrowerTime else { return }
    decision.overrideAction = one.action
    decision.overrideSeverity = one.severity
    decision.overrideUntil = one.until
    decision.overrideID = control?.id ?? []
  }

  // MARK: Timers

  /// Fires the next timer that the watermark has passed; false when there is none.
  mutating func fireNextTimer(_ outputs: inout OutputBatch) -> Bool {
    if passed.isEmpty {
      guard timers.first < watermark else { return false }
      collectPassed()
    }
    while let timer = passed.next() {
      loadWithID(timer.handle)
      // An entry that stood in the queue twice was fired already.
      guard nextTimer == Timer(due: timer.due, kind: timer.kind) else { continue }
      fire(timer, &outputs)
      return true
    }
    return false
  }

  /// All timers that the watermark has passed: of each borrower the first, the others follow when it has fired.
  private mutating func collectPassed() {
    while timers.first < watermark, let entry = timers.pop() {
      loadWithID(entry.handle)
      let timer = nextTimer
      let at = fireTime(timer)
      if at < watermark {
        loanID.removeAll(keepingCapacity: true)
        if timer.kind == .duePassed { state.readNextDueLoanID(into: &loanID) }
        unsafe passed.collect(entry.handle, due: timer.due, kind: timer.kind, borrowerID: id.bytes, loanID: loanID)
      } else if timer.due != .distantFuture {
        timers.push(entry.handle, at: at)
      }
    }
  }

  /// Fires a timer of the borrower under work.
  private mutating func fire(_ timer: PassedTimer, _ outputs: inout OutputBatch) {
    let noTrace = unsafe UnsafeBufferPointer<UInt8>(start: nil, count: 0)
    beginContext(timer.kind, asOf: timer.due)
    if timer.kind == .control {
      score.context.triggeringEventID.removeAll(keepingCapacity: true)
      score.context.triggeringEventID.append(contentsOf: decision.overrideID)
      score.context.platform.removeAll(keepingCapacity: true)
      state.readLastPlatform(into: &score.context.platform)
      decision.liftOverride()
      state.pass(timer.due)
      unsafe decide(borrowerTime, noTrace, &outputs)
    } else if timer.kind == .duePassed {
      let hasFired = state.fireDue(
        triggeringEventID: &score.context.triggeringEventID, platform: &score.context.platform, loanID: &loanID)
      precondition(hasFired, "a borrower's next due fires")
      let now = borrowerTime
      unsafe publishScore(now, noTrace, &outputs)
      unsafe decide(now, noTrace, &outputs)
    } else {
      score.context.triggeringEventID.removeAll(keepingCapacity: true)
      score.context.triggeringEventID.append(contentsOf: decision.leadEventID)
      score.context.platform.removeAll(keepingCapacity: true)
      score.context.platform.append(contentsOf: decision.leadPlatform)
      unsafe decide(max(borrowerTime, timer.due), noTrace, &outputs)
    }
    if !outputs.isMuted { counters.timersFired += 1 }
    save()
    let next = nextTimer
    let at = fireTime(next)
    if at < watermark {
      loanID.removeAll(keepingCapacity: true)
      if next.kind == .duePassed { state.readNextDueLoanID(into: &loanID) }
      unsafe passed.add(timer.handle, due: next.due, kind: next.kind, borrowerID: id.bytes, loanID: loanID)
    } else if next.due != .distantFuture {
      timers.push(timer.handle, at: at)
    }
  }
}
