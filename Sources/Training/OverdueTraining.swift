import Features
import Models

/// The overdue model: logistic regression, boosted trees, a random forest and a small network, measured out of fold, fused
/// by non-negative linear regression of their probabilities, calibrated, and refitted on all rows.
struct OverdueTraining: Sendable {
  static let folds = 7
  static let boosted = TreeSettings(
    rounds: 400, maxDepth: 4, learningRate: 0.07, minChildWeight: 5, lambda: 5, rowShare: 0.8, columnShareOfTree: 0.6)
  /// One round of many trees; small enough to serve.
  static let forest = TreeSettings(
    rounds: 1, maxDepth: 8, learningRate: 1, minChildWeight: 5, lambda: 1, rowShare: 0.63, columnShareOfNode: 0.3,
    parallelTrees: 40)
  /// Rounds that serving has time for.
  static let servedRounds = 100
  /// Features that the logistic regression and the network read.
  static let inputs = 64
  static let networkLayers: [LayerDescription] = [
    .dense("hidden1", outputs: 24), .dense("hidden2", outputs: 12), .dense("output", outputs: 1, activation: .identity),
  ]
  static let network = NetworkSettings(batch: 256, epochs: 25, patience: 4, learningRate: 2e-3, weightDecay: 2e-2)
  static let penalty = 3e-3

  enum Member: String, CaseIterable, Sendable {
    case logistic, boosted, forest, network
    var name: String {
      switch self {
      case .logistic: "logistic_regression"
      case .boosted: "boosted_trees"
      case .forest: "random_forest"
      case .network: "neural_network"
      }
    }
  }

  /// A member that was trained, and what it needs to serve.
  private enum Trained: Sendable {
    case linear(TrainedLinear)
    case trees(TrainedTrees)
    case network(TrainedNetwork)
  }

  private struct FoldResult: Sendable {
    var margins: [Double]
    /// Rounds or epochs that early stopping chose.
    var length: Int
  }

  let table: ExampleTable
  let settings: TrainingSettings
  let rows: [Int]
  private let matrix: FeatureMatrix
  private let labels: [Bool]
  private let folds: Folds

  init(_ table: ExampleTable, _ settings: TrainingSettings) throws(TrainingError) {
    self.table = table
    self.settings = settings
    rows = (0..<table.count).filter(table.isOverdueExample)
    let labels = rows.map { table.labels[$0].isOverdue }
    self.labels = labels
    let borrowers = rows.map { table.borrowers[$0] }
    let count = Set(borrowers).count
    guard count >= Self.folds else {
      throw TrainingError(
        .failed,
        "overdue: \(count) borrowers owe at an as-of date or draw in its horizon, fewer than the \(Self.folds) folds; "
          + "a larger history is needed")
    }
    let positives = labels.count { $0 }
    guard positives > 0, positives < labels.count else {
      throw TrainingError(
        .failed,
        "overdue: \(positives == 0 ? "none" : "every one") of \(labels.count) examples became overdue, so there is "
          + "nothing to tell apart; other --as-of dates or a longer history are needed")
    }
    folds = Folds(borrowers: borrowers, count: Self.folds, seed: settings.seed)
    for fold in 0..<Self.folds {
      let training = folds.training(fold)
      let inFold = training.count { labels[$0] }
      guard inFold > 0, inFold < training.count else {
        throw TrainingError(
          .failed,
          "overdue: a fold would train on one class only (\(positives) of \(labels.count) examples became "
            + "overdue); a larger history is needed")
      }
    }
    matrix = FeatureMatrix(
      table, rows: rows, allowed: FeatureCatalogue.allowed(includeProtected: settings.includeProtected))
    guard !InputFitting(matrix).inputs.features.isEmpty else {
      throw TrainingError(
        .failed, "overdue: every feature is constant over \(rows.count) examples; a richer history is needed")
    }
  }

  func run(_ progress: @Sendable (Double) -> Void) throws(TrainingError) -> TrainedModel {
    let members = Member.allCases
    let done = Counter()
    let steps = Double(Self.folds * members.count + members.count)
    let results = try parallelMap(Self.folds * members.count) { index throws(TrainingError) in
      // The slowest member's folds start first.
      let result = try outOfFold(members[members.count - 1 - index / Self.folds], fold: index % Self.folds)
      progress(Double(done.increment()) / steps)
      return result
    }
    var margins: [Member: [Double]] = [:]
    var lengths: [Member: Int] = [:]
    for (index, member) in members.enumerated() {
      let base = (members.count - 1 - index) * Self.folds
      var all = [Double](repeating: 0, count: rows.count)
      for fold in 0..<Self.folds {
        for (row, margin) in zip(folds.validation(fold), results[base + fold].margins) { all[row] = margin }
      }
      margins[member] = all
      lengths[member] = (results[base..<base + Self.folds].reduce(0) { $0 + $1.length } + Self.folds / 2) / Self.folds
    }
    let probabilities = members.map { member in margins[member]!.map(logistic) }
    let fusion = Fusion(probabilities, labels)
    let calibration = calibrated(fusion.apply(probabilities), labels)
    let served = lengths
    let trained = try parallelMap(members.count) { index throws(TrainingError) in
      let member = members[members.count - 1 - index]
      let model = try fit(member, matrix, labels.map { $0 ? 1 : 0 }, length: served[member]!, seedShift: 99)
      progress(Double(done.increment()) / steps)
      return model
    }
    return try assemble(Array(trained.reversed()), probabilities, fusion, calibration)
  }

  // MARK: Members

  /// Trains on a fold's training part, with an early-stopping split of that part by borrower, and forecasts the rest.
  private func outOfFold(_ member: Member, fold: Int) throws(TrainingError) -> FoldResult {
    let training = folds.training(fold)
    let validation = matrix.selecting(folds.validation(fold))
    let targets = training.map { labels[$0] ? Float(1) : 0 }
    switch member {
    case .logistic:
      let model = try linear(matrix.selecting(training), targets)
      return FoldResult(margins: try model.margins(validation), length: 0)
    case .boosted:
      let (inner, held) = innerSplit(training, fold)
      var settings = Self.boosted
      settings.seed = self.settings.seed &+ UInt64(fold)
      settings.rounds = min(settings.rounds, Self.servedRounds)
      let trees = try Booster.train(
        try TreeRows(matrix.selecting(inner), labels: inner.map { labels[$0] ? 1 : 0 }),
        validation: try TreeRows(matrix.selecting(held), labels: held.map { labels[$0] ? 1 : 0 }),
        meanLabel: mean(inner), settings, patience: 25)
      return FoldResult(
        margins: try Booster.reading(trees).margins(try TreeRows(validation, labels: nil)), length: trees.rounds)
    case .forest:
      var settings = Self.forest
      settings.seed = self.settings.seed &+ UInt64(fold)
      let trees = try Booster.train(
        try TreeRows(matrix.selecting(training), labels: targets), meanLabel: mean(training), settings)
      return FoldResult(margins: try Booster.reading(trees).margins(try TreeRows(validation, labels: nil)), length: 1)
    case .network:
      let (inner, held) = innerSplit(training, fold)
      let network = try self.network(
        matrix.selecting(inner), inner.map { labels[$0] ? 1 : 0 }, matrix.selecting(held),
        held.map { labels[$0] ? 1 : 0 },
        seedShift: UInt64(fold))
      return FoldResult(
        margins: network.margins(try NetworkSource(validation, network.fitting)), length: network.epochs)
    }
  }

  /// On all rows, as long as the folds found best.
  private func fit(
    _ member: Member, _ matrix: FeatureMatrix, _ targets: [Float], length: Int, seedShift: UInt64
  ) throws(TrainingError) -> Trained {
    switch member {
    case .logistic: return .linear(try linear(matrix, targets))
    case .boosted, .forest:
      var settings = member == .boosted ? Self.boosted : Self.forest
      settings.seed = self.settings.seed &+ seedShift
      settings.rounds = max(length, 1)
      return .trees(
        try Booster.train(try TreeRows(matrix, labels: targets), meanLabel: mean(Array(labels.indices)), settings))
    case .network:
      // Early stopping needs rows held out; a network trained on the rest of all rows is what serves.
      let (inner, held) = innerSplit(Array(labels.indices), Self.folds)
      return .network(
        try network(
          matrix.selecting(inner), inner.map { targets[$0] }, matrix.selecting(held), held.map { targets[$0] },
          seedShift: seedShift))
    }
  }

  private func linear(_ matrix: FeatureMatrix, _ targets: [Float]) throws(TrainingError) -> TrainedLinear {
    try TrainedLinear.logistic(
      matrix, labels: targets, penalty: Self.penalty,
      fitting: try ColumnRanking.fitting(matrix, labels: targets, objective: .logistic, limit: Self.inputs))
  }

  private func network(
    _ training: FeatureMatrix, _ targets: [Float], _ validation: FeatureMatrix, _ validationTargets: [Float],
    seedShift: UInt64
  ) throws(TrainingError) -> TrainedNetwork {
    let fitting = try ColumnRanking.fitting(training, labels: targets, objective: .logistic, limit: Self.inputs)
    var settings = Self.network
    settings.seed = self.settings.seed &* 31 &+ seedShift
    return NetworkTrainer.train(
      try NetworkSource(training, fitting), targets: targets, validation: try NetworkSource(validation, fitting),
      validationTargets: validationTargets, fitting: fitting, layers: Self.networkLayers, hasPicture: false,
      loss: .logistic, settings)
  }

  /// A seventh of the borrowers of `rows` (at least one) is held out.
  private func innerSplit(_ rows: [Int], _ fold: Int) -> (training: [Int], held: [Int]) {
    let split = Folds(
      borrowers: rows.map { table.borrowers[self.rows[$0]] }, count: 7, seed: settings.seed &+ 1000 &+ UInt64(fold))
    return (split.training(0).map { rows[$0] }, split.validation(0).map { rows[$0] })
  }

  private func mean(_ rows: [Int]) -> Double {
    min(max(Double(rows.count { labels[$0] }) / Double(rows.count), 1e-6), 1 - 1e-6)
  }

  // MARK: Fusion, measures, manifest

  private func calibrated(_ fused: [Double], _ labels: [Bool]) -> Calibration {
    Isotonic(scores: fused, labels: labels, minimumRows: max(20, labels.count / 60)).calibration
  }

  /// Probabilities of each fold by a fusion and calibration that were learned on the other folds.
  private func crossFitted(_ probabilities: [[Double]]) -> [Double] {
    var result = [Double](repeating: 0, count: rows.count)
    for fold in 0..<Self.folds {
      let others = folds.training(fold)
      let held = folds.validation(fold)
      let fusion = Fusion(probabilities.map { column in others.map { column[$0] } }, others.map { labels[$0] })
      let calibration = calibrated(
        fusion.apply(probabilities.map { column in others.map { column[$0] } }), others.map { labels[$0] })
      let fused = fusion.apply(probabilities.map { column in held.map { column[$0] } })
      for (row, score) in zip(held, fused) { result[row] = calibration(score) }
    }
    return result
  }

  private func assemble(
    _ trained: [Trained], _ probabilities: [[Double]], _ fusion: Fusion, _ calibration: Calibration
  ) throws(TrainingError) -> TrainedModel {
    let members = Member.allCases
    var files: [String: [UInt8]] = [:]
    var descriptions: [MemberDescription] = []
    for (index, member) in members.enumerated() where fusion.weights[index] > 0 {
      let weight = fusion.weights[index]
      switch trained[index] {
      case .linear(let model):
        files["\(member.name).safetensors"] = model.bytes
        descriptions.append(
          .linear(
            member.name, file: "\(member.name).safetensors", weight: weight, link: .logistic,
            inputs: model.fitting.inputs))
      case .trees(let model):
        files["\(member.name).json"] = model.json
        descriptions.append(.forest(member.name, file: "\(member.name).json", weight: weight, link: .logistic))
      case .network(let model):
        files["\(member.name).safetensors"] = model.bytes
        descriptions.append(
          .dense(
            member.name, file: "\(member.name).safetensors", weight: weight, link: .logistic,
            inputs: model.fitting.inputs, layers: Self.networkLayers))
      }
    }
    let served = crossFitted(probabilities)
    var report = OverdueReport(all: ClassificationMetrics(probabilities: served, labels: labels))
    report.addGroups(table, rows, served, labels, dates: settings.asOf.dates)
    var candidates: [Candidate] = []
    for (index, member) in members.enumerated() {
      let metrics = ClassificationMetrics(probabilities: probabilities[index], labels: labels)
      candidates.append(Candidate(name: member.name, metrics: metrics.figures(), chosen: fusion.weights[index] > 0))
    }
    candidates.append(Candidate(name: "fusion", metrics: report.all.figures(), chosen: true))
    let foldMetrics = (0..<Self.folds).map { fold in
      let held = folds.validation(fold)
      return ClassificationMetrics(probabilities: held.map { served[$0] }, labels: held.map { labels[$0] }).figures()
    }
    let weights = zip(members, fusion.weights).map { "\($0.name) \(($1 * 1000).rounded() / 1000)" }.joined(
      separator: ", ")
    return TrainedModel(
      kind: .overdue, files: files,
      architecture: .overdue(
        EnsembleDescription(
          members: descriptions, intercept: fusion.intercept, calibration: calibration, minimum: 0, maximum: 1)),
      metrics: report.figures, foldMetrics: foldMetrics, candidates: candidates, rows: rows,
      counts: ["positives": labels.count { $0 }, "owing": rows.count { table.owes[$0] }],
      card: """
        Whether a borrower who owes, or draws within the horizon, becomes \(settings.labels.overdueDays) or more days \
        overdue within \(settings.asOf.horizonDays) days. Figures are out of fold over \(Self.folds) folds split by \
        borrower; fusion and calibration are cross-fitted over the same folds. Members and their weights in the fused \
        score (non-negative linear regression of out-of-fold probabilities): \(weights). Calibrated by isotonic \
        regression on out-of-fold scores, linear between the pools' means.
        """,
      evidence: TrainingEvidence(
        rows: rows, folds: folds.foldOfRow, forecasts: served, actual: labels.map { $0 ? 1 : 0 },
        members: Dictionary(uniqueKeysWithValues: zip(members.map(\.name), probabilities))))
  }
}

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
}
