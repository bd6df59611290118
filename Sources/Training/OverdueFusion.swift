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

extension BetaCalibration {
  /// What all states right after events weigh together, those at midnights weighing 1.
  static let servedWeight = 0.25

  /// Of fused scores at midnights, and right after events where there are such.
  static func overdue(
    _ fused: [Double], _ labels: [Bool], served: [Double] = [], _ servedLabels: [Bool] = []
  ) -> Calibration {
    let weight = servedWeight * Double(labels.count) / Double(max(servedLabels.count, 1))
    return BetaCalibration(
      scores: fused + served, labels: labels + servedLabels,
      weights: labels.map { _ in 1 } + servedLabels.map { _ in min(weight, 1) }
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
  /// Whether calibration is of states right after events too.
  var calibratesOnEvents = false
  /// What is measured: each fold by a fusion and a calibration that were learned on the other folds.
  var measured = Measured()
  /// The same with the calibration that is not served: of midnights alone, or of states right after events too.
  var otherwise = Measured()

  struct Measured: Sendable {
    /// At midnights, and right after events.
    var fused: [Double] = []
    var served: [Double] = []
  }

  var fused: [Double] { measured.fused }
  var servedFused: [Double] { measured.served }

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

  /// Where borrowers right after events are unlike those at midnights (one date of a monthly timetable, say), one
  /// calibration of both would be of neither: then it is of midnights, on which members are trained. `onEvents` nil decides
  /// it here; of variants that are compared, the first decides for all.
  mutating func fuse(_ training: OverdueTraining, onEvents: Bool?) {
    fusion = Fusion(columns, training.labels)
    let alone = crossFitted(training, onEvents: false)
    let both = training.servedLabels.isEmpty ? alone : crossFitted(training, onEvents: true)
    let positives = Double(training.labels.count { $0 })
    let shift = abs(both.fused.reduce(0, +) / positives - 1)
    calibratesOnEvents = onEvents ?? (!training.servedLabels.isEmpty && shift <= Self.calibrationTolerance)
    (measured, otherwise) = calibratesOnEvents ? (both, alone) : (alone, both)
    calibration = BetaCalibration.overdue(
      fusion.apply(columns), training.labels, served: calibratesOnEvents ? fusion.apply(servedColumns) : [],
      calibratesOnEvents ? training.servedLabels : [])
  }

  /// How far a calibration of midnights and states right after events together may move the total of midnights.
  static let calibrationTolerance = 0.02

  private func crossFitted(_ training: OverdueTraining, onEvents: Bool) -> Measured {
    let columns = self.columns
    let served = servedColumns
    func taking(_ columns: [[Double]], _ rows: [Int]) -> [[Double]] {
      columns.map { column in rows.map { column[$0] } }
    }
    var measured = Measured(
      fused: [Double](repeating: 0, count: training.labels.count),
      served: [Double](repeating: 0, count: training.servedLabels.count))
    for fold in 0..<OverdueTraining.folds {
      let others = training.folds.training(fold)
      let held = training.folds.validation(fold)
      let servedOthers = onEvents ? training.servedFolds.indices.filter { training.servedFolds[$0] != fold } : []
      let servedHeld = training.servedFolds.indices.filter { training.servedFolds[$0] == fold }
      let known = others.map { training.labels[$0] }
      let fusion = Fusion(taking(columns, others), known)
      let calibration = BetaCalibration.overdue(
        fusion.apply(taking(columns, others)), known, served: fusion.apply(taking(served, servedOthers)),
        servedOthers.map { training.servedLabels[$0] })
      for (row, score) in zip(held, fusion.apply(taking(columns, held))) { measured.fused[row] = calibration(score) }
      for (row, score) in zip(servedHeld, fusion.apply(taking(served, servedHeld))) {
        measured.served[row] = calibration(score)
      }
    }
    return measured
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
