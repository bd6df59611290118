import Borrowers
import Features

/// What a credit line tells of a person (limit, draws, dues, repayments, arrears, statements), and how to hide it: a
/// borrower with a limit then looks as a person does who has none yet.
struct CreditLineMask: Sendable {
  /// Columns that only a credit line fills, with what they hold for a person who never had one.
  private let hidden: [(column: Int, value: Float)]
  /// Columns that are 0 for such a person where income is known, and missing elsewhere.
  private let againstIncome: [Int]
  private let income: Int
  /// Columns over events of all types, a credit line's among them: they differ between a borrower whose line is hidden
  /// and a person without one, so that nothing may be learned from them here.
  let mixed: [Int]

  private static let channels: Set<String> = [
    "drawdown", "installment_due", "statement", "repayment", "payment_missed", "limit_changed",
  ]
  private static let prefixes = [
    "drawdown_", "repayment_", "repaid_", "missed_to_", "drawn_", "due_to_", "amount_past_due", "open_", "settled_late",
    "exposure", "utilization", "credit_limit", "limit_", "grant_", "statement_", "worst_days_", "days_past_due",
    "last_missed", "payment_missed", "assets_to_exposure", "days_to_next_due", "days_since_drawdown",
    "days_since_installment_due", "days_since_statement", "days_since_repayment", "days_since_payment_missed",
    "days_since_limit_changed",
  ]
  private static let mixedPrefixes = [
    "event_", "active_days_", "night_", "weekend_share", "last_event_hour", "days_since_event", "tenure_days",
  ]
  private static let income = [
    "drawn_to_income_30d", "due_to_income_30d", "open_due_to_income_30d", "exposure_to_income",
  ]

  init() {
    // A borrower of whom nothing is known: counts and sums are 0, ratios and recencies missing.
    let state = BorrowerState()
    var input = ModelInput()
    state.fillEmpty(&input)
    var hidden: [(column: Int, value: Float)] = []
    var againstIncome: [Int] = []
    var mixed: [Int] = []
    for (column, feature) in FeatureCatalogue.all.enumerated() {
      if Self.income.contains(feature.name) {
        againstIncome.append(column)
      } else if Self.channels.contains(feature.channel) || Self.prefixes.contains(where: feature.name.hasPrefix) {
        hidden.append((column, unsafe input.features[column]))
      } else if Self.mixedPrefixes.contains(where: feature.name.hasPrefix) {
        mixed.append(column)
      }
    }
    self.hidden = hidden
    self.againstIncome = againstIncome
    self.mixed = mixed
    income = FeatureCatalogue.index(of: "monthly_income")!
  }

  /// Names of the columns that are hidden.
  var columns: [Int] { hidden.map(\.column) + againstIncome }

  /// The rows with the line hidden, and without the mixed columns. `keeping` rows are left as they are but for those.
  func apply(_ matrix: FeatureMatrix, keeping: (Int) -> Bool = { _ in false }) -> FeatureMatrix {
    var values = matrix.values
    for row in 0..<matrix.rows {
      let base = row * matrix.columns
      for column in mixed { values[base + column] = .nan }
      guard !keeping(row) else { continue }
      for (column, value) in hidden { values[base + column] = value }
      for column in againstIncome { values[base + column] = values[base + income].isNaN ? .nan : 0 }
    }
    return FeatureMatrix(rows: matrix.rows, columns: matrix.columns, values: values)
  }
}

extension BorrowerState {
  /// Of a borrower without events.
  fileprivate consuming func fillEmpty(_ input: inout ModelInput) { fill(&input, at: EventTime.earliest) }
}
