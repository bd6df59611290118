import Borrowers

/// An event of the day under way, before its strings are written.
struct PlannedEvent {
  static let noLoan = UInt16.max
  static let cardLoan = UInt16.max - 1

  var borrower: UInt32
  /// Of the borrower's events.
  var sequence: UInt32
  var day: Int32
  /// Within the day.
  var millisecond: Int32
  var kind: EventKind
  var platform: UInt8
  /// Index into the words of the kind's detail.
  var detail: UInt8 = 0
  var loan = PlannedEvent.noLoan
  /// Money in cents; of a credit score, points.
  var cents = 0
  /// Of a statement the minimum due in cents; of a drawdown the installments; days past due; property in whole money.
  var extra = 0
  /// A world day; -1: none.
  var dueDay: Int32 = -1
}

extension EventKind {
  /// The words its `detail` is one of.
  var details: [[UInt8]]? {
    switch self {
    case .creditScoreUpdated: Vocabulary.bureaus
    case .loanApplied, .drawdown: Vocabulary.products
    case .purchase: Vocabulary.categories
    case .pageView: Vocabulary.pages
    case .search: Vocabulary.topics
    case .sessionStarted: Vocabulary.channels
    default: nil
    }
  }
}
