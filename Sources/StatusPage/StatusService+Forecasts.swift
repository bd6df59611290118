import Borrowers
import Pipeline
import Scoring

/// Makes the forecast of a period that was not published: platform, start, days.
public typealias ForecastOnDemand = @Sendable (Forecaster, [UInt8], EventTime, Int) -> RepaymentForecastRecord?

extension StatusService {
  /// `GET /v1/forecasts?platform=&start=&end=`: the newest forecasts published, of one platform where it is named; with a
  /// period, that period's: as published, else made from what is known now.
  func forecasts(_ request: HTTPRequest, _ status: PipelineStatus) -> HTTPResponse {
    guard let forecaster = status.forecaster else {
      return status.partitions.contains { $0.partition == 0 }
        ? .problem(503, "No forecast time has passed yet, or forecasts are being restored")
        : .problem(421, "Another instance makes the forecasts: the one that holds partition 0 of the input")
    }
    let platform = request.query["platform"].map { Array($0.utf8) }
    if let platform, !forecaster.platforms.contains(platform) {
      return .problem(404, "No loans of this platform are known")
    }
    let platforms = platform.map { [$0] } ?? forecaster.platforms
    guard request.query["start"] != nil || request.query["end"] != nil else {
      return Self.answer(
        status.forecasts.filter { platforms.contains($0.platform) }.sorted {
          $0.platform != $1.platform
            ? $0.platform.lexicographicallyPrecedes($1.platform) : $0.periodEnd < $1.periodEnd
        })
    }
    guard let start = Self.midnight(request.query["start"]), let end = Self.midnight(request.query["end"]),
      (1...92).contains((end - start) / EventTime.millisecondsPerDay)
    else { return .problem(400, "start and end are two dates, such as 2026-11-01, at most 92 days from each other") }
    let days = Int((end - start) / EventTime.millisecondsPerDay)
    var records: [RepaymentForecastRecord] = []
    for platform in platforms {
      let published = status.forecasts.last {
        $0.platform == platform && $0.periodStart == start && $0.periodEnd == end
      }
      if let record = published ?? sources.forecast(forecaster, platform, start, days) { records.append(record) }
    }
    guard !records.isEmpty else {
      return .problem(
        404, "A period begins within 92 days from the newest forecast time, \(forecaster.added.text), and needs a model"
      )
    }
    return Self.answer(records)
  }

  private static func answer(_ records: [RepaymentForecastRecord]) -> HTTPResponse {
    var body = ByteBuffer(capacity: 1_024)
    body.append("{\"forecasts\":[")
    for (index, record) in records.enumerated() {
      if index > 0 { body.append(",") }
      record.encode(.json, into: &body)
    }
    body.append("]}\n")
    return unsafe HTTPResponse(
      contentType: "application/json", body: String(decoding: body.bytes, as: UTF8.self))
  }

  /// A date, or its midnight as RFC 3339.
  private static func midnight(_ text: String?) -> EventTime? {
    guard let text, let time = EventTime(date: text) ?? EventTime(rfc3339: text), time >= .earliest, time < .end,
      time.milliseconds % EventTime.millisecondsPerDay == 0
    else { return nil }
    return time
  }
}
