import Models

/// Monotone maps of a forecast amount, over groups of rows with similar forecasts.
enum MoneyCalibration {
  /// To the mean of what was drawn: total forecast equals total actual on these rows, about.
  static func means(_ forecasts: [Double], _ actual: [Double]) -> Calibration {
    let groups = groups(forecasts)
    let points = groups.map { rows in
      (
        x: rows.reduce(0) { $0 + forecasts[$1] } / Double(rows.count),
        y: rows.reduce(0) { $0 + actual[$1] } / Double(rows.count), weight: Double(rows.count)
      )
    }
    let shape = monotone(points)
    // The straight lines between the points do not keep the total by themselves.
    let total = actual.reduce(0, +)
    let forecast = forecasts.reduce(0) { $0 + shape($1) }
    guard forecast > 0, total > 0, let y = shape.y, let x = shape.x else { return shape }
    return .piecewise(x: x, y: y.map { $0 * total / forecast }, beyond: .proportional)
  }

  /// To a quantile of what was drawn.
  static func quantiles(_ forecasts: [Double], _ actual: [Double], _ fraction: Double) -> Calibration {
    let groups = groups(forecasts)
    return monotone(
      groups.map { rows in
        (
          x: rows.reduce(0) { $0 + forecasts[$1] } / Double(rows.count),
          y: Metrics.quantile(rows.map { actual[$0] }.sorted(), fraction), weight: Double(rows.count)
        )
      })
  }

  /// Lower and upper bounds that held 80 % of what was drawn. Bounds by quantiles hold less on rows that they were not
  /// taken from, and more where many drew nothing and the lower bound is that nothing. So the quantiles are chosen by
  /// halves: those of one half that come nearest to 80 % on the other.
  static func interval(_ means: [Double], _ actual: [Double], halves: Folds) -> (lower: Calibration, upper: Calibration)
  {
    var best = (tail: 0.1, distance: Double.infinity)
    for tail in stride(from: 0.02, through: 0.21, by: 0.01) {
      var held = 0
      for half in 0..<2 {
        let learned = halves.training(half)
        let bounds = bounds(learned.map { means[$0] }, learned.map { actual[$0] }, tail: tail)
        held += halves.validation(half).count { row in
          actual[row] >= min(bounds.lower(means[row]), means[row])
            && actual[row] <= max(bounds.upper(means[row]), means[row])
        }
      }
      let distance = abs(Double(held) / Double(max(actual.count, 1)) - 0.8)
      if distance < best.distance { best = (tail, distance) }
    }
    return bounds(means, actual, tail: best.tail)
  }

  private static func bounds(
    _ means: [Double], _ actual: [Double], tail: Double
  ) -> (lower: Calibration, upper: Calibration) {
    (quantiles(means, actual, tail), quantiles(means, actual, 1 - tail))
  }

  /// Rows in order of forecast, cut into groups of about 100 and at most 24.
  private static func groups(_ forecasts: [Double]) -> [[Int]] {
    let order = forecasts.indices.sorted {
      forecasts[$0] != forecasts[$1] ? forecasts[$0] < forecasts[$1] : $0 < $1
    }
    let count = min(max(order.count / 100, 1), 24)
    return (0..<count).map { Array(order[$0 * order.count / count..<($0 + 1) * order.count / count]) }
  }

  /// Pools neighbours until neither coordinate falls, and starts at the origin.
  private static func monotone(_ points: [(x: Double, y: Double, weight: Double)]) -> Calibration {
    var pools: [(x: Double, y: Double, weight: Double)] = []
    for point in points {
      pools.append(point)
      while pools.count > 1 {
        let last = pools[pools.count - 1]
        let before = pools[pools.count - 2]
        guard before.y > last.y || before.x >= last.x else { break }
        let weight = before.weight + last.weight
        pools.removeLast()
        pools[pools.count - 1] = (
          (before.x * before.weight + last.x * last.weight) / weight,
          (before.y * before.weight + last.y * last.weight) / weight, weight
        )
      }
    }
    var x = pools.map(\.x)
    var y = pools.map { max($0.y, 0) }
    if let first = x.first, first > 0 {
      x.insert(0, at: 0)
      y.insert(0, at: 0)
    }
    return .piecewise(x: x, y: y, beyond: .proportional)
  }
}
