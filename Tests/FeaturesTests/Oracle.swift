import Borrowers
import Features

/// Recomputes everything from the list of accepted events, slowly: what `BorrowerState` must agree with.
struct Oracle {
  var accepted: [RawEvent] = []
  private var seen: [(id: String, at: Int64)] = []
  var time = EventTime.distantPast.milliseconds

  // Arrears go by the log: each repayment settles what is open when it arrives.
  struct Open {
    var loan: String
    var platform: String
    var due: Int64
    var announced: Int64
    var left: Double?
    var missedDays: Int?
    var event: String
    var isFired = false
    var order: Int
  }
  var open: [Open] = []
  var worstDays = 0
  var settledLate = 0
  /// Whole days past due that were settled by each accepted repayment, by index into `accepted`, and those open at each
  /// statement.
  var settledDays: [Int: Int] = [:]
  var peak: Float = 0
  private var order = 0

  static let day = EventTime.millisecondsPerDay

  /// False for a repeat.
  mutating func apply(_ event: RawEvent, watermark: Int64, window: Int64) -> Bool {
    if seen.contains(where: { $0.id == event.id && watermark <= $0.at + window }) { return false }
    seen.removeAll { watermark > $0.at + window }
    if watermark <= event.at + window { seen.append((event.id, event.at)) }
    if seen.count > 4_096 { seen.removeFirst() }
    let index = accepted.count
    accepted.append(event)
    time = max(time, event.at)
    order += 1
    switch event.kind {
    case .installmentDue: announce(event, event.amount)
    case .statementIssued:
      settledDays[index] = daysPastDue(at: event.at)
      if event.minimumDue > 0, event.dueAt != nil { announce(event, event.minimumDue) }
    case .paymentMissed: miss(event)
    case .repayment: settledDays[index] = settle(event)
    default: break
    }
    let limit = newest(.limitChanged) { $0.amount }
    if let limit, limit > 0 { peak = max(peak, Float(min(exposure / limit, 1e6))) }
    return true
  }

  // MARK: Arrears

  private func loanKey(_ event: RawEvent) -> String {
    if event.kind != .statementIssued, let loan = event.loan { return "loan " + loan }
    return "platform " + event.platform
  }

  private mutating func announce(_ event: RawEvent, _ amount: Double) {
    guard amount > 0 else { return }
    let key = loanKey(event)
    let wasReplaced = open.contains {
      $0.loan == key && $0.missedDays != nil && $0.announced > event.at && event.dueAt! <= $0.announced
    }
    if wasReplaced { return }
    open.append(
      Open(
        loan: key, platform: event.platform, due: event.dueAt!, announced: event.at, left: amount, missedDays: nil,
        event: event.id, order: order))
  }

  private mutating func miss(_ event: RawEvent) {
    let key = loanKey(event)
    worstDays = max(worstDays, Int(event.days))
    if open.contains(where: { $0.loan == key && $0.missedDays != nil && $0.announced > event.at }) { return }
    open.removeAll {
      $0.loan == key && $0.announced <= event.at && ($0.missedDays != nil || $0.due <= event.at)
    }
    let amount: Double? = event.amount.isNaN ? nil : event.amount
    if amount == 0 { return }
    open.append(
      Open(
        loan: key, platform: event.platform, due: event.at - Int64(event.days) * Oracle.day, announced: event.at,
        left: amount, missedDays: Int(event.days), event: event.id, order: order))
  }

  private func isOlder(_ a: Open, _ b: Open) -> Bool {
    if a.due != b.due { return a.due < b.due }
    let names = (String(a.loan.drop { $0 != " " }), String(b.loan.drop { $0 != " " }))
    if names.0 != names.1 { return names.0 < names.1 }
    return a.order < b.order
  }

  private mutating func settle(_ event: RawEvent) -> Int {
    var left = event.amount
    var worst = 0
    open.sort(by: isOlder)
    for index in open.indices where left > 0 {
      let isMatch = event.loan.map { open[index].loan == "loan " + $0 } ?? (open[index].platform == event.platform)
      guard isMatch, open[index].announced <= event.at else { continue }
      let days = past(open[index], event.at) ? days(open[index], event.at) : 0
      worst = max(worst, days)
      if let owed = open[index].left {
        let paid = min(owed, left)
        open[index].left = rounded(owed - paid)
        left = rounded(left - paid)
      } else {
        open[index].left = 0
        left = 0
      }
      if open[index].left == 0 && days >= 1 { settledLate += 1 }
    }
    open.removeAll { $0.left == 0 }
    worstDays = max(worstDays, worst)
    return worst
  }

  private func rounded(_ value: Double) -> Double {
    abs(value) < 9e9
      ? (value * 1e6).rounded(.toNearestOrEven) / 1e6
      : (abs(value) < 9e13 ? (value * 1e2).rounded(.toNearestOrEven) / 1e2 : value)
  }

  func past(_ amount: Open, _ now: Int64) -> Bool { amount.missedDays != nil || now >= amount.due }

  private func days(_ amount: Open, _ now: Int64) -> Int {
    if let missed = amount.missedDays { return missed + Int(max(0, now - amount.announced) / Oracle.day) }
    return Int((now - amount.due) / Oracle.day)
  }

  func daysPastDue(at now: Int64) -> Int { open.filter { past($0, now) }.map { days($0, now) }.max() ?? 0 }
  func amountPastDue(at now: Int64) -> Double {
    open.sorted(by: isOlder).filter { past($0, now) }.reduce(0) { $0 + ($1.left ?? 0) }
  }
  func isPastDue(at now: Int64) -> Bool { open.contains { past($0, now) } }

  var nextDue: Open? { open.filter { $0.missedDays == nil && !$0.isFired }.min(by: isOlder) }

  mutating func fire() -> Open? {
    guard let next = nextDue else { return nil }
    let index = open.firstIndex { $0.order == next.order }!
    open[index].isFired = true
    time = max(time, next.due)
    return next
  }

  // MARK: Exposure

  func exposure(_ platform: String) -> Double {
    var owed = 0.0
    var statement = Int64.min
    for event in accepted where event.platform == platform {
      switch event.kind {
      case .statementIssued where event.at >= statement:
        statement = event.at
        owed = event.amount
      case .drawdown where event.at >= statement: owed = rounded(owed + event.amount)
      case .repayment where event.at >= statement: owed = rounded(owed - event.amount)
      default: break
      }
    }
    return max(0, owed)
  }

  var exposure: Double {
    var platforms: [String] = []
    for event in accepted where !platforms.contains(event.platform) { platforms.append(event.platform) }
    return platforms.reduce(0) { $0 + exposure($1) }
  }

  // MARK: Groups

  /// The value that the newest event of a kind gives; a later one in the log beats one of the same time.
  func newest<Value>(_ kind: EventKind, _ value: (RawEvent) -> Value?) -> Value? {
    var result: Value?
    var newestAt = Int64.min
    for event in accepted where event.kind == kind {
      let isNewest = event.at >= newestAt
      newestAt = max(newestAt, event.at)
      if let new = value(event), isNewest || result == nil { result = new }
    }
    return result
  }

  func number(_ kind: EventKind, _ value: (RawEvent) -> Double) -> Double {
    newest(kind) { value($0).isNaN ? nil : value($0) } ?? .nan
  }
}
