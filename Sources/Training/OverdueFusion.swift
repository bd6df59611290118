import Models

/// Weights of the members' probabilities: least squares with no negative weight and a free intercept.
struct Fusion: Sendable {
  var intercept: Double
  var weights: [Double]

  init(_ columns: [[Double]], _ labels: [Bool]) {
    let rows = labels.count
    var design: [Double] = []
    design.reserveCapacity(rows * (columns.count + 1))
    for row in 0..<rows {
      design.append(1)
      for column in columns { design.append(column[row]) }
    }
    let normal = NormalEquations(design, columns: columns.count + 1, targets: labels.map { $0 ? 1 : 0 })
    let solution = normal.solveNonNegative(constrained: [false] + columns.map { _ in true })
    intercept = solution[0]
    weights = Array(solution.dropFirst())
    // One class forecast alike for everybody leaves no weight: the members then count the same.
    if weights.allSatisfy({ $0 <= 0 }) {
      intercept = 0
      weights = columns.map { _ in 1 / Double(columns.count) }
    }
  }

  func apply(_ columns: [[Double]]) -> [Double] {
    columns[0].indices.map { row in
      var sum = intercept
      for (weight, column) in zip(weights, columns) { sum += weight * column[row] }
      return sum
    }
  }
}

extension Isotonic {
  var calibration: Calibration { .piecewise(x: scores, y: probabilities) }

  /// What all states right after events weigh together, those at midnights weighing 1.
  static let servedWeight = 0.25

  /// Of fused scores at midnights, and right after events where there are such: pools of at least a sixtieth of the rows.
  static func overdue(
    _ fused: [Double], _ labels: [Bool], served: [Double] = [], _ servedLabels: [Bool] = []
  ) -> Calibration {
    let weight = servedWeight * Double(labels.count) / Double(max(servedLabels.count, 1))
    return Isotonic(
      scores: fused + served, labels: labels + servedLabels,
      weights: labels.map { _ in 1 } + servedLabels.map { _ in min(weight, 1) },
      minimumRows: max(20, labels.count / 60)
    ).calibration
  }
}

/// Forecasts of all rows by one variant's members, none of which saw the row's borrower, and what they are fused to.
struct OverdueOutOfFold: Sendable {
  var variant: OverdueTraining.Variant
  /// Of the rows at midnights, and of those right after events.
  var probabilities: [OverdueMember: [Double]] = [:]
  var servedProbabilities: [OverdueMember: [Double]] = [:]
  var lengths: [OverdueMember: Int] = [:]
  var curves: [LearningCurve] = []
  /// What serves: learned on all rows.
  var fusion = Fusion([[0, 1]], [false, true])
  var calibration = Calibration.identity
  /// What is measured: each fold by a fusion and a calibration that were learned on the other folds.
  var fused: [Double] = []
  var servedFused: [Double] = []
  /// The same, calibrated on midnights alone.
  var midnightFused: [Double] = []

  init(variant: OverdueTraining.Variant, rows: Int, servedRows: Int) {
    self.variant = variant
    for member in OverdueMember.allCases {
      probabilities[member] = [Double](repeating: 0, count: rows)
      servedProbabilities[member] = [Double](repeating: 0, count: servedRows)
    }
  }

  /// In the members' order.
  var columns: [[Double]] { OverdueMember.allCases.map { probabilities[$0]! } }
  var servedColumns: [[Double]] { OverdueMember.allCases.map { servedProbabilities[$0]! } }

  mutating func fuse(_ training: OverdueTraining) {
    let columns = self.columns
    let served = servedColumns
    let labels = training.labels
    fusion = Fusion(columns, labels)
    calibration = Isotonic.overdue(
      fusion.apply(columns), labels, served: fusion.apply(served), training.servedLabels)
    fused = [Double](repeating: 0, count: labels.count)
    midnightFused = fused
    servedFused = [Double](repeating: 0, count: training.servedLabels.count)
    for fold in 0..<OverdueTraining.folds {
      let others = training.folds.training(fold)
      let held = training.folds.validation(fold)
      let servedOthers = training.servedFolds.indices.filter { training.servedFolds[$0] != fold }
      let servedHeld = training.servedFolds.indices.filter { training.servedFolds[$0] == fold }
      func taking(_ columns: [[Double]], _ rows: [Int]) -> [[Double]] {
        columns.map { column in rows.map { column[$0] } }
      }
      let known = others.map { labels[$0] }
      let fusion = Fusion(taking(columns, others), known)
      let scores = fusion.apply(taking(columns, others))
      let both = Isotonic.overdue(
        scores, known, served: fusion.apply(taking(served, servedOthers)),
        servedOthers.map { training.servedLabels[$0] })
      let midnight = Isotonic.overdue(scores, known)
      for (row, score) in zip(held, fusion.apply(taking(columns, held))) {
        fused[row] = both(score)
        midnightFused[row] = midnight(score)
      }
      for (row, score) in zip(servedHeld, fusion.apply(taking(served, servedHeld))) { servedFused[row] = both(score) }
    }
  }
}

/// Everything that was measured, and what is served of it.
struct OverdueResults: Sendable {
  var plain: OverdueOutOfFold
  var enlarged: OverdueOutOfFold?
  /// What the adversarial network gained in log loss.
  var gain: PairedInterval?
  var isEnlargementKept = false
  var proofs: [OverdueFoldProof] = []
  /// The chosen variant with no bound on the time of a score, and without constraints.
  var unbounded: OverdueOutOfFold?
  var unconstrained: OverdueOutOfFold?

  init(plain: OverdueOutOfFold) { self.plain = plain }

  var chosen: OverdueOutOfFold { isEnlargementKept ? enlarged ?? plain : plain }

  mutating func decide(_ training: OverdueTraining) {
    guard let enlarged else { return }
    let gain = PairedInterval.logLoss(enlarged.fused, over: plain.fused, training.labels, training.borrowers)
    self.gain = gain
    isEnlargementKept = training.settings.gan == .always || gain.lower > 0
  }

  /// The member of the chosen variant with the largest area under the curve, and how far the fusion is above it.
  func overBestMember(_ training: OverdueTraining) -> (
    member: OverdueMember, area: PairedInterval, loss: PairedInterval
  ) {
    let chosen = chosen
    let areas = OverdueMember.allCases.map { Metrics.areaUnderROC(chosen.probabilities[$0]!, training.labels) }
    var best = 0
    for index in areas.indices where areas[index] > areas[best] { best = index }
    let member = OverdueMember.allCases[best]
    let probabilities = chosen.probabilities[member]!
    return (
      member,
      .areaUnderROC(chosen.fused, over: probabilities, training.labels, training.borrowers),
      .logLoss(chosen.fused, over: probabilities, training.labels, training.borrowers)
    )
  }
}
