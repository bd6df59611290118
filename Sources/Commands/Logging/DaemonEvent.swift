import Pipeline

/// Everything that the commands around the pipeline have to say, as named events in one place. No event holds personal
/// data, nor the value of a Kafka property.
enum DaemonEvent: Sendable {
  case starting(version: String, instance: String, workers: Int)
  /// The kinds that serve, each with its version.
  case modelsServing(models: [(kind: String, version: String)], digest: String)
  /// Outputs that are off because their model is not there.
  case outputOff(output: String, reason: String)
  /// Borrowers stay in memory beyond `memory.max_mib`.
  case memoryCapUnmet(reason: String)
  case httpListening(port: Int)
  case ready(partitions: Int, borrowers: Int, milliseconds: Int)
  case stopping(signal: String)
  case stopped(milliseconds: Int)
  case progress(accepted: UInt64, deadLetters: UInt64, borrowers: Int, lag: Int64)
}

/// What a log line says: a stable name, how grave it is, and fields in a fixed order.
protocol LoggedEvent {
  var name: StaticString { get }
  var level: LogLevel { get }
  var fields: [(name: StaticString, value: String)] { get }
}

extension PipelineEvent: LoggedEvent {}

extension DaemonEvent: LoggedEvent {
  var name: StaticString {
    switch self {
    case .starting: "starting"
    case .modelsServing: "models_serving"
    case .outputOff: "output_off"
    case .memoryCapUnmet: "memory_cap_unmet"
    case .httpListening: "http_listening"
    case .ready: "ready"
    case .stopping: "stopping"
    case .stopped: "stopped"
    case .progress: "progress"
    }
  }

  var level: LogLevel {
    switch self {
    case .outputOff, .memoryCapUnmet: .warning
    default: .info
    }
  }

  var fields: [(name: StaticString, value: String)] {
    switch self {
    case .starting(let version, let instance, let workers):
      [("version", version), ("instance", instance), ("workers", "\(workers)")]
    case .modelsServing(let models, let digest):
      [("models", models.map { "\($0.kind)/\($0.version)" }.joined(separator: ",")), ("digest", digest)]
    case .outputOff(let output, let reason): [("output", output), ("reason", reason)]
    case .memoryCapUnmet(let reason): [("reason", reason)]
    case .httpListening(let port): [("port", "\(port)")]
    case .ready(let partitions, let borrowers, let milliseconds):
      [("partitions", "\(partitions)"), ("borrowers", "\(borrowers)"), ("milliseconds", "\(milliseconds)")]
    case .stopping(let signal): [("signal", signal)]
    case .stopped(let milliseconds): [("milliseconds", "\(milliseconds)")]
    case .progress(let accepted, let deadLetters, let borrowers, let lag):
      [
        ("accepted", "\(accepted)"), ("dead_letters", "\(deadLetters)"), ("borrowers", "\(borrowers)"),
        ("lag", "\(lag)"),
      ]
    }
  }
}
