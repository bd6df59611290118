import Borrowers
import Glibc
import Pipeline

/// What the daemon tells over HTTP: whether it lives, whether it is ready, its metrics and its status. Reads copies only,
/// so that no request ever waits for the loop or makes it wait.
public struct StatusService: Sendable {
  /// What does not change while the process runs.
  public struct Build: Sendable {
    public var version: String
    public var modelsVersion: String
    /// The input topic, as the metrics name it.
    public var topic: String

    public init(version: String, modelsVersion: String, topic: String) {
      self.version = version
      self.modelsVersion = modelsVersion
      self.topic = topic
    }
  }

  public var build: Build
  private let status: @Sendable () -> PipelineStatus
  /// Nil without a repayment model.
  let onDemand: ForecastOnDemand?

  public init(
    build: Build, forecast: ForecastOnDemand? = nil, status: @escaping @Sendable () -> PipelineStatus
  ) {
    self.build = build
    onDemand = forecast
    self.status = status
  }

  public func answer(_ request: HTTPRequest) -> HTTPResponse {
    switch request.path {
    case "/healthz": HTTPResponse(contentType: "text/plain; charset=utf-8", body: "alive\n")
    case "/readyz": readiness(status())
    case "/metrics": HTTPResponse(contentType: MetricsText.contentType, body: metrics(status()))
    case "/v1/forecasts": forecasts(request, status())
    case "/v1/status": HTTPResponse(contentType: "application/json", body: statusJSON(status()))
    default: .problem(404, "Nothing is served here; there are /healthz, /readyz, /metrics, /v1/status and /v1/forecasts")
    }
  }

  private func readiness(_ status: PipelineStatus) -> HTTPResponse {
    if status.isReady { return HTTPResponse(contentType: "text/plain; charset=utf-8", body: "ready\n") }
    let waiting = status.partitions.filter { $0.phase != .live }
    let reason =
      status.partitions.isEmpty
      ? "no partition is assigned"
      : waiting.map { "partition \($0.partition) is \($0.phase.rawValue)" }.joined(separator: ", ")
    return HTTPResponse(status: 503, contentType: "text/plain; charset=utf-8", body: "not ready: \(reason)\n")
  }

  func statusJSON(_ status: PipelineStatus) -> String {
    let partitions = status.partitions.sorted { $0.partition < $1.partition }.map { one in
      var fields = [
        "\"partition\":\(one.partition)", "\"worker\":\(one.worker)", "\"phase\":\"\(one.phase.rawValue)\"",
        "\"borrowers\":\(one.borrowers)", "\"state_bytes\":\(one.stateBytes)",
      ]
      if one.offset >= 0 { fields.append("\"offset\":\(one.offset)") }
      if let lag = one.lag { fields.append("\"lag\":\(lag)") }
      if one.watermark > .distantPast { fields.append("\"watermark\":\"\(one.watermark.text)\"") }
      if !one.problem.isEmpty { fields.append("\"problem\":\"\(Self.escape(one.problem))\"") }
      return "{" + fields.joined(separator: ",") + "}"
    }
    return """
      {"version":"\(Self.escape(build.version))","models":"\(Self.escape(build.modelsVersion))",\
      "ready":\(status.isReady),"borrowers":\(status.borrowers),"state_bytes":\(status.stateBytes),\
      "events_accepted":\(status.totals.eventsAccepted),"dead_letters":\(status.totals.recordsDeadLettered),\
      "lag":\(status.lag),"partitions":[\(partitions.joined(separator: ","))]}

      """
  }

  private static func escape(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": escaped += "\\\""
      case "\\": escaped += "\\\\"
      case _ where scalar.value < 0x20: escaped += " "
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }
}
