import Scoring

/// The names of the topics, as configured; the internal ones follow from the application's id.
public struct TopicNames: Equatable, Sendable {
  public var borrowerEvents = "borrower-events"
  public var industryIndicators = "industry-indicators"
  public var alerts = "risk-alerts"
  public var leads = "leads"
  public var scores = "scores"
  public var repaymentForecasts = "repayment-forecasts"
  public var deadLetters = "dead-letters"

  public init() {}
}

/// What one transaction may hold before the loop waits for the one under way.
public struct TransactionLimits: Equatable, Sendable {
  public var entriesMax = 100_000
  public var bytesMax = 32 << 20
  /// State that one transaction writes for checkpoints, so that no commit stalls.
  public var sliceBytesMax = 1 << 20

  public init() {}

  func areReached(by outputs: borrowing OutputBatch) -> Bool {
    outputs.entries.count >= entriesMax || outputs.bytes.count >= bytesMax
  }
}

/// What the loop is run with. Everything here is checked by the configuration before.
public struct PipelineSettings: Sendable {
  /// Consumer group, prefix of transactional ids and internal topics.
  public var applicationID = "lendpulse"
  /// Unique for each process and the same after a restart: two processes with one id fence each other.
  public var instanceID = "local"
  public var topics = TopicNames()
  /// Threads that score; each has its own consumer, producer and partitions. At least 1.
  public var workers = 1
  /// The longest that a scored record waits for its commit while the input flows.
  public var commitIntervalMilliseconds: Int64 = 100
  public var checkpointIntervalMilliseconds: Int64 = 30_000
  /// Changed state that starts a checkpoint before its interval is over.
  public var checkpointChangedBytes = 64 << 20
  /// Wall-clock silence after which a partition's watermark moves on; 0: never.
  public var idleAfterMilliseconds: Int64 = 60_000
  /// `lendpulse_event_seconds` and the status view are brought up to date this often.
  public var statusIntervalMilliseconds: Int64 = 250
  /// Where the models that a journal names are looked for.
  public var modelsDirectory = ""
  /// Where a clean stop leaves snapshots for the next start; nil: nowhere.
  public var stateDirectory: String?
  public var limits = TransactionLimits()
  public var engine = EngineConfiguration()

  public init() {}

  public var stateTopic: String { applicationID + "-state" }
  public var journalTopic: String { applicationID + "-journal" }
  public var controlTopic: String { applicationID + "-control" }
  public var platformDailyTopic: String { applicationID + "-platform-daily" }

  /// The configured name of an output.
  public func name(of topic: OutputTopic) -> String {
    switch topic {
    case .scores: topics.scores
    case .alerts: topics.alerts
    case .leads: topics.leads
    case .repaymentForecasts: topics.repaymentForecasts
    case .deadLetters: topics.deadLetters
    case .state: stateTopic
    case .journal: journalTopic
    case .platformDaily: platformDailyTopic
    }
  }

  /// The configured name of a log that recovery reads.
  public func name(of log: SourceLog) -> String {
    switch log {
    case .input: topics.borrowerEvents
    case .state: stateTopic
    case .journal: journalTopic
    case .platformDaily: platformDailyTopic
    case .industryIndicators: topics.industryIndicators
    }
  }
}
