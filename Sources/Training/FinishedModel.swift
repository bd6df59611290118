import Borrowers
import History
import Models

/// A trained model with what was found out about it afterwards, in ways that are the same for every kind: how it does on
/// a later date, what it costs to serve, what moves its score.
struct FinishedModel: Sendable {
  private(set) var trained: TrainedModel
  /// Nil for a kind whose own measure lies in time.
  let outOfTime: OutOfTime?
  let importance: [Importance]
  let measured: Measurements
  /// What all but the training itself took.
  let afterwardsSeconds: Double

  init(
    _ kind: ModelKind, _ examples: ExampleSet, _ settings: TrainingSettings, _ options: TrainingOptions,
    _ progress: @escaping @Sendable (TrainingProgress) -> Void
  ) throws(TrainingError) {
    let table = examples.table
    func tell(_ phase: String) -> @Sendable (Double) -> Void {
      { progress(TrainingProgress(phase: phase, share: $0, detail: "")) }
    }
    let start = Clocks.monotonicSeconds
    tell("training \(kind.rawValue)")(0)
    let trained = try TrainingRun.train(kind, examples, settings, tell("training \(kind.rawValue)"))
    let seconds = Clocks.monotonicSeconds - start
    let rows = trained.rows
    let inTime = tell("testing \(kind.rawValue) in time")
    // As what serves was trained, with made rows or without them.
    var rehearsed = settings
    if let isKept = trained.metrics["gan.is_kept"] { rehearsed.gan = isKept > 0 ? .always : .never }
    outOfTime = try OutOfTime.test(kind, examples, rehearsed) { earlier, past throws(TrainingError) in
      try TrainingRun.train(kind, earlier, past, inTime)
    }
    progress(TrainingProgress(phase: "measuring \(kind.rawValue)", share: nil, detail: ""))
    importance =
      options.reportDirectory == nil
      ? [] : try Importance.measure(trained.architecture, files: trained.files, table, rows: rows)
    measured = Measurements(
      trainedAt: Clocks.now, trainingSeconds: seconds,
      scoreMicroseconds: try PredictionClock.microseconds(
        trained.architecture, files: trained.files, table, rows: rows))
    self.trained = trained
    afterwardsSeconds = Clocks.monotonicSeconds - start - seconds
    describe()
  }

  /// A repayment model: its own measure lies in time, it scores no borrower, and nothing is tested afterwards.
  init(
    repaymentOf history: EventHistory, observedThrough: EventTime, _ options: TrainingOptions,
    _ progress: @escaping @Sendable (TrainingProgress) -> Void
  ) throws(TrainingError) {
    let start = Clocks.monotonicSeconds
    trained = try RepaymentRun.train(
      history, observedThrough: observedThrough, industry: options.industry, seed: options.seed
    ) { progress(TrainingProgress(phase: "training repayment", share: $0, detail: "")) }
    outOfTime = nil
    importance = []
    measured = Measurements(
      trainedAt: Clocks.now, trainingSeconds: Clocks.monotonicSeconds - start, scoreMicroseconds: [:])
    afterwardsSeconds = 0
    describe()
  }

  /// Puts what was found into the model's figures and card.
  private mutating func describe() {
    if trained.choice.isEmpty { trained.choice = Self.choice(trained) }
    guard let outOfTime else { return }
    for (name, value) in outOfTime.figures { trained.metrics["out_of_time." + name] = value }
    trained.card += "\n" + outOfTime.summary
  }

  /// Where the trainer does not say why: the chosen candidate's figure beside the best of the others'.
  private static func choice(_ model: TrainedModel) -> String {
    // The less, the better.
    let figure =
      switch model.kind {
      case .overdue: "log_loss"
      case .demand: "rmse_log1p"
      case .utilization: "rmse"
      case .repayment: "wape"
      }
    func best(_ candidates: [Candidate]) -> (name: String, value: Double)? {
      candidates.compactMap { candidate in candidate.metrics[figure].map { (candidate.name, $0) } }
        .min { $0.1 < $1.1 }
    }
    guard let winner = best(model.candidates.filter(\.chosen)) else { return "" }
    func text(_ value: Double) -> String { FigureFormat.plain.text(value) }
    let title = FigureTable.title(figure)
    guard let next = best(model.candidates.filter { $0.name != winner.name }) else {
      return "\(winner.name): \(title) \(text(winner.value)); no other was tried."
    }
    return "\(winner.name) has a \(title) of \(text(winner.value)); the best of the others, \(next.name), one of "
      + "\(text(next.value))."
  }

  func report(
    _ manifest: Manifest, _ version: String, _ table: ExampleTable, _ thresholds: DecisionThresholds,
    overdue: [Int: Double]
  ) -> ModelReport {
    var report = ModelReport(trained, version: version, table: table, thresholds: thresholds, overdue: overdue)
    report.target = manifest.target
    report.outOfTime = outOfTime
    report.importance = importance
    report.measured = measured
    return report
  }
}
