import Borrowers

/// The columns of `borrower_events`, the table or view in which a database keeps events: a field of the contract's events
/// each, by its name there, those of `profile` beside the others. docs/histories.md says it for people.
enum HistoryColumn: Int, CaseIterable {
  case eventID, borrowerID, type, occurredAt, platform
  case amount, loanID, product, installments, dueAt
  case score, bureau, deposits, propertyValue, creditLimit, balance, minimumDue, daysPastDue
  case category, page, topic, channel
  // Of `profile`; a row is written in this order, so they come last.
  case birthYear, region, householdRegion, education, occupation, maritalStatus, gender, monthlyIncome, marketingConsent

  enum Content { case text, number, time, boolean }

  /// The table or view.
  static let table = "borrower_events"
  /// Gives the order of arrival where the table has it; not a field.
  static let position = "position"
  /// What tells a repeat.
  static let identity: [HistoryColumn] = [.borrowerID, .eventID, .occurredAt]
  /// Without these there is no event; any other column may be missing and then is NULL throughout.
  static let required: [HistoryColumn] = [.eventID, .borrowerID, .type, .occurredAt]

  var name: StaticString {
    switch self {
    case .eventID: "event_id"
    case .borrowerID: "borrower_id"
    case .type: "type"
    case .occurredAt: "occurred_at"
    case .platform: "platform"
    case .amount: "amount"
    case .loanID: "loan_id"
    case .product: "product"
    case .installments: "installments"
    case .dueAt: "due_at"
    case .score: "score"
    case .bureau: "bureau"
    case .deposits: "deposits"
    case .propertyValue: "property_value"
    case .creditLimit: "credit_limit"
    case .balance: "balance"
    case .minimumDue: "minimum_due"
    case .daysPastDue: "days_past_due"
    case .category: "category"
    case .page: "page"
    case .topic: "topic"
    case .channel: "channel"
    case .birthYear: "birth_year"
    case .region: "region"
    case .householdRegion: "household_region"
    case .education: "education"
    case .occupation: "occupation"
    case .maritalStatus: "marital_status"
    case .gender: "gender"
    case .monthlyIncome: "monthly_income"
    case .marketingConsent: "marketing_consent"
    }
  }

  var isOfProfile: Bool { rawValue >= HistoryColumn.birthYear.rawValue }

  var content: Content {
    switch self {
    case .occurredAt, .dueAt: .time
    case .marketingConsent: .boolean
    case .amount, .installments, .score, .deposits, .propertyValue, .creditLimit, .balance, .minimumDue, .daysPastDue,
      .birthYear, .monthlyIncome:
      .number
    default: .text
    }
  }

  /// Those that a table has among `names`, in the order of a row; throws where a required one is missing.
  static func present(among names: Set<String>, source: HistorySource) throws(HistoryError) -> [HistoryColumn] {
    let missing = required.filter { !names.contains($0.name.description) }
    guard missing.isEmpty else {
      throw HistoryError(
        .usage,
        "\(source): \(table) has no column \(missing.map(\.name.description).joined(separator: ", ")); map your columns "
          + "to these names by a view of that name")
    }
    return allCases.filter { names.contains($0.name.description) }
  }

  static func noTable(_ source: HistorySource) -> HistoryError {
    HistoryError(
      .usage,
      "\(source): has no table or view \(table); fill it with lendpulse import, or make a view of that name over your "
        + "own tables")
  }
}

/// What a column holds of an event.
enum ColumnValue {
  case null
  case text(TextSlice)
  case name(StaticString)
  case number(Double)
  case time(EventTime)
  case boolean(Bool)
}

extension BorrowerEvent {
  /// The value of a column; NULL where the event's type has no such field or it is missing.
  func value(_ column: HistoryColumn) -> ColumnValue {
    func text(_ slice: TextSlice) -> ColumnValue { slice.isPresent ? .text(slice) : .null }
    func number(_ number: Double) -> ColumnValue { number.isNaN ? .null : .number(number) }
    func detail(_ kinds: EventKind...) -> ColumnValue { kinds.contains(kind) ? text(self.detail) : .null }
    switch column {
    case .eventID: return text(eventID)
    case .borrowerID: return text(borrowerID)
    case .type: return .name(kind.name)
    case .occurredAt: return .time(occurredAt)
    case .platform: return text(platform)
    case .amount:
      switch kind {
      case .statementIssued, .limitChanged, .creditScoreUpdated: return .null
      default: return number(amount)
      }
    case .balance: return kind == .statementIssued ? number(amount) : .null
    case .creditLimit: return kind == .limitChanged ? number(amount) : .null
    case .score: return kind == .creditScoreUpdated ? number(amount) : .null
    case .loanID: return text(loanID)
    case .product: return detail(.loanApplied, .drawdown)
    case .bureau: return detail(.creditScoreUpdated)
    case .category: return detail(.purchase)
    case .page: return detail(.pageView)
    case .topic: return detail(.search)
    case .channel: return detail(.sessionStarted)
    case .installments: return number(installments)
    case .dueAt: return dueAt == .distantPast ? .null : .time(dueAt)
    case .deposits: return number(deposits)
    case .propertyValue: return number(propertyValue)
    case .minimumDue: return number(minimumDue)
    case .daysPastDue: return number(daysPastDue)
    case .birthYear: return number(profile.birthYear)
    case .region: return text(profile.region)
    case .householdRegion: return text(profile.householdRegion)
    case .education: return text(profile.education)
    case .occupation: return text(profile.occupation)
    case .maritalStatus: return text(profile.maritalStatus)
    case .gender: return text(profile.gender)
    case .monthlyIncome: return number(profile.monthlyIncome)
    case .marketingConsent: return profile.marketingConsent.map { .boolean($0) } ?? .null
    }
  }
}
