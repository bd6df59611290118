// Everything that the pipeline has to say, as named events in one place. No event holds personal data: no borrower, no
// value, no key.

public enum LogLevel: UInt8, Comparable, Sendable {
  case debug, info, warning, error

  public static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }
  public var name: StaticString {
    switch self {
    case .debug: "debug"
    case .info: "info"
    case .warning: "warning"
    case .error: "error"
    }
  }
}

public enum PipelineEvent: Sendable {
  case workerStarted(worker: Int)
  case workerEnded(worker: Int)
  case partitionsAssigned(worker: Int, partitions: [Int32])
  case partitionsRevoked(worker: Int, partitions: [Int32])
  case partitionsLost(worker: Int, partitions: [Int32])
  case restoreStarted(worker: Int, partition: Int32)
  case restored(worker: Int, partition: Int32, summary: RestoreSummary)
  case restoreDelayed(worker: Int, partition: Int32, reason: String)
  case partitionStopped(worker: Int, partition: Int32, reason: String)
  case transactionAborted(worker: Int, reason: String)
  case producerReplaced(worker: Int, reason: String)
  case producerDelayed(worker: Int, reason: String)
  case checkpointWritten(worker: Int, partition: Int32, records: Int, bytes: Int, milliseconds: Int64)
  case snapshotWritten(worker: Int, partition: Int32, borrowers: Int, milliseconds: Int64)
  case settingsTaken(worker: Int, partition: Int32, controlID: String)
  case modelsTaken(worker: Int, partition: Int32, version: String)
  case overrideTaken(worker: Int, partition: Int32, controlID: String)
  /// A control record that this version cannot read.
  case controlSkipped(offset: Int64)
  case controlDelayed(reason: String)
  case deadLetter(worker: Int, partition: Int32, offset: Int64, code: String)
  case forecastIntervalTaken(worker: Int, partition: Int32, hours: Int)
  case forecastsDelayed(worker: Int, reason: String)
  case indicatorsUnreadable(worker: Int, count: Int)
  case brokerMessage(level: LogLevel, facility: String, message: String)
  case failed(worker: Int, reason: String)
}

/// What a restore read, for the log and `lendpulse_restore_seconds`.
public struct RestoreSummary: Equatable, Sendable {
  /// Whether a local snapshot stood in for the state topic.
  public var isFromSnapshot = false
  public var stateRecords = 0
  public var journalRecords = 0
  public var inputRecords = 0
  public var borrowers = 0
  public var milliseconds: Int64 = 0

  public init() {}
}

/// Takes events from any thread; must not block for long.
public protocol EventLog: Sendable {
  func record(_ event: PipelineEvent)
}

/// A log that keeps nothing.
public struct SilentLog: EventLog {
  public init() {}
  public func record(_ event: PipelineEvent) {}
}

extension PipelineEvent {
  /// A stable name, as structured logs show it.
  public var name: StaticString {
    switch self {
    case .workerStarted: "worker_started"
    case .workerEnded: "worker_ended"
    case .partitionsAssigned: "partitions_assigned"
    case .partitionsRevoked: "partitions_revoked"
    case .partitionsLost: "partitions_lost"
    case .restoreStarted: "restore_started"
    case .restored: "restored"
    case .restoreDelayed: "restore_delayed"
    case .partitionStopped: "partition_stopped"
    case .transactionAborted: "transaction_aborted"
    case .producerReplaced: "producer_replaced"
    case .producerDelayed: "producer_delayed"
    case .checkpointWritten: "checkpoint_written"
    case .snapshotWritten: "snapshot_written"
    case .settingsTaken: "settings_taken"
    case .modelsTaken: "models_taken"
    case .overrideTaken: "override_taken"
    case .controlSkipped: "control_skipped"
    case .controlDelayed: "control_delayed"
    case .deadLetter: "dead_letter"
    case .forecastIntervalTaken: "forecast_interval_taken"
    case .forecastsDelayed: "forecasts_delayed"
    case .indicatorsUnreadable: "indicators_unreadable"
    case .brokerMessage: "broker_message"
    case .failed: "failed"
    }
  }

  public var level: LogLevel {
    switch self {
    case .restoreStarted, .checkpointWritten: .debug
    case .partitionsLost, .restoreDelayed, .transactionAborted, .producerReplaced, .producerDelayed, .deadLetter,
      .forecastsDelayed, .indicatorsUnreadable, .controlSkipped, .controlDelayed:
      .warning
    case .partitionStopped, .failed: .error
    case .brokerMessage(let level, _, _): level
    default: .info
    }
  }

  /// Name and value of each field, in a fixed order; values are plain text or decimal numbers.
  public var fields: [(name: StaticString, value: String)] {
    switch self {
    case .workerStarted(let worker), .workerEnded(let worker):
      [("worker", "\(worker)")]
    case .partitionsAssigned(let worker, let partitions), .partitionsRevoked(let worker, let partitions),
      .partitionsLost(let worker, let partitions):
      [("worker", "\(worker)"), ("partitions", partitions.map(String.init).joined(separator: ","))]
    case .restoreStarted(let worker, let partition):
      [("worker", "\(worker)"), ("partition", "\(partition)")]
    case .restored(let worker, let partition, let summary):
      [
        ("worker", "\(worker)"), ("partition", "\(partition)"), ("borrowers", "\(summary.borrowers)"),
        ("from_snapshot", summary.isFromSnapshot ? "true" : "false"), ("state_records", "\(summary.stateRecords)"),
        ("journal_records", "\(summary.journalRecords)"),
        ("input_records", "\(summary.inputRecords)"), ("milliseconds", "\(summary.milliseconds)"),
      ]
    case .restoreDelayed(let worker, let partition, let reason),
      .partitionStopped(let worker, let partition, let reason):
      [("worker", "\(worker)"), ("partition", "\(partition)"), ("reason", reason)]
    case .forecastIntervalTaken(let worker, let partition, let hours):
      [("worker", "\(worker)"), ("partition", "\(partition)"), ("hours", "\(hours)")]
    case .indicatorsUnreadable(let worker, let count): [("worker", "\(worker)"), ("count", "\(count)")]
    case .transactionAborted(let worker, let reason), .forecastsDelayed(let worker, let reason),
      .producerReplaced(let worker, let reason),
      .producerDelayed(let worker, let reason), .failed(let worker, let reason):
      [("worker", "\(worker)"), ("reason", reason)]
    case .checkpointWritten(let worker, let partition, let records, let bytes, let milliseconds):
      [
        ("worker", "\(worker)"), ("partition", "\(partition)"), ("records", "\(records)"), ("bytes", "\(bytes)"),
        ("milliseconds", "\(milliseconds)"),
      ]
    case .snapshotWritten(let worker, let partition, let borrowers, let milliseconds):
      [
        ("worker", "\(worker)"), ("partition", "\(partition)"), ("borrowers", "\(borrowers)"),
        ("milliseconds", "\(milliseconds)"),
      ]
    case .settingsTaken(let worker, let partition, let controlID),
      .overrideTaken(let worker, let partition, let controlID):
      [("worker", "\(worker)"), ("partition", "\(partition)"), ("control_id", controlID)]
    case .modelsTaken(let worker, let partition, let version):
      [("worker", "\(worker)"), ("partition", "\(partition)"), ("version", version)]
    case .controlSkipped(let offset): [("offset", "\(offset)")]
    case .controlDelayed(let reason): [("reason", reason)]
    case .deadLetter(let worker, let partition, let offset, let code):
      [("worker", "\(worker)"), ("partition", "\(partition)"), ("offset", "\(offset)"), ("code", code)]
    case .brokerMessage(_, let facility, let message):
      [("facility", facility), ("message", message)]
    }
  }
}
