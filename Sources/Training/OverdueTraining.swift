import Borrowers
import Features
import Models

/// The overdue model: logistic regression, boosted trees, a random forest and a small network, measured out of fold on real
/// rows, with and without rows that an adversarial network adds to what they learn from; fused by non-negative linear
/// regression of their probabilities, calibrated, and refitted on all rows.
struct OverdueTraining: Sendable {
  static let folds = 7

  /// One way to train the members, measured over all folds.
  struct Variant: Equatable, Sendable {
    var isEnlarged: Bool
    var sizes: OverdueSizes
    var isMonotonic: Bool
  }

  let table: ExampleTable
  /// The same borrowers right after events: calibration is fitted on these too.
  let asServed: ExampleTable
  let settings: TrainingSettings
  /// Of `table`, and of `asServed`: who owes, or draws within the horizon.
  let rows: [Int]
  let servedRows: [Int]
  let sizes: OverdueSizes
  let allowed: [Bool]
  let matrix: FeatureMatrix
  let servedMatrix: FeatureMatrix
  let labels: [Bool]
  let servedLabels: [Bool]
  /// Of `rows`.
  let borrowers: [UInt64]
  let folds: Folds
  /// Of each of `servedRows`.
  let servedFolds: [Int]

  init(
    _ table: ExampleTable, asServed: ExampleTable = ExampleTable(), _ settings: TrainingSettings
  ) throws(TrainingError) {
    self.table = table
    self.asServed = asServed
    self.settings = settings
    sizes = OverdueSizes.within(settings.budget.share(of: .overdue))
    rows = (0..<table.count).filter(table.isOverdueExample)
    servedRows = (0..<asServed.count).filter(asServed.isOverdueExample)
    labels = rows.map { table.labels[$0].isOverdue }
    servedLabels = servedRows.map { asServed.labels[$0].isOverdue }
    borrowers = rows.map { table.borrowers[$0] }
    try Self.check(labels, borrowers: Set(borrowers).count)
    let folds = Folds(borrowers: borrowers, count: Self.folds, seed: settings.seed)
    self.folds = folds
    servedFolds = servedRows.map { folds.fold(of: asServed.borrowers[$0]) }
    try Self.check(labels, folds)
    allowed = FeatureCatalogue.allowed(includeProtected: settings.includeProtected)
    matrix = FeatureMatrix(table, rows: rows, allowed: allowed)
    servedMatrix = FeatureMatrix(asServed, rows: servedRows, allowed: allowed)
    guard !InputFitting(matrix).inputs.features.isEmpty else {
      throw TrainingError(
        .failed, "overdue: every feature is constant over \(rows.count) examples; a richer history is needed")
    }
  }

  private static func check(_ labels: [Bool], borrowers: Int) throws(TrainingError) {
    guard borrowers >= folds else {
      throw TrainingError(
        .failed,
        "overdue: \(borrowers) borrowers owe at an as-of date or draw in its horizon, fewer than the \(folds) folds; "
          + "a larger history is needed")
    }
    let positives = labels.count { $0 }
    guard positives > 0, positives < labels.count else {
      throw TrainingError(
        .failed,
        "overdue: \(positives == 0 ? "none" : "every one") of \(labels.count) examples became overdue, so there is "
          + "nothing to tell apart; other --as-of dates or a longer history are needed")
    }
  }

  private static func check(_ labels: [Bool], _ split: Folds) throws(TrainingError) {
    for fold in 0..<folds {
      let training = split.training(fold)
      let positives = training.count { labels[$0] }
      guard positives > 0, positives < training.count else {
        throw TrainingError(
          .failed,
          "overdue: a fold would train on one class only (\(labels.count { $0 }) of \(labels.count) examples became "
            + "overdue); a larger history is needed")
      }
    }
  }

  func run(_ progress: @escaping @Sendable (Double) -> Void) throws(TrainingError) -> TrainedModel {
    let work = OverdueProgress(steps: steps, progress)
    // A rehearsal measures nothing beside what it would serve.
    let plain = Variant(
      isEnlarged: settings.isRehearsal && gan == .always, sizes: sizes, isMonotonic: settings.isMonotonic)
    let (first, enlargements) = try firstOutOfFold(plain, work)
    var results = OverdueResults(plain: first)
    if comparesEnlarged {
      var variant = plain
      variant.isEnlarged = true
      results.enlarged = try outOfFold(variant, enlargements, work, onEvents: first.calibratesOnEvents)
      results.proofs = proofs(enlargements)
    }
    results.decide(self)
    let chosen = results.chosen
    if comparesUnbounded {
      var variant = chosen.variant
      variant.sizes = .unbounded
      results.unbounded = try outOfFold(
        variant, enlargements, work, onEvents: first.calibratesOnEvents, unchanged: chosen, [.logistic])
    }
    if comparesUnconstrained {
      var variant = chosen.variant
      variant.isMonotonic = false
      results.unconstrained = try outOfFold(
        variant, enlargements, work, onEvents: first.calibratesOnEvents, unchanged: chosen, [.logistic, .network])
    }
    return try assemble(results, try refit(chosen, work))
  }

  var gan: GANMode { settings.isRehearsal && settings.gan == .auto ? .never : settings.gan }
  private var comparesEnlarged: Bool { gan != .never && !settings.isRehearsal }
  private var comparesUnbounded: Bool { sizes != .unbounded && !settings.isRehearsal }
  private var comparesUnconstrained: Bool { settings.isMonotonic && !settings.isRehearsal }

  private var steps: Int {
    let members = OverdueMember.allCases.count
    var steps = Self.folds * members + members
    if gan != .never { steps += Self.folds }
    if comparesEnlarged { steps += Self.folds * members }
    if comparesUnbounded { steps += Self.folds * 3 }
    if comparesUnconstrained { steps += Self.folds * 2 }
    return steps
  }

  // MARK: Folds

  private enum Outcome: Sendable {
    case made(OverdueEnlargement)
    case member(FoldResult)
  }

  /// The first variant, and beside it one adversarial network for each fold, from its training part alone: neither has to
  /// wait for the other, unless what is made is learned from.
  private func firstOutOfFold(
    _ variant: Variant, _ work: OverdueProgress
  ) throws(TrainingError) -> (OverdueOutOfFold, [OverdueEnlargement]) {
    let none = [OverdueEnlargement](repeating: .empty(columns: matrix.columns), count: Self.folds)
    guard gan != .never else { return (try outOfFold(variant, none, work), none) }
    @Sendable func make(_ fold: Int) -> OverdueEnlargement {
      let made = enlargement(folds.training(fold), seedShift: UInt64(fold))
      work.done()
      return made
    }
    guard !variant.isEnlarged else {
      let made = try parallelMap(Self.folds) { fold throws(TrainingError) in make(fold) }
      return (try outOfFold(variant, made, work), made)
    }
    let members = OverdueMember.allCases
    let outcomes = try parallelMap(Self.folds * (members.count + 1)) { index throws(TrainingError) in
      guard index >= Self.folds else { return Outcome.made(make(index)) }
      return .member(try foldResult(index - Self.folds, of: members, variant, none, work))
    }
    let made = outcomes.prefix(Self.folds).compactMap { if case .made(let made) = $0 { made } else { nil } }
    let results = outcomes.dropFirst(Self.folds).compactMap {
      if case .member(let result) = $0 { result } else { nil }
    }
    return (gather(results, of: members, variant), made)
  }

  /// Of the rows named, which are a training part.
  func enlargement(_ training: [Int], seedShift: UInt64) -> OverdueEnlargement {
    let split = innerSplit(training, seedShift)
    let inner = sample(split.training, OverdueEnlargement.learnedMax, seedShift)
    let held = sample(split.held, OverdueEnlargement.learnedMax / 4, seedShift)
    return OverdueEnlargement(
      inner: matrix.selecting(inner), inner.map { labels[$0] }, held: matrix.selecting(held), held.map { labels[$0] },
      allowed: allowed, steps: settings.ganSteps, seed: settings.seed &* 131 &+ seedShift)
  }

  /// A training part as a member takes it: of more rows than `most`, a seeded sample.
  func trainingRows(
    _ training: [Int], seedShift: UInt64, _ enlargement: OverdueEnlargement?, most: Int
  ) -> OverdueRows {
    let split = innerSplit(training, seedShift)
    let inner = sample(split.training, most, seedShift)
    let held = sample(split.held, most / 4, seedShift)
    let enlargement = enlargement ?? .empty(columns: matrix.columns)
    return OverdueRows(
      inner: matrix.selecting(inner), innerLabels: inner.map { labels[$0] }, held: matrix.selecting(held),
      heldLabels: held.map { labels[$0] }, made: enlargement.made, madeLabels: enlargement.labels)
  }

  private func sample(_ rows: [Int], _ most: Int, _ seedShift: UInt64) -> [Int] {
    guard rows.count > most else { return rows }
    var random = SeededRandom(seed: settings.seed &+ seedShift, stream: 17)
    var shuffled = rows
    random.shuffle(&shuffled)
    return shuffled.prefix(most).sorted()
  }

  func trainer(_ variant: Variant, seedShift: UInt64) -> OverdueTrainer {
    OverdueTrainer(
      sizes: variant.sizes, constraints: variant.isMonotonic ? OverdueConstraints.columns : [],
      seed: settings.seed &+ seedShift)
  }

  private struct FoldResult: Sendable {
    var margins: [Double]
    var servedMargins: [Double]
    var length: Int
    var curve: LearningCurve?
  }

  /// Forecasts of every row by members that did not see its borrower. Members named `same` are taken from `unchanged`.
  private func outOfFold(
    _ variant: Variant, _ enlargements: [OverdueEnlargement], _ work: OverdueProgress,
    onEvents: Bool? = nil, unchanged: OverdueOutOfFold? = nil, _ same: [OverdueMember] = []
  ) throws(TrainingError) -> OverdueOutOfFold {
    let members = OverdueMember.allCases.filter { !same.contains($0) }
    let results = try parallelMap(Self.folds * members.count) { index throws(TrainingError) in
      try foldResult(index, of: members, variant, enlargements, work)
    }
    return gather(results, of: members, variant, onEvents: onEvents, unchanged: unchanged, same)
  }

  /// Members come in the opposite order, each with all folds: the slowest start first.
  private func foldResult(
    _ index: Int, of members: [OverdueMember], _ variant: Variant, _ enlargements: [OverdueEnlargement],
    _ work: OverdueProgress
  ) throws(TrainingError) -> FoldResult {
    let member = members[members.count - 1 - index / Self.folds]
    let fold = index % Self.folds
    let trained = try trainer(variant, seedShift: UInt64(fold)).train(
      member,
      trainingRows(
        folds.training(fold), seedShift: UInt64(fold), variant.isEnlarged ? enlargements[fold] : nil,
        most: OverdueTrainer.rowsMax(member)))
    let served = servedFolds.indices.filter { servedFolds[$0] == fold }
    let result = FoldResult(
      margins: try trained.margins(matrix.selecting(folds.validation(fold))),
      servedMargins: try trained.margins(servedMatrix.selecting(served)), length: trained.length,
      curve: trained.curve(member, fold: fold))
    work.done()
    return result
  }

  private func gather(
    _ results: [FoldResult], of members: [OverdueMember], _ variant: Variant, onEvents: Bool? = nil,
    unchanged: OverdueOutOfFold? = nil, _ same: [OverdueMember] = []
  ) -> OverdueOutOfFold {
    var all = OverdueOutOfFold(variant: variant, rows: rows.count, servedRows: servedRows.count)
    for (index, member) in members.enumerated() {
      let base = (members.count - 1 - index) * Self.folds
      for fold in 0..<Self.folds {
        let result = results[base + fold]
        for (row, margin) in zip(folds.validation(fold), result.margins) {
          all.probabilities[member]![row] = member.probability(margin)
        }
        let served = servedFolds.indices.filter { servedFolds[$0] == fold }
        for (row, margin) in zip(served, result.servedMargins) {
          all.servedProbabilities[member]![row] = member.probability(margin)
        }
        if let curve = result.curve { all.curves.append(curve) }
      }
      all.lengths[member] =
        (results[base..<base + Self.folds].reduce(0) { $0 + $1.length } + Self.folds / 2) / Self.folds
    }
    if let unchanged {
      for member in same {
        all.probabilities[member] = unchanged.probabilities[member]
        all.servedProbabilities[member] = unchanged.servedProbabilities[member]
        all.lengths[member] = unchanged.lengths[member]
      }
    }
    all.fuse(self, onEvents: onEvents)
    return all
  }

  private func proofs(_ enlargements: [OverdueEnlargement]) -> [OverdueFoldProof] {
    (0..<Self.folds).map { fold in
      let held = folds.validation(fold)
      return OverdueFoldProof(
        enlargements[fold], training: folds.training(fold).count, validation: matrix.selecting(held),
        held.map { labels[$0] },
        table: FeatureMatrix(table, rows: held.map { rows[$0] }, allowed: allowed))
    }
  }

  /// Every member on all rows, as long as the folds found best.
  private func refit(
    _ chosen: OverdueOutOfFold, _ work: OverdueProgress
  ) throws(TrainingError) -> [OverdueMember: TrainedMember] {
    let members = OverdueMember.allCases
    let all = Array(labels.indices)
    let made = chosen.variant.isEnlarged ? enlargement(all, seedShift: 99) : nil
    let models = try parallelMap(members.count) { index throws(TrainingError) in
      let member = members[members.count - 1 - index]
      let model = try trainer(chosen.variant, seedShift: 99).refit(
        member, trainingRows(all, seedShift: 99, made, most: OverdueTrainer.rowsMax(member)),
        length: chosen.lengths[member]!)
      work.done()
      return model
    }
    return Dictionary(uniqueKeysWithValues: zip(members, models.reversed()))
  }

  /// A seventh of the borrowers of `rows` (at least one) is held out for early stopping.
  func innerSplit(_ rows: [Int], _ seedShift: UInt64) -> (training: [Int], held: [Int]) {
    let split = Folds(
      borrowers: rows.map { borrowers[$0] }, count: 7, seed: settings.seed &+ 1000 &+ seedShift)
    let inner = split.training(0).map { rows[$0] }
    let held = split.validation(0).map { rows[$0] }
    // A class that would be held out whole stays in what is learned from.
    let positives = inner.count { labels[$0] }
    return positives > 0 && positives < inner.count ? (inner, held) : (rows, held)
  }
}

/// Counts what is done.
struct OverdueProgress: Sendable {
  private let counter = Counter()
  private let steps: Double
  private let tell: @Sendable (Double) -> Void

  init(steps: Int, _ tell: @escaping @Sendable (Double) -> Void) {
    self.steps = Double(steps)
    self.tell = tell
  }

  func done() { tell(min(Double(counter.increment()) / steps, 1)) }
}
