import Borrowers
import Features

/// What a rule may name.
enum RuleField: UInt8, CaseIterable {
  case daysPastDue, amountPastDue, exposure, utilization, creditLimit, creditScore, deposits, propertyValue
  case monthlyIncome, age, birthYear
  case marketingConsent
  case region, education, occupation
  case gender, maritalStatus, householdRegion

  enum Kind { case number, text, truth }

  var name: String {
    switch self {
    case .daysPastDue: "days_past_due"
    case .amountPastDue: "amount_past_due"
    case .exposure: "exposure"
    case .utilization: "utilization"
    case .creditLimit: "credit_limit"
    case .creditScore: "credit_score"
    case .deposits: "deposits"
    case .propertyValue: "property_value"
    case .monthlyIncome: "monthly_income"
    case .age: "age"
    case .birthYear: "birth_year"
    case .marketingConsent: "marketing_consent"
    case .region: "region"
    case .education: "education"
    case .occupation: "occupation"
    case .gender: "gender"
    case .maritalStatus: "marital_status"
    case .householdRegion: "household_region"
    }
  }

  var kind: Kind {
    switch self {
    case .marketingConsent: .truth
    case .region, .education, .occupation, .gender, .maritalStatus, .householdRegion: .text
    default: .number
    }
  }

  var isProtected: Bool {
    switch self {
    case .gender, .maritalStatus, .householdRegion: true
    default: false
    }
  }

  init?(name: String) {
    guard let field = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = field
  }
}

/// Basic information and arrears of a borrower at its time: what rules are evaluated on.
struct RuleFacts {
  var information = BasicInformation()
  var daysPastDue = 0
  var amountPastDue = 0.0
  var exposure = 0.0
  /// The borrower's time.
  var now = EventTime.distantPast

  /// NaN where unknown.
  @inline(__always) func number(_ field: RuleField) -> Double {
    switch field {
    case .daysPastDue: Double(daysPastDue)
    case .amountPastDue: amountPastDue
    case .exposure: exposure
    case .utilization: information.creditLimit > 0 ? exposure / information.creditLimit : .nan
    case .creditLimit: information.creditLimit
    case .creditScore: information.creditScore
    case .deposits: information.deposits
    case .propertyValue: information.propertyValue
    case .monthlyIncome: information.monthlyIncome
    case .age: Double(EventTime.date(days: Int(floorDays(now))).year) - information.birthYear
    case .birthYear: information.birthYear
    case .marketingConsent: information.marketingConsent.map { $0 ? 1 : 0 } ?? .nan
    default: .nan
    }
  }

  /// The hash of a text; 0 where unknown.
  @inline(__always) func text(_ field: RuleField) -> UInt32 {
    switch field {
    case .region: information.region
    case .education: information.education
    case .occupation: information.occupation
    case .gender: information.gender
    case .maritalStatus: information.maritalStatus
    case .householdRegion: information.householdRegion
    default: 0
    }
  }

  private func floorDays(_ time: EventTime) -> Int64 {
    let days = time.milliseconds / EventTime.millisecondsPerDay
    return time.milliseconds % EventTime.millisecondsPerDay < 0 ? days - 1 : days
  }
}
