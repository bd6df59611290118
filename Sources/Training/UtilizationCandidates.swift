import Features
import Models

/// What may forecast utilization; measured in cross-validation on the same folds.
enum UtilizationCandidate: String, CaseIterable, Sendable {
  case constant, ridge
  case regressionTree = "regression_tree"
  case randomForest = "random_forest"
  case boostedTrees = "boosted_trees"
  case network = "neural_network"
  /// Trees on what ridge regression leaves over: they bend it, and it goes on where trees end.
  case ridgeAndTrees = "ridge_and_trees"
  /// Members weighted by non-negative linear regression of their out-of-fold forecasts.
  case blend

  /// Those trained of themselves, the longest first.
  static let trained: [UtilizationCandidate] = [
    .network, .randomForest, .boostedTrees, .ridgeAndTrees, .regressionTree, .ridge, .constant,
  ]
  /// Before anything is trained: every tree as deep as allowed, a third of the inputs with an indicator.
  func plannedCost(_ plan: UtilizationPlan) -> ServingCost {
    func inputs(_ count: Int) -> FeatureInputs {
      let features = Array(0..<count)
      return FeatureInputs(
        features: features, logarithmic: features, missingIndicators: Array(features.prefix(count / 3)))
    }
    let ridge = ServingCost.linear(inputs(plan.ridgeInputs))
    let boosted = ServingCost.forest(trees: plan.boosted.rounds, depth: plan.boosted.maxDepth)
    switch self {
    case .constant, .blend: return ServingCost()
    case .ridge: return ridge
    case .ridgeAndTrees: return ridge + boosted
    case .boostedTrees: return boosted
    case .regressionTree: return ServingCost.forest(trees: 1, depth: RegressionTree.depths.max()!)
    case .randomForest: return ServingCost.forest(trees: plan.forest.parallelTrees, depth: plan.forest.maxDepth)
    case .network: return ServingCost.network(plan.layers, inputs(plan.networkInputs), hasPicture: false)
    }
  }

  /// What a blend may be of.
  static let blended: [UtilizationCandidate] = [.ridge, .ridgeAndTrees, .boostedTrees, .randomForest, .network]
}

/// How utilization is measured and chosen.
public enum UtilizationMetric: String, Codable, CaseIterable, Sendable {
  case rmse, mae

  func callAsFunction(_ forecasts: [Double], _ actual: [Double]) -> Double {
    switch self {
    case .rmse: Metrics.rootMeanSquaredError(forecasts, actual)
    case .mae: Metrics.meanAbsoluteError(forecasts, actual)
    }
  }
}

/// How large utilization's members may be, by the bound of serving time.
struct UtilizationPlan: Sendable {
  /// Features of ridge regression and of the network.
  var ridgeInputs: Int
  var networkInputs: Int
  var layers: [LayerDescription]
  var boosted: TreeSettings
  var forest: TreeSettings

  static func fitting(_ budget: ServingBudget) -> UtilizationPlan {
    // 1.5 us hold each of these alone, and a blend of most.
    let scale = min(max(budget.share(of: .utilization) / 1.5, 0.1), 4)
    func eights(_ count: Double) -> Int { max(8, Int(count * scale / 8) * 8) }
    var boosted = TreeSettings(
      objective: .squaredError, rounds: eights(72), maxDepth: 4, learningRate: 0.08, minChildWeight: 20, lambda: 5,
      rowShare: 0.8, columnShareOfTree: 0.6)
    if boosted.rounds < 40 { boosted.learningRate = 0.2 }
    return UtilizationPlan(
      ridgeInputs: min(max(16, Int(40 * scale)), 80), networkInputs: scale < 1 ? 16 : 32,
      layers: [
        .dense("hidden1", outputs: 16), .dense("hidden2", outputs: 16),
        .dense("output", outputs: 1, activation: .identity),
      ], boosted: boosted,
      forest: TreeSettings(
        objective: .squaredError, rounds: 1, maxDepth: 8, learningRate: 1, minChildWeight: 8, lambda: 0,
        rowShare: 0.63, columnShareOfNode: 0.35, parallelTrees: eights(40)))
  }
}

/// A candidate trained on some rows.
struct TrainedUtilization: Sendable {
  var linear: TrainedLinear?
  var trees: TrainedTrees?
  var network: TrainedNetwork?
  var constant = 0.0
  var penalty = 0.0

  /// Rounds or epochs that early stopping chose.
  var length: Int { trees?.rounds ?? network?.epochs ?? 0 }

  func forecasts(_ matrix: FeatureMatrix) throws(TrainingError) -> [Double] {
    var sums = [Double](repeating: constant, count: matrix.rows)
    func add(_ column: [Double]) { for row in sums.indices { sums[row] += column[row] } }
    if let linear { add(try linear.margins(matrix)) }
    if let trees { add(try Booster.reading(trees).margins(try TreeRows(matrix, labels: nil))) }
    if let network { add(network.margins(try NetworkSource(matrix, network.fitting))) }
    return sums
  }

  /// The members that serve, each with `weight`. Files are named `<prefix><member>`.
  func members(
    _ candidate: UtilizationCandidate, weight: Double, prefix: String, layers: [LayerDescription],
    files: inout [String: [UInt8]]
  ) -> [MemberDescription] {
    var members: [MemberDescription] = []
    let name = prefix + candidate.rawValue
    if let linear {
      let linearName = trees == nil ? name : name + "_ridge"
      files["\(linearName).safetensors"] = linear.bytes
      members.append(
        .linear(linearName, file: "\(linearName).safetensors", weight: weight, inputs: linear.fitting.inputs))
    }
    if let trees {
      files["\(name).json"] = trees.json
      members.append(.forest(name, file: "\(name).json", weight: weight))
    }
    if let network {
      files["\(name).safetensors"] = network.bytes
      members.append(
        .dense(name, file: "\(name).safetensors", weight: weight, inputs: network.fitting.inputs, layers: layers))
    }
    return members
  }
}

/// Rows and targets that candidates are trained on, stopped by and measured on.
struct UtilizationLearner: Sendable {
  /// From so many rows on, boosted trees take all of their rounds.
  static let stoppedRows = 3_000

  let plan: UtilizationPlan
  let seed: UInt64

  /// With rows to stop by. `length` and `penalty` instead: as long as the folds found best, on all rows.
  func train(
    _ candidate: UtilizationCandidate, _ matrix: FeatureMatrix, _ targets: [Double],
    stopping: (matrix: FeatureMatrix, targets: [Double]), seedShift: UInt64
  ) throws(TrainingError) -> TrainedUtilization {
    let mean = targets.reduce(0, +) / Double(targets.count)
    var trained = TrainedUtilization()
    switch candidate {
    case .constant, .blend: trained.constant = mean
    case .ridge:
      let (linear, penalty) = try ridge(matrix, targets, stopping)
      trained.linear = linear
      trained.penalty = penalty
    case .ridgeAndTrees:
      let (linear, penalty) = try ridge(matrix, targets, stopping)
      trained.linear = linear
      trained.penalty = penalty
      func rest(_ matrix: FeatureMatrix, _ targets: [Double]) throws(TrainingError) -> [Double] {
        zip(targets, try linear.margins(matrix)).map { $0 - $1 }
      }
      trained.trees = try boost(
        matrix, try rest(matrix, targets), (stopping.matrix, try rest(stopping.matrix, stopping.targets)), seedShift)
    case .boostedTrees: trained.trees = try boost(matrix, targets, stopping, seedShift)
    case .regressionTree:
      trained.trees = try RegressionTree.train(
        matrix, labels: targets.map(Float.init), validation: (stopping.matrix, stopping.targets.map(Float.init)),
        seed: seed)
    case .randomForest:
      var settings = plan.forest
      settings.seed = seed &+ seedShift
      trained.trees = try Booster.train(
        try TreeRows(matrix, labels: targets.map(Float.init)), meanLabel: mean, settings)
    case .network:
      let labels = targets.map(Float.init)
      let fitting = try ColumnRanking.fitting(
        matrix, labels: labels, objective: .squaredError, limit: plan.networkInputs)
      trained.network = NetworkTrainer.train(
        try NetworkSource(matrix, fitting), targets: labels, validation: try NetworkSource(stopping.matrix, fitting),
        validationTargets: stopping.targets.map(Float.init), fitting: fitting, layers: plan.layers, hasPicture: false,
        loss: .squaredError,
        NetworkSettings(
          batch: 256, epochs: 30, patience: 5, learningRate: 2e-3, weightDecay: 1e-2, averaging: 0.99,
          seed: seed &* 23 &+ seedShift))
    }
    return trained
  }

  /// On all rows, as long and with the penalty that the folds found best; a network stops by `stopping` again.
  func refit(
    _ candidate: UtilizationCandidate, _ matrix: FeatureMatrix, _ targets: [Double], length: Int, penalty: Double,
    stopping: (training: [Int], held: [Int])
  ) throws(TrainingError) -> TrainedUtilization {
    var trained = TrainedUtilization()
    var rest = targets
    if candidate == .ridge || candidate == .ridgeAndTrees {
      let (model, _) = try TrainedLinear.ridge(
        matrix, targets: targets, penalties: [penalty], validation: (matrix, targets), inputs: plan.ridgeInputs,
        takesLogarithms: false)
      trained.linear = model
      if candidate == .ridge { return trained }
      rest = zip(targets, try model.margins(matrix)).map { $0 - $1 }
    }
    if candidate == .ridgeAndTrees || candidate == .boostedTrees {
      var settings = plan.boosted
      settings.seed = seed &+ 99
      settings.rounds = max(length, 1)
      trained.trees = try Booster.train(
        try TreeRows(matrix, labels: rest.map(Float.init)), meanLabel: rest.reduce(0, +) / Double(rest.count), settings)
      return trained
    }
    let held = stopping.held
    let inner = candidate == .randomForest ? Array(targets.indices) : stopping.training
    return try train(
      candidate, matrix.selecting(inner), inner.map { targets[$0] },
      stopping: (matrix.selecting(held), held.map { targets[$0] }), seedShift: 99)
  }

  private func ridge(
    _ matrix: FeatureMatrix, _ targets: [Double], _ stopping: (matrix: FeatureMatrix, targets: [Double])
  ) throws(TrainingError) -> (model: TrainedLinear, penalty: Double) {
    try TrainedLinear.ridge(
      matrix, targets: targets, penalties: UtilizationTraining.penalties,
      validation: (stopping.matrix, stopping.targets), inputs: plan.ridgeInputs, takesLogarithms: false)
  }

  private func boost(
    _ matrix: FeatureMatrix, _ targets: [Double], _ stopping: (matrix: FeatureMatrix, targets: [Double]),
    _ seedShift: UInt64
  ) throws(TrainingError) -> TrainedTrees {
    var settings = plan.boosted
    settings.seed = seed &+ seedShift
    let mean = targets.reduce(0, +) / Double(targets.count)
    // A few people who use a limit many times over rule the squared error of a held-out part: stopping by it is by chance.
    guard matrix.rows < Self.stoppedRows else {
      return try Booster.train(
        try TreeRows(matrix, labels: targets.map(Float.init)), meanLabel: mean, settings)
    }
    return try Booster.train(
      try TreeRows(matrix, labels: targets.map(Float.init)),
      validation: try TreeRows(stopping.matrix, labels: stopping.targets.map(Float.init)),
      meanLabel: mean, settings, patience: 20)
  }
}
