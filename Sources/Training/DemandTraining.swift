import Features
import Models

/// The demand model, in two parts: will anything be drawn, and how much if so. Each part is a convolutional network over
/// the picture of the last 90 days with the static features joined in, beside boosted trees on the features; the two are
/// stacked on rows that neither saw. The same examples are also forecast in one part (the logarithm of one and the amount,
/// over everybody), and by the models that the network has to beat.
struct DemandTraining: Sendable {
  static let folds = 5
  static let network = NetworkSettings(
    batch: 256, epochs: 24, patience: 4, learningRate: 2e-3, weightDecay: 2e-2, averaging: 0.99)
  static let boosted = TreeSettings(
    rounds: 40, maxDepth: DemandPlan.treeDepth, learningRate: 0.15, minChildWeight: 10, lambda: 5, rowShare: 0.8,
    columnShareOfTree: 0.6)
  /// Rows trained on; of more, a seeded sample of borrowers is taken. Past it, rows cost time and gain nothing measurable.
  static let rowsMax = 120_000
  /// Rows that are held out and forecast by other models than those that serve: with more, fewer folds are trained.
  static let measuredRows = 60_000
  /// Rows that rivals forecast too: all that is compared is compared on the same ones.
  static let comparedRows = 8_000
  /// How far a calibration of midnights and states right after events together may move the total of midnights.
  static let calibrationTolerance = 0.02

  let table: ExampleTable
  let settings: TrainingSettings
  let plan: DemandPlan
  /// Of the table.
  let rows: [Int]
  let matrix: FeatureMatrix
  let actual: [Double]
  let borrowed: [Bool]
  let isSampled: Bool
  /// States right after events: nothing is trained on them, calibration is fitted and measured on them too.
  private let asServed: ExampleTable
  private let asServedRows: [Int]
  private let borrowers: [UInt64]
  private let folds: Folds
  private let measuredFolds: Int
  private let comparedFolds: Int

  enum Part: Int, Sendable { case borrowing, amount }

  /// One part: a network and trees for the same targets.
  private struct Pair: Sendable {
    var network: TrainedNetwork
    var trees: TrainedTrees
    /// Of the rows held out, and of the same borrowers right after events.
    var held = Margins()
    var after = Margins()
  }

  private struct Margins: Sendable {
    var network: [Double] = []
    var trees: [Double] = []
  }

  private enum Task: Sendable {
    case part(Part)
    case rival(DemandRival)
  }

  private enum Outcome: Sendable {
    case pair(Pair)
    case forecasts([Double])
  }

  init(_ set: ExampleSet, _ settings: TrainingSettings) throws(TrainingError) {
    let table = set.table
    self.table = table
    asServed = set.asServed
    self.settings = settings
    plan = DemandPlan.fitting(settings.budget, intervalDays: settings.pictureIntervalDays)
    rows = RowSample.rows(table, Array(0..<table.count), limit: Self.rowsMax, seed: settings.seed)
    isSampled = rows.count < table.count
    actual = rows.map { table.labels[$0].drawn }
    borrowed = actual.map { $0 > 0 }
    borrowers = rows.map { table.borrowers[$0] }
    try Self.checkTargets(actual)
    folds = Folds(borrowers: borrowers, count: Self.folds, seed: settings.seed)
    measuredFolds = min(max(Self.measuredRows * Self.folds / max(rows.count, 1), 1), Self.folds)
    comparedFolds = min(max((Self.comparedRows * Self.folds + rows.count - 1) / rows.count, 1), measuredFolds)
    let taken = Set(borrowers)
    asServedRows = (0..<asServed.count).filter { taken.contains(set.asServed.borrowers[$0]) }
    matrix = FeatureMatrix(
      table, rows: rows, allowed: FeatureCatalogue.allowed(includeProtected: settings.includeProtected))
    guard !InputFitting(matrix).inputs.features.isEmpty else {
      throw TrainingError(
        .failed, "demand: every feature is constant over \(rows.count) examples; a richer history is needed")
    }
    try checkSplits()
  }

  private func checkSplits() throws(TrainingError) {
    for fold in 0...measuredFolds {
      let (training, stopping, held) = split(fold)
      for part in [training, stopping] + (fold < measuredFolds ? [held] : []) {
        let drew = part.count { borrowed[$0] }
        guard drew >= 3, part.count - drew >= 3 else {
          throw TrainingError(
            .failed,
            "demand: \(Set(borrowers).count) borrowers with \(borrowed.count { $0 }) examples of drawing are too few to "
              + "train, stop and measure on; a larger history is needed")
        }
      }
    }
  }

  private static func checkTargets(_ actual: [Double]) throws(TrainingError) {
    let amounts = actual.filter { $0 > 0 }
    guard !amounts.isEmpty, amounts.count < actual.count else {
      throw TrainingError(
        .failed,
        "demand: \(amounts.isEmpty ? "nobody" : "everybody") among \(actual.count) examples drew within a horizon, so "
          + "there is nothing to tell apart; other --as-of dates or a longer history are needed")
    }
    guard amounts.min()! < amounts.max()! else {
      throw TrainingError(
        .failed, "demand: all \(amounts.count) amounts drawn are \(amounts[0]), so there is no amount to learn")
    }
  }

  func run(_ progress: @Sendable (Double) -> Void) throws(TrainingError) -> TrainedModel {
    // The longest first, and the models that serve before all: nothing waits for one at the end.
    var tasks: [(task: Task, fold: Int)] = [(.part(.borrowing), measuredFolds), (.part(.amount), measuredFolds)]
    for fold in 0..<measuredFolds {
      tasks += [(.part(.borrowing), fold), (.part(.amount), fold)]
      if fold < comparedFolds, !settings.isRehearsal { tasks += DemandRival.allCases.map { (.rival($0), fold) } }
    }
    let planned = tasks
    let done = Counter()
    let outcomes = try parallelMap(planned.count) { index throws(TrainingError) in
      let outcome = try perform(planned[index].task, fold: planned[index].fold)
      progress(Double(done.increment()) / Double(planned.count))
      return outcome
    }
    var pairs: [(borrowing: Pair, amount: Pair)] = []
    var forecasts: [DemandRival: [Double]] = [:]
    var index = 0
    while index < planned.count {
      if case .pair(let borrowing) = outcomes[index], case .pair(let amount) = outcomes[index + 1] {
        pairs.append((borrowing, amount))
        index += 2
      } else if case .rival(let rival) = planned[index].task, case .forecasts(let column) = outcomes[index] {
        forecasts[rival, default: []] += column
        index += 1
      }
    }
    return try assemble(serving: pairs[0], folds: Array(pairs.dropFirst()), forecasts)
  }

  /// Fold `measuredFolds` is that of the models that serve: it holds nothing out but what training stops by.
  private func split(_ fold: Int) -> (training: [Int], stopping: [Int], held: [Int]) {
    let isServing = fold == measuredFolds
    let known = isServing ? Array(rows.indices) : folds.training(fold)
    let inner = Folds(
      borrowers: known.map { borrowers[$0] }, count: 10, seed: settings.seed &+ 1000 &+ UInt64(fold))
    return (
      inner.training(0).map { known[$0] }, inner.validation(0).map { known[$0] },
      isServing ? [] : folds.validation(fold)
    )
  }

  private func perform(_ task: Task, fold: Int) throws(TrainingError) -> Outcome {
    let (training, stopping, held) = split(fold)
    switch task {
    case .part(let part):
      var pair = try train(part, on: training, stopping: stopping, fold: fold)
      if !held.isEmpty {
        pair.held = try margins(pair, matrix.selecting(held), (table, rows: held.map { rows[$0] }))
        let after = asServed(fold: fold)
        let allowed = FeatureCatalogue.allowed(includeProtected: settings.includeProtected)
        pair.after = try margins(
          pair, FeatureMatrix(asServed, rows: after, allowed: allowed), (asServed, rows: after))
      }
      return .pair(pair)
    case .rival(let rival):
      return .forecasts(try forecast(rival, training: training, stopping: stopping, held: held, fold: fold))
    }
  }

  private func asServed(fold: Int) -> [Int] {
    asServedRows.filter { folds.fold(of: asServed.borrowers[$0]) == fold }
  }

  private func margins(
    _ pair: Pair, _ matrix: FeatureMatrix, _ pictures: (ExampleTable, rows: [Int])
  ) throws(TrainingError) -> Margins {
    guard matrix.rows > 0 else { return Margins() }
    return Margins(
      network: pair.network.margins(try NetworkSource(matrix, pair.network.fitting, pictures: pictures)),
      trees: try Booster.reading(pair.trees).margins(try TreeRows(matrix, labels: nil)))
  }

  private func train(
    _ part: Part, on training: [Int], stopping: [Int], fold: Int
  ) throws(TrainingError) -> Pair {
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
    treeSettings.rounds = plan.rounds
    treeSettings.seed = settings.seed &+ UInt64(part.rawValue)
    treeSettings.objective = part == .amount ? .squaredError : .logistic
    let trees = try Booster.train(
      try TreeRows(trainingMatrix, labels: trainingTargets),
      validation: try TreeRows(stoppingMatrix, labels: targets(stoppingRows)), meanLabel: mean, treeSettings,
      patience: 15)
    let fitting = try ColumnRanking.fitting(
      trainingMatrix, labels: trainingTargets, objective: treeSettings.objective, limit: plan.inputs)
    var networkSettings = Self.network
    networkSettings.seed = settings.seed &* 17 &+ UInt64(fold * 2 + part.rawValue)
    let network = NetworkTrainer.train(
      try NetworkSource(trainingMatrix, fitting, pictures: (table, rows: fittingRows.map { rows[$0] })),
      targets: trainingTargets,
      validation: try NetworkSource(stoppingMatrix, fitting, pictures: (table, rows: stoppingRows.map { rows[$0] })),
      validationTargets: targets(stoppingRows), fitting: fitting, layers: plan.layers, hasPicture: true,
      loss: part == .amount ? .squaredError : .logistic, networkSettings)
    return Pair(network: network, trees: trees)
  }

  // MARK: What came of it

  private func assemble(
    serving: (borrowing: Pair, amount: Pair), folds pairs: [(borrowing: Pair, amount: Pair)],
    _ rivals: [DemandRival: [Double]]
  ) throws(TrainingError) -> TrainedModel {
    let held = (0..<measuredFolds).flatMap { folds.validation($0) }
    let after = (0..<measuredFolds).flatMap { asServed(fold: $0) }
    let truth = held.map { actual[$0] }
    let all = truth + after.map { asServed.labels[$0].drawn }
    let owners = held.map { borrowers[$0] } + after.map { asServed.borrowers[$0] }
    func column(_ part: KeyPath<(borrowing: Pair, amount: Pair), Pair>, _ member: KeyPath<Margins, [Double]>)
      -> [Double]
    {
      pairs.flatMap { $0[keyPath: part].held[keyPath: member] }
        + pairs.flatMap { $0[keyPath: part].after[keyPath: member] }
    }
    let networks = (column(\.borrowing, \.network), column(\.amount, \.network))
    let trees = (column(\.borrowing, \.trees), column(\.amount, \.trees))
    func stacked(_ borrowing: [[Double]], _ amount: [[Double]]) -> DemandStack.Rows {
      DemandStack.Rows(
        borrowing: borrowing, amount: amount, actual: all, isMidnight: all.indices.map { $0 < held.count },
        halves: owners)
    }
    func twoPart(_ rows: DemandStack.Rows, onEvents: Bool) -> DemandStack.Forecasts {
      DemandStack.crossFitted(rows, calibratesOnEvents: onEvents, seed: settings.seed &+ 7)
    }
    // Where borrowers right after events are unlike those at midnights (one date of a monthly timetable, say), one
    // calibration of both would be of neither: then it is of midnights, on which members are trained.
    let bothRows = stacked([networks.0, trees.0], [networks.1, trees.1])
    let pooled = twoPart(bothRows, onEvents: true)
    let ratio = pooled.part(0..<held.count).figures(truth)["total_forecast_over_actual"] ?? 1
    let onEvents = !after.isEmpty && abs(ratio - 1) <= Self.calibrationTolerance
    let both = onEvents ? pooled : twoPart(bothRows, onEvents: false)
    // Folds come in their order, so what is compared comes first.
    let compared = 0..<(0..<comparedFolds).reduce(0) { $0 + folds.validation($1).count }
    let comparedTruth = Array(truth[compared])
    let comparedHalves = Folds(borrowers: Array(owners[compared]), count: 2, seed: settings.seed &+ 7)
    var forecasts: [(name: String, forecasts: DemandStack.Forecasts)] = DemandRival.allCases.compactMap { rival in
      guard let column = rivals[rival] else { return nil }
      return (
        rival.rawValue,
        DemandStack.crossFitted(
          logarithms: column, actual: comparedTruth, halves: comparedHalves, seed: settings.seed &+ 8)
      )
    }
    forecasts.append(("boosted_trees", twoPart(stacked([trees.0], [trees.1]), onEvents: onEvents).part(compared)))
    forecasts.append(
      (
        "convolutional_network",
        twoPart(stacked([networks.0], [networks.1]), onEvents: onEvents).part(compared)
      ))
    let served = both.part(0..<held.count)
    forecasts.append(("ensemble", both.part(compared)))

    let stack = DemandStack(bothRows, calibratesOnEvents: onEvents, seed: settings.seed &+ 8)
    var files: [String: [UInt8]] = [:]
    let architecture = Architecture.demand(
      borrowing: EnsembleDescription(
        members: members(serving.borrowing, stack.borrowing.weights, "borrowing", &files),
        intercept: stack.borrowing.intercept, link: .logistic, minimum: 0, maximum: 1),
      amount: EnsembleDescription(
        members: members(serving.amount, stack.amount.weights, "amount", &files), intercept: stack.amount.intercept,
        link: .exponential), stack.description)
    let candidates = forecasts.map {
      Candidate(name: $0.name, metrics: $0.forecasts.figures(comparedTruth), chosen: $0.name == "ensemble")
    }
    let cost = try ServedCost.microseconds(architecture, files)
    var figures = served.figures(truth)
    figures["score_us"] = cost
    if !after.isEmpty {
      let afterFigures = both.part(held.count..<all.count).figures(Array(all[held.count...]))
      for (name, value) in afterFigures { figures["as_served." + name] = value }
    }
    return TrainedModel(
      kind: .demand, files: files, architecture: architecture, metrics: figures,
      foldMetrics: foldMetrics(served, truth), candidates: candidates, rows: rows,
      counts: [
        "drew": borrowed.count { $0 }, "measured": held.count, "compared": compared.count, "known": table.count,
      ],
      card: card(candidates, onEvents: onEvents, microseconds: cost, measured: held.count, compared: compared.count),
      evidence: evidence(held, truth, served, forecasts, pairs, after: after, both.part(held.count..<all.count)))
  }

  private func members(
    _ pair: Pair, _ weights: [Double], _ part: String, _ files: inout [String: [UInt8]]
  ) -> [MemberDescription] {
    var members: [MemberDescription] = []
    // The convolutional network stays, however little of it the stack wants.
    files["\(part)_network.safetensors"] = pair.network.bytes
    members.append(
      .convolutional(
        "\(part)_network", file: "\(part)_network.safetensors", weight: weights[0], inputs: pair.network.fitting.inputs,
        layers: plan.layers))
    if weights[1] > 0 {
      files["\(part)_trees.json"] = pair.trees.json
      members.append(.forest("\(part)_trees", file: "\(part)_trees.json", weight: weights[1]))
    }
    return members
  }

  private func foldMetrics(_ served: DemandStack.Forecasts, _ truth: [Double]) -> [[String: Double]] {
    var start = 0
    return (0..<measuredFolds).map { fold in
      let range = start..<start + folds.validation(fold).count
      start = range.upperBound
      return served.part(range).figures(Array(truth[range]))
    }
  }

  private func evidence(
    _ held: [Int], _ truth: [Double], _ served: DemandStack.Forecasts,
    _ forecasts: [(name: String, forecasts: DemandStack.Forecasts)], _ pairs: [(borrowing: Pair, amount: Pair)],
    after: [Int], _ afterForecasts: DemandStack.Forecasts
  ) -> TrainingEvidence {
    var evidence = TrainingEvidence()
    evidence.rows = held.map { rows[$0] }
    evidence.folds = held.map { folds.foldOfRow[$0] }
    evidence.forecasts = served.money.map(\.amount)
    evidence.actual = truth
    evidence.servedRows = after
    evidence.servedForecasts = afterForecasts.money.map(\.amount)
    evidence.servedActual = after.map { asServed.labels[$0].drawn }
    // A member without a forecast of every row is plotted nowhere: it stands among the candidates' figures.
    for (name, forecasts) in forecasts where forecasts.money.count == truth.count {
      evidence.members[name] = forecasts.money.map(\.amount)
    }
    evidence.probabilities = served.probabilities
    evidence.lower = served.money.map(\.lower)
    evidence.upper = served.money.map(\.upper)
    for (fold, pair) in pairs.enumerated() {
      for (name, part, measure) in [
        ("borrowing", pair.borrowing, "log loss"), ("amount", pair.amount, "half squared error"),
      ] {
        evidence.curves.append(.network(name + "_network", fold: fold, measure: measure, part.network))
        evidence.curves.append(
          .trees(name + "_trees", fold: fold, measure: name == "borrowing" ? "log loss" : "rmse", part.trees))
      }
    }
    return evidence
  }

  private func card(
    _ candidates: [Candidate], onEvents: Bool, microseconds: Double, measured: Int, compared: Int
  ) -> String {
    func rmse(_ name: String) -> String {
      TrainingText.number(candidates.first { $0.name == name }?.metrics["rmse_log1p"] ?? .nan)
    }
    let sample =
      isSampled ? " Trained on a seeded sample by borrower: \(rows.count) of \(table.count) examples." : ""
    let calibrated =
      onEvents
      ? "midnights and states right after events together"
      : "at midnights"
        + (asServedRows.isEmpty
          ? ""
          : " (states right after events would move their total by over \(Int(Self.calibrationTolerance * 100)) %)")
    let interval = settings.pictureIntervalDays == 1 ? "days" : "intervals of \(settings.pictureIntervalDays) days"
    return """
      What a borrower draws within \(settings.asOf.horizonDays) days: the probability of any drawing times the amount \
      drawn if so, brought to the conditional mean in money by a monotone calibration; the 80 % interval by quantiles of \
      what was drawn at that forecast. Each part stacks a convolutional network over 90 days x 16 channels, read by \
      \(interval), with the features joined in, and boosted trees; this ensemble serves. \
      RMSE of log1p on \(compared) of the examples: ensemble \(rmse("ensemble")), convolutional network \(rmse("convolutional_network")) (in one part, on \
      log1p: \(rmse("convolutional_network_log1p")); the picture alone: \(rmse("convolutional_network_picture_only"))), \
      boosted trees \(rmse("boosted_trees")) (in one part: \(rmse("boosted_trees_log1p"))), plain network \
      \(rmse("plain_network")), linear regression \(rmse("linear_regression")), regression tree \
      \(rmse("regression_tree")), constant \(rmse("constant")). Serving costs \(TrainingText.number(microseconds)) us an \
      event by counted operations, of \(TrainingText.number(settings.budget.share(of: .demand))) allowed; boosted trees \
      without a bound reach \(rmse("boosted_trees_unbounded")).\(sample) Figures are of \(measured) examples of borrowers \
      that the measured models did not see (\(measuredFolds) of \(Self.folds) folds by borrower), stacked and calibrated \
      by halves, \(calibrated); the models that serve were trained with them.
      """
  }
}
