import Borrowers
import Pipeline

/// What the demo's view shows: a plain value, so that what is drawn is a function of it.
struct DemoState: Sendable {
  /// `embedded broker`, or the address of a real one.
  var broker = ""
  var elapsedSeconds = 0.0
  /// Of the newest event that was sent.
  var eventTime = EventTime.distantPast
  /// Simulated seconds that pass in one.
  var acceleration = 0.0
  /// Events committed a second, the newest last.
  var rates: [Double] = []
  var status = PipelineStatus()
  /// Of the last seconds, in milliseconds; nil where nothing was scored.
  var latencyMedianMilliseconds: Double?
  var latency99Milliseconds: Double?
  /// Newest first.
  var alerts: [AlertRecord] = []
  var leads: [LeadRecord] = []
  /// Seconds from the start; nil: none yet.
  var firstAlertSeconds: Double?
  var firstLeadSeconds: Double?
  /// The address of the web page; nil where none is served.
  var page: String?
  /// The newest warning of the daemon; empty: none.
  var warning = ""

  static let ratesMax = 120
  static let recordsMax = 32

  var events: UInt64 { status.totals.eventsAccepted }
  var alertsRaised: UInt64 { count(.raised) }
  var leadsOpened: UInt64 { status.totals.leads[Int(LeadStatus.opened.rawValue)] }

  func count(_ alertStatus: AlertStatus) -> UInt64 {
    status.totals.alerts[Int(alertStatus.rawValue)].reduce(0, +)
  }

  func count(_ leadStatus: LeadStatus) -> UInt64 { status.totals.leads[Int(leadStatus.rawValue)] }
}

/// Brings the state up to date from looks at the pipeline, a few times a second.
struct DemoObserver: Sendable {
  private(set) var state: DemoState
  /// Looks of the last seconds: time and sums.
  private var looks: [(seconds: Double, events: UInt64, latency: LatencyHistogram)] = []
  private static let windowSeconds = 5.0
  private static let rateSeconds = 0.5
  private var rateLook: (seconds: Double, events: UInt64) = (0, 0)

  init(_ state: DemoState) { self.state = state }

  mutating func observe(_ status: PipelineStatus, at seconds: Double, eventTime: EventTime, warning: String) {
    takeRecords(status, seconds)
    state.status = status
    state.elapsedSeconds = seconds
    state.eventTime = eventTime
    state.warning = warning
    let events = status.totals.eventsAccepted
    if seconds - rateLook.seconds >= Self.rateSeconds {
      state.rates.append(Double(events - rateLook.events) / (seconds - rateLook.seconds))
      state.rates.removeFirst(max(0, state.rates.count - DemoState.ratesMax))
      rateLook = (seconds, events)
    }
    looks.append((seconds, events, status.totals.eventLatency))
    while let first = looks.first, first.seconds < seconds - Self.windowSeconds, looks.count > 1 { looks.removeFirst() }
    let recent = status.totals.eventLatency.counts(since: looks[0].latency)
    state.latencyMedianMilliseconds = LatencyHistogram.quantile(0.5, of: recent).map { $0 * 1_000 }
    state.latency99Milliseconds = LatencyHistogram.quantile(0.99, of: recent).map { $0 * 1_000 }
  }

  /// Those not shown yet, the newest first.
  private mutating func takeRecords(_ status: PipelineStatus, _ seconds: Double) {
    let newAlerts = Int(
      min(status.recentAlertsTotal - state.status.recentAlertsTotal, UInt64(status.recentAlerts.count)))
    let newLeads = Int(min(status.recentLeadsTotal - state.status.recentLeadsTotal, UInt64(status.recentLeads.count)))
    state.alerts = Array((status.recentAlerts.suffix(newAlerts).reversed() + state.alerts).prefix(DemoState.recordsMax))
    state.leads = Array((status.recentLeads.suffix(newLeads).reversed() + state.leads).prefix(DemoState.recordsMax))
    if newAlerts > 0, state.firstAlertSeconds == nil { state.firstAlertSeconds = seconds }
    if newLeads > 0, state.firstLeadSeconds == nil { state.firstLeadSeconds = seconds }
  }
}

extension LatencyHistogram {
  /// The counts of each bucket that came since an earlier look.
  func counts(since earlier: LatencyHistogram) -> [UInt64] {
    zip(counts, earlier.counts).map { $0 >= $1 ? $0 - $1 : $0 }
  }

  /// The bound under which the share lies, in seconds; nil where nothing was counted. Above the last bound: that one.
  static func quantile(_ share: Double, of counts: [UInt64]) -> Double? {
    let total = counts.reduce(0, +)
    guard total > 0 else { return nil }
    var seen: UInt64 = 0
    for (index, count) in counts.enumerated() {
      seen += count
      if Double(seen) >= share * Double(total) { return bounds[min(index, bounds.count - 1)] }
    }
    return bounds.last
  }
}
