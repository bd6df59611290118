/// The fields of a borrower event, in JSON by name, in Protobuf by number. The raw value is the index in `FieldValues`.
enum EventField: Int, CaseIterable {
  case eventID, borrowerID, type, occurredAt, platform, profile
  case amount, loanID, product, installments, dueAt
  case score, bureau, deposits, propertyValue, creditLimit, balance, minimumDue, daysPastDue
  case category, page, topic, channel
  // Of `profile`.
  case birthYear, region, householdRegion, education, occupation, maritalStatus, gender, monthlyIncome, marketingConsent

  var name: StaticString {
    switch self {
    case .eventID: "event_id"
    case .borrowerID: "borrower_id"
    case .type: "type"
    case .occurredAt: "occurred_at"
    case .platform: "platform"
    case .profile: "profile"
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

  /// The first field of `profile`; those after it are its too.
  static let firstOfProfile = EventField.birthYear

  static let names: FieldNames = {
    let first = firstOfProfile.rawValue
    return FieldNames(
      table: NameTable(allCases.filter { $0.rawValue < first }.map(\.name)),
      nestedField: profile.rawValue,
      nestedTable: NameTable(allCases.filter { $0.rawValue >= first }.map(\.name)),
      nestedOffset: first,
      nestedMask: allCases.filter { $0.rawValue >= first }.reduce(0) { $0 | 1 << UInt64($1.rawValue) })
  }()
}

extension EventKind {
  /// Index 0 is raw value 1.
  static let names = NameTable(allCases.map(\.name))

  /// The type of this name on the wire; nil where there is none.
  public init?(name: UnsafeBufferPointer<UInt8>) {
    let bytes = unsafe InputBytes(name)
    self.init(rawValue: UInt8(Self.names.index(bytes, 0, bytes.count) + 1))
  }

  /// The type of this name on the wire; nil where there is none.
  public init?(name: String) {
    var name = name
    guard let kind = name.withUTF8({ unsafe EventKind(name: $0) }) else { return nil }
    self = kind
  }
}
