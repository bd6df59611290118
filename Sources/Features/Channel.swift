import Borrowers

/// The 16 channels of a borrower's tiles and columns of its picture. Raw values are part of the state's format: they never
/// change.
public enum Channel: Int, CaseIterable, Sendable {
  case loanApplied = 0
  case drawdown = 1
  case installmentDue = 2
  case statement = 3
  case repayment = 4
  case paymentMissed = 5
  case purchase = 6
  case pageView = 7
  case search = 8
  case session = 9
  case wealthIn = 10
  case wealthOut = 11
  case bankIn = 12
  case bankOut = 13
  case limit = 14
  case information = 15

  /// The first part of the names of its features.
  public var name: StaticString {
    switch self {
    case .loanApplied: "loan_applied"
    case .drawdown: "drawdown"
    case .installmentDue: "installment_due"
    case .statement: "statement"
    case .repayment: "repayment"
    case .paymentMissed: "payment_missed"
    case .purchase: "purchase"
    case .pageView: "page_view"
    case .search: "search"
    case .session: "session"
    case .wealthIn: "wealth_in"
    case .wealthOut: "wealth_out"
    case .bankIn: "bank_in"
    case .bankOut: "bank_out"
    case .limit: "limit_changed"
    case .information: "information_updated"
    }
  }

  /// What its tiles add up besides the number of events: `money`, `days` (past due), or nothing.
  public var unit: StaticString {
    switch self {
    case .paymentMissed: "days"
    case .pageView, .search, .session, .information: "count"
    default: "money"
    }
  }

  /// Where an event counts. A payment missed counts its days past due; money that goes out counts by its magnitude.
  @inline(__always) static func place(_ event: borrowing BorrowerEvent) -> (channel: Channel, value: Double) {
    let amount = event.amount.isFinite ? event.amount : 0
    switch event.kind {
    case .profileUpdated, .creditScoreUpdated, .assetsUpdated, .borrowerErased: return (.information, 0)
    case .limitChanged: return (.limit, amount)
    case .loanApplied: return (.loanApplied, amount)
    case .drawdown: return (.drawdown, amount)
    case .installmentDue: return (.installmentDue, amount)
    case .statementIssued: return (.statement, amount)
    case .repayment: return (.repayment, amount)
    case .paymentMissed: return (.paymentMissed, Arrears.wholeDays(event.daysPastDue))
    case .purchase: return (.purchase, amount)
    case .pageView: return (.pageView, 0)
    case .search: return (.search, 0)
    case .sessionStarted: return (.session, 0)
    case .wealthTransaction: return amount < 0 ? (.wealthOut, -amount) : (.wealthIn, amount)
    case .bankTransaction: return amount < 0 ? (.bankOut, -amount) : (.bankIn, amount)
    }
  }
}
