import Borrowers
import Pipeline
import Scoring

/// All that an operator can set. `ConfigurationKey.all` names every field on the outside; a field's default is its
/// value here. Where it has none, commands that need it say so.
struct Configuration: Equatable, Sendable {
  /// Consumer group, prefix of transactional ids and of the internal topics.
  var applicationID = "lendpulse"
  /// Unique for each process and the same after a restart; nil: host name and first free slot of `stateDirectory`.
  var instanceID: String?
  /// Slots and whatever else a process keeps on disk. `$STATE_DIRECTORY` wins over the default.
  var stateDirectory = "/var/lib/lendpulse"
  /// ISO 4217, repeated on outputs that hold money.
  var currency: String?
  var kafka = KafkaSection()
  /// Names of the topics that the outside sees.
  var topics = TopicNames()
  /// The folder of models.
  var models: String?
  /// How published values are written.
  var output = RecordFormat.json
  /// Threads that score; 0: one for each core.
  var workers = 0
  /// Milliseconds that a scored record waits for its commit at the latest, while input flows.
  var commitIntervalMilliseconds = 100
  var checkpoint = CheckpointSection()
  var windows = WindowsSection()
  var memory = MemorySection()
  var alerts = AlertSettings()
  var leads = LeadSettings()
  var repayment = RepaymentSection()
  var http = HTTPSection()
  var log = LogSection()

  /// `kafka`.
  struct KafkaSection: Equatable, Sendable {
    /// `host:port`, several separated by commas.
    var bootstrapServers: String?
    /// librdkafka properties in the order given. May hold secrets: never printed, in no log and no error.
    var properties: [KafkaProperty] = []
  }

  /// `checkpoint`.
  struct CheckpointSection: Equatable, Sendable {
    /// Seconds between two checkpoints of a partition.
    var intervalSeconds = 30.0
    /// MiB of changed state that start one sooner.
    var changedMebibytes = 64
  }

  /// `windows`.
  struct WindowsSection: Equatable, Sendable {
    /// Seconds that the watermark stays behind the newest event.
    var allowedLatenessSeconds = 300.0
    /// Days for which a repeated event_id is known again.
    var dedupeDays = 7.0
    /// Seconds of silence after which the wall clock moves an idle partition on; 0: never.
    var idleAfterSeconds = 60.0
  }

  /// `memory`.
  struct MemorySection: Equatable, Sendable {
    /// 0: no cap.
    var maxMebibytes = 0
  }

  /// `repayment`.
  struct RepaymentSection: Equatable, Sendable {
    /// Lengths of the forecast periods, in days.
    var periodsDays = [7, 30]
    /// Forecasts fall at UTC multiples of this.
    var everyHours = 24
  }

  /// `http`.
  struct HTTPSection: Equatable, Sendable {
    /// `host:port` to listen on.
    var listen = "127.0.0.1:8080"
    /// How other instances reach this one.
    var advertised: String?
    /// The file that holds the bearer token.
    var tokenFile: String?
  }

  /// `log`.
  struct LogSection: Equatable, Sendable {
    var level = LogLevel.info
    var format = LogFormat.text
  }
}

/// One librdkafka property. `description` hides the value, which may be a password.
struct KafkaProperty: Equatable, Sendable, CustomStringConvertible {
  var name: String
  var value: String
  var description: String { "\(name)=…" }
}

/// How log lines are written.
enum LogFormat: String, Sendable {
  case text, json
}

extension Configuration {
  /// What decides besides scores.
  var decisionSettings: DecisionSettings {
    var settings = DecisionSettings()
    settings.alerts = alerts
    settings.leads = leads
    return settings
  }

  /// What each partition's engine is made with.
  var engineConfiguration: EngineConfiguration {
    var engine = EngineConfiguration()
    engine.inputTopic = topics.borrowerEvents
    engine.format = output
    engine.currency = currency ?? ""
    engine.allowedLatenessMilliseconds = Int64((windows.allowedLatenessSeconds * 1_000).rounded())
    engine.dedupeWindowMilliseconds = Int64((windows.dedupeDays * Double(EventTime.millisecondsPerDay)).rounded())
    engine.settings = decisionSettings
    engine.forecastEveryHours = repayment.everyHours
    engine.forecastPeriodsDays = repayment.periodsDays
    return engine
  }

  /// The topics of lendpulse's own, which follow from the application's id.
  var internalTopics: [String] {
    ["state", "control", "journal", "platform-daily"].map { "\(applicationID)-\($0)" }
  }
}
