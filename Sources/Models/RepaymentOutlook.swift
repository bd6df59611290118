import Features

/// What is known of a platform as of 00:00 UTC of a day: what the repayment model and its baselines read. Arithmetic of
/// IEEE 754 in a fixed order, so that every machine forecasts the same.
///
/// A coming period is `offset` days ahead (0...92) and lasts `days` (1...92).
public struct RepaymentOutlook: Sendable {
  /// Days of the past that are read.
  static let back = 560

  public let asOf: Int
  /// In money.
  public let assetScale: Double
  /// Days with known repayments, at most `back`.
  let known: Int
  private let repaidSums: [Double]
  private let drawnSums: [Double]
  private let dueSums: [Double]
  private let repaid: [Double]
  /// Announced so far, from `asOf` on.
  private let dueAhead: [Double]
  private let knownShares: [Double]
  private let industry: (short: Double, long: Double, rate: Double)
  /// Repaid a day in the last 28 days, or as many as are known.
  let level: Double
  /// Repaid to fallen due in the last 91 days; 1 where nothing fell due.
  let paidShare: Double
  /// Relative to the level, by weekday (0 is Monday) and day of the month (1...31).
  private let weekdays: [Double]
  private let monthDays: [Double]

  public init(_ series: PlatformSeries, _ industry: IndustryHistory, asOf: Int) {
    self.asOf = asOf
    assetScale = max(0, ExactMoney.amount(series.assetScale))
    known = min(max(asOf - (series.firstDay ?? asOf), 0), Self.back)
    var repaid: [Double] = []
    var sums = (repaid: [0.0], drawn: [0.0], due: [0.0])
    for day in (asOf - Self.back)..<asOf {
      let cell = series.cell(day)
      repaid.append(ExactMoney.amount(cell.repaid))
      sums.repaid.append(sums.repaid.last! + repaid.last!)
      sums.drawn.append(sums.drawn.last! + ExactMoney.amount(cell.drawn))
      sums.due.append(sums.due.last! + ExactMoney.amount(cell.due))
    }
    self.repaid = repaid
    repaidSums = sums.repaid
    drawnSums = sums.drawn
    dueSums = sums.due
    dueAhead = (0..<PlatformSeries.leadsMax).map { ExactMoney.amount(series.cell(asOf + $0).due) }
    knownShares = series.knownShares
    self.industry = industry.features(asOf: asOf)
    level = Self.mean(sums.repaid, known, -28, 0) ?? 0
    let due = Self.mean(sums.due, known, -91, 0) ?? 0
    paidShare = due > 0 ? min((Self.mean(sums.repaid, known, -91, 0) ?? 0) / due, 10) : 1
    weekdays = Self.weekdayPattern(repaid, asOf, known)
    monthDays = Self.monthPattern(repaid, asOf, known)
  }

  /// The mean a day from `start` until before `end`, days before `asOf` being negative; nil where none is known.
  private static func mean(_ sums: [Double], _ known: Int, _ start: Int, _ end: Int) -> Double? {
    let first = max(start, -known)
    guard first < end else { return nil }
    return (sums[back + end] - sums[back + first]) / Double(end - first)
  }

  private func repaidMean(_ start: Int, _ end: Int) -> Double? { Self.mean(repaidSums, known, start, end) }

  private static func weekday(_ day: Int) -> Int { ((day + 3) % 7 + 7) % 7 }

  /// Over 56 days; two days at the mean stand for what is not known.
  private static func weekdayPattern(_ repaid: [Double], _ asOf: Int, _ known: Int) -> [Double] {
    pattern(repaid, asOf, days: min(known, 56), places: 7, prior: 2) { weekday($0) }
  }

  /// Over 366 days; one day at the mean stands for what is not known.
  private static func monthPattern(_ repaid: [Double], _ asOf: Int, _ known: Int) -> [Double] {
    pattern(repaid, asOf, days: min(known, 366), places: 32, prior: 1) { CivilDate.parts($0).day }
  }

  private static func pattern(
    _ repaid: [Double], _ asOf: Int, days: Int, places: Int, prior: Double, _ place: (Int) -> Int
  ) -> [Double] {
    var sums = [Double](repeating: 0, count: places)
    var counts = [Double](repeating: 0, count: places)
    var total = 0.0
    for back in stride(from: days, to: 0, by: -1) {
      let index = place(asOf - back)
      let amount = repaid[Self.back - back]
      sums[index] += amount
      counts[index] += 1
      total += amount
    }
    guard total > 0 else { return [Double](repeating: 1, count: places) }
    let mean = total / Double(days)
    return (0..<places).map { (sums[$0] + prior * mean) / ((counts[$0] + prior) * mean) }
  }

  // MARK: Baselines

  /// The window of the same length that ended last, as many lengths back as it takes.
  func samePeriodLastTime(offset: Int, days: Int) -> Double {
    let shift = (offset + days + days - 1) / days * days
    let start = offset - shift
    return (repaidMean(start, start + days) ?? level) * Double(days)
  }

  /// Each day repeats the newest known one a number of weeks before it; in periods of 28 days or more, the newest known
  /// same day of a month.
  func seasonalNaive(offset: Int, days: Int) -> Double {
    var sum = 0.0
    for ahead in offset..<(offset + days) {
      var source = ahead - (ahead / 7 + 1) * 7
      if days >= 28 {
        var months = max(1, ahead / 31)
        while CivilDate.day(asOf + ahead, monthsBack: months) >= asOf { months += 1 }
        source = CivilDate.day(asOf + ahead, monthsBack: months) - asOf
      }
      sum += source >= -known ? repaid[Self.back + source] : level
    }
    return sum
  }

  /// What is due in the period and known by now, at the share that was paid of late; for the part that is usually not known
  /// so far ahead, the usual amount a day.
  func scheduledPaidShare(offset: Int, days: Int) -> Double {
    var due = 0.0
    var unknown = 0.0
    for ahead in offset..<(offset + days) {
      due += dueAhead[ahead]
      unknown += 1 - knownShares[ahead]
    }
    guard dueSums.last! > 0 || due > 0 else { return level * Double(days) }
    return due * paidShare + unknown * (repaidMean(-91, 0) ?? 0)
  }

  /// The baseline's forecast of a period, in money.
  public func baseline(_ baseline: RepaymentBaseline, offset: Int, days: Int) -> Double {
    switch baseline {
    case .samePeriodLastTime: samePeriodLastTime(offset: offset, days: days)
    case .seasonalNaive: seasonalNaive(offset: offset, days: days)
    case .scheduledPaidShare: scheduledPaidShare(offset: offset, days: days)
    }
  }

  // MARK: Features

  /// Fills `features` (`RepaymentFeatures.count` and padding, NaN where unknown) for a period, and returns the amount that a
  /// learned forecast is a multiple of: a mean of the baselines. 0 where nothing is to be expected.
  public func fill(_ features: inout [Float], offset: Int, days: Int) -> Double {
    let length = Double(days)
    let baselines = RepaymentBaseline.allCases.map { baseline($0, offset: offset, days: days) }
    var reference = 0.25 * baselines[0] + 0.25 * baselines[1] + 0.5 * baselines[2]
    if !(reference > 0) { reference = level * length }
    let scale = level > 0 ? level : .nan
    let long = repaidMean(-91, 0) ?? .nan
    let place = periodPlace(offset: offset, days: days)
    var usualDue = 0.0
    var due = 0.0
    for ahead in offset..<(offset + days) {
      usualDue += knownShares[ahead]
      due += dueAhead[ahead]
    }
    let dueLevel = Self.mean(dueSums, known, -91, 0) ?? .nan
    let drawnLong = Self.mean(drawnSums, known, -91, 0) ?? .nan
    func drawn(_ start: Int) -> Double { Self.mean(drawnSums, known, start, 0) ?? .nan }
    let yearAgo = known >= 364 + 28 ? repaidMean(offset - 364, min(offset - 364 + days, 0)) ?? .nan : .nan
    let growth = level / (repaidMean(-364 - 28, -364) ?? .nan)
    let values: [Double] = [
      Portable.log(1 + assetScale), assetScale / (long * 30), (repaidMean(-7, 0) ?? .nan) / scale, long / scale,
      known > 28 ? (repaidMean(-56, -28) ?? .nan) / scale : .nan, volatility / scale, place.weekday, place.monthDay,
      due / (dueLevel * usualDue), usualDue / length, dueLevel / long, drawn(-7) / drawnLong, drawn(-28) / drawnLong,
      drawn(-28) / scale, length / 92, Portable.log(length), Double(offset) / 92, place.weekend, place.monthStart,
      place.monthEnd, baselines[0] / reference, baselines[1] / reference, baselines[2] / reference,
      level * length / reference, yearAgo * length * growth / reference, Portable.log(1 + Double(known)),
      industry.short,
      industry.long, industry.rate,
    ]
    precondition(values.count == RepaymentFeatures.count, "every feature has a name")
    features.removeAll(keepingCapacity: true)
    for value in values { features.append(value.isFinite ? Float(min(max(value, -1e6), 1e6)) : .nan) }
    while features.count % 16 != 0 { features.append(0) }
    return reference > 0 && reference.isFinite ? reference : 0
  }

  /// The deviation of the last 28 days' repayments.
  private var volatility: Double {
    let days = min(known, 28)
    guard days > 1 else { return .nan }
    var sum = 0.0
    for back in 1...days {
      let difference = repaid[Self.back - back] - level
      sum += difference * difference
    }
    return (sum / Double(days)).squareRoot()
  }

  /// Means over the period's days.
  private func periodPlace(
    offset: Int, days: Int
  ) -> (weekday: Double, monthDay: Double, weekend: Double, monthStart: Double, monthEnd: Double) {
    var sums = (weekday: 0.0, monthDay: 0.0, weekend: 0.0, monthStart: 0.0, monthEnd: 0.0)
    for day in (asOf + offset)..<(asOf + offset + days) {
      let weekday = Self.weekday(day)
      let monthDay = CivilDate.parts(day).day
      sums.weekday += weekdays[weekday]
      sums.monthDay += monthDays[monthDay]
      if weekday >= 5 { sums.weekend += 1 }
      if monthDay <= 5 { sums.monthStart += 1 }
      if monthDay >= 26 { sums.monthEnd += 1 }
    }
    let length = Double(days)
    return (
      sums.weekday / length, sums.monthDay / length, sums.weekend / length, sums.monthStart / length,
      sums.monthEnd / length
    )
  }
}

/// Forecasts that need no training.
public enum RepaymentBaseline: String, Codable, CaseIterable, Sendable {
  case samePeriodLastTime = "same_period_last_time"
  case seasonalNaive = "seasonal_naive"
  case scheduledPaidShare = "scheduled_paid_share"
}

/// The names of what a repayment model reads, in the order of `RepaymentOutlook.fill`.
public enum RepaymentFeatures {
  public static let names = [
    "log_asset_scale", "asset_scale_in_months", "repaid_7_to_28", "repaid_91_to_28", "repaid_before_to_28",
    "volatility", "weekday_pattern", "month_day_pattern", "due_known_to_usual", "due_known_share", "due_to_repaid",
    "drawn_7_to_91", "drawn_28_to_91", "drawn_to_repaid", "days", "log_days", "days_ahead", "weekend_share",
    "month_start_share", "month_end_share", "same_period_last_time", "seasonal_naive", "scheduled_paid_share",
    "recent_level", "year_ago", "log_days_known", "industry_change_7_to_91", "industry_change_28_to_364",
    "industry_repayment_rate",
  ]
  public static let count = names.count
  /// Names the way they are computed too: changed with it.
  public static let hash = SHA256.hex(of: Array(("repayment-1\n" + names.joined(separator: "\n")).utf8))
}
