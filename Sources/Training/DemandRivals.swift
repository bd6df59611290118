import Features
import Models

/// Forecasts of the logarithm of one and the amount in one part, on the same examples: what the served model is compared
/// with.
enum DemandRival: String, CaseIterable, Sendable {
  case convolutionalNetwork = "convolutional_network_log1p"
  case pictureOnly = "convolutional_network_picture_only"
  case plainNetwork = "plain_network"
  case unboundedTrees = "boosted_trees_unbounded"
  case boostedTrees = "boosted_trees_log1p"
  case linear = "linear_regression"
  case regressionTree = "regression_tree"
  case constant
}

extension DemandTraining {
  private static let plainLayers: [LayerDescription] = [
    .dense("hidden1", outputs: 24), .dense("hidden2", outputs: 12), .dense("output", outputs: 1, activation: .identity),
  ]

  /// Trains a rival and forecasts the rows held out.
  func forecast(
    _ rival: DemandRival, training: [Int], stopping: [Int], held: [Int], fold: Int
  ) throws(TrainingError) -> [Double] {
    func targets(_ rows: [Int]) -> [Float] { rows.map { Float(logarithm(1 + actual[$0])) } }
    let labels = targets(training)
    let mean = labels.reduce(0) { $0 + Double($1) } / Double(labels.count)
    if rival == .constant { return held.map { _ in mean } }
    let known = matrix.selecting(training)
    let validation = (matrix: matrix.selecting(stopping), labels: targets(stopping))
    let asked = matrix.selecting(held)
    switch rival {
    case .constant: return held.map { _ in mean }
    case .linear:
      let (model, _) = try TrainedLinear.ridge(
        known, targets: labels.map(Double.init), penalties: UtilizationTraining.penalties,
        validation: (validation.matrix, validation.labels.map(Double.init)))
      return try model.margins(asked)
    case .regressionTree:
      let tree = try RegressionTree.train(known, labels: labels, validation: validation, seed: settings.seed)
      return try Booster.reading(tree).margins(try TreeRows(asked, labels: nil))
    case .boostedTrees, .unboundedTrees:
      var boosted = Self.boosted
      boosted.objective = .squaredError
      boosted.rounds = plan.rounds
      boosted.seed = settings.seed
      if rival == .unboundedTrees {
        boosted.rounds = 250
        boosted.maxDepth = 5
        boosted.learningRate = 0.06
      }
      let trees = try Booster.train(
        try TreeRows(known, labels: labels), validation: try TreeRows(validation.matrix, labels: validation.labels),
        meanLabel: mean, boosted, patience: 15)
      return try Booster.reading(trees).margins(try TreeRows(asked, labels: nil))
    case .convolutionalNetwork, .pictureOnly, .plainNetwork:
      let fitting =
        rival == .pictureOnly
        ? InputFitting(known, ranked: [], limit: 0)
        : try ColumnRanking.fitting(known, labels: labels, objective: .squaredError, limit: plan.inputs)
      let hasPicture = rival != .plainNetwork
      func source(_ matrix: FeatureMatrix, _ selected: [Int]) throws(TrainingError) -> NetworkSource {
        try NetworkSource(
          matrix, fitting, pictures: hasPicture ? (table, rows: selected.map { rows[$0] }) : nil)
      }
      var network = Self.network
      network.seed = settings.seed &* 19 &+ UInt64(fold)
      let trained = NetworkTrainer.train(
        try source(known, training), targets: labels, validation: try source(validation.matrix, stopping),
        validationTargets: validation.labels, fitting: fitting,
        layers: hasPicture ? plan.layers : Self.plainLayers, hasPicture: hasPicture,
        loss: .squaredError, network)
      return trained.margins(try source(asked, held))
    }
  }
}

/// A regression tree (CART, Breiman et al. 1984): one tree by squared error, its depth and least leaf chosen by the loss
/// on rows held out. Splits are looked for among 256 quantiles of each column.
enum RegressionTree {
  static let depths = [3, 4, 5, 6, 7, 9]

  static func train(
    _ matrix: FeatureMatrix, labels: [Float], validation: (matrix: FeatureMatrix, labels: [Float]), seed: UInt64
  ) throws(TrainingError) -> TrainedTrees {
    let training = try TreeRows(matrix, labels: labels)
    let held = try TreeRows(validation.matrix, labels: validation.labels)
    let mean = labels.reduce(0) { $0 + Double($1) } / Double(labels.count)
    var best: TrainedTrees?
    for depth in depths {
      for leaf in [20.0, 60] {
        let settings = TreeSettings(
          objective: .squaredError, rounds: 1, maxDepth: depth, learningRate: 1, minChildWeight: leaf, lambda: 0,
          seed: seed)
        let tree = try Booster.train(training, validation: held, meanLabel: mean, settings, patience: 1)
        if best == nil || tree.validationLoss! < best!.validationLoss! { best = tree }
      }
    }
    return best!
  }
}
