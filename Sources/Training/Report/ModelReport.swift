import Models

/// Everything that a report says of one model; encodes into `metrics.json`, and is drawn as a page by `ModelPage`.
struct ModelReport: Encodable, Sendable {
  var kind: ModelKind
  var version: String
  var target: String?
  /// The figures of the model that serves, those of a group of rows as `group.figure`.
  var metrics: [String: Double]
  var foldMetrics: [[String: Double]] = []
  var candidates: [Candidate] = []
  var choice: String?
  /// What served is told apart by: overdue, or any borrowing.
  var probability: ProbabilityFigures?
  /// ROC curves of members, beside that of `probability`.
  var memberCurves: [String: [ProbabilityFigures.Point]] = [:]
  /// Forecast amounts or ratios.
  var amounts: AmountFigures?
  /// The same right after events, as the daemon scores.
  var servedProbability: ProbabilityFigures?
  var servedAmounts: AmountFigures?
  /// Share of rows within the 80 % interval, by tenth of the forecast, ascending.
  var coverage: [Double] = []
  var outOfTime: OutOfTime?
  var comparisons: [TrainingEvidence.Comparison] = []
  var learningCurves: [LearningCurve] = []
  var importance: [Importance] = []
  var fairness: Fairness?
  var thresholds = DecisionThresholds()
  var measured: Measurements?
  var card: String?

  enum CodingKeys: String, CodingKey {
    case kind, version, target, metrics, candidates, choice, probability, amounts, coverage, comparisons, importance
    case fairness, thresholds, measured, card
    case foldMetrics = "fold_metrics"
    case memberCurves = "member_curves"
    case servedProbability = "as_served_probability"
    case servedAmounts = "as_served_amounts"
    case outOfTime = "out_of_time"
    case learningCurves = "learning_curves"
  }

  init(kind: ModelKind, version: String, metrics: [String: Double]) {
    self.kind = kind
    self.version = version
    self.metrics = metrics
  }

  /// Of a training: `overdue` gives the overdue probability of a row where one is known, for leads.
  init(
    _ model: TrainedModel, version: String, table: ExampleTable, thresholds: DecisionThresholds,
    overdue: [Int: Double]
  ) {
    self.init(kind: model.kind, version: version, metrics: model.metrics)
    foldMetrics = model.foldMetrics
    candidates = model.candidates
    choice = model.choice
    card = model.card
    comparisons = model.evidence.comparisons
    learningCurves = model.evidence.curves
    self.thresholds = thresholds
    draw(model.evidence, table, overdue: overdue)
  }

  /// Curves, residuals and groups of forecasts.
  mutating func draw(_ evidence: TrainingEvidence, _ table: ExampleTable, overdue: [Int: Double]) {
    guard !evidence.forecasts.isEmpty, evidence.forecasts.count == evidence.actual.count else { return }
    let rows = evidence.rows
    switch kind {
    case .overdue:
      let labels = evidence.actual.map { $0 > 0 }
      probability = ProbabilityFigures(evidence.forecasts, labels)
      for (name, forecasts) in evidence.members { memberCurves[name] = ProbabilityFigures(forecasts, labels).roc }
      fairness = .overdue(table, rows, evidence.forecasts, labels, thresholds)
    case .demand:
      if !evidence.probabilities.isEmpty {
        probability = ProbabilityFigures(evidence.probabilities, evidence.actual.map { $0 > 0 })
      }
      amounts = AmountFigures(evidence.forecasts, evidence.actual)
      fairness = .demand(table, rows, evidence.forecasts, evidence.actual, evidence.probabilities)
    case .utilization:
      amounts = AmountFigures(evidence.forecasts, evidence.actual)
      let known = rows.map { overdue[$0] }
      fairness = .utilization(
        table, rows, evidence.forecasts, evidence.actual,
        overdue: known.contains { $0 != nil } ? known.map { $0 ?? 0 } : nil, thresholds)
    case .repayment:
      amounts = AmountFigures(evidence.forecasts, evidence.actual, groups: min(10, evidence.actual.count / 5 + 1))
    }
    coverage = Self.coverage(evidence)
    addServed(evidence)
  }

  /// Figures right after events; the trainer's own where it gives some.
  private mutating func addServed(_ evidence: TrainingEvidence) {
    guard !evidence.servedForecasts.isEmpty, evidence.servedForecasts.count == evidence.servedActual.count else {
      return
    }
    func add(_ name: String, _ value: Double?) {
      if let value, metrics["as_served." + name] == nil { metrics["as_served." + name] = value }
    }
    add("rows", Double(evidence.servedActual.count))
    if kind == .overdue {
      let figures = ProbabilityFigures(evidence.servedForecasts, evidence.servedActual.map { $0 > 0 })
      for (name, value) in figures.metrics.figures() { add(name, value) }
      servedProbability = figures
    } else {
      let figures = AmountFigures(evidence.servedForecasts, evidence.servedActual)
      add("rmse", figures.rmse)
      add("mae", figures.mae)
      add("normalized_gini", figures.normalizedGini)
      add("total_forecast_over_actual", figures.totalForecastOverActual)
      servedAmounts = figures
    }
  }

  private static func coverage(_ evidence: TrainingEvidence) -> [Double] {
    let count = evidence.actual.count
    guard evidence.lower.count == count, evidence.upper.count == count, count >= 30 else { return [] }
    let order = evidence.forecasts.indices.sorted {
      evidence.forecasts[$0] != evidence.forecasts[$1] ? evidence.forecasts[$0] < evidence.forecasts[$1] : $0 < $1
    }
    return (0..<10).map { tenth in
      let rows = order[tenth * count / 10..<(tenth + 1) * count / 10]
      let held = rows.count {
        evidence.actual[$0] >= evidence.lower[$0] && evidence.actual[$0] <= evidence.upper[$0]
      }
      return Double(held) / Double(max(rows.count, 1))
    }
  }

  /// Figures of groups of rows: `group.figure` of `metrics`, by group.
  var groups: [(name: String, figures: [String: Double])] {
    var found: [String: [String: Double]] = [:]
    for (key, value) in metrics {
      guard let dot = key.firstIndex(of: ".") else { continue }
      found[String(key[..<dot]), default: [:]][String(key[key.index(after: dot)...])] = value
    }
    return found.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }
}
