import Borrowers
import Scoring

/// Everything of one transaction, kept until its outcome is known: outputs, offsets, and what to tell of it then.
///
/// It has one user at a time: the loop fills it and hands it over; the committing thread gives it back with the outcome.
final class Transaction: @unchecked Sendable {
  var outputs = OutputBatch()
  var offsets: [PartitionOffset] = []
  /// When its records were read, and how many.
  var arrivals: [(at: Int64, count: Int)] = []

  var isEmpty: Bool { outputs.isEmpty && offsets.isEmpty }

  func removeAll() {
    outputs.removeAll()
    offsets.removeAll(keepingCapacity: true)
    arrivals.removeAll(keepingCapacity: true)
  }
}

/// What the committing thread is asked for.
enum CommitRequest: Sendable {
  case commit(Transaction, any GroupGeneration)
  case open(afterMilliseconds: Int64)
}

enum CommitAnswer: Sendable {
  case ended(TransactionOutcome)
  case opened
  case failed(BrokerError)
}

/// The work of the committing thread: it makes the transactional calls, which block.
final class Committer: @unchecked Sendable {
  // Used by the committing thread alone (or inline by the loop's, which is then the only thread).
  private var producer: (any TransactionProducer)?
  private let make: @Sendable () throws(BrokerError) -> any TransactionProducer

  private let clock: any Clock

  init(clock: any Clock, make: @escaping @Sendable () throws(BrokerError) -> any TransactionProducer) {
    self.clock = clock
    self.make = make
  }

  func perform(_ request: CommitRequest) -> CommitAnswer {
    switch request {
    case .open(let milliseconds):
      clock.rest(milliseconds: milliseconds)
      producer?.close()
      producer = nil
      do throws(BrokerError) {
        let opened = try make()
        producer = opened
        try opened.open()
        return .opened
      } catch {
        return .failed(error)
      }
    case .commit(let transaction, let generation):
      guard let producer else { preconditionFailure("a transaction was handed over without a producer") }
      do throws(BrokerError) {
        try producer.commit(transaction.outputs, &transaction.offsets, generation)
        return .ended(.committed)
      } catch {
        return .ended(Self.outcome(error))
      }
    }
  }

  func close() {
    producer?.close()
    producer = nil
  }

  private static func outcome(_ error: BrokerError) -> TransactionOutcome {
    switch error.kind {
    case .abortable: .aborted(error)
    case .fenced: .fenced(error)
    case .fatal, .authentication, .invalidSetting: .fatal(error)
    default: .unknown(error)
    }
  }
}
