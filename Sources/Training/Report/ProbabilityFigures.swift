/// All that a report says of probabilities against what came true; encodes into `metrics.json`.
struct ProbabilityFigures: Encodable, Sendable {
  /// A place on a curve; encodes as `[x, y]`.
  struct Point: Encodable, Sendable, Equatable {
    var x: Double
    var y: Double
    func encode(to encoder: any Encoder) throws {
      var container = encoder.unkeyedContainer()
      try container.encode(x)
      try container.encode(y)
    }
  }

  struct CalibrationBin: Encodable, Sendable, Equatable {
    var rows: Int
    var meanForecast: Double
    var observed: Double
    /// 95 %, by Wilson's score.
    var observedLower: Double
    var observedUpper: Double
  }

  struct LiftRow: Encodable, Sendable, Equatable {
    /// Share of rows, those forecast highest first.
    var share: Double
    var rows: Int
    /// The lowest forecast among them.
    var threshold: Double
    /// Share of positives among them.
    var precision: Double
    /// Share of all positives that are among them.
    var recall: Double
    /// Precision over the share of positives in all rows.
    var lift: Double
  }

  struct Distribution: Encodable, Sendable, Equatable {
    /// Bins of equal width over 0...1; shares of each class.
    var positives: [Double]
    var negatives: [Double]
  }

  var metrics: ClassificationMetrics
  var averagePrecision: Double?
  var roc: [Point] = []
  var precisionRecall: [Point] = []
  /// Cumulative shares of positives and negatives by forecast, and where they lie furthest apart.
  var cumulativePositives: [Point] = []
  var cumulativeNegatives: [Point] = []
  var ksAt: Double?
  var calibration: [CalibrationBin] = []
  var lift: [LiftRow] = []
  var distribution = Distribution(positives: [], negatives: [])

  enum CodingKeys: String, CodingKey {
    case metrics, roc, calibration, lift, distribution
    case averagePrecision = "average_precision"
    case precisionRecall = "precision_recall"
    case cumulativePositives = "cumulative_positives"
    case cumulativeNegatives = "cumulative_negatives"
    case ksAt = "ks_at"
  }

  private static let pointsMax = 160
  static let liftShares = [0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1]

  init(_ probabilities: [Double], _ labels: [Bool]) {
    metrics = ClassificationMetrics(probabilities: probabilities, labels: labels)
    guard metrics.positives > 0, metrics.positives < metrics.rows else { return }
    averagePrecision = Metrics.averagePrecision(probabilities, labels)
    let order = labels.indices.sorted {
      probabilities[$0] != probabilities[$1] ? probabilities[$0] > probabilities[$1] : $0 < $1
    }
    addCurves(order, probabilities, labels)
    addCalibration(order.reversed(), probabilities, labels)
    addLift(order, probabilities, labels)
    addDistribution(probabilities, labels)
  }

  private mutating func addCurves(_ order: [Int], _ probabilities: [Double], _ labels: [Bool]) {
    let positives = Double(metrics.positives)
    let negatives = Double(metrics.rows - metrics.positives)
    roc = [Point(x: 0, y: 0)]
    var taken = (positives: 0.0, negatives: 0.0)
    var widest = -1.0
    // One place for each distinct forecast, thinned out to what an eye can tell apart.
    var lastShown = 0
    let stride = max(order.count / Self.pointsMax, 1)
    for (index, row) in order.enumerated() {
      if labels[row] { taken.positives += 1 } else { taken.negatives += 1 }
      let isLast = index + 1 == order.count
      guard isLast || probabilities[order[index + 1]] != probabilities[row] else { continue }
      let (truly, falsely) = (taken.positives / positives, taken.negatives / negatives)
      if abs(truly - falsely) > widest {
        widest = abs(truly - falsely)
        ksAt = probabilities[row]
      }
      // The first hundredth is where precision moves most.
      guard isLast || index - lastShown >= (index < order.count / 50 ? max(stride / 10, 1) : stride) else { continue }
      lastShown = index
      roc.append(Point(x: falsely, y: truly))
      precisionRecall.append(Point(x: truly, y: taken.positives / Double(index + 1)))
      // Of those below the next forecast: what is not taken yet.
      cumulativePositives.append(Point(x: probabilities[row], y: 1 - truly))
      cumulativeNegatives.append(Point(x: probabilities[row], y: 1 - falsely))
    }
    cumulativePositives.reverse()
    cumulativeNegatives.reverse()
  }

  /// Up to twenty bins of as many rows each.
  private mutating func addCalibration(_ ascending: [Int], _ probabilities: [Double], _ labels: [Bool]) {
    let bins = min(20, max(1, ascending.count / 25))
    for bin in 0..<bins {
      let rows = ascending[bin * ascending.count / bins..<(bin + 1) * ascending.count / bins]
      guard !rows.isEmpty else { continue }
      let count = Double(rows.count)
      let positives = Double(rows.count { labels[$0] })
      let interval = Metrics.wilson(positives: positives, rows: count)
      calibration.append(
        CalibrationBin(
          rows: rows.count, meanForecast: rows.reduce(0) { $0 + probabilities[$1] } / count,
          observed: positives / count, observedLower: interval.lower, observedUpper: interval.upper))
    }
  }

  private mutating func addLift(_ order: [Int], _ probabilities: [Double], _ labels: [Bool]) {
    let rate = Double(metrics.positives) / Double(metrics.rows)
    for share in Self.liftShares {
      let count = max(Int((share * Double(order.count)).rounded()), 1)
      let positives = Double(order.prefix(count).count { labels[$0] })
      let precision = positives / Double(count)
      lift.append(
        LiftRow(
          share: share, rows: count, threshold: probabilities[order[count - 1]], precision: precision,
          recall: positives / Double(metrics.positives), lift: precision / rate))
    }
  }

  private mutating func addDistribution(_ probabilities: [Double], _ labels: [Bool]) {
    let bins = 25
    var counts = (positives: [Double](repeating: 0, count: bins), negatives: [Double](repeating: 0, count: bins))
    for (probability, label) in zip(probabilities, labels) {
      let bin = min(max(Int(probability * Double(bins)), 0), bins - 1)
      if label { counts.positives[bin] += 1 } else { counts.negatives[bin] += 1 }
    }
    distribution = Distribution(
      positives: counts.positives.map { $0 / Double(metrics.positives) },
      negatives: counts.negatives.map { $0 / Double(metrics.rows - metrics.positives) })
  }
}

extension Metrics {
  /// The 95 % score interval of a share (Wilson 1927).
  static func wilson(positives: Double, rows: Double) -> (lower: Double, upper: Double) {
    guard rows > 0 else { return (0, 1) }
    let z = 1.959963984540054
    let share = positives / rows
    let middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    let half = z * (share * (1 - share) / rows + z * z / (4 * rows * rows)).squareRoot() / (1 + z * z / rows)
    return (max(middle - half, 0), min(middle + half, 1))
  }
}
