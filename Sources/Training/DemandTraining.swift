import Features
import Models

/// The demand model, in two parts: will anything be drawn, and how much if so. Each part is a convolutional network over
/// the picture of the last 90 days with the static features joined in, beside boosted trees on the features; the two are
/// stacked on rows that neither saw.
struct DemandTraining: Sendable {
  static let layers: [LayerDescription] = [
    .convolution("convolution1", outputs: 16, kernel: 5, stride: 5),
    .convolution("convolution2", outputs: 16, kernel: 3),
    .pooling("pooling", mode: .average, size: 2), .dense("hidden", outputs: 24),
    .dense("output", outputs: 1, activation: .identity),
  ]
  static let network = NetworkSettings(batch: 256, epochs: 24, patience: 4, learningRate: 2e-3, weightDecay: 2e-2)
  static let boosted = TreeSettings(
    rounds: 40, maxDepth: 4, learningRate: 0.15, minChildWeight: 10, lambda: 5, rowShare: 0.8, columnShareOfTree: 0.6)
  /// Features joined into a network.
  static let inputs = 48
  private static let parts = 10

  let table: ExampleTable
  let settings: TrainingSettings
  let rows: [Int]
  private let matrix: FeatureMatrix
  private let actual: [Double]
  private let borrowed: [Bool]
  private let folds: Folds

  /// One part: a network and trees for the same targets.
  private struct Pair: Sendable {
    var network: TrainedNetwork
    var trees: TrainedTrees
  }

  private enum Part: Int, Sendable { case borrowing, amount }

  init(_ table: ExampleTable, _ settings: TrainingSettings) throws(TrainingError) {
    self.table = table
    self.settings = settings
    rows = Array(0..<table.count)
    actual = rows.map { table.labels[$0].drawn }
    borrowed = actual.map { $0 > 0 }
    let positives = borrowed.count { $0 }
    guard positives > 0, positives < rows.count else {
      throw TrainingError(
        .failed,
        "demand: \(positives == 0 ? "nobody" : "everybody") among \(rows.count) examples drew within a horizon, so there "
          + "is nothing to tell apart; other --as-of dates or a longer history are needed")
    }
    let amounts = actual.filter { $0 > 0 }
    guard amounts.min()! < amounts.max()! else {
      throw TrainingError(
        .failed, "demand: all \(positives) amounts drawn are \(amounts[0]), so there is no amount to learn")
    }
    let folds = Folds(borrowers: table.borrowers, count: Self.parts, seed: settings.seed)
    let borrowed = borrowed
    self.folds = folds
    for part in [[0], [1, 2], Array(3..<Self.parts)] {
      let selected = folds.foldOfRow.indices.filter { part.contains(folds.foldOfRow[$0]) }
      let drawn = selected.count { borrowed[$0] }
      guard drawn >= 5, selected.count - drawn >= 5 else {
        throw TrainingError(
          .failed,
          "demand: \(Set(table.borrowers).count) borrowers with \(positives) drawing are too few to train, stop and "
            + "measure on; a larger history is needed")
      }
    }
    matrix = FeatureMatrix(
      table, rows: rows, allowed: FeatureCatalogue.allowed(includeProtected: settings.includeProtected))
    guard !InputFitting(matrix).inputs.features.isEmpty else {
      throw TrainingError(
        .failed, "demand: every feature is constant over \(rows.count) examples; a richer history is needed")
    }
  }

  func run(_ progress: @Sendable (Double) -> Void) throws(TrainingError) -> TrainedModel {
    let stopping = select([0])
    let measuring = select([1, 2])
    let training = select(Array(3..<Self.parts))
    let done = Counter()
    // First without the measured rows, for stacking and figures; then with them, for serving.
    let results = try parallelMap(4) { index throws(TrainingError) in
      let part = Part(rawValue: index % 2)!
      let pair = try train(part, on: index < 2 ? training : training + measuring, stopping: stopping)
      progress(Double(done.increment()) / 4)
      return pair
    }
    let stack = try Stack(results[0], results[1], self, measuring)
    return try assemble(stack, serving: (results[2], results[3]), measuring)
  }

  private func select(_ parts: [Int]) -> [Int] {
    folds.foldOfRow.indices.filter { parts.contains(folds.foldOfRow[$0]) }
  }

  private func train(_ part: Part, on training: [Int], stopping: [Int]) throws(TrainingError) -> Pair {
    let fittingRows = part == .amount ? training.filter { borrowed[$0] } : training
    let stoppingRows = part == .amount ? stopping.filter { borrowed[$0] } : stopping
    func targets(_ rows: [Int]) -> [Float] {
      rows.map { part == .amount ? Float(logarithm(1 + actual[$0])) : borrowed[$0] ? 1 : 0 }
    }
    let trainingTargets = targets(fittingRows)
    let trainingMatrix = matrix.selecting(fittingRows)
    let stoppingMatrix = matrix.selecting(stoppingRows)
    let mean = trainingTargets.reduce(0) { $0 + Double($1) } / Double(trainingTargets.count)
    var treeSettings = Self.boosted
    treeSettings.seed = settings.seed &+ UInt64(part.rawValue)
    treeSettings.objective = part == .amount ? .squaredError : .logistic
    let trees = try Booster.train(
      try TreeRows(trainingMatrix, labels: trainingTargets),
      validation: try TreeRows(stoppingMatrix, labels: targets(stoppingRows)), meanLabel: mean, treeSettings,
      patience: 15)
    let fitting = try ColumnRanking.fitting(
      trainingMatrix, labels: trainingTargets, objective: treeSettings.objective, limit: Self.inputs)
    var networkSettings = Self.network
    networkSettings.seed = settings.seed &* 17 &+ UInt64(part.rawValue)
    let network = NetworkTrainer.train(
      try NetworkSource(trainingMatrix, fitting, pictures: (table, rows: fittingRows)), targets: trainingTargets,
      validation: try NetworkSource(stoppingMatrix, fitting, pictures: (table, rows: stoppingRows)),
      validationTargets: targets(stoppingRows), fitting: fitting, layers: Self.layers, hasPicture: true,
      loss: part == .amount ? .squaredError : .logistic, networkSettings)
    return Pair(network: network, trees: trees)
  }

  private func margins(_ pair: Pair, _ selected: [Int]) throws(TrainingError) -> (network: [Double], trees: [Double]) {
    let matrix = matrix.selecting(selected)
    return (
      pair.network.margins(try NetworkSource(matrix, pair.network.fitting, pictures: (table, rows: selected))),
      try Booster.reading(pair.trees).margins(try TreeRows(matrix, labels: nil))
    )
  }

  /// How the parts' members are weighted and their product turned into money, learned on rows that no member saw.
  private struct Stack: Sendable {
    var borrowing: (weights: [Double], intercept: Double)
    var amount: (weights: [Double], intercept: Double)
    var description: DemandDescription
    let networks: (borrowing: [Double], amount: [Double])
    let trees: (borrowing: [Double], amount: [Double])

    init(_ borrowingPair: Pair, _ amountPair: Pair, _ training: DemandTraining, _ rows: [Int]) throws(TrainingError) {
      let first = try training.margins(borrowingPair, rows)
      let second = try training.margins(amountPair, rows)
      networks = (first.network, second.network)
      trees = (first.trees, second.trees)
      let labels = rows.map { training.borrowed[$0] }
      let actual = rows.map { training.actual[$0] }
      borrowing = LogisticStacking.fit([first.network, first.trees], labels)
      amount = Self.stackAmounts([second.network, second.trees], actual)
      description = Self.calibrate(
        probabilities: Self.combine([first.network, first.trees], borrowing).map(logistic),
        amounts: Self.combine([second.network, second.trees], amount).map(exponential), actual: actual)
    }

    static func combine(_ columns: [[Double]], _ weighting: (weights: [Double], intercept: Double)) -> [Double] {
      columns[0].indices.map { row in
        var sum = weighting.intercept
        for (weight, column) in zip(weighting.weights, columns) { sum += weight * column[row] }
        return sum
      }
    }

    /// Of the logarithm of one and the amount, over those who drew.
    static func stackAmounts(_ columns: [[Double]], _ actual: [Double]) -> (weights: [Double], intercept: Double) {
      let drew = actual.indices.filter { actual[$0] > 0 }
      var design: [Double] = []
      for row in drew { design += [1] + columns.map { $0[row] } }
      let normal = NormalEquations(
        design, columns: columns.count + 1, targets: drew.map { logarithm(1 + actual[$0]) })
      let solution = normal.solveNonNegative(constrained: [false] + columns.map { _ in true })
      return (Array(solution.dropFirst()), solution[0])
    }

    static func calibrate(probabilities: [Double], amounts: [Double], actual: [Double]) -> DemandDescription {
      let combined = zip(probabilities, amounts).map { $0 * $1 }
      var description = DemandDescription(
        combination: .hurdle, calibration: MoneyCalibration.means(combined, actual), lower: .identity, upper: .identity)
      let means = combined.map { description.calibration($0) }
      description.lower = MoneyCalibration.quantiles(means, actual, 0.1)
      description.upper = MoneyCalibration.quantiles(means, actual, 0.9)
      return description
    }

    func forecasts(
      borrowing columns: [[Double]], amount amountColumns: [[Double]], _ description: DemandDescription? = nil
    ) -> [DemandPrediction] {
      let p = Self.combine(columns, borrowing).map(logistic)
      let m = Self.combine(amountColumns, amount).map(exponential)
      return zip(p, m).map { DemandModel.combine($0, $1, description ?? self.description) }
    }
  }

  private func assemble(
    _ stack: Stack, serving: (borrowing: Pair, amount: Pair), _ measuring: [Int]
  ) throws(TrainingError) -> TrainedModel {
    let truth = measuring.map { actual[$0] }
    let labels = measuring.map { borrowed[$0] }
    func measure(_ borrowing: [[Double]], _ amount: [[Double]]) -> DemandReport {
      measureWithForecasts(borrowing, amount).report
    }
    func measureWithForecasts(
      _ borrowing: [[Double]], _ amount: [[Double]]
    ) -> (report: DemandReport, predictions: [DemandPrediction]) {
      // Each half is measured with what the other half taught, so that no row calibrates its own forecast.
      let fitted = (
        borrowing: LogisticStacking.fit(borrowing, labels), amount: Stack.stackAmounts(amount, truth)
      )
      let p = Stack.combine(borrowing, fitted.borrowing).map(logistic)
      let mu = Stack.combine(amount, fitted.amount)
      let halves = Folds(borrowers: measuring.map { table.borrowers[$0] }, count: 2, seed: settings.seed &+ 7)
      var predictions = [DemandPrediction](
        repeating: DemandPrediction(borrowingProbability: 0, amount: 0, lower: 0, upper: 0), count: truth.count)
      for half in 0..<2 {
        let learned = halves.training(half)
        let description = Stack.calibrate(
          probabilities: learned.map { p[$0] }, amounts: learned.map { exponential(mu[$0]) },
          actual: learned.map { truth[$0] })
        for row in halves.validation(half) {
          predictions[row] = DemandModel.combine(p[row], exponential(mu[row]), description)
        }
      }
      var report = DemandReport(
        probabilities: p, amounts: predictions.map(\.amount), lower: predictions.map(\.lower),
        upper: predictions.map(\.upper), actual: truth, borrowed: labels)
      report.rmseLog1p = Metrics.rootMeanSquaredError(
        zip(p, mu).map { $0 * $1 }, truth.map { logarithm(1 + $0) })
      return (report, predictions)
    }
    let network = measure([stack.networks.borrowing], [stack.networks.amount])
    let trees = measure([stack.trees.borrowing], [stack.trees.amount])
    let (both, predictions) = measureWithForecasts(
      [stack.networks.borrowing, stack.trees.borrowing], [stack.networks.amount, stack.trees.amount])
    let evidence = TrainingEvidence(
      rows: measuring, forecasts: predictions.map(\.amount), actual: truth,
      probabilities: predictions.map(\.borrowingProbability), lower: predictions.map(\.lower),
      upper: predictions.map(\.upper))
    var files: [String: [UInt8]] = [:]
    func members(_ pair: Pair, _ weighting: (weights: [Double], intercept: Double), _ part: String)
      -> [MemberDescription]
    {
      var members: [MemberDescription] = []
      if weighting.weights[0] > 0 {
        files["\(part)_network.safetensors"] = pair.network.bytes
        members.append(
          .convolutional(
            "\(part)_network", file: "\(part)_network.safetensors", weight: weighting.weights[0],
            inputs: pair.network.fitting.inputs, layers: Self.layers))
      }
      if weighting.weights[1] > 0 {
        files["\(part)_trees.json"] = pair.trees.json
        members.append(.forest("\(part)_trees", file: "\(part)_trees.json", weight: weighting.weights[1]))
      }
      return members
    }
    let borrowingMembers = members(serving.borrowing, stack.borrowing, "borrowing")
    let amountMembers = members(serving.amount, stack.amount, "amount")
    let shape = serving.borrowing.network.network.shape
    return TrainedModel(
      kind: .demand, files: files,
      architecture: .demand(
        borrowing: EnsembleDescription(
          members: borrowingMembers, intercept: stack.borrowing.intercept, link: .logistic, minimum: 0, maximum: 1),
        amount: EnsembleDescription(members: amountMembers, intercept: stack.amount.intercept, link: .exponential),
        stack.description),
      metrics: both.figures,
      candidates: [
        Candidate(name: "convolutional_network", metrics: network.figures, chosen: false),
        Candidate(name: "boosted_trees", metrics: trees.figures, chosen: false),
        Candidate(name: "ensemble", metrics: both.figures, chosen: true),
      ],
      rows: rows, counts: ["drew": borrowed.count { $0 }, "measured": measuring.count],
      card: """
        What a borrower draws within \(settings.asOf.horizonDays) days: the probability of any drawing times the amount \
        drawn if so, brought to the conditional mean in money by a monotone calibration; the 80 % interval by quantiles of \
        what was drawn at that forecast. Each part stacks a convolutional network over 90 days x 16 channels with the \
        features joined in (\(shape.multiplyAdds) multiply-adds) and boosted trees. Figures are of a fifth of the borrowers \
        that the measured models did not see; the models that serve were trained with them.
        """,
      evidence: evidence)
  }
}

/// Weights of log-odds, none negative, and an intercept, by Newton's method.
enum LogisticStacking {
  static func fit(_ columns: [[Double]], _ labels: [Bool]) -> (weights: [Double], intercept: Double) {
    var active = Array(columns.indices)
    while true {
      let beta = newton(active.map { columns[$0] }, labels)
      // The most negative one is left out, and the rest fitted again.
      let worst = active.indices.min { beta[$0 + 1] < beta[$1 + 1] }!
      if beta[worst + 1] < 0, active.count > 1 {
        active.remove(at: worst)
        continue
      }
      var weights = [Double](repeating: 0, count: columns.count)
      for (position, column) in active.enumerated() { weights[column] = max(beta[position + 1], 1e-3) }
      return (weights, beta[0])
    }
  }

  private static func newton(_ columns: [[Double]], _ labels: [Bool]) -> [Double] {
    let width = columns.count + 1
    var design: [Double] = []
    for row in labels.indices { design += [1] + columns.map { $0[row] } }
    var beta = [Double](repeating: 0, count: width)
    for _ in 0..<50 {
      var weights: [Double] = []
      var targets: [Double] = []
      for row in labels.indices {
        var z = 0.0
        for column in 0..<width { z += beta[column] * design[row * width + column] }
        let p = logistic(z)
        let weight = max(p * (1 - p), 1e-6)
        weights.append(weight)
        targets.append(z + ((labels[row] ? 1 : 0) - p) / weight)
      }
      let normal = NormalEquations(design, columns: width, targets: targets, weights: weights)
      // A light ridge keeps two members that agree from running apart.
      guard let next = normal.solve(ridge: [1e-9] + columns.map { _ in 1e-3 * Double(labels.count) / 100 }) else {
        break
      }
      let change = zip(next, beta).map { abs($0 - $1) }.max()!
      beta = next
      if change < 1e-9 { break }
    }
    return beta
  }
}

/// Monotone maps of a forecast amount, over groups of rows with similar forecasts.
enum MoneyCalibration {
  /// To the mean of what was drawn: total forecast equals total actual on these rows, about.
  static func means(_ forecasts: [Double], _ actual: [Double]) -> Calibration {
    let groups = groups(forecasts)
    let points = groups.map { rows in
      (
        x: rows.reduce(0) { $0 + forecasts[$1] } / Double(rows.count),
        y: rows.reduce(0) { $0 + actual[$1] } / Double(rows.count), weight: Double(rows.count)
      )
    }
    let shape = monotone(points)
    // The straight lines between the points do not keep the total by themselves.
    let total = actual.reduce(0, +)
    let forecast = forecasts.reduce(0) { $0 + shape($1) }
    guard forecast > 0, total > 0, let y = shape.y, let x = shape.x else { return shape }
    return .piecewise(x: x, y: y.map { $0 * total / forecast }, beyond: .proportional)
  }

  /// To a quantile of what was drawn.
  static func quantiles(_ forecasts: [Double], _ actual: [Double], _ fraction: Double) -> Calibration {
    let groups = groups(forecasts)
    return monotone(
      groups.map { rows in
        (
          x: rows.reduce(0) { $0 + forecasts[$1] } / Double(rows.count),
          y: Metrics.quantile(rows.map { actual[$0] }.sorted(), fraction), weight: Double(rows.count)
        )
      })
  }

  /// Rows in order of forecast, cut into groups of about 100 and at most 24.
  private static func groups(_ forecasts: [Double]) -> [[Int]] {
    let order = forecasts.indices.sorted {
      forecasts[$0] != forecasts[$1] ? forecasts[$0] < forecasts[$1] : $0 < $1
    }
    let count = min(max(order.count / 100, 1), 24)
    return (0..<count).map { Array(order[$0 * order.count / count..<($0 + 1) * order.count / count]) }
  }

  /// Pools neighbours until neither coordinate falls, and starts at the origin.
  private static func monotone(_ points: [(x: Double, y: Double, weight: Double)]) -> Calibration {
    var pools: [(x: Double, y: Double, weight: Double)] = []
    for point in points {
      pools.append(point)
      while pools.count > 1 {
        let last = pools[pools.count - 1]
        let before = pools[pools.count - 2]
        guard before.y > last.y || before.x >= last.x else { break }
        let weight = before.weight + last.weight
        pools.removeLast()
        pools[pools.count - 1] = (
          (before.x * before.weight + last.x * last.weight) / weight,
          (before.y * before.weight + last.y * last.weight) / weight, weight
        )
      }
    }
    var x = pools.map(\.x)
    var y = pools.map { max($0.y, 0) }
    if let first = x.first, first > 0 {
      x.insert(0, at: 0)
      y.insert(0, at: 0)
    }
    return .piecewise(x: x, y: y, beyond: .proportional)
  }
}
