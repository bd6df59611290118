/// The difference between two forecasts of the same rows with its 95 % interval. Rows of one borrower count as one draw:
/// what happens to a borrower at one date tells of the others.
struct PairedInterval: Codable, Equatable, Sendable {
  /// How much better the first is than the second; above 0 is better whatever the measure.
  var gain: Double
  var lower: Double
  var upper: Double

  /// `sums`: each borrower's share of the gain, which is their sum plus `center`.
  private init(gain: Double, influences: [Double], borrowers: [UInt64]) {
    var sums: [UInt64: Double] = [:]
    for (influence, borrower) in zip(influences, borrowers) { sums[borrower, default: 0] += influence }
    // In a fixed order, so that the sum has the same bits each time.
    let variance = sums.sorted { $0.key < $1.key }.reduce(0.0) { $0 + $1.value * $1.value }
    let reach = 1.959963984540054 * variance.squareRoot()
    self.gain = gain
    lower = gain - reach
    upper = gain + reach
  }

  /// Of a loss that is a mean over rows: `losses` of the first and the second.
  init(losses first: [Double], over second: [Double], borrowers: [UInt64]) {
    precondition(first.count == second.count && first.count == borrowers.count && !first.isEmpty)
    let rows = Double(first.count)
    let gain = zip(first, second).reduce(0) { $0 + ($1.1 - $1.0) } / rows
    self.init(
      gain: gain, influences: zip(first, second).map { ($1 - $0 - gain) / rows }, borrowers: borrowers)
  }

  /// The mean negative log likelihood.
  static func logLoss(
    _ first: [Double], over second: [Double], _ labels: [Bool], _ borrowers: [UInt64]
  ) -> PairedInterval {
    func losses(_ probabilities: [Double]) -> [Double] {
      zip(probabilities, labels).map { p, label in
        let clipped = min(max(p, 1e-15), 1 - 1e-15)
        return -logarithm(label ? clipped : 1 - clipped)
      }
    }
    return PairedInterval(losses: losses(first), over: losses(second), borrowers: borrowers)
  }

  static func brier(
    _ first: [Double], over second: [Double], _ labels: [Bool], _ borrowers: [UInt64]
  ) -> PairedInterval {
    func losses(_ probabilities: [Double]) -> [Double] {
      zip(probabilities, labels).map { ($0 - ($1 ? 1 : 0)) * ($0 - ($1 ? 1 : 0)) }
    }
    return PairedInterval(losses: losses(first), over: losses(second), borrowers: borrowers)
  }

  /// The area under the ROC curve (DeLong et al. 1988, their structural components summed by borrower). Zero where a class
  /// is missing.
  static func areaUnderROC(
    _ first: [Double], over second: [Double], _ labels: [Bool], _ borrowers: [UInt64]
  ) -> PairedInterval {
    guard let a = Components(first, labels), let b = Components(second, labels) else {
      return PairedInterval(gain: 0, influences: [], borrowers: [])
    }
    return PairedInterval(
      gain: a.area - b.area, influences: zip(a.influences, b.influences).map { $0 - $1 }, borrowers: borrowers)
  }

  /// What each row does to the area under the curve.
  private struct Components {
    var area = 0.0
    var influences: [Double] = []

    init?(_ scores: [Double], _ labels: [Bool]) {
      let positives = labels.indices.filter { labels[$0] }
      let negatives = labels.indices.filter { !labels[$0] }
      guard !positives.isEmpty, !negatives.isEmpty else { return nil }
      let all = Self.ranks(scores, Array(scores.indices))
      influences = [Double](repeating: 0, count: scores.count)
      // Of a positive, the share of negatives below it; of a negative, that of positives above it.
      for (row, rank) in zip(positives, Self.ranks(scores, positives)) {
        influences[row] = (all[row] - rank) / Double(negatives.count)
        area += influences[row] / Double(positives.count)
      }
      for (row, rank) in zip(negatives, Self.ranks(scores, negatives)) {
        influences[row] = 1 - (all[row] - rank) / Double(positives.count)
      }
      for row in scores.indices {
        influences[row] = (influences[row] - area) / Double(labels[row] ? positives.count : negatives.count)
      }
    }

    /// Of each of `rows` among them, from 1, ties at their mean.
    private static func ranks(_ scores: [Double], _ rows: [Int]) -> [Double] {
      let order = rows.indices.sorted { scores[rows[$0]] < scores[rows[$1]] }
      var ranks = [Double](repeating: 0, count: rows.count)
      var start = 0
      while start < order.count {
        var end = start + 1
        while end < order.count, scores[rows[order[end]]] == scores[rows[order[start]]] { end += 1 }
        for index in start..<end { ranks[order[index]] = Double(start + end + 1) / 2 }
        start = end
      }
      return ranks
    }
  }

  /// Named figures.
  func figures(_ name: String) -> [String: Double] {
    [name + ".gain": gain, name + ".lower": lower, name + ".upper": upper]
  }

  /// `+0.0012 (0.0003 to 0.0021)`.
  var text: String {
    func rounded(_ value: Double) -> String {
      let scaled = (value * 100_000).rounded() / 100_000
      return (scaled > 0 ? "+" : "") + "\(scaled)"
    }
    return "\(rounded(gain)) (\(rounded(lower)) to \(rounded(upper)))"
  }
}
