import Models

/// One head of the utilization model: candidates measured in cross-validation, the best within the bound of serving time
/// chosen by the configured metric, and trained again on all of its rows.
struct UtilizationHead: Sendable {
  /// Rows that may be asked about; the first ones are those that may be trained on.
  let matrix: FeatureMatrix
  let targets: [Double]
  let borrowers: [UInt64]
  /// The fold whose models did not see each row's borrower.
  let folds: [Int]
  /// Rows trained on; one that stands there several times counts as often.
  let training: [Int]
  /// Rows that the choice is measured on.
  let measured: [Int]
  let candidates: [UtilizationCandidate]
  let learner: UtilizationLearner
  let metric: UtilizationMetric
  let microsecondsMax: Double
  /// The same rows as another kind of person, asked about too.
  var disguised: FeatureMatrix?

  struct Measured: Sendable {
    /// Out of fold, of every row.
    var forecasts: [UtilizationCandidate: [Double]] = [:]
    var disguised: [UtilizationCandidate: [Double]] = [:]
    var lengths: [UtilizationCandidate: Int] = [:]
    var penalties: [UtilizationCandidate: Double] = [:]
    var curves: [LearningCurve] = []
    /// Members and weights of the blend.
    var blend: [(candidate: UtilizationCandidate, weight: Double)] = []
    var winner = UtilizationCandidate.regressionTree
    /// By how much the next best is worse; nil where there is none.
    var margin: Double?
  }

  private struct FoldResult: Sendable {
    var rows: [Int]
    var forecasts: [Double]
    var disguised: [Double] = []
    var length: Int
    var penalty: Double
    var curve: LearningCurve?
  }

  func measure(
    foldCount: Int, _ progress: @Sendable () -> Void
  ) throws(TrainingError) -> Measured {
    let results = try parallelMap(candidates.count * foldCount) { index throws(TrainingError) in
      let result = try outOfFold(candidates[index / foldCount], fold: index % foldCount)
      progress()
      return result
    }
    var measured = Measured()
    for (position, candidate) in candidates.enumerated() {
      var all = [Double](repeating: 0, count: matrix.rows)
      var other = all
      let part = results[position * foldCount..<(position + 1) * foldCount]
      for result in part {
        for (row, forecast) in zip(result.rows, result.forecasts) { all[row] = max(forecast, 0) }
        for (row, forecast) in zip(result.rows, result.disguised) { other[row] = max(forecast, 0) }
        if let curve = result.curve { measured.curves.append(curve) }
      }
      measured.forecasts[candidate] = all
      if disguised != nil { measured.disguised[candidate] = other }
      measured.lengths[candidate] = (part.reduce(0) { $0 + $1.length } + foldCount / 2) / foldCount
      measured.penalties[candidate] = Self.common(part.map(\.penalty))
    }
    addBlend(&measured)
    choose(&measured)
    return measured
  }

  /// The penalty that the folds chose most often; of equals the larger.
  private static func common(_ penalties: [Double]) -> Double {
    var best = (count: 0, penalty: 1e-2)
    for penalty in UtilizationTraining.penalties {
      let count = penalties.count { $0 == penalty }
      if count > 0, count >= best.count { best = (count, penalty) }
    }
    return best.penalty
  }

  private func split(_ rows: [Int], seed: UInt64) -> (training: [Int], held: [Int]) {
    let folds = Folds(borrowers: rows.map { borrowers[$0] }, count: 7, seed: seed)
    return (folds.training(0).map { rows[$0] }, folds.validation(0).map { rows[$0] })
  }

  private func outOfFold(_ candidate: UtilizationCandidate, fold: Int) throws(TrainingError) -> FoldResult {
    let (inner, held) = split(
      training.filter { folds[$0] != fold }, seed: learner.seed &+ 500 &+ UInt64(fold))
    let asked = matrix.indices.filter { folds[$0] == fold }
    let trained = try learner.train(
      candidate, matrix.selecting(inner), inner.map { targets[$0] },
      stopping: (matrix.selecting(held), held.map { targets[$0] }), seedShift: UInt64(fold))
    var result = FoldResult(
      rows: asked, forecasts: try trained.forecasts(matrix.selecting(asked)), length: trained.length,
      penalty: trained.penalty)
    if let disguised { result.disguised = try trained.forecasts(disguised.selecting(asked)) }
    if let network = trained.network {
      result.curve = .network(candidate.rawValue, fold: fold, measure: "half squared error", network)
    } else if let trees = trained.trees, !trees.validationLosses.isEmpty, candidate != .regressionTree {
      result.curve = .trees(candidate.rawValue, fold: fold, measure: "rmse", trees)
    }
    return result
  }

  // MARK: The choice

  func microseconds(_ candidate: UtilizationCandidate, _ measured: Measured) -> Double {
    guard candidate == .blend else { return candidate.plannedCost(learner.plan).microseconds }
    return measured.blend.reduce(ServingCost()) { $0 + $1.candidate.plannedCost(learner.plan) }.microseconds
  }

  /// Non-negative weights, members of little weight left out, and then those of the least until the rest is cheap enough.
  private func addBlend(_ measured: inout Measured) {
    var members = UtilizationCandidate.blended.filter(candidates.contains)
    guard members.count > 1 else { return }
    while true {
      let weights = weigh(members, measured, rows: self.measured)
      let cost = members.reduce(ServingCost()) { $0 + $1.plannedCost(learner.plan) }.microseconds
      let least = weights.indices.min { weights[$0] < weights[$1] }!
      guard weights[least] < 0.05 || cost > microsecondsMax, members.count > 1 else {
        measured.blend = zip(members, weights).map { ($0, $1) }
        break
      }
      members.remove(at: least)
    }
    guard measured.blend.count > 1 else {
      measured.blend = []
      return
    }
    // Measured with weights of the other folds, so that no row weighs its own forecast.
    func blended(_ forecasts: [UtilizationCandidate: [Double]]) -> [Double] {
      var all = [Double](repeating: 0, count: matrix.rows)
      for fold in Set(folds).sorted() {
        let weights = weigh(members, measured, rows: self.measured.filter { folds[$0] != fold })
        for row in matrix.indices where folds[row] == fold {
          for (member, weight) in zip(members, weights) { all[row] += weight * forecasts[member]![row] }
        }
      }
      return all
    }
    measured.forecasts[.blend] = blended(measured.forecasts)
    if disguised != nil { measured.disguised[.blend] = blended(measured.disguised) }
  }

  private func weigh(_ members: [UtilizationCandidate], _ measured: Measured, rows: [Int]) -> [Double] {
    var design: [Double] = []
    design.reserveCapacity(rows.count * members.count)
    for row in rows { for member in members { design.append(measured.forecasts[member]![row]) } }
    let normal = NormalEquations(design, columns: members.count, targets: rows.map { targets[$0] })
    return normal.solveNonNegative(constrained: members.map { _ in true })
  }

  func loss(_ candidate: UtilizationCandidate, _ measured: Measured) -> Double {
    let forecasts = measured.forecasts[candidate]!
    return metric(self.measured.map { forecasts[$0] }, self.measured.map { targets[$0] })
  }

  private func choose(_ measured: inout Measured) {
    // A constant tells nobody apart: it is there to be compared with.
    let able = measured.forecasts.keys.filter { $0 != .constant }
    let affordable = able.filter { microseconds($0, measured) <= microsecondsMax }
    let open = affordable.isEmpty ? able : affordable
    let ranked = open.map { (candidate: $0, loss: loss($0, measured)) }.sorted {
      $0.loss != $1.loss ? $0.loss < $1.loss : $0.candidate.rawValue < $1.candidate.rawValue
    }
    measured.winner = ranked[0].candidate
    measured.margin = ranked.count > 1 ? ranked[1].loss - ranked[0].loss : nil
  }

  // MARK: Serving

  /// The chosen candidate, trained on all rows.
  func serving(
    _ measured: Measured, prefix: String, files: inout [String: [UInt8]]
  ) throws(TrainingError) -> [MemberDescription] {
    let parts = measured.winner == .blend ? measured.blend : [(measured.winner, 1.0)]
    let matrix = matrix.selecting(training)
    let targets = training.map { self.targets[$0] }
    let positions = Folds(borrowers: training.map { borrowers[$0] }, count: 7, seed: learner.seed &+ 600)
    let stopping = (training: positions.training(0), held: positions.validation(0))
    let trained = try parallelMap(parts.count) { index throws(TrainingError) in
      let candidate = parts[index].0
      return try learner.refit(
        candidate, matrix, targets, length: measured.lengths[candidate] ?? 1,
        penalty: measured.penalties[candidate] ?? 1e-2, stopping: stopping)
    }
    var members: [MemberDescription] = []
    for (part, model) in zip(parts, trained) {
      members += model.members(part.0, weight: part.1, prefix: prefix, layers: learner.plan.layers, files: &files)
    }
    return members
  }
}

extension FeatureMatrix {
  var indices: Range<Int> { 0..<rows }
}
