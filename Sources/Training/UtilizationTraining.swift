import Features
import Models

/// The utilization model: ridge regression and boosted trees measured in cross-validation by RMSE; the better one serves.
struct UtilizationTraining: Sendable {
  static let folds = 5
  static let boosted = TreeSettings(
    objective: .squaredError, rounds: 150, maxDepth: 4, learningRate: 0.06, minChildWeight: 10, lambda: 5,
    rowShare: 0.8,
    columnShareOfTree: 0.6)
  static let penalties = [1e-4, 1e-3, 1e-2, 1e-1, 1]

  let table: ExampleTable
  let settings: TrainingSettings
  let rows: [Int]
  private let matrix: FeatureMatrix
  private let targets: [Double]
  private let folds: Folds

  private enum Name: String, CaseIterable { case constant, ridge, boosted = "boosted_trees" }

  private struct FoldResult: Sendable {
    var forecasts: [Double]
    var length = 0
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
    func gather(_ base: Int) -> [Double] {
      var all = [Double](repeating: 0, count: rows.count)
      for fold in 0..<Self.folds {
        for (row, forecast) in zip(folds.validation(fold), results[base + fold].forecasts) { all[row] = forecast }
      }
      return all
    }
    let boosted = gather(0)
    let ridge = gather(Self.folds)
    var constant = [Double](repeating: 0, count: rows.count)
    for fold in 0..<Self.folds {
      let training = folds.training(fold)
      let mean = training.reduce(0) { $0 + targets[$1] } / Double(training.count)
      for row in folds.validation(fold) { constant[row] = mean }
    }
    // What serves is never below 0, whatever the labels are.
    let minimum = 0.0
    let forecasts: [Name: [Double]] = [
      .constant: constant, .ridge: bounded(ridge, minimum), .boosted: bounded(boosted, minimum),
    ]
    let rmse = forecasts.mapValues { Metrics.rootMeanSquaredError($0, targets) }
    let winner: Name = rmse[.boosted]! <= rmse[.ridge]! ? .boosted : .ridge
    let trainedMember = try fit(winner, results)
    progress(1)

    let hasLimit = rows.map { table.labels[$0].hasLimit }
    let report = UtilizationReport(forecasts[winner]!, targets, hasLimit: hasLimit)
    var figures = report.figures
    figures["margin_over_next"] = abs(rmse[.boosted]! - rmse[.ridge]!)
    return TrainedModel(
      kind: .utilization, files: trainedMember.files,
      architecture: .utilization(EnsembleDescription(members: [trainedMember.description], minimum: minimum)),
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
        The candidate with the least RMSE over \(Self.folds) folds split by borrower serves; figures are out of fold, out of \
        borrower, not out of time.
        """)
  }

  private func bounded(_ values: [Double], _ minimum: Double) -> [Double] { values.map { max($0, minimum) } }

  private func outOfFold(isTrees: Bool, fold: Int) throws(TrainingError) -> FoldResult {
    let training = folds.training(fold)
    let validation = matrix.selecting(folds.validation(fold))
    let split = Folds(
      borrowers: training.map { table.borrowers[rows[$0]] }, count: 7, seed: settings.seed &+ 500 &+ UInt64(fold))
    let inner = split.training(0).map { training[$0] }
    let held = split.validation(0).map { training[$0] }
    if isTrees {
      var settings = Self.boosted
      settings.seed = self.settings.seed &+ UInt64(fold)
      let trees = try Booster.train(
        try TreeRows(matrix.selecting(inner), labels: inner.map { Float(targets[$0]) }),
        validation: try TreeRows(matrix.selecting(held), labels: held.map { Float(targets[$0]) }),
        meanLabel: mean(inner), settings, patience: 20)
      return FoldResult(
        forecasts: try Booster.reading(trees).margins(try TreeRows(validation, labels: nil)), length: trees.rounds)
    }
    let (model, penalty) = try TrainedLinear.ridge(
      matrix.selecting(inner), targets: inner.map { targets[$0] }, penalties: Self.penalties,
      validation: (matrix.selecting(held), held.map { targets[$0] }))
    return FoldResult(forecasts: try model.margins(validation), penalty: penalty)
  }

  private func mean(_ rows: [Int]) -> Double { rows.reduce(0) { $0 + targets[$1] } / Double(rows.count) }

  private func fit(
    _ winner: Name, _ results: [FoldResult]
  ) throws(TrainingError) -> (files: [String: [UInt8]], description: MemberDescription) {
    if winner == .boosted {
      var settings = Self.boosted
      settings.seed = self.settings.seed &+ 99
      settings.rounds = max(1, results[0..<Self.folds].reduce(0) { $0 + $1.length } / Self.folds)
      let trees = try Booster.train(
        try TreeRows(matrix, labels: targets.map(Float.init)), meanLabel: mean(Array(targets.indices)), settings)
      return (["boosted_trees.json": trees.json], .forest("boosted_trees", file: "boosted_trees.json"))
    }
    // The penalty that the folds chose most often; of equals the larger.
    let chosen = results[Self.folds...].map(\.penalty)
    var best = (count: 0, penalty: 1e-2)
    for penalty in Self.penalties {
      let count = chosen.count { $0 == penalty }
      if count >= best.count { best = (count, penalty) }
    }
    let penalty = best.penalty
    let (model, _) = try TrainedLinear.ridge(
      matrix, targets: targets, penalties: [penalty], validation: (matrix, targets))
    return (
      ["ridge.safetensors": model.bytes], .linear("ridge", file: "ridge.safetensors", inputs: model.fitting.inputs)
    )
  }
}
