// What other threads may see of the pipeline: copies, published a few times a second.

import Borrowers
import Scoring
import Synchronization

public struct PartitionStatus: Sendable {
  public enum Phase: String, Sendable {
    case waiting, restoring, live, revoking, stopped
  }

  public var partition: Int32
  public var worker = 0
  public var phase = Phase.waiting
  /// Why it stopped; empty otherwise.
  public var problem = ""
  /// The next input offset.
  public var offset: Int64 = -1
  /// Input records not read yet, as last seen; nil before the first fetch.
  public var lag: Int64?
  public var watermark = EventTime.distantPast
  public var borrowers = 0
  public var stateBytes = 0
  /// Behind the control record that was taken last; nil before the first.
  public var controlPosition: Int64?

  public init(partition: Int32) { self.partition = partition }
}

/// A histogram with fixed bounds.
public struct LatencyHistogram: Sendable {
  /// Upper bounds, in seconds; one more bucket holds what is above.
  public static let bounds: [Double] = [
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.16, 0.25, 0.5, 1, 2.5, 5, 10,
  ]
  public private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
  public private(set) var count: UInt64 = 0
  public private(set) var sumSeconds = 0.0

  public init() {}

  public mutating func add(seconds: Double, count added: Int) {
    let bucket = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
    counts[bucket] += UInt64(added)
    count += UInt64(added)
    sumSeconds += seconds * Double(added)
  }

  public mutating func merge(_ other: LatencyHistogram) {
    for index in counts.indices { counts[index] += other.counts[index] }
    count += other.count
    sumSeconds += other.sumSeconds
  }

  /// The bound under which the share lies; nil when it holds nothing. An upper estimate.
  public func quantile(_ share: Double) -> Double? {
    guard count > 0 else { return nil }
    var seen: UInt64 = 0
    for (index, bucket) in counts.enumerated() {
      seen += bucket
      if Double(seen) >= share * Double(count) { return index < Self.bounds.count ? Self.bounds[index] : .infinity }
    }
    return .infinity
  }
}

/// Sums since the start of the process.
public struct PipelineTotals: Sendable {
  /// Indexed by `EventKind.rawValue`.
  public var accepted = [UInt64](repeating: 0, count: 18)
  public var repeated = [UInt64](repeating: 0, count: 18)
  public var late: UInt64 = 0
  public var timersFired: UInt64 = 0
  /// [AlertStatus.rawValue][Severity.rawValue]
  public var alerts = [[UInt64]](repeating: [UInt64](repeating: 0, count: 5), count: 5)
  /// By `LeadStatus.rawValue`.
  public var leads = [UInt64](repeating: 0, count: 4)
  /// Repayment forecasts published.
  public var forecasts: UInt64 = 0
  /// By `DeadLetterCode.rawValue`.
  public var deadLetters = [UInt64](repeating: 0, count: Int(DeadLetterCode.allCases.map(\.rawValue).max()!) + 1)
  public var transactionsCommitted: UInt64 = 0
  public var transactionsAborted: UInt64 = 0
  /// Fenced or of unknown outcome: state was restored.
  public var transactionsFailed: UInt64 = 0
  public var restores: UInt64 = 0
  public var restoreSeconds = 0.0
  /// From reading a record to the commit of its outputs, of each record.
  public var eventLatency = LatencyHistogram()
  /// Time in decoding, state, models and decisions, of each record.
  public var scoringLatency = LatencyHistogram()
  public var scores = ScoreBins()

  public init() {}

  public var eventsAccepted: UInt64 { accepted.reduce(0, +) }
  public var eventsRepeated: UInt64 { repeated.reduce(0, +) }
  public var recordsDeadLettered: UInt64 { deadLetters.reduce(0, +) }

  public mutating func add(_ counters: EngineCounters) {
    for index in accepted.indices {
      accepted[index] += counters.accepted[index]
      repeated[index] += counters.repeated[index]
    }
    late += counters.late
    timersFired += counters.timersFired
    for status in alerts.indices {
      for severity in alerts[status].indices { alerts[status][severity] += counters.alerts[status][severity] }
    }
    for status in leads.indices { leads[status] += counters.leads[status] }
    scores.merge(counters.scores)
  }

  public mutating func merge(_ other: PipelineTotals) {
    for index in accepted.indices {
      accepted[index] += other.accepted[index]
      repeated[index] += other.repeated[index]
    }
    late += other.late
    timersFired += other.timersFired
    for status in alerts.indices {
      for severity in alerts[status].indices { alerts[status][severity] += other.alerts[status][severity] }
    }
    for status in leads.indices { leads[status] += other.leads[status] }
    for code in deadLetters.indices { deadLetters[code] += other.deadLetters[code] }
    forecasts += other.forecasts
    transactionsCommitted += other.transactionsCommitted
    transactionsAborted += other.transactionsAborted
    transactionsFailed += other.transactionsFailed
    restores += other.restores
    restoreSeconds += other.restoreSeconds
    eventLatency.merge(other.eventLatency)
    scoringLatency.merge(other.scoringLatency)
    scores.merge(other.scores)
  }
}

/// One look at the whole pipeline, or at one worker of it.
public struct PipelineStatus: Sendable {
  /// Alerts and leads kept for the view.
  public static let recentMax = 500
  /// Records behind which an instance that catches up is not ready.
  public static let readyLagMax: Int64 = 100_000

  public var partitions: [PartitionStatus] = []
  public var totals = PipelineTotals()
  /// Committed ones, the newest last; a number counts all there ever were, so that a view finds those it has not shown.
  public var recentAlerts: [AlertRecord] = []
  public var recentLeads: [LeadRecord] = []
  public var recentAlertsTotal: UInt64 = 0
  public var recentLeadsTotal: UInt64 = 0
  /// Published here, the newest of each platform and length of period, at most `forecastsMax`.
  public var forecasts: [RepaymentForecastRecord] = []
  public static let forecastsMax = 4_096
  /// As it stands; nil where another process makes the forecasts, or none is made yet.
  public var forecaster: Forecaster?

  public init() {}

  public var borrowers: Int { partitions.reduce(0) { $0 + $1.borrowers } }
  public var stateBytes: Int { partitions.reduce(0) { $0 + $1.stateBytes } }
  /// Over the partitions where it is known.
  public var lag: Int64 { partitions.reduce(0) { $0 + ($1.lag ?? 0) } }
  /// Partitions are assigned, and each is live.
  public var isReady: Bool { !partitions.isEmpty && partitions.allSatisfy { $0.phase == .live } }

  public var isWithinLag: Bool { lag <= Self.readyLagMax }

  mutating func keep(_ alerts: [AlertRecord], _ leads: [LeadRecord]) {
    recentAlerts.append(contentsOf: alerts)
    recentAlerts.removeFirst(max(0, recentAlerts.count - Self.recentMax))
    recentAlertsTotal += UInt64(alerts.count)
    recentLeads.append(contentsOf: leads)
    recentLeads.removeFirst(max(0, recentLeads.count - Self.recentMax))
    recentLeadsTotal += UInt64(leads.count)
  }

  mutating func keep(_ newest: [RepaymentForecastRecord]) {
    for one in newest {
      let days = one.periodEnd - one.periodStart
      if let index = forecasts.firstIndex(where: {
        $0.platform == one.platform && $0.periodEnd - $0.periodStart == days
      }) {
        forecasts[index] = one
      } else if forecasts.count < Self.forecastsMax {
        forecasts.append(one)
      }
    }
  }

  mutating func merge(_ other: PipelineStatus) {
    partitions += other.partitions
    forecasts += other.forecasts
    forecaster = forecaster ?? other.forecaster
    totals.merge(other.totals)
    // Of several workers: by their time, since they commit side by side.
    let isMixed = !recentAlerts.isEmpty || !recentLeads.isEmpty
    recentAlerts += other.recentAlerts
    recentLeads += other.recentLeads
    if isMixed {
      recentAlerts.sort { $0.context.asOf < $1.context.asOf }
      recentLeads.sort { $0.context.asOf < $1.context.asOf }
    }
    recentAlertsTotal += other.recentAlertsTotal
    recentLeadsTotal += other.recentLeadsTotal
  }
}

/// Where a worker puts its newest status for others to read.
package final class StatusBoard: Sendable {
  package init() {}

  private let current = Mutex(PipelineStatus())

  func publish(_ status: PipelineStatus) { current.withLock { $0 = status } }
  func read() -> PipelineStatus { current.withLock { $0 } }
}
