/// Measures of forecasts against what came true. All are exact (no binning of ranks), ties count half.
public enum Metrics {
  /// The area under the ROC curve: the chance that a positive is ranked above a negative. NaN where one class is missing.
  public static func areaUnderROC(_ scores: [Double], _ labels: [Bool]) -> Double {
    precondition(scores.count == labels.count)
    let order = ascending(scores)
    var rankSum = 0.0
    var start = 0
    while start < order.count {
      var end = start + 1
      while end < order.count, scores[order[end]] == scores[order[start]] { end += 1 }
      // The mean rank of a run of ties, ranks from 1.
      let rank = Double(start + end + 1) / 2
      for index in start..<end where labels[order[index]] { rankSum += rank }
      start = end
    }
    let positives = Double(labels.count { $0 })
    let negatives = Double(labels.count) - positives
    guard positives > 0, negatives > 0 else { return .nan }
    return (rankSum - positives * (positives + 1) / 2) / (positives * negatives)
  }

  /// The Kolmogorov-Smirnov statistic between the scores of positives and negatives.
  public static func kolmogorovSmirnov(_ scores: [Double], _ labels: [Bool]) -> Double {
    precondition(scores.count == labels.count)
    let positives = Double(labels.count { $0 })
    let negatives = Double(labels.count) - positives
    guard positives > 0, negatives > 0 else { return .nan }
    let order = ascending(scores)
    var largest = 0.0
    var seen = (positive: 0.0, negative: 0.0)
    for (index, row) in order.enumerated() {
      if labels[row] { seen.positive += 1 } else { seen.negative += 1 }
      if index + 1 == order.count || scores[order[index + 1]] != scores[row] {
        largest = max(largest, abs(seen.positive / positives - seen.negative / negatives))
      }
    }
    return largest
  }

  /// The mean squared error of probabilities.
  public static func brier(_ probabilities: [Double], _ labels: [Bool]) -> Double {
    precondition(probabilities.count == labels.count)
    guard !labels.isEmpty else { return .nan }
    var sum = 0.0
    for (p, label) in zip(probabilities, labels) { sum += (p - (label ? 1 : 0)) * (p - (label ? 1 : 0)) }
    return sum / Double(labels.count)
  }

  /// The mean negative log likelihood; probabilities are kept 1e-15 away from 0 and 1.
  public static func logLoss(_ probabilities: [Double], _ labels: [Bool]) -> Double {
    precondition(probabilities.count == labels.count)
    guard !labels.isEmpty else { return .nan }
    var sum = 0.0
    for (p, label) in zip(probabilities, labels) {
      let clipped = min(max(p, 1e-15), 1 - 1e-15)
      sum -= logarithm(label ? clipped : 1 - clipped)
    }
    return sum / Double(labels.count)
  }

  /// The expected calibration error over `bins` equally wide bins of probability, which hold their upper edge (Guo et al.,
  /// "On calibration of modern neural networks").
  public static func calibrationError(_ probabilities: [Double], _ labels: [Bool], bins: Int = 10) -> Double {
    precondition(probabilities.count == labels.count)
    guard !labels.isEmpty else { return .nan }
    var sums = [Double](repeating: 0, count: bins)
    var positives = [Double](repeating: 0, count: bins)
    for (p, label) in zip(probabilities, labels) {
      var bin = min(max(Int(p * Double(bins)), 0), bins - 1)
      if bin > 0, p <= Double(bin) / Double(bins) { bin -= 1 }
      sums[bin] += p
      positives[bin] += label ? 1 : 0
    }
    return zip(sums, positives).reduce(0) { $0 + abs($1.0 - $1.1) } / Double(labels.count)
  }

  /// The mean precision over the positives in order of score: the sum of precision times the step in recall, equal scores
  /// taken together. NaN where there is no positive.
  public static func averagePrecision(_ scores: [Double], _ labels: [Bool]) -> Double {
    precondition(scores.count == labels.count)
    let positives = Double(labels.count { $0 })
    guard positives > 0 else { return .nan }
    let order = Array(ascending(scores).reversed())
    var taken = 0.0
    var before = 0.0
    var sum = 0.0
    for (index, row) in order.enumerated() {
      if labels[row] { taken += 1 }
      guard index + 1 == order.count || scores[order[index + 1]] != scores[row] else { continue }
      sum += (taken - before) / positives * taken / Double(index + 1)
      before = taken
    }
    return sum
  }

  /// The population stability index of `actual` against `expected`, over `bins` bins that hold equal shares of `expected`:
  /// the sum of (a - e) ln(a / e). An empty bin counts as half a row. Under 0.1 little has moved, over 0.25 much.
  public static func populationStabilityIndex(expected: [Double], actual: [Double], bins: Int = 10) -> Double {
    guard !expected.isEmpty, !actual.isEmpty else { return .nan }
    let sorted = expected.sorted()
    let edges = Array(Set((1..<bins).map { quantile(sorted, Double($0) / Double(bins)) })).sorted()
    func shares(_ values: [Double]) -> [Double] {
      var counts = [Double](repeating: 0, count: edges.count + 1)
      for value in values {
        // Bins hold their upper edge.
        var (low, high) = (0, edges.count)
        while low < high {
          let middle = (low + high) / 2
          if edges[middle] < value { low = middle + 1 } else { high = middle }
        }
        counts[low] += 1
      }
      return counts.map { max($0, 0.5) / Double(values.count) }
    }
    return zip(shares(expected), shares(actual)).reduce(0) { $0 + ($1.1 - $1.0) * logarithm($1.1 / $1.0) }
  }

  /// The sum of the errors' sizes over the sum of what came true. NaN where that is 0.
  public static func weightedAbsolutePercentageError(_ forecasts: [Double], _ actual: [Double]) -> Double {
    precondition(forecasts.count == actual.count)
    let total = actual.reduce(0) { $0 + abs($1) }
    guard total > 0 else { return .nan }
    return zip(forecasts, actual).reduce(0) { $0 + abs($1.0 - $1.1) } / total
  }

  public static func rootMeanSquaredError(_ forecasts: [Double], _ actual: [Double]) -> Double {
    precondition(forecasts.count == actual.count)
    guard !actual.isEmpty else { return .nan }
    var sum = 0.0
    for (f, a) in zip(forecasts, actual) { sum += (f - a) * (f - a) }
    return (sum / Double(actual.count)).squareRoot()
  }

  public static func meanAbsoluteError(_ forecasts: [Double], _ actual: [Double]) -> Double {
    precondition(forecasts.count == actual.count)
    guard !actual.isEmpty else { return .nan }
    var sum = 0.0
    for (f, a) in zip(forecasts, actual) { sum += abs(f - a) }
    return sum / Double(actual.count)
  }

  /// The Gini coefficient of the actual amounts ordered by forecast, over that of the perfect order.
  public static func normalizedGini(_ forecasts: [Double], _ actual: [Double]) -> Double {
    precondition(forecasts.count == actual.count)
    let perfect = concentration(actual, actual)
    return perfect == 0 ? .nan : concentration(forecasts, actual) / perfect
  }

  private static func concentration(_ scores: [Double], _ actual: [Double]) -> Double {
    let total = actual.reduce(0, +)
    guard total != 0, !actual.isEmpty else { return 0 }
    let order = Array(ascending(scores).reversed())
    var cumulative = 0.0
    var area = 0.0
    var start = 0
    while start < order.count {
      var end = start
      var tied = 0.0
      while end < order.count, scores[order[end]] == scores[order[start]] {
        tied += actual[order[end]]
        end += 1
      }
      // Rows of equal score share what they hold, whatever their order.
      let count = Double(end - start)
      area += (count * cumulative + tied * (count + 1) / 2) / total
      cumulative += tied
      start = end
    }
    return area / Double(actual.count) - Double(actual.count + 1) / (2 * Double(actual.count))
  }

  /// Rows by score, equal scores in row order.
  private static func ascending(_ scores: [Double]) -> [Int] {
    scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] < scores[$1] : $0 < $1 }
  }

  /// The `fraction` quantile of ascending values, linear between neighbours.
  public static func quantile(_ ascending: [Double], _ fraction: Double) -> Double {
    guard let last = ascending.last else { return .nan }
    let position = min(max(fraction, 0), 1) * Double(ascending.count - 1)
    let index = Int(position)
    guard index + 1 < ascending.count else { return last }
    return ascending[index] + (position - Double(index)) * (ascending[index + 1] - ascending[index])
  }
}

/// The measures of a probability forecast on one set of rows.
public struct ClassificationMetrics: Codable, Equatable, Sendable {
  public var rows: Int
  public var positives: Int
  /// Absent where one class is missing.
  public var auc: Double?
  public var gini: Double?
  public var ks: Double?
  public var brier: Double?
  public var logLoss: Double?
  /// Expected calibration error over ten bins.
  public var ece: Double?

  enum CodingKeys: String, CodingKey {
    case rows, positives, auc, gini, ks, brier, ece
    case logLoss = "log_loss"
  }

  public init(probabilities: [Double], labels: [Bool]) {
    func finite(_ value: Double) -> Double? { value.isFinite ? value : nil }
    rows = labels.count
    positives = labels.count { $0 }
    auc = finite(Metrics.areaUnderROC(probabilities, labels))
    gini = auc.map { 2 * $0 - 1 }
    ks = finite(Metrics.kolmogorovSmirnov(probabilities, labels))
    brier = finite(Metrics.brier(probabilities, labels))
    logLoss = finite(Metrics.logLoss(probabilities, labels))
    ece = finite(Metrics.calibrationError(probabilities, labels))
  }
}
