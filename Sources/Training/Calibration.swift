import Models

/// Beta calibration (Kull, Silva Filho and Flach 2017): the log-odds of what a score came to mean are
/// a ln s - b ln(1 - s) + c, with a and b not negative. It has three numbers to learn: isotonic regression follows chance
/// from pool to pool, and folds calibrated so no longer agree on the order of rows.
struct BetaCalibration: Equatable, Sendable {
  /// a, b and c.
  private(set) var low = 1.0
  private(set) var high = 1.0
  private(set) var intercept = 0.0

  /// Scores are held within these, where both logarithms are finite.
  static let bounds = 0.002...0.998
  /// How firmly a and b are held at 1, in rows: few rows leave scores as they are.
  private static let prior = 1.0

  /// By iteratively reweighted least squares. A row counts as many as its weight says.
  init(scores: [Double], labels: [Bool], weights: [Double]) {
    precondition(scores.count == labels.count && scores.count == weights.count && !scores.isEmpty)
    let logarithms = scores.map { score in
      let bounded = min(max(score, Self.bounds.lowerBound), Self.bounds.upperBound)
      return (low: logarithm(bounded), high: -logarithm(1 - bounded))
    }
    fit(logarithms, labels, weights, usesLow: true, usesHigh: true)
    // A negative one would turn the order about: it is left out, as the authors do, and then the other one fitted alone.
    guard low < 0 || high < 0 else { return }
    let keepsHigh = low < 0
    fit(logarithms, labels, weights, usesLow: !keepsHigh, usesHigh: keepsHigh)
    guard low < 0 || high < 0 else { return }
    fit(logarithms, labels, weights, usesLow: false, usesHigh: false)
  }

  private mutating func fit(
    _ logarithms: [(low: Double, high: Double)], _ labels: [Bool], _ weights: [Double], usesLow: Bool, usesHigh: Bool
  ) {
    var design: [Double] = []
    design.reserveCapacity(labels.count * 3)
    for (low, high) in logarithms { design += [1, usesLow ? low : 0, usesHigh ? high : 0] }
    // From the mean: Newton's steps may leave from anywhere else.
    let total = weights.reduce(0, +)
    let positives = zip(weights, labels).reduce(0) { $0 + ($1.1 ? $1.0 : 0) }
    intercept = logarithm((positives + 0.5) / (total - positives + 0.5))
    (low, high) = (0, 0)
    for _ in 0..<50 {
      var rowWeights = weights
      var targets = [Double](repeating: 0, count: labels.count)
      for (row, (low, high)) in logarithms.enumerated() {
        let p = logistic(intercept + self.low * low + self.high * high)
        let weight = max(p * (1 - p), 1e-5)
        // As what is to be added to a = b = 1, of which the prior is.
        let offset = (usesLow ? low : 0) + (usesHigh ? high : 0)
        let margin = intercept + self.low * low + self.high * high
        targets[row] = margin - offset + ((labels[row] ? 1 : 0) - p) / weight
        rowWeights[row] *= weight
      }
      let normal = NormalEquations(design, columns: 3, targets: targets, weights: rowWeights)
      guard let next = normal.solve(ridge: [1e-6, Self.prior, Self.prior]) else { return }
      let before = (intercept, low, high)
      intercept = next[0]
      if usesLow { low = 1 + next[1] }
      if usesHigh { high = 1 + next[2] }
      if abs(intercept - before.0) + abs(low - before.1) + abs(high - before.2) < 1e-9 { return }
    }
  }

  func callAsFunction(_ score: Double) -> Double {
    let bounded = min(max(score, Self.bounds.lowerBound), Self.bounds.upperBound)
    return logistic(intercept + low * logarithm(bounded) - high * logarithm(1 - bounded))
  }

  /// The same, linear between knots that lie evenly by log-odds, as it is served.
  var calibration: Calibration {
    let reach = logarithm(Self.bounds.upperBound / (1 - Self.bounds.upperBound))
    let x = (-50...50).map { logistic(reach * Double($0) / 50) }
    return .piecewise(x: x, y: x.map { self($0) })
  }
}

/// p = 1 / (1 + exp(-(slope x + intercept))), fitted by Newton's method on out-of-fold scores (Platt 1999, with his
/// smoothed targets).
struct Platt: Equatable, Sendable {
  var slope: Double
  var intercept: Double

  init(scores: [Double], labels: [Bool]) {
    let positives = Double(labels.count { $0 })
    let negatives = Double(labels.count) - positives
    let high = (positives + 1) / (positives + 2)
    let low = 1 / (negatives + 2)
    var a = 0.0
    var b = logarithm((positives + 1) / (negatives + 1))
    for _ in 0..<100 {
      var gradient = (a: 0.0, b: 0.0)
      var hessian = (aa: 1e-12, ab: 0.0, bb: 1e-12)
      for (x, label) in zip(scores, labels) {
        let p = logistic(a * x + b)
        let residual = (label ? high : low) - p
        let weight = p * (1 - p)
        gradient.a += residual * x
        gradient.b += residual
        hessian.aa += weight * x * x
        hessian.ab += weight * x
        hessian.bb += weight
      }
      let determinant = hessian.aa * hessian.bb - hessian.ab * hessian.ab
      guard determinant > 0 else { break }
      let step = (
        a: (hessian.bb * gradient.a - hessian.ab * gradient.b) / determinant,
        b: (hessian.aa * gradient.b - hessian.ab * gradient.a) / determinant
      )
      a += step.a
      b += step.b
      if abs(step.a) + abs(step.b) < 1e-10 { break }
    }
    slope = a
    intercept = b
  }

  func callAsFunction(_ score: Double) -> Double { logistic(slope * score + intercept) }
}
