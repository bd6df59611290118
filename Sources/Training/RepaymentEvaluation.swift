import Borrowers
import Features
import History
import Models

/// The figures of the repayment model that serves, on a history: forecasts from every fifth day on, for the periods that
/// training measures, against what came true.
struct RepaymentReport: Encodable, Sendable {
  var version: String
  /// What the model names itself in forecasts: its version, or a baseline.
  var forecastVersion: String
  var platforms: Int
  var origins: Int
  /// WAPE by length of the period (`wape_30d`, `wape_30d_after_30d`), and their mean, `wape`.
  var figures: [String: Double]

  enum CodingKeys: String, CodingKey {
    case version
    case forecastVersion = "forecast_version"
    case platforms, origins, figures
  }

  /// Nil where the history leaves nothing to measure.
  init?(
    _ model: RepaymentModel, _ history: EventHistory, observedThrough: EventTime, industry: [IndustryIndicator]
  ) throws(TrainingError) {
    let end = EventTime.day(observedThrough)
    let ledger = try RepaymentLedger(
      history, before: EventTime(milliseconds: Int64(end) * EventTime.millisecondsPerDay))
    var points = IndustryHistory()
    for one in industry { _ = points.set(series: one.series, day: EventTime.day(one.date), value: one.value) }
    var workspace = ModelWorkspace()
    var sums: [String: (error: Double, actual: Double)] = [:]
    var origins = 0
    var within = 0
    var measured = 0
    let names = ledger.names
    for name in names {
      guard let first = ledger.firstDay(ofPlatform: name), first < end else { continue }
      let repaid = ledger.repaid(platform: name, from: first, to: end)
      ledger.walk(platform: name, through: end) { asOf, series in
        guard asOf >= first + RepaymentExamples.knownMin, (end - asOf) % RepaymentExamples.originStep == 0 else {
          return
        }
        let outlook = RepaymentOutlook(series, points, asOf: asOf)
        var isMeasured = false
        for (offset, days) in RepaymentExamples.measured where asOf + offset + days <= end {
          let forecast = model.forecast(outlook, offset: offset, days: days, &workspace)
          let start = asOf + offset - first
          let actual = repaid[start..<start + days].reduce(0, +)
          let key = RepaymentExamples.name(offset: offset, days: days)
          sums[key, default: (0, 0)].error += abs(forecast.expected - actual)
          sums[key, default: (0, 0)].actual += actual
          if actual >= forecast.lower && actual <= forecast.upper { within += 1 }
          measured += 1
          isMeasured = true
        }
        if isMeasured { origins += 1 }
      }
    }
    let known = sums.filter { $0.value.actual > 0 }.mapValues { $0.error / $0.actual }
    guard !known.isEmpty else { return nil }
    version = model.version
    forecastVersion = model.forecastVersion
    platforms = names.count
    self.origins = origins
    figures = known
    // In a fixed order, so that the sum is the same each time.
    figures["wape"] = known.sorted { $0.key < $1.key }.reduce(0) { $0 + $1.value } / Double(known.count)
    figures["origins"] = Double(origins)
    if origins >= RepaymentTraining.originsMin { figures["coverage_80"] = Double(within) / Double(measured) }
  }
}

extension RepaymentExamples {
  /// Of a measured period's WAPE.
  static func name(offset: Int, days: Int) -> String { "wape_\(days)d" + (offset > 0 ? "_after_\(offset)d" : "") }
}
