import Borrowers
import Pipeline

/// Draws the demo's state. Pure: the same state and size give the same lines.
struct DemoView {
  var columns: Int
  var rows: Int
  var isColoured: Bool

  /// At most `rows` lines, none wider than `columns`.
  func lines(_ state: DemoState) -> [String] {
    var lines = header(state) + figures(state)
    let footer = footer(state)
    let room = max(0, rows - lines.count - footer.count)
    // Each record takes two lines; alerts get the larger half.
    let alertRows = (room + 1) / 2
    lines += alerts(state, rows: alertRows)
    lines += leads(state, rows: room - alertRows)
    return (lines + footer).prefix(rows).map { $0.render(columns: columns, isColoured: isColoured) }
  }

  // MARK: Top

  private func header(_ state: DemoState) -> [StyledLine] {
    var title = StyledLine()
    title.append(" Lendpulse ", .heading)
    title.append("demo", .bold)
    title.append("  \(state.broker)", .dim)
    let time = state.eventTime > .distantPast ? String(state.eventTime.text.prefix(16)).replacing("T", with: " ") : "…"
    title.appendRight(
      "simulated \(time)  ×\(Picture.grouped(Int(state.acceleration)))  \(Picture.clock(state.elapsedSeconds)) ", .dim,
      columns: columns)
    return [title, rule("")]
  }

  private func figures(_ state: DemoState) -> [StyledLine] {
    let status = state.status
    let width = max(10, min(40, columns - 62))
    var first = StyledLine()
    first.append(" events/s ", .dim)
    first.append(Picture.pad(Picture.grouped(Int(state.rates.last ?? 0)), 8), .bold)
    first.append("  ")
    first.append(Picture.fit(Picture.sparkline(state.rates, width: width), width), .accent)
    first.append("  scored ", .dim)
    first.append(Picture.grouped(state.events), .bold)
    first.append("  borrowers ", .dim)
    first.append(Picture.grouped(status.borrowers), .bold)
    var second = StyledLine()
    second.append(" latency  ", .dim)
    second.append(
      "p50 \(milliseconds(state.latencyMedianMilliseconds))  p99 \(milliseconds(state.latency99Milliseconds))", .bold)
    second.append("  lag ", .dim)
    second.append(Picture.grouped(status.lag), status.lag > 20_000 ? .medium : .bold)
    second.append("  commits ", .dim)
    second.append(Picture.grouped(status.totals.transactionsCommitted), .bold)
    second.append("  partitions ", .dim)
    let live = status.partitions.count { $0.phase == .live }
    second.append("\(live)/\(status.partitions.count)", live == status.partitions.count ? .good : .medium)
    second.append("  dead letters ", .dim)
    second.append(Picture.grouped(status.totals.recordsDeadLettered))
    return [first, second]
  }

  private func milliseconds(_ value: Double?) -> String {
    value.map { "≤\(Picture.grouped(Int($0.rounded(.up)))) ms" } ?? "–"
  }

  // MARK: Records

  private func alerts(_ state: DemoState, rows: Int) -> [StyledLine] {
    let counts = [AlertStatus.raised, .escalated, .eased, .cleared].map {
      "\($0.name) \(Picture.grouped(state.count($0)))"
    }
    let heading = rule("OVERDUE ALERTS  " + counts.joined(separator: "  "))
    return section(heading, rows: rows, state.alerts.map(alert), waiting: "none yet")
  }

  private func alert(_ alert: AlertRecord) -> [StyledLine] {
    var line = StyledLine()
    let level = alert.status == .cleared ? Severity.none : alert.severity
    line.append(" ")
    line.append(
      Picture.fit(" " + (alert.status == .cleared ? "cleared" : "\(alert.severity.name)").uppercased(), 10),
      style(level))
    line.append(" " + Picture.fit(text(alert.context.borrowerID), 10), .bold)
    line.append(Picture.bar(alert.overdueProbability, width: 10), style(level))
    line.append(" \(Picture.percent(alert.overdueProbability))", .bold)
    line.append(" overdue risk, \(alert.status.name)", .dim)
    if alert.exposure > 0 { line.append("  exposure \(Picture.grouped(Int(alert.exposure)))") }
    if alert.daysPastDue > 0 { line.append("  \(alert.daysPastDue) d past due", .medium) }
    return [line, reasons(alert.reasons, alert.raisedBy.filter { $0.hasPrefix("rule:") })]
  }

  private func leads(_ state: DemoState, rows: Int) -> [StyledLine] {
    let counts = [LeadStatus.opened, .updated, .withdrawn].map { "\($0.name) \(Picture.grouped(state.count($0)))" }
    let heading = rule("LEADS  " + counts.joined(separator: "  "))
    return section(heading, rows: rows, state.leads.map(lead), waiting: "none yet")
  }

  private func lead(_ lead: LeadRecord) -> [StyledLine] {
    let isOpen = lead.status != .withdrawn
    var line = StyledLine()
    line.append(" ")
    line.append(Picture.fit(" " + "\(lead.status.name)".uppercased(), 10), isOpen ? .good : .dim)
    line.append(" " + Picture.fit(text(lead.context.borrowerID), 10), .bold)
    line.append(Picture.bar(lead.predictedUtilization, width: 10), isOpen ? .good : .dim)
    line.append(" \(Picture.percent(lead.predictedUtilization))", .bold)
    line.append(" of the limit used", .dim)
    if !lead.forecastBorrowing30d.isNaN {
      line.append("  borrows about \(Picture.grouped(Int(lead.forecastBorrowing30d.rounded()))) in 30 d")
    }
    if let because = lead.withdrawnBecause {
      line.append("  withdrawn: \(because.name)".replacing("_", with: " "), .dim)
    }
    return [line, reasons(lead.reasons, [])]
  }

  private func reasons(_ reasons: [Reason], _ rules: [String]) -> StyledLine {
    let texts = rules.map { $0.replacing("rule:", with: "rule ") } + reasons.map(\.text)
    return StyledLine().appending(texts.isEmpty ? "" : "            ↳ " + texts.joined(separator: " · "), .dim)
  }

  /// A heading and as many whole records as fit, filled up with empty lines so that nothing below jumps.
  private func section(
    _ heading: StyledLine, rows: Int, _ records: [[StyledLine]], waiting: String
  ) -> [StyledLine] {
    guard rows > 0 else { return [] }
    var lines = [heading]
    if records.isEmpty { lines.append(StyledLine().appending("   " + waiting, .dim)) }
    for record in records where lines.count + record.count <= rows { lines += record }
    while lines.count < rows { lines.append(StyledLine()) }
    return Array(lines.prefix(rows))
  }

  // MARK: Bottom

  private func footer(_ state: DemoState) -> [StyledLine] {
    var line = StyledLine()
    line.append(" q or Ctrl-C ends it", .dim)
    if let page = state.page { line.append("   \(page)", .accent) }
    if !state.warning.isEmpty { line.append("   \(state.warning)", .medium) }
    return [rule(""), line]
  }

  private func rule(_ text: String) -> StyledLine {
    var line = StyledLine()
    if text.isEmpty {
      line.append(String(repeating: "─", count: columns), .dim)
    } else {
      line.append("── ", .dim)
      line.append(text, .heading)
      line.append(" ", .dim)
      line.append(String(repeating: "─", count: max(0, columns - line.width)), .dim)
    }
    return line
  }

  private func style(_ severity: Severity) -> TextStyle {
    switch severity {
    case .critical: .critical
    case .high: .high
    case .medium: .medium
    case .low: .low
    case .none: .good
    }
  }

  private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

/// The demo where no terminal is: plain lines, and a summary at the end of both.
enum DemoText {
  /// One line a second.
  static func progress(_ state: DemoState) -> String {
    let latency = state.latency99Milliseconds.map { "≤\(Int($0.rounded(.up))) ms" } ?? "-"
    return
      "\(Picture.clock(state.elapsedSeconds))  simulated \(state.eventTime > .distantPast ? state.eventTime.dateText : "-")  events \(state.events)"
      + "  rate \(Int(state.rates.last ?? 0))/s  borrowers \(state.status.borrowers)  lag \(state.status.lag)"
      + "  p99 \(latency)  alerts \(state.alertsRaised)  leads \(state.leadsOpened)"
  }

  static func alert(_ alert: AlertRecord) -> String {
    line(
      "alert  \(alert.status.name) \(alert.severity.name)", alert.context.borrowerID,
      "overdue risk \(Picture.percent(alert.overdueProbability))", alert.reasons)
  }

  static func lead(_ lead: LeadRecord) -> String {
    line(
      "lead   \(lead.status.name)", lead.context.borrowerID,
      "\(Picture.percent(lead.predictedUtilization)) of the limit used", lead.reasons)
  }

  private static func line(_ what: String, _ borrower: [UInt8], _ figure: String, _ reasons: [Reason]) -> String {
    let texts = reasons.isEmpty ? "" : ": " + reasons.map(\.text).joined(separator: "; ")
    return "       \(what) \(String(decoding: borrower, as: UTF8.self)) \(figure)\(texts)"
  }

  static func summary(_ state: DemoState) -> [String] {
    func after(_ seconds: Double?) -> String {
      seconds.map { "after \(($0 * 10).rounded() / 10) s" } ?? "none came"
    }
    let rate = state.elapsedSeconds > 0 ? Int(Double(state.events) / state.elapsedSeconds) : 0
    let totals = state.status.totals
    let latency = [0.5, 0.99].map { share in
      LatencyHistogram.quantile(share, of: totals.eventLatency.counts).map { "≤\(Int(($0 * 1_000).rounded(.up))) ms" }
        ?? "-"
    }
    return [
      "scored \(Picture.grouped(state.events)) events of \(Picture.grouped(state.status.borrowers)) borrowers in "
        + "\(Picture.clock(state.elapsedSeconds)), \(Picture.grouped(rate)) a second, in "
        + "\(Picture.grouped(totals.transactionsCommitted)) transactions",
      "read to committed: p50 \(latency[0]), p99 \(latency[1]); dead letters: \(totals.recordsDeadLettered)",
      "alerts: \(state.alertsRaised) raised, \(state.count(AlertStatus.escalated)) escalated, "
        + "\(state.count(AlertStatus.cleared)) cleared; the first \(after(state.firstAlertSeconds))",
      "leads: \(state.leadsOpened) opened, \(state.count(LeadStatus.withdrawn)) withdrawn; the first "
        + after(state.firstLeadSeconds),
    ]
  }
}
