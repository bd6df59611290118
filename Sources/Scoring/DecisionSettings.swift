import Borrowers
import Features

/// `alerts` of the configuration.
public struct AlertSettings: Equatable, Sendable {
  public var low = 0.1
  public var medium = 0.25
  public var high = 0.5
  public var critical = 0.75
  public var raiseAt = Severity.medium
  public var clearMargin = 0.05
  public var cooldownHours = 24.0
  public var lossGivenDefault = 0.45
  public var allowProtected = false
  public var rules = [RuleSettings(name: "deep_arrears", when: "days_past_due >= 60", severity: .critical)]

  public init() {}
}

/// A named manual rule: a condition on basic information and arrears, and the level that it gives.
public struct RuleSettings: Equatable, Sendable {
  public var name: String
  public var when: String
  public var severity: Severity

  public init(name: String, when: String, severity: Severity) {
    self.name = name
    self.when = when
    self.severity = severity
  }
}

/// `leads` of the configuration.
public struct LeadSettings: Equatable, Sendable {
  public var utilizationThreshold = 0.6
  public var margin = 0.05
  public var overdueAtMost = 0.25
  public var cooldownDays = 14.0
  public var validDays = 30.0
  public var updateShare = 0.2

  public init() {}
}

/// All that decides besides scores; part of a partition's state and of its journal.
public struct DecisionSettings: Equatable, Sendable {
  public var alerts = AlertSettings()
  public var leads = LeadSettings()

  public init() {}
}

/// What a partition's engine is made with and keeps.
public struct EngineConfiguration: Sendable {
  public var inputTopic = "borrower-events"
  public var format = RecordFormat.json
  /// ISO 4217; empty: none.
  public var currency = ""
  public var allowedLatenessMilliseconds: Int64 = 300_000
  public var dedupeWindowMilliseconds: Int64 = 7 * EventTime.millisecondsPerDay
  /// The file's: in force until a control record changes them.
  public var settings = DecisionSettings()
  /// Nil: all borrowers stay in memory.
  public var memoryCap: MemoryCap?
  /// Of the file: hours between forecast times, and the lengths of the periods forecast, in days.
  public var forecastEveryHours = 24
  public var forecastPeriodsDays = [7, 30]

  public init() {}
}
