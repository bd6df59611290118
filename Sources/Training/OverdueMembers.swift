import Features
import Models

/// The members of the overdue model. All four serve; a smaller bound on the time of a score makes them smaller.
enum OverdueMember: String, CaseIterable, Sendable {
  case logistic, boosted, forest, network
  var name: String {
    switch self {
    case .logistic: "logistic_regression"
    case .boosted: "boosted_trees"
    case .forest: "random_forest"
    case .network: "neural_network"
    }
  }

  /// What makes its output a probability. A forest's is one already: its leaves are shares of rows that became overdue,
  /// which a mean over trees keeps; a mean of log-odds would press it together.
  var link: Link { self == .forest ? .identity : .logistic }

  func probability(_ output: Double) -> Double {
    link == .identity ? min(max(output, 0), 1) : Training.logistic(output)
  }
}

/// How large the members are.
struct OverdueSizes: Equatable, Sendable {
  /// Features that the logistic regression and the network read.
  var inputs: Int
  /// Hidden layers of the network.
  var hidden: [Int]
  var boostedRounds: Int
  var boostedDepth: Int
  var forestTrees: Int
  var forestDepth: Int

  /// What one would take with no bound on the time of a score.
  static let unbounded = OverdueSizes(
    inputs: 96, hidden: [32, 16], boostedRounds: 400, boostedDepth: 3, forestTrees: 96, forestDepth: 10)

  /// Largest first. Many shallow boosted trees do better here than fewer deep ones of the same cost; a forest wants depth
  /// and gains little beyond some dozens of trees.
  private static let bounded = [
    OverdueSizes(
      inputs: 64, hidden: [24, 12], boostedRounds: 320, boostedDepth: 3, forestTrees: 48, forestDepth: 8),
    OverdueSizes(
      inputs: 64, hidden: [24, 12], boostedRounds: 256, boostedDepth: 3, forestTrees: 32, forestDepth: 8),
    OverdueSizes(inputs: 48, hidden: [16, 8], boostedRounds: 192, boostedDepth: 3, forestTrees: 32, forestDepth: 7),
    OverdueSizes(inputs: 32, hidden: [16], boostedRounds: 128, boostedDepth: 3, forestTrees: 24, forestDepth: 6),
    OverdueSizes(inputs: 32, hidden: [16], boostedRounds: 80, boostedDepth: 3, forestTrees: 16, forestDepth: 6),
    OverdueSizes(inputs: 16, hidden: [8], boostedRounds: 56, boostedDepth: 3, forestTrees: 16, forestDepth: 5),
    OverdueSizes(inputs: 16, hidden: [8], boostedRounds: 32, boostedDepth: 3, forestTrees: 8, forestDepth: 4),
    OverdueSizes(inputs: 16, hidden: [8], boostedRounds: 16, boostedDepth: 3, forestTrees: 8, forestDepth: 3),
  ]

  var layers: [LayerDescription] {
    hidden.enumerated().map { .dense("hidden\($0 + 1)", outputs: $1) }
      + [.dense("output", outputs: 1, activation: .identity)]
  }

  /// What they cost at most: every tree as deep as it may be, every input with a logarithm and an indicator.
  var cost: ServingCost {
    let all = Array(0..<min(inputs, FeatureCatalogue.count))
    let inputs = FeatureInputs(features: all, logarithmic: all, missingIndicators: all)
    var head = ServingCost()
    head.links = 1
    let fixed =
      ServingCost.linear(inputs).linked(.logistic)
      + ServingCost.network(layers, inputs, hasPicture: false).linked(.logistic)
    return fixed + ServingCost.forest(trees: boostedRounds, depth: boostedDepth).linked(.logistic)
      + ServingCost.forest(trees: forestTrees, depth: forestDepth) + head
  }

  /// The largest members that cost no more than `microseconds`; the smallest where none do.
  static func within(_ microseconds: Double) -> OverdueSizes {
    if unbounded.cost.microseconds <= microseconds { return unbounded }
    return bounded.first { $0.cost.microseconds <= microseconds } ?? bounded[bounded.count - 1]
  }

  /// Bins of a feature: more than these fit chance and take longer.
  private static let bins = 64

  var boosted: TreeSettings {
    TreeSettings(
      rounds: boostedRounds, maxDepth: boostedDepth,
      // So that the rounds allowed are about as many as early stopping would take.
      learningRate: min(max(10 / Double(boostedRounds), 0.02), 0.3), minChildWeight: 8, lambda: 8, rowShare: 0.8,
      columnShareOfTree: 0.4, maxBins: Self.bins)
  }

  /// One round of many trees, on the labels as numbers.
  var forest: TreeSettings {
    TreeSettings(
      objective: .squaredError, rounds: 1, maxDepth: forestDepth, learningRate: 1, minChildWeight: 10, lambda: 1,
      rowShare: 0.63, columnShareOfNode: 0.15, parallelTrees: forestTrees, maxBins: Self.bins)
  }
}

/// A member that was trained, and what it needs to serve.
enum TrainedMember: Sendable {
  case linear(TrainedLinear)
  case trees(TrainedTrees)
  case network(TrainedNetwork)

  /// Of rows; log-odds but for the forest, see `OverdueMember.link`.
  func margins(_ matrix: FeatureMatrix) throws(TrainingError) -> [Double] {
    guard matrix.rows > 0 else { return [] }
    switch self {
    case .linear(let model): return try model.margins(matrix)
    case .trees(let trees): return try Booster.reading(trees).margins(try TreeRows(matrix, labels: nil))
    case .network(let network): return network.margins(try NetworkSource(matrix, network.fitting))
    }
  }

  /// Rounds or epochs that early stopping chose; 0 where nothing is stopped.
  var length: Int {
    switch self {
    case .linear: 0
    case .trees(let trees): trees.rounds
    case .network(let network): network.epochs
    }
  }

  /// Of a fold; nil where a member has none.
  func curve(_ member: OverdueMember, fold: Int) -> LearningCurve? {
    switch self {
    case .linear: return nil
    case .trees(let trees):
      return trees.validationLosses.isEmpty ? nil : .trees(member.name, fold: fold, measure: "log loss", trees)
    case .network(let network): return .network(member.name, fold: fold, measure: "log loss", network)
    }
  }
}

/// What a member is trained on: real rows, some of them only to say when to stop, and rows that were made.
struct OverdueRows: Sendable {
  /// Real rows that weights are fitted on.
  var inner: FeatureMatrix
  var innerLabels: [Bool]
  /// Real rows of other borrowers of the same training part.
  var held: FeatureMatrix
  var heldLabels: [Bool]
  /// Made by the adversarial network; empty without it.
  var made: FeatureMatrix
  var madeLabels: [Bool]

  /// For members that do not stop early.
  var all: FeatureMatrix { inner.appending(held).appending(made) }
  var allLabels: [Bool] { innerLabels + heldLabels + madeLabels }
}

/// Trains members.
struct OverdueTrainer: Sendable {
  static let penalty = 3e-3
  static let networkSettings = NetworkSettings(
    batch: 256, epochs: 25, patience: 4, learningRate: 2e-3, weightDecay: 2e-2)
  /// Rows above which a member gains nothing that is worth its time: of more, a seeded sample is learned from.
  static func rowsMax(_ member: OverdueMember) -> Int {
    switch member {
    case .boosted: 160_000
    case .network: 80_000
    case .logistic, .forest: 60_000
    }
  }

  var sizes: OverdueSizes
  /// Of each column -1, 0 or 1; empty: none.
  var constraints: [Int]
  var seed: UInt64

  /// With early stopping on the rows held out; logistic regression and the forest, which do not stop, learn from those
  /// too.
  func train(_ member: OverdueMember, _ rows: OverdueRows) throws(TrainingError) -> TrainedMember {
    switch member {
    case .logistic, .forest:
      return try fit(member, rows.all, rows.allLabels, length: 1)
    case .boosted:
      let labels = rows.innerLabels + rows.madeLabels
      return .trees(
        try Booster.train(
          try TreeRows(rows.inner.appending(rows.made), labels: numbers(labels)),
          validation: try TreeRows(rows.held, labels: numbers(rows.heldLabels)), meanLabel: mean(labels),
          settings(member), patience: 30))
    case .network:
      return .network(
        try network(
          rows.inner.appending(rows.made), rows.innerLabels + rows.madeLabels, held: rows.held, rows.heldLabels))
    }
  }

  /// On all rows: as many rounds as the folds found best. A network needs rows held out all the same; one trained on the
  /// rest is what serves.
  func refit(_ member: OverdueMember, _ rows: OverdueRows, length: Int) throws(TrainingError) -> TrainedMember {
    if member == .network { return try train(member, rows) }
    return try fit(member, rows.all, rows.allLabels, length: length)
  }

  private func fit(
    _ member: OverdueMember, _ matrix: FeatureMatrix, _ labels: [Bool], length: Int
  ) throws(TrainingError) -> TrainedMember {
    if member == .logistic {
      return .linear(
        try TrainedLinear.logistic(
          matrix, labels: numbers(labels), penalty: Self.penalty,
          fitting: try ColumnRanking.fitting(
            matrix, labels: numbers(labels), objective: .logistic, limit: sizes.inputs)))
    }
    var settings = settings(member)
    settings.rounds = max(length, 1)
    return .trees(
      try Booster.train(try TreeRows(matrix, labels: numbers(labels)), meanLabel: mean(labels), settings))
  }

  private func settings(_ member: OverdueMember) -> TreeSettings {
    var settings = member == .boosted ? sizes.boosted : sizes.forest
    settings.seed = seed
    settings.constraints = constraints
    return settings
  }

  private func network(
    _ matrix: FeatureMatrix, _ labels: [Bool], held: FeatureMatrix, _ heldLabels: [Bool]
  ) throws(TrainingError) -> TrainedNetwork {
    let fitting = try ColumnRanking.fitting(
      matrix, labels: numbers(labels), objective: .logistic, limit: sizes.inputs)
    var settings = Self.networkSettings
    settings.seed = seed &* 31
    return NetworkTrainer.train(
      try NetworkSource(matrix, fitting), targets: numbers(labels), validation: try NetworkSource(held, fitting),
      validationTargets: numbers(heldLabels), fitting: fitting, layers: sizes.layers, hasPicture: false,
      loss: .logistic, settings)
  }

  private func numbers(_ labels: [Bool]) -> [Float] { labels.map { $0 ? 1 : 0 } }

  private func mean(_ labels: [Bool]) -> Double {
    min(max(Double(labels.count { $0 }) / Double(labels.count), 1e-6), 1 - 1e-6)
  }
}

/// In which direction alone a feature may move the risk, for trees that are asked for it.
enum OverdueConstraints {
  private static let raising = [
    "utilization", "utilization_peak", "exposure_to_income", "statement_balance_to_limit_0",
    "statement_balance_mean_to_limit", "days_past_due", "days_past_due_worst_90d", "days_past_due_worst",
    "last_missed_days", "amount_past_due", "amount_past_due_to_limit", "amount_past_due_to_exposure",
    "open_past_due_count", "settled_late_count", "settled_late_share", "payment_missed_count",
    "payment_missed_count_7d", "payment_missed_count_30d", "payment_missed_count_90d", "payment_missed_largest_30d",
    "payment_missed_largest_90d", "missed_to_due_90d", "statement_worst_days_0", "statement_worst_days_1",
    "statement_worst_days_2", "statement_worst_days_3", "statement_worst_days_4", "statement_worst_days_5",
    "statement_missed_days_0", "statement_missed_days_1", "worst_days_since_statement", "statement_delayed_count",
    "open_due_to_income_30d", "due_to_income_30d",
  ]
  private static let lowering = [
    "repaid_to_due_30d", "repaid_to_due_90d", "statement_repaid_to_balance_0", "statement_repaid_to_balance_1",
    "statement_repaid_to_balance_2", "statement_repaid_to_balance_3", "statement_repaid_to_balance_4",
    "statement_repaid_to_balance_least", "repaid_since_statement_to_balance", "limit_headroom", "monthly_income",
    "deposits", "property_value", "credit_score",
  ]

  /// 1: a higher value never lowers the risk; -1: never raises it; 0: free.
  static let columns: [Int] = {
    var columns = [Int](repeating: 0, count: FeatureCatalogue.count)
    for name in raising { if let column = FeatureCatalogue.index(of: name) { columns[column] = 1 } }
    for name in lowering { if let column = FeatureCatalogue.index(of: name) { columns[column] = -1 } }
    return columns
  }()
}
