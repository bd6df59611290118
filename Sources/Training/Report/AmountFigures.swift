/// All that a report says of forecast amounts or ratios against what came true; encodes into `metrics.json`.
struct AmountFigures: Encodable, Sendable {
  struct Group: Encodable, Sendable, Equatable {
    var rows: Int
    var meanForecast: Double
    var meanActual: Double
    /// Quantiles 0.1 and 0.9 of what came true.
    var actualLower: Double
    var actualUpper: Double
    /// Forecast less actual.
    var meanResidual: Double
    /// Share of everything that came true, that came true in this group.
    var actualShare: Double
  }

  struct Residuals: Encodable, Sendable, Equatable {
    /// Edges of bins of equal width, one more than shares; what lies outside counts in the outermost.
    var edges: [Double]
    var shares: [Double]
    /// Quantiles 0.05, 0.25, 0.5, 0.75 and 0.95 of forecast less actual.
    var quantiles: [Double]
  }

  /// Counts over forecast (columns) and actual (rows), both cut at the same edges.
  struct Density: Encodable, Sendable, Equatable {
    var edges: [Double]
    var counts: [[Int]]
  }

  struct GainPoint: Encodable, Sendable, Equatable {
    /// Share of rows, those forecast highest first, and of the amount that came true in them.
    var share: Double
    var amount: Double
  }

  var rows: Int
  var mae: Double
  var rmse: Double
  /// Sum of errors' sizes over the sum of what came true; nil where nothing did.
  var wape: Double?
  var normalizedGini: Double?
  var totalForecastOverActual: Double?
  /// By forecast, ascending, of as many rows each.
  var groups: [Group] = []
  var residuals = Residuals(edges: [], shares: [], quantiles: [])
  var density = Density(edges: [], counts: [])
  var gains: [GainPoint] = []

  enum CodingKeys: String, CodingKey {
    case rows, mae, rmse, wape, groups, residuals, density, gains
    case normalizedGini = "normalized_gini"
    case totalForecastOverActual = "total_forecast_over_actual"
  }

  init(_ forecasts: [Double], _ actual: [Double], groups wanted: Int = 10) {
    func finite(_ value: Double) -> Double? { value.isFinite ? value : nil }
    rows = actual.count
    mae = Metrics.meanAbsoluteError(forecasts, actual)
    rmse = Metrics.rootMeanSquaredError(forecasts, actual)
    wape = finite(Metrics.weightedAbsolutePercentageError(forecasts, actual))
    normalizedGini = finite(Metrics.normalizedGini(forecasts, actual))
    let total = actual.reduce(0, +)
    totalForecastOverActual = total > 0 ? finite(forecasts.reduce(0, +) / total) : nil
    guard rows > 0 else { return }
    let order = actual.indices.sorted { forecasts[$0] != forecasts[$1] ? forecasts[$0] < forecasts[$1] : $0 < $1 }
    addGroups(order, forecasts, actual, total, min(wanted, rows))
    addResiduals(zip(forecasts, actual).map { $0 - $1 })
    addDensity(forecasts, actual)
    addGains(order.reversed(), actual, total)
  }

  private mutating func addGroups(
    _ order: [Int], _ forecasts: [Double], _ actual: [Double], _ total: Double, _ count: Int
  ) {
    for group in 0..<count {
      let members = order[group * order.count / count..<(group + 1) * order.count / count]
      let size = Double(members.count)
      let came = members.map { actual[$0] }.sorted()
      let forecast = members.reduce(0) { $0 + forecasts[$1] } / size
      let sum = came.reduce(0, +)
      groups.append(
        Group(
          rows: members.count, meanForecast: forecast, meanActual: sum / size,
          actualLower: Metrics.quantile(came, 0.1), actualUpper: Metrics.quantile(came, 0.9),
          meanResidual: forecast - sum / size, actualShare: total > 0 ? sum / total : 0))
    }
  }

  private mutating func addResiduals(_ unordered: [Double]) {
    let ordered = unordered.sorted()
    let bins = 31
    // The middle 98 % wide, and 0 in the middle of the middle bin.
    let widest = max(abs(Metrics.quantile(ordered, 0.01)), abs(Metrics.quantile(ordered, 0.99)))
    let limit = widest > 0 ? widest : 1
    var counts = [Double](repeating: 0, count: bins)
    for residual in ordered {
      counts[min(max(Int((residual + limit) / (2 * limit) * Double(bins)), 0), bins - 1)] += 1
    }
    residuals = Residuals(
      edges: (0...bins).map { -limit + 2 * limit * Double($0) / Double(bins) },
      shares: counts.map { $0 / Double(ordered.count) },
      quantiles: [0.05, 0.25, 0.5, 0.75, 0.95].map { Metrics.quantile(ordered, $0) })
  }

  private mutating func addDensity(_ forecasts: [Double], _ actual: [Double]) {
    let bins = 24
    let high = Metrics.quantile((forecasts + actual).sorted(), 0.99)
    guard high > 0 else { return }
    var counts = [[Int]](repeating: [Int](repeating: 0, count: bins), count: bins)
    func bin(_ value: Double) -> Int { min(max(Int(value / high * Double(bins)), 0), bins - 1) }
    for (forecast, came) in zip(forecasts, actual) { counts[bin(came)][bin(forecast)] += 1 }
    density = Density(edges: (0...bins).map { high * Double($0) / Double(bins) }, counts: counts)
  }

  private mutating func addGains(_ descending: [Int], _ actual: [Double], _ total: Double) {
    guard total > 0 else { return }
    let stride = max(descending.count / 100, 1)
    gains = [GainPoint(share: 0, amount: 0)]
    var sum = 0.0
    for (index, row) in descending.enumerated() {
      sum += actual[row]
      guard (index + 1) % stride == 0 || index + 1 == descending.count else { continue }
      gains.append(GainPoint(share: Double(index + 1) / Double(descending.count), amount: sum / total))
    }
  }
}
