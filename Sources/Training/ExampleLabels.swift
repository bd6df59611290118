import Borrowers
import History

/// What the utilization model forecasts.
public enum UtilizationTarget: String, Codable, CaseIterable, Sendable {
  /// The last statement balance within the horizon over the limit.
  case balance
  /// The amount drawn from the first grant (at most 365 days back) to the horizon's end over the limit at the date.
  case cumulative
}

/// How labels are made.
public struct LabelSettings: Equatable, Sendable {
  public var overdueDays = 1
  public var utilizationTarget = UtilizationTarget.cumulative
  public var prospectDays = 90
  public init() {}
}

/// What came true for one borrower in the horizon that begins at an example's time.
public struct ExampleLabels: Equatable, Sendable {
  public var isOverdue: Bool
  /// The sum of drawdown amounts, in money.
  public var drawn: Double
  public var hasDrawn: Bool
  /// Nil where there is no example.
  public var utilization: Double?
  /// Whether there was a limit over 0 at the date.
  public var hasLimit: Bool
}

/// Labels of one borrower at any time; made once for all of them.
struct BorrowerOutcomes {
  private struct Amount {
    /// The event's place among the borrower's.
    var index: Int
    var time: EventTime
    var amount: Double
  }

  private let moments: OverdueMoments
  private var drawdowns: [Amount] = []
  private var limits: [Amount] = []
  private var statements: [Amount] = []
  private let settings: LabelSettings
  private static let longestCumulation = 365 * EventTime.millisecondsPerDay

  init(_ events: BorrowerEvents, _ settings: LabelSettings) {
    self.settings = settings
    moments = OverdueMoments(events, overdueDays: settings.overdueDays)
    for index in 0..<events.count {
      let event = events[index]
      let amount = Amount(index: index, time: event.occurredAt, amount: event.amount)
      switch event.kind {
      case .drawdown: drawdowns.append(amount)
      case .limitChanged: limits.append(amount)
      case .statementIssued: statements.append(amount)
      default: break
      }
    }
  }

  /// What comes in `date..<horizonEnd` behind the borrower's first `seen` events, which are those before a midnight, and
  /// those up to and with the event that an example was taken after.
  func labels(
    asOf date: EventTime, seen: Int, horizonEnd: EventTime, observedThrough: EventTime
  ) -> ExampleLabels {
    let drawn = drawdowns.filter { $0.index >= seen && $0.time < horizonEnd }
    let limit = limits.last { $0.index < seen }?.amount ?? 0
    return ExampleLabels(
      isOverdue: moments.contains(from: date, seen: seen, to: horizonEnd),
      drawn: drawn.reduce(0) { $0 + $1.amount },
      hasDrawn: !drawn.isEmpty,
      utilization: limit > 0
        ? utilization(limit: limit, date: date, seen: seen, horizonEnd: horizonEnd)
        : prospectUtilization(seen: seen, horizonEnd: horizonEnd, observedThrough: observedThrough),
      hasLimit: limit > 0)
  }

  private func utilization(limit: Double, date: EventTime, seen: Int, horizonEnd: EventTime) -> Double? {
    switch settings.utilizationTarget {
    case .balance:
      return statements.last { $0.index >= seen && $0.time < horizonEnd }.map { $0.amount / limit }
    case .cumulative:
      // There is a grant: the limit at the date is one.
      let firstGrant = limits.first { $0.amount > 0 }!.time
      return sum(from: max(firstGrant, date - Self.longestCumulation), to: horizonEnd) / limit
    }
  }

  /// A person without a limit: what the first grant within the horizon was used for.
  private func prospectUtilization(seen: Int, horizonEnd: EventTime, observedThrough: EventTime) -> Double? {
    guard let grant = limits.first(where: { $0.amount > 0 && $0.index >= seen && $0.time < horizonEnd }) else {
      return nil
    }
    let end = grant.time + Int64(settings.prospectDays) * EventTime.millisecondsPerDay
    guard end <= observedThrough else { return nil }
    return sum(from: grant.time, to: end) / grant.amount
  }

  private func sum(from start: EventTime, to end: EventTime) -> Double {
    var sum = 0.0
    for drawdown in drawdowns where drawdown.time >= start && drawdown.time < end { sum += drawdown.amount }
    return sum
  }
}
