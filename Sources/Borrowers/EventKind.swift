/// The types of borrower events. Raw values are part of the state's and the Protobuf format: they never change.
public enum EventKind: UInt8, CaseIterable, Sendable {
  case profileUpdated = 1
  case creditScoreUpdated = 2
  case assetsUpdated = 3
  case limitChanged = 4
  case loanApplied = 5
  case drawdown = 6
  case installmentDue = 7
  case statementIssued = 8
  case repayment = 9
  case paymentMissed = 10
  case purchase = 11
  case pageView = 12
  case search = 13
  case sessionStarted = 14
  case wealthTransaction = 15
  case bankTransaction = 16
  case borrowerErased = 17

  /// The name on the wire.
  public var name: StaticString {
    switch self {
    case .profileUpdated: "profile_updated"
    case .creditScoreUpdated: "credit_score_updated"
    case .assetsUpdated: "assets_updated"
    case .limitChanged: "limit_changed"
    case .loanApplied: "loan_applied"
    case .drawdown: "drawdown"
    case .installmentDue: "installment_due"
    case .statementIssued: "statement_issued"
    case .repayment: "repayment"
    case .paymentMissed: "payment_missed"
    case .purchase: "purchase"
    case .pageView: "page_view"
    case .search: "search"
    case .sessionStarted: "session_started"
    case .wealthTransaction: "wealth_transaction"
    case .bankTransaction: "bank_transaction"
    case .borrowerErased: "borrower_erased"
    }
  }
}
