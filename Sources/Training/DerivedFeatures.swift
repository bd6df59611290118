import Features

/// Features that are worked out from other features of the same row. The adversarial network makes the others; these are
/// computed again on every row it makes, so that a ratio is the ratio of what stands beside it. Whatever else the catalogue
/// has is the base set that is generated.
struct DerivedFeatures: Sendable {
  private enum Formula: Sendable {
    /// scale x numerator / denominator, missing where the denominator is not above 0.
    case ratio(Int, Int, scale: Float)
    /// a - b.
    case difference(Int, Int)
    /// (a - b) / denominator.
    case differenceRatio(Int, Int, over: Int)
    case larger(Int, Int)
    /// (deposits + property) / exposure, one of the two being enough.
    case assets(Int, Int, over: Int)
    /// Over lags of statements, newest first: their mean, newest less oldest, how many are above 0, the least.
    case mean([Int])
    case change([Int])
    case countPositive([Int])
    case least([Int])
  }

  private let formulas: [(column: Int, formula: Formula)]
  /// Columns of the catalogue.
  let columns: Set<Int>

  static let standard = DerivedFeatures()

  private init() {
    var formulas: [(column: Int, formula: Formula)] = []
    // Names are the catalogue's; one that it no longer has is made like any other column.
    func add(_ name: String, _ inputs: [String], _ make: ([Int]) -> Formula) {
      let columns = inputs.compactMap(FeatureCatalogue.index(of:))
      guard let column = FeatureCatalogue.index(of: name), columns.count == inputs.count else { return }
      formulas.append((column, make(columns)))
    }
    func ratio(_ name: String, _ a: String, _ b: String, _ scale: Float = 1) {
      add(name, [a, b]) { .ratio($0[0], $0[1], scale: scale) }
    }
    let week: Float = 30 / 7
    for channel in ["drawdown", "repayment", "purchase"] {
      ratio("\(channel)_mean_30d", "\(channel)_sum_30d", "\(channel)_count_30d")
      ratio("\(channel)_mean_90d", "\(channel)_sum_90d", "\(channel)_count_90d")
      ratio("\(channel)_trend_7d_30d", "\(channel)_sum_7d", "\(channel)_sum_30d", week)
      ratio("\(channel)_trend_30d_90d", "\(channel)_sum_30d", "\(channel)_sum_90d", 3)
    }
    ratio("installment_due_mean_90d", "installment_due_sum_90d", "installment_due_count_90d")
    ratio("bank_in_trend_30d_90d", "bank_in_sum_30d", "bank_in_sum_90d", 3)
    ratio("bank_out_trend_7d_30d", "bank_out_sum_7d", "bank_out_sum_30d", week)
    ratio("bank_out_trend_30d_90d", "bank_out_sum_30d", "bank_out_sum_90d", 3)
    for channel in ["page_view", "search", "session", "event"] {
      ratio("\(channel)_trend_7d_30d", "\(channel)_count_7d", "\(channel)_count_30d", week)
    }
    ratio("session_trend_24h_7d", "session_count_24h", "session_count_7d", 7)
    ratio("session_trend_30d_90d", "session_count_30d", "session_count_90d", 3)
    ratio("event_trend_30d_90d", "event_count_30d", "event_count_90d", 3)
    for window in ["30d", "90d"] {
      ratio("repaid_to_due_\(window)", "repayment_sum_\(window)", "installment_due_sum_\(window)")
      ratio("repaid_to_drawn_\(window)", "repayment_sum_\(window)", "drawdown_sum_\(window)")
      ratio("bank_out_to_in_\(window)", "bank_out_sum_\(window)", "bank_in_sum_\(window)")
    }
    ratio("repaid_to_drawn", "repayment_sum", "drawdown_sum")
    ratio("missed_to_due_90d", "payment_missed_count_90d", "installment_due_count_90d")
    ratio("drawn_to_applied_90d", "drawdown_sum_90d", "loan_applied_sum_90d")
    ratio("wealth_out_to_in_90d", "wealth_out_sum_90d", "wealth_in_sum_90d")
    for window in ["7d", "30d", "90d", "365d"] {
      ratio("drawn_to_limit_\(window)", "drawdown_sum_\(window)", "credit_limit")
    }
    for (name, of) in [
      ("drawn", "drawdown_sum_30d"), ("due", "installment_due_sum_30d"), ("purchase", "purchase_sum_30d"),
      ("bank_in", "bank_in_sum_30d"), ("open_due", "open_due_sum_30d"),
    ] { ratio("\(name)_to_income_30d", of, "monthly_income") }
    ratio("exposure_to_income", "exposure", "monthly_income")
    ratio("limit_to_income", "credit_limit", "monthly_income")
    ratio("amount_past_due_to_limit", "amount_past_due", "credit_limit")
    ratio("amount_past_due_to_exposure", "amount_past_due", "exposure")
    ratio("utilization", "exposure", "credit_limit")
    ratio("drawn_since_grant_to_limit", "drawn_since_grant", "credit_limit")
    ratio("statement_balance_to_limit_0", "statement_balance", "credit_limit")
    add("limit_headroom", ["credit_limit", "exposure"]) { .difference($0[0], $0[1]) }
    add("utilization_trend", ["exposure", "statement_balance", "credit_limit"]) {
      .differenceRatio($0[0], $0[1], over: $0[2])
    }
    add("days_past_due_worst_90d", ["days_past_due", "payment_missed_largest_90d"]) { .larger($0[0], $0[1]) }
    add("assets_to_exposure", ["deposits", "property_value", "exposure"]) { .assets($0[0], $0[1], over: $0[2]) }
    // Both are against the limit, which cancels.
    for lag in 0..<5 {
      ratio(
        "statement_repaid_to_balance_\(lag)", "statement_repaid_to_limit_\(lag)",
        "statement_balance_to_limit_\(lag + 1)")
    }
    func lags(_ name: String, _ count: Int) -> [String] { (0..<count).map { "\(name)_\($0)" } }
    add("statement_balance_mean_to_limit", lags("statement_balance_to_limit", 6)) { .mean($0) }
    add("statement_balance_change_to_limit", lags("statement_balance_to_limit", 6)) { .change($0) }
    add("statement_delayed_count", lags("statement_worst_days", 6)) { .countPositive($0) }
    add("statement_repaid_to_balance_least", lags("statement_repaid_to_balance", 5)) { .least($0) }
    self.formulas = formulas
    columns = Set(formulas.map(\.column))
  }

  /// Computes the derived columns of every row again. Columns that are not `allowed` stay missing.
  func recompute(_ matrix: inout FeatureMatrix, allowed: [Bool]) {
    for row in 0..<matrix.rows {
      for (column, formula) in formulas where allowed[column] {
        matrix[row, column] = Self.value(formula) { matrix[row, $0] }
      }
    }
  }

  private static func value(_ formula: Formula, _ x: (Int) -> Float) -> Float {
    switch formula {
    case .ratio(let a, let b, let scale): return ratio(x(a) * scale, x(b))
    case .difference(let a, let b): return x(a) - x(b)
    case .differenceRatio(let a, let b, let over): return ratio(x(a) - x(b), x(over))
    case .larger(let a, let b): return max(x(a), x(b))
    case .assets(let a, let b, let over):
      guard x(a).isFinite || x(b).isFinite else { return .nan }
      return ratio((x(a).isFinite ? x(a) : 0) + (x(b).isFinite ? x(b) : 0), x(over))
    case .mean(let lags):
      let held = held(lags, x)
      return held.isEmpty ? .nan : held.reduce(0, +) / Float(held.count)
    case .change(let lags):
      let held = held(lags, x)
      return held.count > 1 ? held[0] - held[held.count - 1] : .nan
    case .countPositive(let lags):
      let held = held(lags, x)
      return held.isEmpty ? .nan : Float(held.count { $0 > 0 })
    case .least(let lags): return lags.map(x).filter { !$0.isNaN }.min() ?? .nan
    }
  }

  /// Of the newest statements, as many as there are without a gap.
  private static func held(_ lags: [Int], _ x: (Int) -> Float) -> [Float] {
    Array(lags.map(x).prefix { !$0.isNaN })
  }

  /// As the features' own: within plus or minus a million, missing where `b` is not above 0.
  private static func ratio(_ a: Float, _ b: Float) -> Float {
    b > 0 ? min(max(a / b, -1e6), 1e6) : .nan
  }
}
