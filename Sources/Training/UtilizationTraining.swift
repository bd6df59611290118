import Features
import Models

/// The utilization model: ridge regression, boosted trees, and trees on what ridge regression leaves over are measured in
/// cross-validation by RMSE; the best serves.
struct UtilizationTraining: Sendable {
  static let folds = 5
  static let boosted = TreeSettings(
    objective: .squaredError, rounds: 90, maxDepth: 4, learningRate: 0.08, minChildWeight: 10, lambda: 5,
    rowShare: 0.8,
    columnShareOfTree: 0.6)
  static let penalties = [1e-4, 1e-3, 1e-2, 1e-1, 1]

  let table: ExampleTable
  let settings: TrainingSettings
  let rows: [Int]
  private let matrix: FeatureMatrix
  private let targets: [Double]
  private let folds: Folds

  private enum Name: String, CaseIterable {
    case constant, ridge
    case boosted = "boosted_trees"
    case both = "ridge_and_trees"
  }

  private struct FoldResult: Sendable {
    var forecasts: [Double]
    var length: Int
    /// Of ridge regression alone, where it took part.
    var ridge: [Double] = []
    var penalty = 0.0
  }

  init(_ table: ExampleTable, _ settings: TrainingSettings) throws(TrainingError) {
    self.table = table
    self.settings = settings
    rows = (0..<table.count).filter { table.labels[$0].utilization != nil }
    targets = rows.map { table.labels[$0].utilization! }
    let borrowers = rows.map { table.borrowers[$0] }
    let count = Set(borrowers).count
    guard count >= Self.folds else {
      throw TrainingError(
        .failed,
        "utilization: \(count) borrowers have a \(settings.labels.utilizationTarget.rawValue) utilization at the as-of "
          + "dates, fewer than the \(Self.folds) folds; a larger history is needed")
    }
    guard let lowest = targets.min(), let highest = targets.max(), lowest < highest else {
      throw TrainingError(
        .failed, "utilization: all \(rows.count) examples have the same utilization, so there is nothing to learn")
    }
    folds = Folds(borrowers: borrowers, count: Self.folds, seed: settings.seed)
    matrix = FeatureMatrix(
      table, rows: rows, allowed: FeatureCatalogue.allowed(includeProtected: settings.includeProtected))
    guard !InputFitting(matrix).inputs.features.isEmpty else {
      throw TrainingError(
        .failed, "utilization: every feature is constant over \(rows.count) examples; a richer history is needed")
    }
  }

  func run(_ progress: @Sendable (Double) -> Void) throws(TrainingError) -> TrainedModel {
    let done = Counter()
    let steps = Double(2 * Self.folds + 1)
    let results = try parallelMap(2 * Self.folds) { index throws(TrainingError) in
      let result = try outOfFold(isTrees: index < Self.folds, fold: index % Self.folds)
      progress(Double(done.increment()) / steps)
      return result
    }
    func gather(_ base: Int, _ forecasts: KeyPath<FoldResult, [Double]>) -> [Double] {
      var all = [Double](repeating: 0, count: rows.count)
      for fold in 0..<Self.folds {
        for (row, forecast) in zip(folds.validation(fold), results[base + fold][keyPath: forecasts]) {
          all[row] = forecast
        }
      }
      return all
    }
    var constant = [Double](repeating: 0, count: rows.count)
    for fold in 0..<Self.folds {
      let training = folds.training(fold)
      let mean = training.reduce(0) { $0 + targets[$1] } / Double(training.count)
      for row in folds.validation(fold) { constant[row] = mean }
    }
    // What serves is never below 0, whatever the labels are.
    let minimum = 0.0
    let forecasts: [Name: [Double]] = [
      .constant: constant, .ridge: bounded(gather(Self.folds, \.ridge), minimum),
      .boosted: bounded(gather(0, \.forecasts), minimum), .both: bounded(gather(Self.folds, \.forecasts), minimum),
    ]
    let rmse = forecasts.mapValues { Metrics.rootMeanSquaredError($0, targets) }
    let ranked = [Name.ridge, .boosted, .both].sorted { rmse[$0]! < rmse[$1]! }
    let winner = ranked[0]
    let trainedMember = try fit(winner, results)
    progress(1)

    let hasLimit = rows.map { table.labels[$0].hasLimit }
    let report = UtilizationReport(forecasts[winner]!, targets, hasLimit: hasLimit)
    var figures = report.figures
    figures["margin_over_next"] = rmse[ranked[1]]! - rmse[winner]!
    return TrainedModel(
      kind: .utilization, files: trainedMember.files,
      architecture: .utilization(EnsembleDescription(members: trainedMember.members, minimum: minimum)),
      metrics: figures,
      foldMetrics: (0..<Self.folds).map { fold in
        let held = folds.validation(fold)
        return [
          "rmse": Metrics.rootMeanSquaredError(held.map { forecasts[winner]![$0] }, held.map { targets[$0] })
        ]
      },
      candidates: Name.allCases.map { name in
        Candidate(
          name: name.rawValue,
          metrics: ["rmse": rmse[name]!, "mae": Metrics.meanAbsoluteError(forecasts[name]!, targets)],
          chosen: name == winner)
      },
      rows: rows, counts: ["prospects": hasLimit.count { !$0 }],
      card: """
        \(settings.labels.utilizationTarget == .balance
          ? "The last statement balance within \(settings.asOf.horizonDays) days over the credit limit"
          : "The amount drawn from the first grant (at most 365 days back) to \(settings.asOf.horizonDays) days ahead over the credit limit"); \
        of people without a limit, what they draw within \(settings.labels.prospectDays) days of their first grant over it. \
        The candidate with the least RMSE over \(Self.folds) folds split by borrower serves; figures are out of fold.
        """,
      evidence: TrainingEvidence(
        rows: rows, folds: folds.foldOfRow, forecasts: forecasts[winner]!, actual: targets,
        members: Dictionary(uniqueKeysWithValues: forecasts.map { ($0.key.rawValue, $0.value) })))
  }

  private func bounded(_ values: [Double], _ minimum: Double) -> [Double] { values.map { max($0, minimum) } }

  private func outOfFold(isTrees: Bool, fold: Int) throws(TrainingError) -> FoldResult {
    let training = folds.training(fold)
    let validation = matrix.selecting(folds.validation(fold))
    let split = Folds(
      borrowers: training.map { table.borrowers[rows[$0]] }, count: 7, seed: settings.seed &+ 500 &+ UInt64(fold))
    let inner = split.training(0).map { training[$0] }
    let held = split.validation(0).map { training[$0] }
    let innerMatrix = matrix.selecting(inner)
    let heldMatrix = matrix.selecting(held)
    if isTrees {
      let trees = try boost(
        innerMatrix, inner.map { targets[$0] }, validation: (heldMatrix, held.map { targets[$0] }),
        seedShift: UInt64(fold))
      return FoldResult(
        forecasts: try Booster.reading(trees).margins(try TreeRows(validation, labels: nil)), length: trees.rounds)
    }
    let (model, penalty) = try TrainedLinear.ridge(
      innerMatrix, targets: inner.map { targets[$0] }, penalties: Self.penalties,
      validation: (heldMatrix, held.map { targets[$0] }))
    let ridge = try model.margins(validation)
    let trees = try boost(
      innerMatrix, residuals(inner, try model.margins(innerMatrix)),
      validation: (heldMatrix, residuals(held, try model.margins(heldMatrix))), seedShift: UInt64(fold))
    let rest = try Booster.reading(trees).margins(try TreeRows(validation, labels: nil))
    return FoldResult(
      forecasts: zip(ridge, rest).map { $0 + $1 }, length: trees.rounds, ridge: ridge, penalty: penalty)
  }

  private func boost(
    _ matrix: FeatureMatrix, _ targets: [Double], validation: (FeatureMatrix, [Double]), seedShift: UInt64
  ) throws(TrainingError) -> TrainedTrees {
    var settings = Self.boosted
    settings.seed = self.settings.seed &+ seedShift
    return try Booster.train(
      try TreeRows(matrix, labels: targets.map(Float.init)),
      validation: try TreeRows(validation.0, labels: validation.1.map(Float.init)),
      meanLabel: targets.reduce(0, +) / Double(targets.count), settings, patience: 20)
  }

  private func residuals(_ rows: [Int], _ forecasts: [Double]) -> [Double] {
    zip(rows, forecasts).map { targets[$0] - $1 }
  }

  /// On all rows, as long and with the penalty that the folds found best.
  private func fit(
    _ winner: Name, _ results: [FoldResult]
  ) throws(TrainingError) -> (files: [String: [UInt8]], members: [MemberDescription]) {
    var files: [String: [UInt8]] = [:]
    var members: [MemberDescription] = []
    var rest = targets
    var lengths = results[0..<Self.folds]
    if winner != .boosted {
      let (model, _) = try TrainedLinear.ridge(
        matrix, targets: targets, penalties: [commonPenalty(results[Self.folds...])], validation: (matrix, targets))
      files["ridge.safetensors"] = model.bytes
      members.append(.linear("ridge", file: "ridge.safetensors", inputs: model.fitting.inputs))
      rest = residuals(Array(targets.indices), try model.margins(matrix))
      lengths = results[Self.folds...]
    }
    if winner != .ridge {
      var settings = Self.boosted
      settings.seed = self.settings.seed &+ 99
      settings.rounds = max(1, lengths.reduce(0) { $0 + $1.length } / Self.folds)
      let trees = try Booster.train(
        try TreeRows(matrix, labels: rest.map(Float.init)), meanLabel: rest.reduce(0, +) / Double(rest.count), settings)
      files["boosted_trees.json"] = trees.json
      members.append(.forest("boosted_trees", file: "boosted_trees.json"))
    }
    return (files, members)
  }

  /// The penalty that the folds chose most often; of equals the larger.
  private func commonPenalty(_ results: ArraySlice<FoldResult>) -> Double {
    var best = (count: 0, penalty: 1e-2)
    for penalty in Self.penalties {
      let count = results.count { $0.penalty == penalty }
      if count >= best.count { best = (count, penalty) }
    }
    return best.penalty
  }
}
