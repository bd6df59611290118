import Borrowers

// The last statements and the person: the end of the table of features.
extension BorrowerState {
  /// Statement `lag` back; its period is the time from the statement before it.
  @inline(__always) private borrowing func balance(_ lag: Int) -> Double {
    lag < statements.statements.count ? Double(statements.statements[lag].balance) : .nan
  }
  @inline(__always) private borrowing func balanceToLimit(_ lag: Int, _ limit: Double) -> Float {
    Saturating.ratio(balance(lag), limit)
  }
  @inline(__always) private borrowing func repaidToLimit(_ lag: Int, _ limit: Double) -> Float {
    lag < statements.statements.count ? Saturating.ratio(Double(statements.statements[lag].period.repaid), limit) : .nan
  }
  @inline(__always) private borrowing func drawnToLimit(_ lag: Int, _ limit: Double) -> Float {
    lag < statements.statements.count ? Saturating.ratio(Double(statements.statements[lag].period.drawn), limit) : .nan
  }
  /// Repaid in a period against the balance it began with; NaN where nothing was owed.
  @inline(__always) private borrowing func repaidToBalance(_ lag: Int) -> Float {
    lag + 1 < statements.statements.count
      ? Saturating.ratio(Double(statements.statements[lag].period.repaid), balance(lag + 1)) : .nan
  }
  @inline(__always) private borrowing func worstDays(_ lag: Int) -> Float {
    lag < statements.statements.count ? Float(statements.statements[lag].period.worstDays) : .nan
  }
  @inline(__always) private borrowing func lastMissed(_ lag: Int) -> Float {
    lag < statements.statements.count ? Float(statements.statements[lag].period.lastMissedDays) : .nan
  }

  @inline(__always) borrowing func describeStatements<Sink: FeatureSink>(_ f: FeatureInputs, _ sink: inout Sink) {
    let limit = f.limit
    let current = statements.current
    sink.add(
      "statement_balance", "", "money", .statementBalance, Saturating.float(balance(0)), "The last statement's balance")
    sink.add(
      "statement_balance_to_limit_0", "", "ratio", .statementBalance, balanceToLimit(0, limit),
      "The last statement's balance against the limit")
    sink.add(
      "statement_balance_to_limit_1", "", "ratio", .statementBalance, balanceToLimit(1, limit),
      "The same, one statement before")
    sink.add(
      "statement_balance_to_limit_2", "", "ratio", .statementBalance, balanceToLimit(2, limit),
      "The same, two statements before")
    sink.add(
      "statement_balance_to_limit_3", "", "ratio", .statementBalance, balanceToLimit(3, limit),
      "The same, three statements before")
    sink.add(
      "statement_balance_to_limit_4", "", "ratio", .statementBalance, balanceToLimit(4, limit),
      "The same, four statements before")
    sink.add(
      "statement_balance_to_limit_5", "", "ratio", .statementBalance, balanceToLimit(5, limit),
      "The same, five statements before")
    sink.add(
      "statement_repaid_to_limit_0", "", "ratio", .statementPayments, repaidToLimit(0, limit),
      "Repaid before the last statement and after the one before it, against the limit")
    sink.add(
      "statement_repaid_to_limit_1", "", "ratio", .statementPayments, repaidToLimit(1, limit),
      "The same, one statement before")
    sink.add(
      "statement_repaid_to_limit_2", "", "ratio", .statementPayments, repaidToLimit(2, limit),
      "The same, two statements before")
    sink.add(
      "statement_repaid_to_limit_3", "", "ratio", .statementPayments, repaidToLimit(3, limit),
      "The same, three statements before")
    sink.add(
      "statement_repaid_to_limit_4", "", "ratio", .statementPayments, repaidToLimit(4, limit),
      "The same, four statements before")
    sink.add(
      "statement_repaid_to_limit_5", "", "ratio", .statementPayments, repaidToLimit(5, limit),
      "The same, five statements before")
    sink.add(
      "statement_repaid_to_balance_0", "", "ratio", .repaymentRatioLow, repaidToBalance(0),
      "Repaid before the last statement, against the balance of the one before it")
    sink.add(
      "statement_repaid_to_balance_1", "", "ratio", .repaymentRatioLow, repaidToBalance(1),
      "The same, one statement before")
    sink.add(
      "statement_repaid_to_balance_2", "", "ratio", .repaymentRatioLow, repaidToBalance(2),
      "The same, two statements before")
    sink.add(
      "statement_repaid_to_balance_3", "", "ratio", .repaymentRatioLow, repaidToBalance(3),
      "The same, three statements before")
    sink.add(
      "statement_repaid_to_balance_4", "", "ratio", .repaymentRatioLow, repaidToBalance(4),
      "The same, four statements before")
    sink.add(
      "statement_drawn_to_limit_0", "", "ratio", .statementDrawdowns, drawnToLimit(0, limit),
      "Drawn before the last statement and after the one before it, against the limit")
    sink.add(
      "statement_drawn_to_limit_1", "", "ratio", .statementDrawdowns, drawnToLimit(1, limit),
      "The same, one statement before")
    sink.add(
      "statement_drawn_to_limit_2", "", "ratio", .statementDrawdowns, drawnToLimit(2, limit),
      "The same, two statements before")
    sink.add(
      "statement_drawn_to_limit_3", "", "ratio", .statementDrawdowns, drawnToLimit(3, limit),
      "The same, three statements before")
    sink.add(
      "statement_drawn_to_limit_4", "", "ratio", .statementDrawdowns, drawnToLimit(4, limit),
      "The same, four statements before")
    sink.add(
      "statement_worst_days_0", "", "days", .statementDelays, worstDays(0),
      "The most days past due before the last statement and after the one before it")
    sink.add("statement_worst_days_1", "", "days", .statementDelays, worstDays(1), "The same, one statement before")
    sink.add("statement_worst_days_2", "", "days", .statementDelays, worstDays(2), "The same, two statements before")
    sink.add("statement_worst_days_3", "", "days", .statementDelays, worstDays(3), "The same, three statements before")
    sink.add("statement_worst_days_4", "", "days", .statementDelays, worstDays(4), "The same, four statements before")
    sink.add("statement_worst_days_5", "", "days", .statementDelays, worstDays(5), "The same, five statements before")
    sink.add(
      "statement_missed_days_0", "", "days", .statementDelays, lastMissed(0),
      "Days past due of the payment missed last before the last statement")
    sink.add("statement_missed_days_1", "", "days", .statementDelays, lastMissed(1), "The same, one statement before")
    sink.add(
      "repaid_since_statement_to_balance", "", "ratio", .repaymentRatioLow,
      Saturating.ratio(Double(current.repaid), balance(0)), "Repaid since the last statement against its balance")
    sink.add(
      "drawn_since_statement_to_limit", "", "ratio", .statementDrawdowns,
      statements.statements.isEmpty ? .nan : Saturating.ratio(Double(current.drawn), limit),
      "Drawn since the last statement against the limit")
    sink.add(
      "worst_days_since_statement", "", "days", .statementDelays, Float(current.worstDays),
      "The most days past due since the last statement")
    describeStatementSummary(limit, &sink)
  }

  @inline(__always) private borrowing func describeStatementSummary<Sink: FeatureSink>(
    _ limit: Double, _ sink: inout Sink
  ) {
    let held = statements.statements.count
    var total = 0.0
    var delayed: Float = 0
    var leastPaid = Float.nan
    for lag in 0..<held {
      total += balance(lag)
      if statements.statements[lag].period.worstDays > 0 { delayed += 1 }
      let paid = repaidToBalance(lag)
      if !paid.isNaN && !(leastPaid <= paid) { leastPaid = paid }
    }
    sink.add(
      "statement_balance_mean_to_limit", "", "ratio", .statementBalance,
      Saturating.ratio(held > 0 ? total / Double(held) : .nan, limit),
      "Mean balance of the last six statements against the limit")
    sink.add(
      "statement_balance_change_to_limit", "", "ratio", .utilizationTrend,
      Saturating.ratio(held > 1 ? balance(0) - balance(held - 1) : .nan, limit),
      "The last statement's balance less that of the oldest of six, against the limit")
    sink.add(
      "statement_delayed_count", "", "count", .statementDelays, held > 0 ? delayed : .nan,
      "Of the last six statements, those before which a payment was late")
    sink.add(
      "statement_repaid_to_balance_least", "", "ratio", .repaymentRatioLow, leastPaid,
      "The least share of a balance repaid by the next of the last six statements")
  }

  // MARK: The person

  @inline(__always) borrowing func describePerson<Sink: FeatureSink>(_ f: FeatureInputs, _ sink: inout Sink) {
    let person = profile.information
    let owned = (person.deposits.isNaN ? 0 : person.deposits) + (person.propertyValue.isNaN ? 0 : person.propertyValue)
    let areAssetsKnown = !(person.deposits.isNaN && person.propertyValue.isNaN)
    // A year of 365.2425 days, the mean of the Gregorian calendar.
    let year = 1970 + Double(f.now) / (365.2425 * Double(EventTime.millisecondsPerDay))
    sink.add(
      "age_years", "", "years", .age, Float(min(max(year - person.birthYear, 0), 150)),
      "Years since the beginning of the year of birth")
    sink.add(
      "education", "", "category", .education, KnownText.ordinal(person.education, among: 0..<3, other: 4),
      "1 graduate school, 2 university, 3 high school, 4 other")
    sink.add("monthly_income", "", "money", .income, Saturating.float(person.monthlyIncome), "Monthly income")
    sink.add("deposits", "", "money", .assets, Saturating.float(person.deposits), "Deposits")
    sink.add("property_value", "", "money", .assets, Saturating.float(person.propertyValue), "Value of property")
    sink.add(
      "assets_to_exposure", "", "ratio", .assets, areAssetsKnown ? Saturating.ratio(owned, f.exposure) : .nan,
      "Deposits and property against what is owed")
    sink.add(
      "credit_score", "", "points", .creditScore, Saturating.float(person.creditScore), "The newest credit score")
    let tenure =
      firstMinute == .max
      ? Float.nan : Float(Double(max(0, f.now - Int64(firstMinute) * 60_000)) / Double(EventTime.millisecondsPerDay))
    sink.add("tenure_days", "", "days", .tenure, tenure, "Days since first seen")
    describeTotals(&sink)
    sink.add(
      "gender", "", "category", .protectedAttribute, KnownText.ordinal(person.gender, among: 6..<8, other: 3),
      isProtected: true, "1 female, 2 male, 3 other")
    sink.add(
      "marital_status", "", "category", .protectedAttribute,
      KnownText.ordinal(person.maritalStatus, among: 4..<6, other: 3), isProtected: true, "1 married, 2 single, 3 other"
    )
    sink.add(
      "household_region", "", "category", .protectedAttribute,
      person.householdRegion == 0 ? .nan : Float(person.householdRegion & 63), isProtected: true,
      "The lowest six bits of the hash of the region of the household")
  }

  @inline(__always) private borrowing func describeTotals<Sink: FeatureSink>(_ sink: inout Sink) {
    sink.add("loan_applied_count", "", "count", .loanApplications, countEver(.loanApplied), "Since first seen")
    sink.add("drawdown_count", "", "count", .drawdownHistory, countEver(.drawdown), "Since first seen")
    sink.add("drawdown_sum", "", "money", .drawdownHistory, sumEver(.drawdown), "Since first seen")
    sink.add("repayment_count", "", "count", .repaymentHistory, countEver(.repayment), "Since first seen")
    sink.add("repayment_sum", "", "money", .repaymentHistory, sumEver(.repayment), "Since first seen")
    sink.add(
      "payment_missed_count", "", "count", .arrearsHistory, countEver(.paymentMissed), "Since first seen")
    sink.add("purchase_sum", "", "money", .purchases, sumEver(.purchase), "Since first seen")
  }
}

extension KnownText {
  /// 1 for the first of some known texts, `other` for any other text, NaN where there is none.
  @inline(__always) static func ordinal(_ hash: UInt32, among known: Range<Int>, other: Float) -> Float {
    if hash == 0 { return .nan }
    var position: Float = 1
    for index in known {
      if all[index] == hash { return position }
      position += 1
    }
    return other
  }
}
