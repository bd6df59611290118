import Borrowers
import Pipeline
import Scoring

/// Who holds a partition, from the consumer group's description.
public enum PartitionOwner: Equatable, Sendable {
  /// Its address as others reach it; empty where it advertises none.
  case instance(address: String)
  /// Nobody at the moment: the group is being divided anew.
  case nobody
  /// The brokers could not be asked.
  case unknown(reason: String)
}

/// What the service asks of the pipeline.
public protocol ServedPipeline: Sendable {
  var status: PipelineStatus { get }
  /// Nil before the start.
  var control: ControlCenter? { get }
  var partitionCount: Int? { get }
  func partition(ofBorrower id: [UInt8]) -> Int32?
  func borrower(_ id: [UInt8], waitMilliseconds: Int) -> BorrowerAnswer?
  func preview(_ settings: DecisionSettings, waitMilliseconds: Int) -> PreviewAnswer?
}

extension Daemon: ServedPipeline {}

/// What the daemon serves over HTTP: the page, health, metrics, borrowers, alerts, leads, models, thresholds. What it tells
/// is copied: no request makes the loop wait, but for the slices in which the loop itself answers.
public final class StatusService: HTTPHandler {
  /// What does not change while the process runs.
  public struct Build: Sendable {
    public var version: String
    public var modelsVersion: String
    /// The input topic, as the metrics name it.
    public var topic: String
    /// How others reach this instance; nil where it is not configured.
    public var advertised: String?

    public init(version: String, modelsVersion: String, topic: String, advertised: String? = nil) {
      self.version = version
      self.modelsVersion = modelsVersion
      self.topic = topic
      self.advertised = advertised
    }
  }

  /// What others than the pipeline know.
  public struct Sources: Sendable {
    /// Not older than 5 s.
    public var owner: @Sendable (Int32) -> PartitionOwner = { _ in .unknown(reason: "there is no consumer group") }
    /// The models folder as JSON: a list.
    package var models: @Sendable () -> JSONText = { .list([]) }
    /// Makes the forecast of a period that was not published; nil without a repayment model.
    public var forecast: ForecastOnDemand = { _, _, _, _ in nil }
    /// Fetches a path of another instance; nil when it does not answer.
    public var fetch: @Sendable (_ address: String, _ path: String) -> HTTPResponse? = { _, _ in nil }

    public init() {}
  }

  /// The longest that an answer waits for the loop, and a preview for all of its slices.
  static let answerMilliseconds = 5_000
  static let previewMilliseconds = 30_000

  let build: Build
  let pipeline: any ServedPipeline
  let sources: Sources
  let tokens: AccessTokens
  let drift = ScoreDrift()
  private let streaming: StreamSource

  public var stream: EventStream? { streaming.stream }

  public init(build: Build, pipeline: any ServedPipeline, sources: Sources = Sources(), tokens: AccessTokens) {
    self.build = build
    self.pipeline = pipeline
    self.sources = sources
    self.tokens = tokens
    streaming = StreamSource(build: build, pipeline: pipeline)
  }

  // MARK: Routes

  public func isImmediate(_ request: HTTPRequest) -> Bool {
    switch request.path {
    case "/v1/thresholds", "/v1/thresholds/preview", "/v1/models", "/v1/models/reload", "/v1/forecasts": false
    case let path where path.hasPrefix("/v1/borrowers/"): false
    default: true
    }
  }

  public func answer(_ request: HTTPRequest) -> HTTPResponse {
    let reading = request.method == "GET" || request.method == "HEAD"
    switch request.path {
    case "/healthz": return allow(reading, "GET, HEAD") { .text("alive") }
    case "/readyz": return allow(reading, "GET, HEAD") { readiness(pipeline.status) }
    case "/metrics":
      return allow(reading, "GET, HEAD") {
        HTTPResponse(contentType: MetricsText.contentType, body: metrics(pipeline.status))
      }
    case "/": return allow(reading, "GET, HEAD") { Page.response }
    case "/v1/openapi.json":
      return allow(reading, "GET, HEAD") {
        HTTPResponse(contentType: "application/json", bytes: Page.openAPI).tagged(for: request)
      }
    case "/v1/status":
      return allow(reading, "GET, HEAD") { readable(request) { .json(statusValue(pipeline.status)) } }
    case "/v1/alerts": return allow(reading, "GET, HEAD") { readable(request) { alerts(request) } }
    case "/v1/leads": return allow(reading, "GET, HEAD") { readable(request) { leads(request) } }
    case "/v1/forecasts":
      return allow(reading, "GET, HEAD") { readable(request) { forecasts(request, pipeline.status) } }
    case "/v1/models": return allow(reading, "GET, HEAD") { readable(request) { models() } }
    case "/v1/control": return allow(reading, "GET, HEAD") { readable(request) { audit(request) } }
    case "/v1/stream":
      return allow(request.method == "GET", "GET") {
        readable(request) {
          var response = HTTPResponse(contentType: "text/event-stream", bytes: [])
          response.isEventStream = true
          return response
        }
      }
    case "/v1/models/reload": return allow(request.method == "POST", "POST") { reloadModels(request) }
    case "/v1/thresholds":
      if request.method == "PUT" { return putThresholds(request) }
      return allow(reading, "GET, HEAD, PUT") { readable(request) { thresholds() } }
    case "/v1/thresholds/preview": return allow(request.method == "POST", "POST") { preview(request) }
    case let path where path.hasPrefix("/v1/borrowers/"):
      return borrowerRoute(request, String(path.dropFirst("/v1/borrowers/".count)), reading)
    default:
      return .problem(404, "Nothing is served here", "GET /v1/openapi.json says what is")
    }
  }

  func allow(_ isAllowed: Bool, _ methods: String, _ body: () -> HTTPResponse) -> HTTPResponse {
    guard isAllowed else {
      return HTTPResponse.problem(405, "The method is not served here", "Served are \(methods)").with("Allow", methods)
    }
    return body()
  }

  /// What tells of borrowers: behind a token where a reading one is configured.
  func readable(_ request: HTTPRequest, _ body: () -> HTTPResponse) -> HTTPResponse {
    switch tokens.check(request, for: .read) {
    case .failure(let refusal): refusal.response
    case .success: body().tagged(for: request)
    }
  }

  // MARK: Health and status

  private func readiness(_ status: PipelineStatus) -> HTTPResponse {
    let waiting = status.partitions.filter { $0.phase != .live }
    if status.partitions.isEmpty { return .text("not ready: no partition is assigned", status: 503) }
    if !waiting.isEmpty {
      let reasons = waiting.map { "partition \($0.partition) is \($0.phase.rawValue)" }
      return .text("not ready: \(reasons.joined(separator: ", "))", status: 503)
    }
    guard status.isWithinLag else {
      return .text("not ready: it catches up, \(status.lag) records behind", status: 503)
    }
    return .text("ready")
  }

  func statusValue(_ status: PipelineStatus) -> JSONText {
    let totals = status.totals
    var fields: [(key: String, value: JSONText)] = [
      ("version", .text(build.version)), ("models", .text(modelsVersion)), ("ready", .truth(status.isReady)),
      ("borrowers", .whole(status.borrowers)), ("state_bytes", .whole(status.stateBytes)),
      ("events_accepted", .whole(totals.eventsAccepted)), ("dead_letters", .whole(totals.recordsDeadLettered)),
      ("lag", .whole(status.lag)), ("alerts_published", .whole(status.recentAlertsTotal)),
      ("leads_published", .whole(status.recentLeadsTotal)),
      ("event_seconds", quantiles(totals.eventLatency)),
    ]
    if let control = pipeline.control {
      fields.append(
        (
          "control",
          .object(
            [("offset", .whole(control.end)), ("settings", .text(control.settingsID))]
              + (control.problem.map { [("problem", .text($0))] } ?? []))
        ))
    }
    let partitions = status.partitions.sorted { $0.partition < $1.partition }
    fields.append(("partitions", .list(partitions.map(Self.value))))
    return .object(fields)
  }

  var modelsVersion: String { pipeline.control?.models.version ?? build.modelsVersion }

  private func quantiles(_ histogram: LatencyHistogram) -> JSONText {
    .object([
      ("p50", .real(histogram.quantile(0.5) ?? .nan)), ("p99", .real(histogram.quantile(0.99) ?? .nan)),
    ])
  }

  static func value(_ one: PartitionStatus) -> JSONText {
    var fields: [(key: String, value: JSONText)] = [
      ("partition", .whole(one.partition)), ("worker", .whole(one.worker)), ("phase", .text(one.phase.rawValue)),
      ("borrowers", .whole(one.borrowers)), ("state_bytes", .whole(one.stateBytes)),
    ]
    if one.offset >= 0 { fields.append(("offset", .whole(one.offset))) }
    if let lag = one.lag { fields.append(("lag", .whole(lag))) }
    if one.watermark > .distantPast { fields.append(("watermark", .time(one.watermark))) }
    if let control = one.controlPosition { fields.append(("control", .whole(control))) }
    if !one.problem.isEmpty { fields.append(("problem", .text(one.problem))) }
    return .object(fields)
  }
}
