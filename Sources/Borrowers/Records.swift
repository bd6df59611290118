// The records that lendpulse publishes, as plain values. Strings are UTF-8 bytes, so that one record can be reused for
// every event without allocating.

/// What made lendpulse decide.
public enum Trigger: UInt8, Sendable {
  case event = 1
  case duePassed = 2
  case leadExpired = 3
  case control = 4

  public var name: StaticString {
    switch self {
    case .event: "event"
    case .duePassed: "due_passed"
    case .leadExpired: "lead_expired"
    case .control: "control"
    }
  }
}

/// What every score, alert and lead carries.
public struct DecisionContext: Sendable {
  public var borrowerID: [UInt8] = []
  /// Of the triggering event.
  public var platform: [UInt8] = []
  public var horizonDays = 30
  /// ISO 4217; empty where none is configured.
  public var currency: [UInt8] = []
  public var modelVersion: [UInt8] = []
  public var asOf = EventTime.distantPast
  public var trigger = Trigger.event
  public var triggeringEventID: [UInt8] = []
  /// The last input record read when it was decided.
  public var sourceTopic: [UInt8] = []
  public var sourcePartition: Int32 = 0
  public var sourceOffset: Int64 = 0

  public init() {}
}

/// Whether a borrower owes now, or the risk is that of a loan not given yet.
public enum OverdueBasis: UInt8, Sendable {
  case owing = 1
  case ifLent = 2

  public var name: StaticString { self == .owing ? "owing" : "if_lent" }
}

/// The newest scores of a borrower. NaN where the model is not there: the field is then left out.
public struct ScoreRecord: Sendable {
  public var context = DecisionContext()
  /// Calibrated, within 0...1.
  public var overdueProbability = Double.nan
  public var overdueBasis = OverdueBasis.ifLent
  public var borrowingProbability30d = Double.nan
  /// The conditional mean, in money.
  public var forecastBorrowing30d = Double.nan
  public var forecastBorrowing30dLower = Double.nan
  public var forecastBorrowing30dUpper = Double.nan
  public var predictedUtilization = Double.nan
  /// `balance` or `cumulative`.
  public var utilizationTarget: [UInt8] = []

  public init() {}
}

/// One of at most four reasons of an alert or a lead.
public struct Reason: Equatable, Sendable {
  public var code: String
  public var feature: String
  /// The feature's value; NaN where it was missing (the field is then `null`).
  public var value: Double
  public var contribution: Double
  public var text: String

  public init(code: String, feature: String, value: Double, contribution: Double, text: String) {
    self.code = code
    self.feature = feature
    self.value = value
    self.contribution = contribution
    self.text = text
  }
}

/// How grave an overdue risk is. `none` is below every band.
public enum Severity: UInt8, Comparable, Sendable {
  case none = 0
  case low = 1
  case medium = 2
  case high = 3
  case critical = 4

  public static func < (a: Severity, b: Severity) -> Bool { a.rawValue < b.rawValue }

  public var name: StaticString {
    switch self {
    case .none: "none"
    case .low: "low"
    case .medium: "medium"
    case .high: "high"
    case .critical: "critical"
    }
  }
}

public enum AlertStatus: UInt8, Sendable {
  case raised = 1
  case escalated = 2
  case eased = 3
  case cleared = 4

  public var name: StaticString {
    switch self {
    case .raised: "raised"
    case .escalated: "escalated"
    case .eased: "eased"
    case .cleared: "cleared"
    }
  }
}

public struct AlertRecord: Sendable {
  public var context = DecisionContext()
  public var alertID: [UInt8] = []
  public var status = AlertStatus.raised
  /// The highest since it was raised.
  public var severity = Severity.none
  public var currentLevel = Severity.none
  public var overdueProbability = Double.nan
  /// NaN (left out) where there was no score before.
  public var previousProbability = Double.nan
  /// The sum over platforms, in money.
  public var exposure = 0.0
  public var daysPastDue = 0
  public var amountPastDue = 0.0
  /// `model`, `rule:<name>`.
  public var raisedBy: [String] = []
  public var reasons: [Reason] = []

  public init() {}
}

public enum LeadStatus: UInt8, Sendable {
  case opened = 1
  case updated = 2
  case withdrawn = 3

  public var name: StaticString {
    switch self {
    case .opened: "opened"
    case .updated: "updated"
    case .withdrawn: "withdrawn"
    }
  }
}

public enum WithdrawalReason: UInt8, Sendable {
  case utilization = 1
  case consent = 2
  case overdueRisk = 3
  case pastDue = 4
  case expired = 5
  case erased = 6

  public var name: StaticString {
    switch self {
    case .utilization: "utilization"
    case .consent: "consent"
    case .overdueRisk: "overdue_risk"
    case .pastDue: "past_due"
    case .expired: "expired"
    case .erased: "erased"
    }
  }
}

public struct LeadRecord: Sendable {
  public var context = DecisionContext()
  public var leadID: [UInt8] = []
  public var status = LeadStatus.opened
  public var withdrawnBecause: WithdrawalReason?
  public var predictedUtilization = Double.nan
  public var threshold = Double.nan
  public var forecastBorrowing30d = Double.nan
  public var overdueProbability = Double.nan
  public var overdueBasis = OverdueBasis.ifLent
  public var reasons: [Reason] = []
  public var validUntil = EventTime.distantPast

  public init() {}
}

/// What a platform is expected to be repaid over a coming period.
public struct RepaymentForecastRecord: Sendable {
  public var forecastID: [UInt8] = []
  public var platform: [UInt8] = []
  public var asOf = EventTime.distantPast
  public var periodStart = EventTime.distantPast
  /// Exclusive.
  public var periodEnd = EventTime.distantPast
  public var expectedRepayment = Double.nan
  public var lower = Double.nan
  public var upper = Double.nan
  public var assetScale = 0.0
  public var modelVersion: [UInt8] = []
  public var currency: [UInt8] = []

  public init() {}
}

/// How values are written.
public enum RecordFormat: UInt8, Sendable {
  case json = 1
  case protobuf = 2

  /// The `content-type` header.
  public var contentType: StaticString {
    self == .json ? "application/json" : "application/x-protobuf"
  }
}
