import Features
import Models

/// Chooses and standardises what a linear model or a network reads, from training rows alone.
struct InputFitting: Sendable {
  let inputs: FeatureInputs
  let means: [Float]
  let scales: [Float]

  /// Columns that are always missing or constant are left out. Of a skewed one the signed logarithm is taken. A column
  /// that is missing now and then gets an indicator, once for all columns that are missing together. With `ranked`
  /// columns, only the first `limit` of them are read: what is read has to be standardised at every event. Without
  /// `takesLogarithms` columns are read as they are: a linear model then goes on where a target follows one of them.
  init(_ matrix: FeatureMatrix, ranked: [Int]? = nil, limit: Int = .max, takesLogarithms: Bool = true) {
    let wanted = ranked.map { Set($0.prefix(limit)) }
    var features: [Int] = []
    var logarithmic: [Int] = []
    var indicators: [Int] = []
    var means: [Float] = []
    var scales: [Float] = []
    var patterns: Set<UInt64> = []
    for column in 0..<matrix.columns where wanted?.contains(column) ?? true {
      var summary = ColumnSummary(matrix, column)
      guard summary.count > 0, summary.deviation > 1e-6 * max(1, abs(summary.mean)) else { continue }
      features.append(column)
      if takesLogarithms, summary.isSkewed {
        let logged = ColumnSummary(matrix, column) { $0 < 0 ? -logarithm(1 - $0) : logarithm(1 + $0) }
        if abs(logged.skewness) < abs(summary.skewness), logged.deviation > 1e-6 {
          logarithmic.append(column)
          summary = logged
        }
      }
      means.append(Float(summary.mean))
      scales.append(Float(summary.deviation))
      let missing = matrix.rows - summary.count
      if missing * 200 > matrix.rows, patterns.insert(summary.missingPattern).inserted { indicators.append(column) }
    }
    inputs = FeatureInputs(features: features, logarithmic: logarithmic, missingIndicators: indicators)
    self.means = means
    self.scales = scales
  }

  func standardizer() throws(TrainingError) -> InputStandardizer {
    do throws(ModelError) {
      return try InputStandardizer(
        inputs, means: means, scales: scales, catalogueCount: FeatureCatalogue.count, file: "training")
    } catch {
      throw TrainingError(.failed, "\(error)")
    }
  }

  /// Rows as the model reads them: `inputs.count` numbers each, by the code that serves.
  func standardize(_ matrix: FeatureMatrix) throws(TrainingError) -> [Float] {
    let standardizer = try standardizer()
    var row = [Float](repeating: 0, count: standardizer.capacity)
    var values: [Float] = []
    values.reserveCapacity(matrix.rows * inputs.count)
    unsafe matrix.values.withUnsafeBufferPointer { features in
      unsafe row.withUnsafeMutableBufferPointer { scratch in
        for index in 0..<matrix.rows {
          unsafe standardizer.fill(features.baseAddress! + index * matrix.columns, into: scratch.baseAddress!)
          unsafe values.append(contentsOf: scratch[0..<inputs.count])
        }
      }
    }
    return values
  }

  var tensors: [Tensor] { [Tensor(name: "features.mean", means), Tensor(name: "features.scale", scales)] }
}

/// Moments of a column's values that are there.
private struct ColumnSummary {
  var count = 0
  var mean = 0.0
  var deviation = 0.0
  var skewness = 0.0
  var smallest = Double.infinity
  /// Names the set of rows where it is missing.
  var missingPattern: UInt64 = 0

  /// Beyond what a uniform or a bell-shaped column shows.
  var isSkewed: Bool { abs(skewness) > 1.5 }

  init(_ matrix: FeatureMatrix, _ column: Int, _ transform: (Double) -> Double = { $0 }) {
    var sums = (0.0, 0.0, 0.0)
    // A first value as origin keeps the moments exact enough.
    var origin: Double?
    for row in 0..<matrix.rows {
      let value = matrix[row, column]
      guard value.isFinite else {
        missingPattern = (missingPattern ^ UInt64(row &+ 1)) &* 0x9E37_79B9_7F4A_7C15
        missingPattern ^= missingPattern >> 29
        continue
      }
      let x = transform(Double(value))
      if origin == nil { origin = x }
      let d = x - origin!
      count += 1
      smallest = min(smallest, x)
      sums.0 += d
      sums.1 += d * d
      sums.2 += d * d * d
    }
    guard count > 0 else { return }
    let n = Double(count)
    let m = sums.0 / n
    mean = origin! + m
    let variance = max(sums.1 / n - m * m, 0)
    deviation = variance.squareRoot()
    guard deviation > 0 else { return }
    let third = sums.2 / n - 3 * m * sums.1 / n + 2 * m * m * m
    skewness = third / (variance * deviation)
  }
}
