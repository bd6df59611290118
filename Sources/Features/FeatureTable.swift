import Borrowers

/// Takes the features one after the other: the catalogue their definitions, a fill their values.
protocol FeatureSink {
  /// An aggregate of one channel in one window: its name and meaning follow from these.
  mutating func add(_ channel: Channel, _ aggregate: Aggregate, _ window: Window, _ reason: ReasonCode, _ value: Float)
  /// Any other feature. `window` is empty where it has none.
  mutating func add(
    _ name: StaticString, _ window: StaticString, _ unit: StaticString, _ reason: ReasonCode, _ value: Float,
    isProtected: Bool, _ meaning: StaticString)
}

extension FeatureSink {
  @inline(__always) mutating func add(
    _ name: StaticString, _ window: StaticString, _ unit: StaticString, _ reason: ReasonCode, _ value: Float,
    _ meaning: StaticString
  ) {
    add(name, window, unit, reason, value, isProtected: false, meaning)
  }
}

public enum Aggregate: String, Sendable {
  case count, sum, mean, largest
}

/// What features are computed from, read out of the state once.
struct FeatureInputs {
  var now: Int64
  var limit: Double
  var income: Double
  var exposure: Double
  var daysPastDue: Double
  var amountPastDue: Double
  var night24h: Float = 0
  var activeDays: (Float, Float, Float) = (0, 0, 0)
  // Open dues that fall due from now on.
  var comingCount: Float = 0
  var comingMonth: Double = 0
  var comingWeek: Double = 0
  var nextDueDays = Float.nan
  var openPast: Float = 0
  // 180 and 365 days.
  var drawnHalfYear: Float = 0
  var drawnYear: Float = 0
  var repaidHalfYear: Float = 0
  var repaidYear: Float = 0
  /// Cells of the picture that were written.
  var cellCount = 0
}

// The one table of features. Each entry is the definition of a feature and, as its value, the computation: so neither can
// be without the other, and their order is the order of every vector. Who changes a computation raises
// `FeatureCatalogue.semanticsVersion`.
extension BorrowerState {
  @inline(__always) borrowing func describeFeatures<Sink: FeatureSink>(_ f: FeatureInputs, _ sink: inout Sink) {
    describeLendingWindows(&sink)
    describeActivityWindows(&sink)
    describeActivity(f, &sink)
    describeTrends(&sink)
    describeRatios(f, &sink)
    describeRecency(f, &sink)
    describeArrears(f, &sink)
    describeLimit(f, &sink)
    describeStatements(f, &sink)
    describePerson(f, &sink)
  }

  // MARK: Windows

  @inline(__always) private borrowing func describeMoney<Sink: FeatureSink>(
    _ channel: Channel, _ reason: ReasonCode, _ sink: inout Sink
  ) {
    sink.add(channel, .count, .hour, reason, sums.count(channel, .hour))
    sink.add(channel, .count, .day, reason, sums.count(channel, .day))
    sink.add(channel, .count, .week, reason, sums.count(channel, .week))
    sink.add(channel, .count, .month, reason, sums.count(channel, .month))
    sink.add(channel, .count, .quarter, reason, sums.count(channel, .quarter))
    sink.add(channel, .sum, .hour, reason, sums.sum(channel, .hour))
    sink.add(channel, .sum, .day, reason, sums.sum(channel, .day))
    sink.add(channel, .sum, .week, reason, sums.sum(channel, .week))
    sink.add(channel, .sum, .month, reason, sums.sum(channel, .month))
    sink.add(channel, .sum, .quarter, reason, sums.sum(channel, .quarter))
    sink.add(channel, .mean, .month, reason, mean(channel, .month))
    sink.add(channel, .mean, .quarter, reason, mean(channel, .quarter))
    sink.add(channel, .largest, .month, reason, sums.largest(channel, .month))
    sink.add(channel, .largest, .quarter, reason, sums.largest(channel, .quarter))
  }

  /// Since first seen: what left the days' tiles, what has yet to leave them, and what is within 90 days.
  @inline(__always) borrowing func countEver(_ channel: Channel) -> Float {
    Float(totals[channel.rawValue].count) + (sums.bandCount(channel, 7) + sums.count(channel, .quarter))
  }
  @inline(__always) borrowing func sumEver(_ channel: Channel) -> Float {
    totals[channel.rawValue].sum + (sums.bandSum(channel, 7) + sums.sum(channel, .quarter))
  }

  /// NaN where there was no event.
  @inline(__always) private borrowing func mean(_ channel: Channel, _ window: Window) -> Float {
    let count = sums.count(channel, window)
    return count > 0 ? sums.sum(channel, window) / count : .nan
  }

  @inline(__always) private borrowing func describeCounts<Sink: FeatureSink>(
    _ channel: Channel, _ reason: ReasonCode, _ sink: inout Sink
  ) {
    sink.add(channel, .count, .hour, reason, sums.count(channel, .hour))
    sink.add(channel, .count, .day, reason, sums.count(channel, .day))
    sink.add(channel, .count, .week, reason, sums.count(channel, .week))
    sink.add(channel, .count, .month, reason, sums.count(channel, .month))
    sink.add(channel, .count, .quarter, reason, sums.count(channel, .quarter))
  }

  @inline(__always) private borrowing func describeSums<Sink: FeatureSink>(
    _ channel: Channel, _ reason: ReasonCode, _ sink: inout Sink
  ) {
    sink.add(channel, .sum, .week, reason, sums.sum(channel, .week))
    sink.add(channel, .sum, .month, reason, sums.sum(channel, .month))
    sink.add(channel, .sum, .quarter, reason, sums.sum(channel, .quarter))
  }

  @inline(__always) private borrowing func describeLendingWindows<Sink: FeatureSink>(_ sink: inout Sink) {
    describeMoney(.drawdown, .drawdownRecent, &sink)
    describeMoney(.repayment, .repaymentRecent, &sink)
    describeMoney(.purchase, .purchases, &sink)
    describeCounts(.loanApplied, .loanApplications, &sink)
    describeSums(.loanApplied, .loanApplications, &sink)
    sink.add(.loanApplied, .largest, .quarter, .loanApplications, sums.largest(.loanApplied, .quarter))
    sink.add(.installmentDue, .count, .month, .duesComing, sums.count(.installmentDue, .month))
    sink.add(.installmentDue, .count, .quarter, .duesComing, sums.count(.installmentDue, .quarter))
    describeSums(.installmentDue, .duesComing, &sink)
    sink.add(.installmentDue, .mean, .quarter, .duesComing, mean(.installmentDue, .quarter))
    sink.add(.paymentMissed, .count, .week, .arrearsHistory, sums.count(.paymentMissed, .week))
    sink.add(.paymentMissed, .count, .month, .arrearsHistory, sums.count(.paymentMissed, .month))
    sink.add(.paymentMissed, .count, .quarter, .arrearsHistory, sums.count(.paymentMissed, .quarter))
    sink.add(.paymentMissed, .largest, .month, .arrearsHistory, sums.largest(.paymentMissed, .month))
    sink.add(.paymentMissed, .largest, .quarter, .arrearsHistory, sums.largest(.paymentMissed, .quarter))
    sink.add(.statement, .count, .quarter, .statementBalance, sums.count(.statement, .quarter))
    sink.add(.statement, .mean, .quarter, .statementBalance, mean(.statement, .quarter))
    sink.add(.limit, .count, .quarter, .creditLimit, sums.count(.limit, .quarter))
  }

  @inline(__always) private borrowing func describeActivityWindows<Sink: FeatureSink>(_ sink: inout Sink) {
    describeCounts(.pageView, .browsing, &sink)
    describeCounts(.search, .searches, &sink)
    describeCounts(.session, .sessions, &sink)
    sink.add(.information, .count, .month, .informationUpdates, sums.count(.information, .month))
    sink.add(.information, .count, .quarter, .informationUpdates, sums.count(.information, .quarter))
    describeAccount(.bankIn, .bankMovements, &sink)
    describeAccount(.bankOut, .bankMovements, &sink)
    describeAccount(.wealthIn, .wealthMovements, &sink)
    describeAccount(.wealthOut, .wealthMovements, &sink)
  }

  @inline(__always) private borrowing func describeAccount<Sink: FeatureSink>(
    _ channel: Channel, _ reason: ReasonCode, _ sink: inout Sink
  ) {
    sink.add(channel, .count, .quarter, reason, sums.count(channel, .quarter))
    describeSums(channel, reason, &sink)
    sink.add(channel, .largest, .quarter, reason, sums.largest(channel, .quarter))
  }

  // MARK: Activity and trends

  @inline(__always) private borrowing func describeActivity<Sink: FeatureSink>(_ f: FeatureInputs, _ sink: inout Sink) {
    sink.add("event_count_1h", "1h", "count", .activity, sums.events(.hour), "Events of all types")
    sink.add("event_count_24h", "24h", "count", .activity, sums.events(.day), "Events of all types")
    sink.add("event_count_7d", "7d", "count", .activity, sums.events(.week), "Events of all types")
    sink.add("event_count_30d", "30d", "count", .activity, sums.events(.month), "Events of all types")
    sink.add("event_count_90d", "90d", "count", .activity, sums.events(.quarter), "Events of all types")
    sink.add("active_days_7d", "7d", "days", .activity, f.activeDays.0, "Days (UTC) with an event")
    sink.add("active_days_30d", "30d", "days", .activity, f.activeDays.1, "Days (UTC) with an event")
    sink.add("active_days_90d", "90d", "days", .activity, f.activeDays.2, "Days (UTC) with an event")
    sink.add("night_event_count_24h", "24h", "count", .timeOfDay, f.night24h, "Events from 22:00 to 06:00 UTC")
    let all = totals.reduce(sums.events(.quarter) + sums.eventsBefore) { $0 + Float($1.count) }
    sink.add(
      "night_share", "", "ratio", .timeOfDay, Saturating.ratio(Float(nightCount), all),
      "Share of all events since first seen from 22:00 to 06:00 UTC")
    sink.add(
      "weekend_share", "", "ratio", .timeOfDay, Saturating.ratio(Float(weekendCount), all),
      "Share of all events since first seen on Saturdays and Sundays (UTC)")
    let hour = all > 0 ? Float(Periods.hour(time) % 24) : .nan
    sink.add("last_event_hour", "", "hours", .timeOfDay, hour, "Hour of the day (UTC) of the borrower's time")
  }

  /// The rate in a shorter window against that in a longer one; NaN where there was nothing in the longer one.
  @inline(__always) private borrowing func sumTrend(_ channel: Channel, _ short: Window, _ long: Window) -> Float {
    Saturating.ratio(sums.sum(channel, short) * (long.days / short.days), sums.sum(channel, long))
  }
  @inline(__always) private borrowing func countTrend(_ channel: Channel, _ short: Window, _ long: Window) -> Float {
    Saturating.ratio(sums.count(channel, short) * (long.days / short.days), sums.count(channel, long))
  }
  @inline(__always) private borrowing func eventTrend(_ short: Window, _ long: Window) -> Float {
    Saturating.ratio(sums.events(short) * (long.days / short.days), sums.events(long))
  }

  @inline(__always) private borrowing func describeTrends<Sink: FeatureSink>(_ sink: inout Sink) {
    sink.add(
      "drawdown_trend_7d_30d", "30d", "ratio", .drawdownTrend, sumTrend(.drawdown, .week, .month),
      "Drawn a day in 7 days against 30 days")
    sink.add(
      "drawdown_trend_30d_90d", "90d", "ratio", .drawdownTrend, sumTrend(.drawdown, .month, .quarter),
      "Drawn a day in 30 days against 90 days")
    sink.add(
      "repayment_trend_7d_30d", "30d", "ratio", .repaymentTrend, sumTrend(.repayment, .week, .month),
      "Repaid a day in 7 days against 30 days")
    sink.add(
      "repayment_trend_30d_90d", "90d", "ratio", .repaymentTrend, sumTrend(.repayment, .month, .quarter),
      "Repaid a day in 30 days against 90 days")
    sink.add(
      "purchase_trend_7d_30d", "30d", "ratio", .purchaseTrend, sumTrend(.purchase, .week, .month),
      "Spent a day in 7 days against 30 days")
    sink.add(
      "purchase_trend_30d_90d", "90d", "ratio", .purchaseTrend, sumTrend(.purchase, .month, .quarter),
      "Spent a day in 30 days against 90 days")
    sink.add(
      "bank_in_trend_30d_90d", "90d", "ratio", .bankMovements, sumTrend(.bankIn, .month, .quarter),
      "Paid in a day in 30 days against 90 days")
    sink.add(
      "bank_out_trend_7d_30d", "30d", "ratio", .bankMovements, sumTrend(.bankOut, .week, .month),
      "Paid out a day in 7 days against 30 days")
    sink.add(
      "bank_out_trend_30d_90d", "90d", "ratio", .bankMovements, sumTrend(.bankOut, .month, .quarter),
      "Paid out a day in 30 days against 90 days")
    sink.add(
      "page_view_trend_7d_30d", "30d", "ratio", .browsing, countTrend(.pageView, .week, .month),
      "Pages viewed a day in 7 days against 30 days")
    sink.add(
      "search_trend_7d_30d", "30d", "ratio", .searches, countTrend(.search, .week, .month),
      "Searches a day in 7 days against 30 days")
    sink.add(
      "session_trend_24h_7d", "7d", "ratio", .sessions, countTrend(.session, .day, .week),
      "Sessions in 24 hours against 7 days, a day")
    sink.add(
      "session_trend_7d_30d", "30d", "ratio", .sessions, countTrend(.session, .week, .month),
      "Sessions a day in 7 days against 30 days")
    sink.add(
      "session_trend_30d_90d", "90d", "ratio", .sessions, countTrend(.session, .month, .quarter),
      "Sessions a day in 30 days against 90 days")
    sink.add(
      "event_trend_24h_48h", "24h", "ratio", .activityTrend, Saturating.ratio(sums.events(.day), sums.eventsDayBefore),
      "Events in 24 hours against the 24 hours before")
    sink.add(
      "event_trend_7d_30d", "30d", "ratio", .activityTrend, eventTrend(.week, .month),
      "Events a day in 7 days against 30 days")
    sink.add(
      "event_trend_30d_90d", "90d", "ratio", .activityTrend, eventTrend(.month, .quarter),
      "Events a day in 30 days against 90 days")
  }

  // MARK: Ratios

  @inline(__always) private borrowing func against(_ channel: Channel, _ window: Window, _ whole: Double) -> Float {
    Saturating.ratio(Double(sums.sum(channel, window)), whole)
  }

  @inline(__always) private borrowing func describeRatios<Sink: FeatureSink>(_ f: FeatureInputs, _ sink: inout Sink) {
    sink.add(
      "repaid_to_due_30d", "30d", "ratio", .repaymentRatioLow,
      Saturating.ratio(sums.sum(.repayment, .month), sums.sum(.installmentDue, .month)),
      "Repaid against instalments announced")
    sink.add(
      "repaid_to_due_90d", "90d", "ratio", .repaymentRatioLow,
      Saturating.ratio(sums.sum(.repayment, .quarter), sums.sum(.installmentDue, .quarter)),
      "Repaid against instalments announced")
    sink.add(
      "repaid_to_drawn_30d", "30d", "ratio", .repaymentRatioLow,
      Saturating.ratio(sums.sum(.repayment, .month), sums.sum(.drawdown, .month)), "Repaid against drawn")
    sink.add(
      "repaid_to_drawn_90d", "90d", "ratio", .repaymentRatioLow,
      Saturating.ratio(sums.sum(.repayment, .quarter), sums.sum(.drawdown, .quarter)), "Repaid against drawn")
    sink.add(
      "repaid_to_drawn", "", "ratio", .repaymentRatioLow,
      Saturating.ratio(sumEver(.repayment), sumEver(.drawdown)),
      "Repaid against drawn since first seen")
    sink.add(
      "missed_to_due_90d", "90d", "ratio", .arrearsHistory,
      Saturating.ratio(sums.count(.paymentMissed, .quarter), sums.count(.installmentDue, .quarter)),
      "Payments missed against instalments announced, by number")
    sink.add(
      "drawn_to_applied_90d", "90d", "ratio", .loanApplications,
      Saturating.ratio(sums.sum(.drawdown, .quarter), sums.sum(.loanApplied, .quarter)), "Drawn against applied for")
    sink.add(
      "drawn_to_limit_7d", "7d", "ratio", .drawdownRecent, against(.drawdown, .week, f.limit), "Drawn against the limit"
    )
    sink.add(
      "drawn_to_limit_30d", "30d", "ratio", .drawdownRecent, against(.drawdown, .month, f.limit),
      "Drawn against the limit")
    sink.add(
      "drawn_to_limit_90d", "90d", "ratio", .drawdownRecent, against(.drawdown, .quarter, f.limit),
      "Drawn against the limit")
    sink.add(
      "drawn_to_income_30d", "30d", "ratio", .incomeBurden, against(.drawdown, .month, f.income),
      "Drawn against monthly income")
    sink.add(
      "due_to_income_30d", "30d", "ratio", .incomeBurden, against(.installmentDue, .month, f.income),
      "Instalments announced against monthly income")
    sink.add(
      "purchase_to_income_30d", "30d", "ratio", .incomeBurden, against(.purchase, .month, f.income),
      "Spent against monthly income")
    sink.add(
      "bank_in_to_income_30d", "30d", "ratio", .bankMovements, against(.bankIn, .month, f.income),
      "Paid into the bank account against monthly income")
    sink.add(
      "bank_out_to_in_30d", "30d", "ratio", .bankMovements,
      Saturating.ratio(sums.sum(.bankOut, .month), sums.sum(.bankIn, .month)),
      "Paid out of the bank account against paid in")
    sink.add(
      "bank_out_to_in_90d", "90d", "ratio", .bankMovements,
      Saturating.ratio(sums.sum(.bankOut, .quarter), sums.sum(.bankIn, .quarter)),
      "Paid out of the bank account against paid in")
    sink.add(
      "wealth_out_to_in_90d", "90d", "ratio", .wealthMovements,
      Saturating.ratio(sums.sum(.wealthOut, .quarter), sums.sum(.wealthIn, .quarter)), "Redeemed against invested")
    sink.add(
      "drawdown_sum_31_60d", "60d", "money", .drawdownHistory, sums.bandSum(.drawdown, 5),
      "Drawn from 31 to 60 days ago")
    sink.add(
      "drawdown_sum_61_90d", "90d", "money", .drawdownHistory, sums.bandSum(.drawdown, 6),
      "Drawn from 61 to 90 days ago")
    sink.add(
      "repayment_sum_31_60d", "60d", "money", .repaymentHistory, sums.bandSum(.repayment, 5),
      "Repaid from 31 to 60 days ago")
    sink.add(
      "repayment_sum_61_90d", "90d", "money", .repaymentHistory, sums.bandSum(.repayment, 6),
      "Repaid from 61 to 90 days ago")
  }

  // MARK: Recency

  /// Days since the newest event of a kind, whose minute is known; NaN where there was none.
  @inline(__always) private borrowing func recency(_ kind: EventKind, _ now: Int64) -> Float {
    let minute = lastMinutes[Int(kind.rawValue)]
    let days = BorrowerState.days(now - Int64(minute) * 60_000)
    return minute == 0 ? .nan : days
  }

  @inline(__always) private static func days(_ milliseconds: Int64) -> Float {
    Float(max(0, Double(milliseconds)) / Double(EventTime.millisecondsPerDay))
  }

  @inline(__always) private borrowing func describeRecency<Sink: FeatureSink>(_ f: FeatureInputs, _ sink: inout Sink) {
    let now = f.now
    sink.add(
      "days_since_event", "", "days", .activity, BorrowerState.days(now - time.milliseconds),
      "Days since the borrower's time")
    sink.add(
      "days_since_loan_applied", "", "days", .loanApplications, recency(.loanApplied, now), "Days since the last one")
    sink.add("days_since_drawdown", "", "days", .drawdownRecent, recency(.drawdown, now), "Days since the last one")
    sink.add(
      "days_since_installment_due", "", "days", .duesComing, recency(.installmentDue, now),
      "Days since the last announcement")
    sink.add(
      "days_since_statement", "", "days", .statementBalance, recency(.statementIssued, now), "Days since the last one")
    sink.add("days_since_repayment", "", "days", .repaymentRecent, recency(.repayment, now), "Days since the last one")
    sink.add(
      "days_since_payment_missed", "", "days", .arrearsHistory, recency(.paymentMissed, now), "Days since the last one")
    sink.add("days_since_purchase", "", "days", .purchases, recency(.purchase, now), "Days since the last one")
    sink.add("days_since_page_view", "", "days", .browsing, recency(.pageView, now), "Days since the last one")
    sink.add("days_since_search", "", "days", .searches, recency(.search, now), "Days since the last one")
    sink.add("days_since_session", "", "days", .sessions, recency(.sessionStarted, now), "Days since the last one")
    sink.add(
      "days_since_wealth_transaction", "", "days", .wealthMovements, recency(.wealthTransaction, now),
      "Days since the last one")
    sink.add(
      "days_since_bank_transaction", "", "days", .bankMovements, recency(.bankTransaction, now),
      "Days since the last one")
    sink.add(
      "days_since_profile_updated", "", "days", .informationUpdates, recency(.profileUpdated, now),
      "Days since the last one")
    sink.add(
      "days_since_credit_score_updated", "", "days", .creditScore, recency(.creditScoreUpdated, now),
      "Days since the last one")
    sink.add("days_since_assets_updated", "", "days", .assets, recency(.assetsUpdated, now), "Days since the last one")
    sink.add(
      "days_since_limit_changed", "", "days", .creditLimit, recency(.limitChanged, now), "Days since the last one")
  }

  // MARK: Arrears, exposure and limit

  @inline(__always) private borrowing func describeArrears<Sink: FeatureSink>(_ f: FeatureInputs, _ sink: inout Sink) {
    let days = Float(f.daysPastDue)
    let isMissedSeen = lastMinutes[Int(EventKind.paymentMissed.rawValue)] != 0
    sink.add(
      "days_past_due", "", "days", .arrearsDays, days, "Days that the oldest open amount is past due; 0 where none is")
    sink.add(
      "days_past_due_worst_90d", "90d", "days", .arrearsHistory, max(days, sums.largest(.paymentMissed, .quarter)),
      "The most days past due of a payment missed, or now")
    sink.add(
      "days_past_due_worst", "", "days", .arrearsHistory, max(days, Float(arrears.worstDays)),
      "The most days that an amount was past due when missed or settled since first seen, or now")
    sink.add(
      "last_missed_days", "", "days", .arrearsHistory, isMissedSeen ? Float(lastMissedDays) : .nan,
      "Days past due of the last payment missed")
    sink.add("amount_past_due", "", "money", .arrearsAmount, Saturating.float(f.amountPastDue), "Open amounts past due")
    sink.add(
      "amount_past_due_to_limit", "", "ratio", .arrearsAmount, Saturating.ratio(f.amountPastDue, f.limit),
      "Open amounts past due against the limit")
    sink.add(
      "amount_past_due_to_exposure", "", "ratio", .arrearsAmount, Saturating.ratio(f.amountPastDue, f.exposure),
      "Open amounts past due against all that is owed")
    sink.add("open_past_due_count", "", "count", .arrearsAmount, f.openPast, "Open amounts past due")
    sink.add(
      "open_due_count_30d", "30d", "count", .duesComing, f.comingCount, "Open amounts that fall due in the next 30 days"
    )
    sink.add(
      "open_due_sum_7d", "7d", "money", .duesComing, Saturating.float(f.comingWeek),
      "Open amounts that fall due in the next 7 days")
    sink.add(
      "open_due_sum_30d", "30d", "money", .duesComing, Saturating.float(f.comingMonth),
      "Open amounts that fall due in the next 30 days")
    sink.add(
      "open_due_to_income_30d", "30d", "ratio", .incomeBurden, Saturating.ratio(f.comingMonth, f.income),
      "Open amounts that fall due in the next 30 days against monthly income")
    sink.add("days_to_next_due", "", "days", .duesComing, f.nextDueDays, "Days to the next open due date")
    sink.add(
      "settled_late_count", "", "count", .arrearsHistory, Float(arrears.settledLate),
      "Amounts settled a day or more late")
    sink.add(
      "settled_late_share", "", "ratio", .arrearsHistory,
      Saturating.ratio(Float(arrears.settledLate), countEver(.installmentDue)),
      "Amounts settled a day or more late against instalments announced since first seen")
  }

  @inline(__always) private borrowing func describeLimit<Sink: FeatureSink>(_ f: FeatureInputs, _ sink: inout Sink) {
    let isGranted = profile.firstGrantAt != EventTime.distantFuture.milliseconds
    let utilization = Saturating.ratio(f.exposure, f.limit)
    sink.add("exposure", "", "money", .exposure, Saturating.float(f.exposure), "Owed over all platforms")
    sink.add(
      "exposure_to_income", "", "ratio", .incomeBurden, Saturating.ratio(f.exposure, f.income),
      "Owed against monthly income")
    sink.add("utilization", "", "ratio", .utilizationHigh, utilization, "Owed against the limit")
    sink.add(
      "utilization_peak", "", "ratio", .utilizationHigh, f.limit > 0 ? profile.peakUtilization : .nan,
      "The highest share of the limit in use since first seen")
    let balance = statements.statements.isEmpty ? Double.nan : Double(statements.statements[0].balance)
    sink.add(
      "utilization_trend", "", "ratio", .utilizationTrend,
      Saturating.ratio(Double(Saturating.float(f.exposure)) - balance, f.limit),
      "Owed less the last statement's balance, against the limit")
    sink.add("credit_limit", "", "money", .creditLimit, Saturating.float(f.limit), "The credit limit")
    sink.add(
      "limit_headroom", "", "money", .creditLimit, Saturating.float(f.limit - f.exposure), "The limit less what is owed"
    )
    sink.add(
      "limit_to_income", "", "ratio", .creditLimit, Saturating.ratio(f.limit, f.income),
      "The limit against monthly income")
    sink.add(
      "grant_age_days", "", "days", .creditLimit, isGranted ? BorrowerState.days(f.now - profile.firstGrantAt) : .nan,
      "Days since the first limit")
    sink.add(
      "drawn_since_grant", "", "money", .drawdownHistory, isGranted ? Saturating.float(profile.drawnSinceGrant) : .nan,
      "Drawn since the first limit")
    sink.add(
      "drawn_since_grant_to_limit", "", "ratio", .utilizationHigh,
      isGranted ? Saturating.ratio(profile.drawnSinceGrant, f.limit) : .nan,
      "Drawn since the first limit against the limit")
    sink.add(
      "drawdown_sum_180d", "180d", "money", .drawdownHistory, f.drawnHalfYear, "Drawn in 180 days, up to 30 more")
    sink.add("drawdown_sum_365d", "365d", "money", .drawdownHistory, f.drawnYear, "Drawn in 365 days, up to 30 more")
    sink.add(
      "drawn_to_limit_365d", "365d", "ratio", .utilizationHigh, Saturating.ratio(Double(f.drawnYear), f.limit),
      "Drawn in 365 days, up to 30 more, against the limit")
    sink.add(
      "repayment_sum_180d", "180d", "money", .repaymentHistory, f.repaidHalfYear, "Repaid in 180 days, up to 30 more")
    sink.add(
      "repayment_sum_365d", "365d", "money", .repaymentHistory, f.repaidYear, "Repaid in 365 days, up to 30 more")
  }
}
