import Borrowers
import Features
import Foundation
import History
import Models

/// What `lendpulse evaluate` was asked for.
public struct EvaluationOptions: Sendable {
  public var history: HistorySource
  public var modelsDirectory: String
  /// Empty: count back from what was observed.
  public var asOf: [EventTime] = []
  public var observedThrough: EventTime?
  public var horizonDays = 30
  /// `utilizationTarget` is taken from the model.
  public var labels = LabelSettings()
  /// States right after events, drawn for each borrower, that are measured beside those at midnights.
  public var asOfEvents = ExampleOptions().asOfEvents
  /// Above these, a seeded sample of borrowers is taken.
  public var maxExamples = ExampleOptions().maxExamples
  /// Of that sample.
  public var seed: UInt64 = 1
  /// Gets `metrics.json` and a page for each kind.
  public var reportDirectory: String?
  public var thresholds = DecisionThresholds()
  /// Measures the challengers in place of what serves.
  public var ofChallengers = false
  public var historyOptions = HistoryOptions()
  /// Industry repayment history, for the repayment model.
  public var industry: [IndustryIndicator] = []

  public init(history: HistorySource, modelsDirectory: String) {
    self.history = history
    self.modelsDirectory = modelsDirectory
  }
}

/// The figures of the models that serve on a history; encodes to `metrics.json`.
public struct EvaluationResult: Encodable, Sendable {
  struct Overdue: Encodable, Sendable {
    var version: String
    /// Who owes at the date or draws in the horizon.
    var population: OverdueReport
    /// All borrowers known at the date.
    var everybody: ClassificationMetrics
  }
  struct Demand: Encodable, Sendable {
    var version: String
    var report: DemandReport
  }
  struct Utilization: Encodable, Sendable {
    var version: String
    var target: String
    var report: UtilizationReport
  }

  var asOf: [String]
  var observedThrough: String
  var horizonDays: Int
  var events: Int
  var badLines: Int
  var borrowers: Int
  var examples: Int
  var overdue: Overdue?
  var demand: Demand?
  var repayment: RepaymentReport?
  var utilization: Utilization?
  /// The figures on states right after events, as the daemon scores, by kind.
  var asServed: [String: [String: Double]] = [:]
  /// What the pages show, by kind; only where a report is asked for.
  var details: [String: ModelReport]?
  /// Lines for people.
  public var lines: [String] = []

  enum CodingKeys: String, CodingKey {
    case asOf = "as_of"
    case observedThrough = "observed_through"
    case horizonDays = "horizon_days"
    case badLines = "bad_lines"
    case asServed = "as_served"
    case events, borrowers, examples, overdue, demand, repayment, utilization, details
  }

  /// A figure of `population` (`owing`, ...) or of everybody, for tests and callers: `overdue.auc`,
  /// `overdue.everybody.auc`, `demand.rmse`, `utilization.rmse`, ...
  public subscript(name: String) -> Double? {
    var figures: [String: Double] = [:]
    if let overdue {
      for (key, value) in overdue.population.figures { figures["overdue." + key] = value }
      for (key, value) in overdue.everybody.figures() { figures["overdue.everybody." + key] = value }
    }
    if let demand { for (key, value) in demand.report.figures { figures["demand." + key] = value } }
    if let utilization { for (key, value) in utilization.report.figures { figures["utilization." + key] = value } }
    if let repayment { for (key, value) in repayment.figures { figures["repayment." + key] = value } }
    return figures[name]
  }
}

/// Measures the models of a folder on a history, through the code that serves.
public enum EvaluationRun {
  public static func run(
    _ options: EvaluationOptions, progress: @escaping @Sendable (TrainingProgress) -> Void = { _ in }
  ) throws(TrainingError) -> EvaluationResult {
    if let folder = options.reportDirectory { try TrainingRun.requireWritable(folder) }
    let models: ModelSet
    do throws(ModelError) {
      models =
        options.ofChallengers
        ? try ModelSet.loadChallengers(directory: options.modelsDirectory)
        : try ModelSet.load(directory: options.modelsDirectory)
    } catch {
      throw TrainingError(.failed, error.description)
    }
    var labels = options.labels
    if let target = models.utilization.flatMap({ UtilizationTarget(rawValue: $0.target) }) {
      labels.utilizationTarget = target
    }
    var exampleOptions = ExampleOptions()
    exampleOptions.labels = labels
    exampleOptions.asOfEvents = options.asOfEvents
    exampleOptions.maxExamples = options.maxExamples
    exampleOptions.seed = options.seed
    let (history, examples) = try TrainingRun.examples(
      options.history, options.historyOptions, asOf: options.asOf, observedThrough: options.observedThrough,
      horizonDays: options.horizonDays, exampleOptions, progress)
    let summary = history.summary
    let asOf = examples.asOf
    let table = examples.table
    progress(TrainingProgress(phase: "measuring", share: nil, detail: "\(table.count) examples"))
    let predictions = try Predictions(models, table, rows: Array(0..<table.count))
    var result = EvaluationResult(
      asOf: asOf.dates.map(\.dateText), observedThrough: asOf.observedThrough.text, horizonDays: asOf.horizonDays,
      events: summary.events, badLines: summary.badLines, borrowers: examples.borrowers,
      examples: table.count)
    if let model = models.overdue { result.overdue = overdue(model.version, table, predictions, asOf) }
    if let model = models.demand { result.demand = demand(model.version, table, predictions) }
    if let model = models.utilization { result.utilization = utilization(model, table, predictions) }
    result.asServed = try asServed(models, examples.asServed)
    if let model = models.repayment {
      result.repayment = try RepaymentReport(
        model, history, observedThrough: asOf.observedThrough, industry: options.industry)
    }
    result.lines = lines(result, summary, examples.sample)
    if let folder = options.reportDirectory {
      result.details = details(models, table, predictions, options.thresholds)
      for (kind, figures) in result.asServed {
        for (name, value) in figures where !name.contains(".") {
          result.details?[kind]?.metrics["as_served." + name] = value
        }
      }
      try writeReport(result, summary, folder)
    }
    return result
  }

  private static func asServed(
    _ models: ModelSet, _ table: ExampleTable
  ) throws(TrainingError) -> [String: [String: Double]] {
    guard table.count > 0 else { return [:] }
    let predictions = try Predictions(models, table, rows: Array(0..<table.count))
    var result: [String: [String: Double]] = [:]
    for kind in models.kinds {
      let rows = Predictions.rows(kind, table)
      guard !rows.isEmpty else { continue }
      var figures = figures(kind, predictions.evidence(kind, table, rows), table)
      figures["rows"] = Double(rows.count)
      result[kind.rawValue] = figures
    }
    return result
  }

  /// Figures of forecasts of one kind, those of groups of rows as `group.figure`.
  static func figures(
    _ kind: ModelKind, _ evidence: TrainingEvidence, _ table: ExampleTable, dates: [EventTime] = []
  ) -> [String: Double] {
    let rows = evidence.rows
    switch kind {
    case .overdue:
      let labels = evidence.actual.map { $0 > 0 }
      var report = OverdueReport(all: ClassificationMetrics(probabilities: evidence.forecasts, labels: labels))
      report.addGroups(table, rows, evidence.forecasts, labels, dates: dates)
      return report.figures
    case .demand:
      return DemandReport(
        probabilities: evidence.probabilities, amounts: evidence.forecasts, lower: evidence.lower,
        upper: evidence.upper,
        actual: evidence.actual, borrowed: evidence.actual.map { $0 > 0 }
      ).figures
    case .utilization:
      return UtilizationReport(
        evidence.forecasts, evidence.actual, hasLimit: rows.map { table.labels[$0].hasLimit }
      ).figures
    case .repayment: return [:]
    }
  }

  private static func details(
    _ models: ModelSet, _ table: ExampleTable, _ predictions: Predictions, _ thresholds: DecisionThresholds
  ) -> [String: ModelReport] {
    var details: [String: ModelReport] = [:]
    let overdue = models.overdue == nil ? [:] : Dictionary(uniqueKeysWithValues: zip(0..., predictions.overdue))
    func add(_ kind: ModelKind, _ version: String?, _ rows: [Int]) {
      guard let version, !rows.isEmpty else { return }
      let evidence = predictions.evidence(kind, table, rows)
      var report = ModelReport(kind: kind, version: version, metrics: figures(kind, evidence, table))
      report.thresholds = thresholds
      if kind == .utilization { report.target = models.utilization?.target }
      report.draw(evidence, table, overdue: overdue)
      details[kind.rawValue] = report
    }
    add(.overdue, models.overdue?.version, Predictions.rows(.overdue, table))
    add(.demand, models.demand?.version, Predictions.rows(.demand, table))
    add(.utilization, models.utilization?.version, Predictions.rows(.utilization, table))
    return details
  }

  private static func writeReport(
    _ result: EvaluationResult, _ summary: HistorySummary, _ folder: String
  ) throws(TrainingError) {
    let context = ReportContext(
      isEvaluation: true, asOf: result.asOf, observedThrough: result.observedThrough, horizonDays: result.horizonDays,
      events: result.events, borrowers: result.borrowers, examples: result.examples, seed: nil)
    let pages = (result.details ?? [:]).sorted { $0.key < $1.key }.map { kind, report in
      (name: "\(kind).html", html: ModelPage(report, context).html)
    }
    try ReportFolder.write(result, pages: pages, folder: folder)
  }

  private static func overdue(
    _ version: String, _ table: ExampleTable, _ predictions: Predictions, _ asOf: AsOfDates
  ) -> EvaluationResult.Overdue? {
    let all = Array(0..<table.count)
    let rows = all.filter(table.isOverdueExample)
    guard !rows.isEmpty else { return nil }
    let probabilities = rows.map { predictions.overdue[$0] }
    let labels = rows.map { table.labels[$0].isOverdue }
    var report = OverdueReport(all: ClassificationMetrics(probabilities: probabilities, labels: labels))
    report.addGroups(table, rows, probabilities, labels, dates: asOf.dates)
    return EvaluationResult.Overdue(
      version: version, population: report,
      everybody: ClassificationMetrics(
        probabilities: predictions.overdue, labels: all.map { table.labels[$0].isOverdue }))
  }

  private static func demand(
    _ version: String, _ table: ExampleTable, _ predictions: Predictions
  ) -> EvaluationResult.Demand {
    let actual = (0..<table.count).map { table.labels[$0].drawn }
    var report = DemandReport(
      probabilities: predictions.demand.map(\.borrowingProbability), amounts: predictions.demand.map(\.amount),
      lower: predictions.demand.map(\.lower), upper: predictions.demand.map(\.upper), actual: actual,
      borrowed: actual.map { $0 > 0 })
    report.rmseLog1p = Metrics.rootMeanSquaredError(
      predictions.demand.map(\.logarithm), actual.map { logarithm(1 + $0) })
    return EvaluationResult.Demand(version: version, report: report)
  }

  private static func utilization(
    _ model: UtilizationModel, _ table: ExampleTable, _ predictions: Predictions
  ) -> EvaluationResult.Utilization? {
    let rows = (0..<table.count).filter { table.labels[$0].utilization != nil }
    guard !rows.isEmpty else { return nil }
    return EvaluationResult.Utilization(
      version: model.version, target: model.target,
      report: UtilizationReport(
        rows.map { predictions.utilization[$0] }, rows.map { table.labels[$0].utilization! },
        hasLimit: rows.map { table.labels[$0].hasLimit }))
  }

  private static func lines(
    _ result: EvaluationResult, _ summary: HistorySummary, _ sample: ExampleSample
  ) -> [String] {
    var lines = [
      "\(result.examples) examples of \(result.borrowers) borrowers as of " + result.asOf.joined(separator: ", ")
    ]
    lines += TrainingRun.sampleLines(sample)
    lines += TrainingRun.badLines(summary)
    func add(_ name: String, _ rows: Int, _ figures: [String: Double], _ kind: ModelKind) {
      lines.append("  \(name.padded(16)) \("\(rows) rows".padded(14)) \(TrainingRun.figures(figures, kind))")
    }
    func addAsServed(_ kind: ModelKind) {
      guard let figures = result.asServed[kind.rawValue] else { return }
      add("after an event", Int(figures["rows"] ?? 0), figures, kind)
    }
    if let overdue = result.overdue {
      lines.append("overdue: \(overdue.version)")
      add("population", overdue.population.all.rows, overdue.population.all.figures(), .overdue)
      for (name, metrics) in overdue.population.byGroup.sorted(by: { $0.key < $1.key }) {
        add(name, metrics.rows, metrics.figures(), .overdue)
      }
      for (date, metrics) in overdue.population.byDate.sorted(by: { $0.key < $1.key }) {
        add(date, metrics.rows, metrics.figures(), .overdue)
      }
      add("everybody", overdue.everybody.rows, overdue.everybody.figures(), .overdue)
      addAsServed(.overdue)
    }
    if let repayment = result.repayment {
      lines.append("repayment: \(repayment.version)")
      add(repayment.forecastVersion, repayment.origins, repayment.figures, .repayment)
    }
    if let demand = result.demand {
      lines.append("demand: \(demand.version)")
      add("all", demand.report.rows, demand.report.figures, .demand)
      addAsServed(.demand)
    }
    if let utilization = result.utilization {
      lines.append("utilization (\(utilization.target)): \(utilization.version)")
      add("all", utilization.report.all.rows, utilization.report.figures, .utilization)
      for (name, group) in utilization.report.byGroup.sorted(by: { $0.key < $1.key }) {
        add(name, group.rows, ["rmse": group.rmse, "mae": group.mae], .utilization)
      }
      addAsServed(.utilization)
    }
    return lines
  }
}
