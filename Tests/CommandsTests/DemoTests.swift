import Borrowers
import Testing

@testable import Commands
@testable import Pipeline

@Suite struct DemoTests {
  private static var state: DemoState {
    var state = DemoState()
    state.broker = "embedded broker"
    state.elapsedSeconds = 65
    state.eventTime = EventTime(milliseconds: 1_767_571_200_000)
    state.acceleration = 86_400
    state.rates = [0, 500, 1_000, 2_000]
    state.status.totals.accepted[12] = 12_345
    state.status.totals.alerts[1][3] = 2
    state.latencyMedianMilliseconds = 20
    state.latency99Milliseconds = 60
    var alert = AlertRecord()
    alert.context.borrowerID = Array("B0000042".utf8)
    alert.severity = .high
    alert.overdueProbability = 0.72
    alert.exposure = 1_234
    alert.daysPastDue = 12
    alert.reasons = [Reason(code: "ARREARS", feature: "x", value: 12, contribution: 1, text: "Days past due: 12")]
    state.alerts = [alert]
    var lead = LeadRecord()
    lead.context.borrowerID = Array("B0000007".utf8)
    lead.predictedUtilization = 0.81
    state.leads = [lead]
    return state
  }

  @Test func `the view shows figures, alerts, leads and why`() {
    let lines = DemoView(columns: 110, rows: 20, isColoured: false).lines(Self.state)
    #expect(lines.count == 20)
    #expect(lines.allSatisfy { $0.count <= 110 })
    let text = lines.joined(separator: "\n")
    for part in [
      "2026-01-05 00:00", "×86,400", "01:05", "2,000", "12,345", "p50 ≤20 ms", "p99 ≤60 ms", "raised 2", "HIGH",
      "B0000042", "███████░░░", "72%", "12 d past due", "Days past due: 12", "OPENED", "B0000007", "81%",
    ] { #expect(text.contains(part), "\(part)") }
    #expect(!text.contains("\u{1b}"))
  }

  @Test(arguments: [(20, 5), (1, 1), (40, 8), (300, 100), (80, 24)])
  func `no size is too small or too large`(columns: Int, rows: Int) {
    let lines = DemoView(columns: columns, rows: rows, isColoured: false).lines(Self.state)
    #expect(lines.count <= rows)
    #expect(lines.allSatisfy { $0.count <= columns })
    #expect(DemoView(columns: columns, rows: rows, isColoured: true).lines(Self.state).count == lines.count)
  }

  @Test func `colours end where they begin`() {
    for line in DemoView(columns: 80, rows: 24, isColoured: true).lines(Self.state) where line.contains("\u{1b}[") {
      #expect(line.components(separatedBy: "\u{1b}[0m").count - 1 == line.components(separatedBy: "\u{1b}[").count / 2)
    }
  }

  @Test func `new records come first, once each, and rates are of the time between looks`() {
    var observer = DemoObserver(DemoState())
    var status = PipelineStatus()
    observer.observe(status, at: 0, eventTime: .distantPast, warning: "")
    status.totals.accepted[1] = 1_000
    status.totals.eventLatency.add(seconds: 0.015, count: 1_000)
    var alert = AlertRecord()
    alert.context.borrowerID = [1]
    status.recentAlerts = [alert]
    status.recentAlertsTotal = 1
    observer.observe(status, at: 1, eventTime: .distantPast, warning: "")
    observer.observe(status, at: 1.1, eventTime: .distantPast, warning: "")
    #expect(observer.state.rates == [1_000])
    #expect(observer.state.latencyMedianMilliseconds == 20)
    #expect(observer.state.alerts.count == 1)
    #expect(observer.state.firstAlertSeconds == 1)
    alert.context.borrowerID = [2]
    status.recentAlerts.append(alert)
    status.recentAlertsTotal = 2
    observer.observe(status, at: 2, eventTime: .distantPast, warning: "")
    #expect(observer.state.alerts.map(\.context.borrowerID) == [[2], [1]])
  }

  @Test func `time has a head start, one pace behind it, and waits for the scorer`() {
    var pace = DemoPace()
    let headStart = DemoPace.headStartDays * 86_400
    pace.advance(now: 100, sent: 0, waiting: 10, hasBegun: false)
    #expect(pace.horizonSeconds == headStart)
    pace.advance(now: 110, sent: 86_400, waiting: 0, hasBegun: true)
    #expect(pace.horizonSeconds == headStart)
    pace.advance(now: 110 + DemoPace.headStartSeconds, sent: 86_400, waiting: DemoPace.waitingMax, hasBegun: true)
    #expect(pace.horizonSeconds == headStart)
    pace.advance(now: 110 + DemoPace.headStartSeconds, sent: 86_400, waiting: 0, hasBegun: true)
    #expect(pace.horizonSeconds == 86_400)
    pace.advance(now: 111 + DemoPace.headStartSeconds, sent: 86_400, waiting: 0, hasBegun: true)
    #expect(abs(pace.horizonSeconds - 2 * 86_400) < 1)
  }

  @Test func `models are looked for in the named folder alone, else beside the program and in its source tree`() {
    #expect(
      DemoModels.candidates(executable: "/usr/bin/lendpulse", environment: ["LENDPULSE_DEMO_MODELS": "/m"]) == ["/m"])
    let paths = DemoModels.candidates(executable: "/src/.build/x/release/lendpulse", environment: [:])
    #expect(paths[0] == "/src/.build/x/share/lendpulse/demo-models")
    #expect(paths.contains("/src/demo/models"))
  }
}
