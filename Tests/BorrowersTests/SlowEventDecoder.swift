import Borrowers

/// The rules for events in JSON, written down a second time over Foundation's decoder: slow and obvious.
enum SlowEventDecoder {
  private enum Rule {
    case amount, signedAmount, text, time
  }

  private struct Field {
    var name: String
    var rule: Rule
    var isRequired = false
  }

  private static let fields: [EventKind: [Field]] = {
    let loan = Field(name: "loan_id", rule: .text)
    let amount = Field(name: "amount", rule: .amount, isRequired: true)
    let anyAmount = Field(name: "amount", rule: .amount)
    let signed = Field(name: "amount", rule: .signedAmount, isRequired: true)
    let neededLoan = Field(name: "loan_id", rule: .text, isRequired: true)
    return [
      .creditScoreUpdated: [Field(name: "score", rule: .amount, isRequired: true), Field(name: "bureau", rule: .text)],
      .assetsUpdated: [Field(name: "deposits", rule: .amount), Field(name: "property_value", rule: .amount)],
      .limitChanged: [Field(name: "credit_limit", rule: .amount, isRequired: true)],
      .loanApplied: [amount, Field(name: "product", rule: .text)],
      .drawdown: [
        amount, neededLoan, Field(name: "installments", rule: .amount), Field(name: "product", rule: .text),
      ],
      .installmentDue: [amount, neededLoan, Field(name: "due_at", rule: .time, isRequired: true)],
      .statementIssued: [
        Field(name: "balance", rule: .signedAmount, isRequired: true), Field(name: "minimum_due", rule: .amount),
        Field(name: "due_at", rule: .time),
      ],
      .repayment: [amount, loan],
      .paymentMissed: [Field(name: "days_past_due", rule: .amount, isRequired: true), loan, anyAmount],
      .purchase: [amount, Field(name: "category", rule: .text)],
      .pageView: [Field(name: "page", rule: .text, isRequired: true)],
      .search: [Field(name: "topic", rule: .text)],
      .sessionStarted: [Field(name: "channel", rule: .text)],
      .wealthTransaction: [signed],
      .bankTransaction: [signed],
    ]
  }()

  /// What decoding refuses the record for, by code and field; nil where it is taken.
  static func error(_ bytes: [UInt8], at timestamp: EventTime) throws -> String? {
    let value = try JSONValue(bytes)
    guard case .object(let object) = value else { return "wrong_type" }
    func present(_ name: String) -> JSONValue? { object[name] == .null ? nil : object[name] }
    guard let type = present("type") else { return "missing_field type" }
    guard let type = type.string else { return "wrong_type type" }
    guard let kind = EventKind.allCases.first(where: { $0.name.description == type }) else {
      return "unknown_type type"
    }
    for name in ["event_id", "borrower_id"] {
      guard let id = present(name) else { return "missing_field \(name)" }
      guard let id = id.string else { return "wrong_type \(name)" }
      if id.isEmpty || id.utf8.count > 64 { return "out_of_range \(name)" }
    }
    if let error = check(Field(name: "occurred_at", rule: .time, isRequired: true), present("occurred_at")) {
      return error
    }
    if case .some(.some(let time)) = present("occurred_at").map(time),
      time.milliseconds > timestamp.milliseconds + 86_400_000
    {
      return "time_out_of_range occurred_at"
    }
    if let error = check(Field(name: "platform", rule: .text), present("platform")) { return error }
    for field in fields[kind] ?? [] {
      if let error = check(field, present(field.name)) { return error }
    }
    return nil
  }

  private static func time(_ value: JSONValue) -> EventTime? {
    switch value {
    case .string(let text): EventTime(rfc3339: text)
    case .integer(let number): EventTime(milliseconds: number)
    case .number(let number): number == number.rounded() ? EventTime(milliseconds: Int64(number)) : nil
    default: nil
    }
  }

  private static func check(_ field: Field, _ value: JSONValue?) -> String? {
    guard let value else { return field.isRequired ? "missing_field \(field.name)" : nil }
    switch field.rule {
    case .text: return value.string == nil ? "wrong_type \(field.name)" : nil
    case .amount, .signedAmount:
      guard let number = value.number else { return "wrong_type \(field.name)" }
      let isInside = number <= 1e15 && number >= (field.rule == .amount ? 0 : -1e15)
      return isInside ? nil : "out_of_range \(field.name)"
    case .time:
      if value.number == nil && value.string == nil { return "wrong_type \(field.name)" }
      if let number = value.number, number.magnitude >= 0x1p53 { return "time_out_of_range \(field.name)" }
      guard let time = time(value) else { return "invalid_time \(field.name)" }
      let isInside = time.milliseconds >= 631_152_000_000 && time.milliseconds < 4_102_444_800_000
      return isInside ? nil : "time_out_of_range \(field.name)"
    }
  }
}
