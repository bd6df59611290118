import Borrowers
import Pipeline
import Scoring

/// Mistakes that an implementation of exactly-once can make. Each is switched on alone, to show that the simulation finds
/// it. They live in the simulated broker and in what a worker's actions are exchanged for: the product has no such switch.
public enum Mutation: String, CaseIterable, Sendable {
  /// After a refused record or refused offsets the transaction stays open, and the next one goes on in it.
  case skipTheAbort
  case commitOffsetsBeforeOutputs
  /// A transaction is published, and its offsets in another one.
  case stateInATransactionOfItsOwn
  /// A commit whose answer was lost is taken for an abort: the same is published again.
  case takeALostAnswerForAnAbort
  /// State is read to the last stable offset: what is committed, and whose marker is on its way, is missed.
  case restoreToTheStableOffset
  /// The committed position is read though a transaction is open over it.
  case positionUnderAnOpenTransaction
  case dropTheStepsOfThePosition
  case dropTheWatermarkOfThePosition
  case forgetTombstones
  case forgetTheJournal
  case beginBehindThePosition
  /// Offsets are taken from whom the group does not know any more.
  case offsetsWithoutMembership
  /// State is kept though its transaction is not known to be committed.
  case keepStateWhenFenced
  /// What waits is published though the partitions it came from were lost.
  case publishAfterLost
  /// State is read with what was aborted in it.
  case readUncommittedState
  /// Idle advances, settings and models act and are not written down.
  case forgetToJournal
  /// Of the control topic now and then a record is not read.
  case skipControlRecords

  /// What the producer sends in place of what it was given.
  func change(_ records: inout [SimulatedRecord], _ offsets: inout [PartitionOffset]) {
    switch self {
    case .dropTheStepsOfThePosition: for index in offsets.indices { offsets[index].position.steps = 0 }
    case .dropTheWatermarkOfThePosition:
      for index in offsets.indices { offsets[index].position.watermark = .distantPast }
    case .forgetToJournal:
      records.removeAll { $0.topic == .journal }
      for index in offsets.indices { offsets[index].journalEntries = 0 }
    case .forgetTombstones: records.removeAll { $0.topic == .state && $0.value == nil }
    default: break
    }
  }

  /// What the worker does in place of an action; nil: nothing.
  func exchange(_ action: WorkerAction) -> WorkerAction? {
    switch (self, action) {
    case (.keepStateWhenFenced, .dropState): nil
    case (.publishAfterLost, .dropState), (.publishAfterLost, .discardWaiting): nil
    default: action
    }
  }
}
