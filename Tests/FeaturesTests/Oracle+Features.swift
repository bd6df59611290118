import Borrowers
import Features
import Foundation

extension Oracle {
  typealias Placed = (channel: Channel, value: Double, event: RawEvent)

  private static func place(_ event: RawEvent) -> Placed {
    switch event.kind {
    case .profileUpdated, .creditScoreUpdated, .assetsUpdated, .borrowerErased: return (.information, 0, event)
    case .limitChanged: return (.limit, event.amount, event)
    case .loanApplied: return (.loanApplied, event.amount, event)
    case .drawdown: return (.drawdown, event.amount, event)
    case .installmentDue: return (.installmentDue, event.amount, event)
    case .statementIssued: return (.statement, event.amount, event)
    case .repayment: return (.repayment, event.amount, event)
    case .paymentMissed: return (.paymentMissed, event.days, event)
    case .purchase: return (.purchase, event.amount, event)
    case .pageView: return (.pageView, 0, event)
    case .search: return (.search, 0, event)
    case .sessionStarted: return (.session, 0, event)
    case .wealthTransaction: return (event.amount < 0 ? .wealthOut : .wealthIn, abs(event.amount), event)
    case .bankTransaction: return (event.amount < 0 ? .bankOut : .bankIn, abs(event.amount), event)
    }
  }

  /// Events in a window that ends at `now` and begins on a tile's edge.
  private func within(_ window: String, _ now: Int64, _ placed: [Placed]) -> [Placed] {
    placed.filter { item in
      let hourAge = now / 3_600_000 - item.event.at / 3_600_000
      let dayAge = now / Oracle.day - item.event.at / Oracle.day
      switch window {
      case "1h": return hourAge <= 1
      case "24h": return hourAge <= 24
      case "7d": return dayAge <= 7
      case "30d": return dayAge <= 30
      case "90d": return dayAge <= 90
      case "31-60": return dayAge > 30 && dayAge <= 60
      case "61-90": return dayAge > 60 && dayAge <= 90
      case "180d": return item.event.at / Oracle.day / 30 >= (now / Oracle.day - 180) / 30
      case "365d": return item.event.at / Oracle.day / 30 >= (now / Oracle.day - 365) / 30
      default: return true
      }
    }
  }

  private func ratio(_ a: Double, _ b: Double) -> Double { b > 0 ? min(max(a / b, -1e6), 1e6) : .nan }

  /// Every feature by its name.
  func features(at asked: Int64) -> [String: Double] {
    let now = max(asked, time)
    let placed = accepted.map(Oracle.place)
    var result: [String: Double] = [:]
    windows(now, placed, &result)
    trends(now, placed, &result)
    ratios(now, placed, &result)
    recency(now, &result)
    arrears(now, &result)
    limits(now, placed, &result)
    statements(&result)
    person(now, placed, &result)
    return result
  }

  private func sum(_ channel: Channel, _ window: String, _ now: Int64, _ placed: [Placed]) -> Double {
    within(window, now, placed).filter { $0.channel == channel }.reduce(0) { $0 + $1.value }
  }
  private func count(_ channel: Channel, _ window: String, _ now: Int64, _ placed: [Placed]) -> Double {
    Double(within(window, now, placed).filter { $0.channel == channel }.count)
  }

  private func windows(_ now: Int64, _ placed: [Placed], _ result: inout [String: Double]) {
    for window in ["1h", "24h", "7d", "30d", "90d"] {
      let inside = within(window, now, placed)
      for channel in Channel.allCases {
        let values = inside.filter { $0.channel == channel }.map { $0.value }
        let total = values.reduce(0, +)
        result["\(channel.name)_count_\(window)"] = Double(values.count)
        result["\(channel.name)_sum_\(window)"] = total
        result["\(channel.name)_mean_\(window)"] = values.isEmpty ? .nan : total / Double(values.count)
        result["\(channel.name)_largest_\(window)"] = max(0, values.max() ?? 0)
      }
      result["event_count_\(window)"] = Double(inside.count)
      result["active_days_\(window)"] = Double(Set(inside.map { $0.event.at / Oracle.day }).count)
    }
    func isNight(_ event: RawEvent) -> Bool {
      let hour = event.at / 3_600_000 % 24
      return hour >= 22 || hour < 6
    }
    var utc = Calendar(identifier: .gregorian)
    utc.timeZone = TimeZone(identifier: "UTC")!
    let weekend = accepted.filter { utc.isDateInWeekend(Date(timeIntervalSince1970: Double($0.at) / 1000)) }.count
    result["night_event_count_24h"] = Double(within("24h", now, placed).filter { isNight($0.event) }.count)
    result["night_share"] = ratio(Double(accepted.filter(isNight).count), Double(accepted.count))
    result["weekend_share"] = ratio(Double(weekend), Double(accepted.count))
    result["last_event_hour"] = accepted.isEmpty ? .nan : Double(time / 3_600_000 % 24)
  }

  private func trends(_ now: Int64, _ placed: [Placed], _ result: inout [String: Double]) {
    let days = ["24h": 1.0, "7d": 7, "30d": 30, "90d": 90]
    func trend(_ name: String, _ short: String, _ long: String, _ value: (String) -> Double) {
      result["\(name)_trend_\(short)_\(long)"] = ratio(value(short) / days[short]!, value(long) / days[long]!)
    }
    for (short, long) in [("7d", "30d"), ("30d", "90d")] {
      for channel in [Channel.drawdown, .repayment, .purchase, .bankIn, .bankOut] {
        trend("\(channel.name)", short, long) { sum(channel, $0, now, placed) }
      }
      for channel in [Channel.pageView, .search, .session] {
        trend("\(channel.name)", short, long) { count(channel, $0, now, placed) }
      }
      trend("event", short, long) { Double(within($0, now, placed).count) }
    }
    trend("session", "24h", "7d") { count(.session, $0, now, placed) }
    let ages = placed.map { now / 3_600_000 - $0.event.at / 3_600_000 }
    result["event_trend_24h_48h"] = ratio(
      Double(ages.filter { $0 <= 24 }.count), Double(ages.filter { $0 > 24 && $0 <= 48 }.count))
  }

  private func ratios(_ now: Int64, _ placed: [Placed], _ result: inout [String: Double]) {
    let limit = number(.limitChanged) { $0.amount }
    let income = number(.profileUpdated) { $0.income }
    func total(_ channel: Channel, _ window: String) -> Double { sum(channel, window, now, placed) }
    for window in ["30d", "90d"] {
      result["repaid_to_due_\(window)"] = ratio(total(.repayment, window), total(.installmentDue, window))
      result["repaid_to_drawn_\(window)"] = ratio(total(.repayment, window), total(.drawdown, window))
      result["bank_out_to_in_\(window)"] = ratio(total(.bankOut, window), total(.bankIn, window))
    }
    for window in ["7d", "30d", "90d", "365d"] {
      result["drawn_to_limit_\(window)"] = ratio(total(.drawdown, window), limit)
    }
    result["repaid_to_drawn"] = ratio(total(.repayment, ""), total(.drawdown, ""))
    result["missed_to_due_90d"] = ratio(
      count(.paymentMissed, "90d", now, placed), count(.installmentDue, "90d", now, placed))
    result["drawn_to_applied_90d"] = ratio(total(.drawdown, "90d"), total(.loanApplied, "90d"))
    result["drawn_to_income_30d"] = ratio(total(.drawdown, "30d"), income)
    result["due_to_income_30d"] = ratio(total(.installmentDue, "30d"), income)
    result["purchase_to_income_30d"] = ratio(total(.purchase, "30d"), income)
    result["bank_in_to_income_30d"] = ratio(total(.bankIn, "30d"), income)
    result["wealth_out_to_in_90d"] = ratio(total(.wealthOut, "90d"), total(.wealthIn, "90d"))
    for channel in [Channel.drawdown, .repayment] {
      result["\(channel.name)_sum_31_60d"] = total(channel, "31-60")
      result["\(channel.name)_sum_61_90d"] = total(channel, "61-90")
      result["\(channel.name)_sum_180d"] = total(channel, "180d")
      result["\(channel.name)_sum_365d"] = total(channel, "365d")
      result["\(channel.name)_sum"] = total(channel, "")
      result["\(channel.name)_count"] = count(channel, "", now, placed)
    }
    result["purchase_sum"] = total(.purchase, "")
    result["loan_applied_count"] = count(.loanApplied, "", now, placed)
    result["payment_missed_count"] = count(.paymentMissed, "", now, placed)
  }

  private func recency(_ now: Int64, _ result: inout [String: Double]) {
    let names: [(String, EventKind)] = [
      ("loan_applied", .loanApplied), ("drawdown", .drawdown), ("installment_due", .installmentDue),
      ("statement", .statementIssued), ("repayment", .repayment), ("payment_missed", .paymentMissed),
      ("purchase", .purchase), ("page_view", .pageView), ("search", .search), ("session", .sessionStarted),
      ("wealth_transaction", .wealthTransaction), ("bank_transaction", .bankTransaction),
      ("profile_updated", .profileUpdated), ("credit_score_updated", .creditScoreUpdated),
      ("assets_updated", .assetsUpdated), ("limit_changed", .limitChanged),
    ]
    for (name, kind) in names {
      let last = accepted.filter { $0.kind == kind }.map { $0.at }.max()
      result["days_since_\(name)"] = last.map { Double(now - $0 / 60_000 * 60_000) / Double(Oracle.day) } ?? .nan
    }
    result["days_since_event"] = Double(now - time) / Double(Oracle.day)
  }

  private func arrears(_ now: Int64, _ result: inout [String: Double]) {
    let days = Double(daysPastDue(at: now))
    let income = number(.profileUpdated) { $0.income }
    let placed = accepted.map(Oracle.place)
    let missed = within("90d", now, placed).filter { $0.channel == .paymentMissed }.map { $0.value }.max() ?? 0
    result["days_past_due"] = days
    result["days_past_due_worst_90d"] = max(days, missed)
    result["days_past_due_worst"] = max(days, Double(worstDays))
    var lastMissed: RawEvent?
    for event in accepted where event.kind == .paymentMissed && event.at / 60_000 >= (lastMissed?.at ?? 0) / 60_000 {
      lastMissed = event
    }
    result["last_missed_days"] = lastMissed?.days ?? .nan
    result["amount_past_due"] = amountPastDue(at: now)
    result["amount_past_due_to_limit"] = ratio(amountPastDue(at: now), number(.limitChanged) { $0.amount })
    result["amount_past_due_to_exposure"] = ratio(amountPastDue(at: now), exposure)
    result["open_past_due_count"] = Double(open.filter { past($0, now) }.count)
    let coming = open.filter { !past($0, now) }
    let month = coming.filter { $0.due - now <= 30 * Oracle.day }
    result["open_due_count_30d"] = Double(month.count)
    result["open_due_sum_30d"] = month.reduce(0) { $0 + $1.left! }
    result["open_due_to_income_30d"] = ratio(month.reduce(0) { $0 + $1.left! }, income)
    result["open_due_sum_7d"] = coming.filter { $0.due - now <= 7 * Oracle.day }.reduce(0) { $0 + $1.left! }
    result["days_to_next_due"] = coming.map { Double($0.due - now) / Double(Oracle.day) }.min() ?? .nan
    result["settled_late_count"] = Double(settledLate)
    result["settled_late_share"] = ratio(
      Double(settledLate), Double(accepted.filter { $0.kind == .installmentDue }.count))
  }

  private func limits(_ now: Int64, _ placed: [Placed], _ result: inout [String: Double]) {
    let limit = number(.limitChanged) { $0.amount }
    let income = number(.profileUpdated) { $0.income }
    var grant: Int64?
    var drawn = 0.0
    for event in accepted {
      if event.kind == .limitChanged && event.amount > 0 { grant = min(grant ?? .max, event.at) }
      if event.kind == .drawdown, let grant, event.at >= grant { drawn += event.amount }
    }
    result["exposure"] = exposure
    result["exposure_to_income"] = ratio(exposure, income)
    result["utilization"] = ratio(exposure, limit)
    result["utilization_peak"] = limit > 0 ? Double(peak) : .nan
    result["utilization_trend"] = ratio(Double(Float(exposure)) - (statementRing().first?.balance ?? .nan), limit)
    result["credit_limit"] = limit
    result["limit_headroom"] = limit - exposure
    result["limit_to_income"] = ratio(limit, income)
    result["grant_age_days"] = grant.map { Double(now - $0) / Double(Oracle.day) } ?? .nan
    result["drawn_since_grant"] = grant == nil ? .nan : drawn
    result["drawn_since_grant_to_limit"] = grant == nil ? .nan : ratio(drawn, limit)
  }

  private struct Period {
    var balance = Double.nan
    var repaid = 0.0
    var drawn = 0.0
    var worst = 0.0
    var missed = 0.0
  }

  private func periods() -> (held: [Period], current: Period) {
    var held: [Period] = []
    var current = Period()
    var newestAt = Int64.min
    for (index, event) in accepted.enumerated() where event.at >= newestAt {
      switch event.kind {
      case .statementIssued:
        current.balance = Double(Float(event.amount))
        current.worst = max(current.worst, Double(settledDays[index]!))
        held.insert(current, at: 0)
        current = Period()
        newestAt = event.at
      case .repayment:
        current.repaid += event.amount
        current.worst = max(current.worst, Double(settledDays[index]!))
      case .drawdown: current.drawn += event.amount
      case .paymentMissed:
        current.worst = max(current.worst, event.days)
        current.missed = event.days
      default: break
      }
    }
    return (Array(held.prefix(6)), current)
  }

  private func statementRing() -> [Period] { periods().held }

  private func statements(_ result: inout [String: Double]) {
    let limit = number(.limitChanged) { $0.amount }
    let (held, current) = periods()
    func period(_ lag: Int) -> Period? { lag < held.count ? held[lag] : nil }
    func paid(_ lag: Int) -> Double { ratio(period(lag)?.repaid ?? .nan, period(lag + 1)?.balance ?? .nan) }
    result["statement_balance"] = held.first?.balance ?? .nan
    for lag in 0..<6 {
      result["statement_balance_to_limit_\(lag)"] = ratio(period(lag)?.balance ?? .nan, limit)
      result["statement_repaid_to_limit_\(lag)"] = ratio(period(lag)?.repaid ?? .nan, limit)
      result["statement_drawn_to_limit_\(lag)"] = ratio(period(lag)?.drawn ?? .nan, limit)
      result["statement_repaid_to_balance_\(lag)"] = paid(lag)
      result["statement_worst_days_\(lag)"] = period(lag)?.worst ?? .nan
      result["statement_missed_days_\(lag)"] = period(lag)?.missed ?? .nan
    }
    result["repaid_since_statement_to_balance"] = ratio(current.repaid, held.first?.balance ?? .nan)
    result["drawn_since_statement_to_limit"] = held.isEmpty ? .nan : ratio(current.drawn, limit)
    result["worst_days_since_statement"] = current.worst
    let balances = held.map { $0.balance }
    result["statement_balance_mean_to_limit"] =
      held.isEmpty ? .nan : ratio(balances.reduce(0, +) / Double(held.count), limit)
    result["statement_balance_change_to_limit"] =
      held.count < 2 ? .nan : ratio(balances.first! - balances.last!, limit)
    result["statement_delayed_count"] = held.isEmpty ? .nan : Double(held.filter { $0.worst > 0 }.count)
    result["statement_repaid_to_balance_least"] = (0..<6).map(paid).filter { !$0.isNaN }.min() ?? .nan
  }

  private func person(_ now: Int64, _ placed: [Placed], _ result: inout [String: Double]) {
    let birth = number(.profileUpdated) { $0.birthYear }
    let year = 1970 + Double(now) / (365.2425 * Double(Oracle.day))
    let deposits = number(.assetsUpdated) { $0.deposits }
    let property = number(.assetsUpdated) { $0.property }
    func ordinal(_ text: String?, _ known: [String], other: Double) -> Double {
      guard let text else { return .nan }
      return known.firstIndex(of: text).map { Double($0 + 1) } ?? other
    }
    result["age_years"] = year - birth
    result["education"] = ordinal(
      newest(.profileUpdated) { $0.education }, ["graduate_school", "university", "high_school"], other: 4)
    result["monthly_income"] = number(.profileUpdated) { $0.income }
    result["deposits"] = deposits
    result["property_value"] = property
    let owned = (deposits.isNaN ? 0 : deposits) + (property.isNaN ? 0 : property)
    result["assets_to_exposure"] = deposits.isNaN && property.isNaN ? .nan : ratio(owned, exposure)
    result["credit_score"] = number(.creditScoreUpdated) { $0.amount }
    result["tenure_days"] =
      accepted.map { $0.at }.min().map { Double(now - $0 / 60_000 * 60_000) / Double(Oracle.day) } ?? .nan
    result["gender"] = ordinal(newest(.profileUpdated) { $0.gender }, ["female", "male"], other: 3)
    result["marital_status"] = ordinal(newest(.profileUpdated) { $0.maritalStatus }, ["married", "single"], other: 3)
    let region = newest(.profileUpdated) { $0.householdRegion }
    result["household_region"] = region.map { Double(Murmur.hash32(Array($0.utf8)) & 63) } ?? .nan
  }

  /// The picture's cells that are not zero, by [day][channel].
  func picture(at asked: Int64) -> [Int: Double] {
    let now = max(asked, time)
    var sums: [Int: (sum: Double, count: Double)] = [:]
    for item in accepted.map(Oracle.place) {
      let age = Int(now / Oracle.day - item.event.at / Oracle.day)
      guard age < 90 else { continue }
      let cell = (89 - age) * 16 + item.channel.rawValue
      sums[cell, default: (0, 0)].sum += item.value
      sums[cell]!.count += 1
    }
    return Dictionary(
      uniqueKeysWithValues: sums.map { cell, value in
        let counted = [Channel.pageView, .search, .session, .information].contains(Channel(rawValue: cell % 16)!)
        let x = counted ? value.count : value.sum
        return (cell, x < 0 ? -log1p(-x) : log1p(x))
      })
  }
}
