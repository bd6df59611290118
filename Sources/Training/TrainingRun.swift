import Borrowers
import Features
import Foundation
import History
import Models

/// What `lendpulse train` was asked for.
public struct TrainingOptions: Sendable {
  /// In the order in which they are trained.
  public var kinds: [ModelKind] = [.overdue, .demand, .utilization, .repayment]
  public var history: HistorySource
  /// Folders that `lendpulse examples` wrote: where any is named, they stand for the history, which is not read, and they
  /// say dates, horizon and labels.
  public var exampleFolders: [String] = []
  /// Options of the command line that were given beside `exampleFolders`, and have to be what the examples were made with.
  public var statedLabels: [(option: String, value: String)] = []
  /// The models folder; made where it is not there.
  public var modelsDirectory: String
  /// Empty: count back from what was observed.
  public var asOf: [EventTime] = []
  public var observedThrough: EventTime?
  public var horizonDays = 30
  public var seed: UInt64 = 1
  public var labels = LabelSettings()
  /// States right after events, drawn for each borrower, that calibration is fitted and measured on too.
  public var asOfEvents = ExampleOptions().asOfEvents
  /// Above these, a seeded sample of borrowers is taken.
  public var maxExamples = ExampleOptions().maxExamples
  public var includeProtected = false
  /// Utilization: what candidates are chosen by.
  public var utilizationMetric = UtilizationMetric.rmse
  /// Demand: days of the picture that the network reads as one.
  public var pictureIntervalDays = 1
  /// Overdue: whether rows made by the adversarial network enlarge what the members learn from.
  public var gan = GANMode.auto
  /// Overdue: most steps of the adversarial network in each fold.
  public var ganSteps = 500
  /// Overdue: trees may only raise the risk with a higher limit use, older arrears, ...
  public var isMonotonic = false
  /// What the three borrower models may take of an event together, by counted operations.
  public var maxScoreMicroseconds = 8.0
  /// Gets `metrics.json` and a page for each kind.
  public var reportDirectory: String?
  /// At which reports count alerts and leads.
  public var thresholds = DecisionThresholds()
  /// The new versions become challengers; what serves stays.
  public var asChallenger = false
  public var historyOptions = HistoryOptions()
  /// Industry repayment history, for the repayment model.
  public var industry: [IndustryIndicator] = []

  public init(history: HistorySource, modelsDirectory: String) {
    self.history = history
    self.modelsDirectory = modelsDirectory
  }

  var exampleOptions: ExampleOptions {
    var options = ExampleOptions()
    options.labels = labels
    options.asOfEvents = asOfEvents
    options.maxExamples = maxExamples
    options.seed = seed
    return options
  }

  /// The kinds that a command-line name stands for: one of them, or `all`.
  public static func kinds(named name: String) throws(TrainingError) -> [ModelKind] {
    switch name {
    case "all": return [.overdue, .demand, .utilization, .repayment]
    default:
      guard let kind = ModelKind(rawValue: name) else {
        throw TrainingError(
          .usage, "train \(name): there is no such model; train demand, overdue, utilization, repayment or all")
      }
      return [kind]
    }
  }
}

/// What all trainers share.
struct TrainingSettings: Sendable {
  var asOf: AsOfDates
  var labels: LabelSettings
  var seed: UInt64
  var includeProtected: Bool
  /// The model is only measured on a later date and never serves: what is costly and does not change how well the chosen
  /// procedure does (comparisons, repeats) may be left out.
  var isRehearsal = false
  var utilizationMetric = UtilizationMetric.rmse
  var pictureIntervalDays = 1
  var gan = GANMode.auto
  var ganSteps = 500
  var isMonotonic = false
  var budget = ServingBudget()
}

/// How far training has come.
public struct TrainingProgress: Sendable {
  /// `reading events`, `making examples`, `training overdue`, ...
  public var phase: String
  /// 0...1; nil where unknown.
  public var share: Double?
  /// `1,200,000 events`; empty where there is nothing to say.
  public var detail: String
}

/// What a training made.
public struct TrainingResult: Sendable {
  public struct Model: Sendable {
    public var kind: ModelKind
    public var version: String
    public var metrics: [String: Double]
    public var candidates: [Candidate]
    public var measured: Measurements
  }
  public var models: [Model]
  public var summary: HistorySummary
  public var asOf: AsOfDates
  public var examples: Int
  public var borrowers: Int
  public var sample = ExampleSample()
  /// Lines for people: data, figures of each candidate, versions.
  public var lines: [String]
}

/// Trains models from a history and puts them into a models folder. A model is written whole or not at all, and only after
/// every model asked for was trained: an error leaves the folder as it was.
public enum TrainingRun {
  public static func run(
    _ options: TrainingOptions, progress: @escaping @Sendable (TrainingProgress) -> Void = { _ in }
  ) throws(TrainingError) -> TrainingResult {
    try check(options)
    if options.kinds == [.repayment] {
      guard options.exampleFolders.isEmpty else {
        throw TrainingError(.usage, "train repayment: learns from a history, not from --examples; name a --history")
      }
      return try RepaymentRun.run(options, progress: progress)
    }
    let start = Clocks.monotonicSeconds
    let (history, summary, examples) = try allExamples(options, progress)
    let asOf = examples.asOf
    let table = examples.table
    let settings = TrainingSettings(
      asOf: asOf, labels: examples.options.labels, seed: options.seed, includeProtected: options.includeProtected,
      utilizationMetric: options.utilizationMetric, pictureIntervalDays: options.pictureIntervalDays, gan: options.gan,
      ganSteps: options.ganSteps, isMonotonic: options.isMonotonic,
      budget: ServingBudget(microseconds: options.maxScoreMicroseconds))
    let readSeconds = Clocks.monotonicSeconds - start
    var finished: [FinishedModel] = []
    var leftOut: [String] = []
    for kind in options.kinds {
      guard kind == .repayment else {
        finished.append(try FinishedModel(kind, examples, settings, options, progress))
        continue
      }
      guard let history else {
        leftOut.append("left out is repayment: it learns from a history, not from --examples")
        continue
      }
      do throws(TrainingError) {
        finished.append(
          try FinishedModel(repaymentOf: history, observedThrough: asOf.observedThrough, options, progress))
      } catch {
        // A lender without a book yet has borrowers to learn from all the same.
        leftOut.append("left out is " + error.description)
      }
    }
    progress(TrainingProgress(phase: "writing", share: nil, detail: ""))
    var result = TrainingResult(
      models: [], summary: summary, asOf: asOf, examples: table.count, borrowers: examples.borrowers, lines: [])
    result.sample = examples.sample
    // All versions first, then the report, then the names of those that serve: what fails before the last step changes
    // nothing that serves.
    var reports: [ModelReport] = []
    let overdue = overdueProbabilities(finished)
    for model in finished {
      var manifest =
        model.trained.kind == .repayment
        ? RepaymentRun.manifest(
          model.trained, summary, observedThrough: asOf.observedThrough, seed: settings.seed)
        : manifest(model.trained, settings, summary, table)
      manifest.measured = model.measured
      do throws(ModelError) {
        let version = try ModelFolder.write(
          directory: options.modelsDirectory, manifest: manifest, files: model.trained.files, champion: false)
        result.models.append(
          TrainingResult.Model(
            kind: manifest.kind, version: version, metrics: manifest.metrics, candidates: manifest.candidates,
            measured: model.measured))
        if options.reportDirectory != nil {
          reports.append(model.report(manifest, version, table, options.thresholds, overdue: overdue))
        }
      } catch {
        throw TrainingError(.failed, error.description)
      }
    }
    if let folder = options.reportDirectory { try writeReport(folder, result, settings, reports) }
    for model in result.models {
      do throws(ModelError) {
        try options.asChallenger
          ? ModelFolder.set(
            .challenger, directory: options.modelsDirectory, kind: model.kind, version: model.version)
          : ModelFolder.setChampion(directory: options.modelsDirectory, kind: model.kind, version: model.version)
      } catch {
        throw TrainingError(.failed, error.description)
      }
    }
    result.lines = lines(result, finished) + leftOut
    result.lines.append(
      duration(seconds: Clocks.monotonicSeconds - start, reading: readSeconds, finished))
    return result
  }

  /// Trains one kind; the same for the model that serves and for the one that is tested on a later date.
  static func train(
    _ kind: ModelKind, _ examples: ExampleSet, _ settings: TrainingSettings,
    _ tell: @escaping @Sendable (Double) -> Void
  ) throws(TrainingError) -> TrainedModel {
    let table = examples.table
    switch kind {
    case .overdue: return try OverdueTraining(table, asServed: examples.asServed, settings).run(tell)
    case .demand: return try DemandTraining(examples, settings).run(tell)
    case .utilization: return try UtilizationTraining(examples, settings).run(tell)
    case .repayment: preconditionFailure("a platform's repayment has no examples of borrowers")
    }
  }

  /// A trained model ready to predict, before it is in a folder.
  static func serving(
    _ model: TrainedModel, _ settings: TrainingSettings
  ) throws(TrainingError) -> ModelSet {
    let date = settings.asOf.dates[settings.asOf.dates.count - 1].dateText
    let manifest = Manifest(
      kind: model.kind, created: date,
      target: model.kind == .utilization ? settings.labels.utilizationTarget.rawValue : nil,
      horizonDays: settings.asOf.horizonDays, featureHash: FeatureCatalogue.hash, seed: settings.seed,
      asOfDates: [date],
      observedThrough: date, data: DataWindow(from: date, to: date, borrowers: 0, examples: 0), metrics: [:],
      trainingCard: "", architecture: model.architecture)
    do throws(ModelError) {
      return try ModelSet.make([(manifest, model.files)])
    } catch {
      throw TrainingError(.failed, error.description)
    }
  }

  /// The overdue probability of rows that the overdue model was measured on.
  private static func overdueProbabilities(_ finished: [FinishedModel]) -> [Int: Double] {
    guard let evidence = finished.first(where: { $0.trained.kind == .overdue })?.trained.evidence,
      evidence.rows.count == evidence.forecasts.count
    else { return [:] }
    return Dictionary(zip(evidence.rows, evidence.forecasts)) { $1 }
  }

  /// What can be known to be wrong before anything is read.
  private static func check(_ options: TrainingOptions) throws(TrainingError) {
    guard !options.kinds.isEmpty else { throw TrainingError(.usage, "train: no model is named") }
    if options.kinds.contains(.demand), options.horizonDays != 30 {
      throw TrainingError(
        .usage,
        "--horizon-days \(options.horizonDays): a demand model of other than 30 days cannot serve; leave it at 30 "
          + "or train overdue and utilization one by one")
    }
    guard (1...3650).contains(options.labels.overdueDays) else {
      throw TrainingError(.usage, "--overdue-days \(options.labels.overdueDays): must lie within 1 and 3650")
    }
    guard (1...3650).contains(options.labels.prospectDays) else {
      throw TrainingError(.usage, "--prospect-days \(options.labels.prospectDays): must lie within 1 and 3650")
    }
    guard DemandPlan.intervals.contains(options.pictureIntervalDays) else {
      let list = DemandPlan.intervals.map(String.init).joined(separator: ", ")
      throw TrainingError(
        .usage, "--picture-interval-days \(options.pictureIntervalDays): must be one of \(list), which divide 90 days")
    }
    guard (1...100_000).contains(options.ganSteps) else {
      throw TrainingError(.usage, "--gan-steps \(options.ganSteps): must lie within 1 and 100000")
    }
    guard options.maxScoreMicroseconds >= 1, options.maxScoreMicroseconds <= 10_000 else {
      throw TrainingError(.usage, "--max-score-us \(options.maxScoreMicroseconds): must lie within 1 and 10000")
    }
    for folder in [options.modelsDirectory] + (options.reportDirectory.map { [$0] } ?? []) {
      try requireWritable(folder)
    }
  }

  /// Makes the folder; an unwritable one is found before hours of training, not after.
  static func requireWritable(_ folder: String) throws(TrainingError) {
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      throw TrainingError(.failed, "\(folder): cannot be made; name a folder that can be written")
    }
    let probe = "\(folder)/.lendpulse-\(ProcessInfo.processInfo.processIdentifier)"
    guard FileManager.default.createFile(atPath: probe, contents: Data()) else {
      throw TrainingError(.failed, "\(folder): cannot be written; name a folder that can be")
    }
    try? FileManager.default.removeItem(atPath: probe)
  }

  /// Reads the history and makes the examples, as training and evaluation both do.
  static func examples(
    _ source: HistorySource, _ historyOptions: HistoryOptions, asOf named: [EventTime], observedThrough: EventTime?,
    horizonDays: Int, _ options: ExampleOptions, _ progress: @escaping @Sendable (TrainingProgress) -> Void
  ) throws(TrainingError) -> (EventHistory, ExampleSet) {
    let history = try history(source, historyOptions, observedThrough, progress)
    let asOf = try AsOfDates.resolve(
      named: named, observedThrough: observedThrough, horizonDays: horizonDays, summary: history.summary, source: source
    )
    let examples = try ExampleSet.make(history, asOf, options) {
      progress(TrainingProgress(phase: "making examples", share: $0, detail: ""))
    }
    guard examples.table.count > 0 else { throw noExamples(source, asOf) }
    return (history, examples)
  }

  private static func manifest(
    _ model: TrainedModel, _ settings: TrainingSettings, _ summary: HistorySummary, _ table: ExampleTable
  ) -> Manifest {
    var counts = model.counts
    // No count of bad lines: a database into which the history was imported has none, and gives the same model.
    counts["events"] = summary.events
    return Manifest(
      kind: model.kind, created: settings.asOf.dates.last!.dateText,
      target: model.kind == .utilization ? settings.labels.utilizationTarget.rawValue : nil,
      horizonDays: settings.asOf.horizonDays, featureHash: FeatureCatalogue.hash, seed: settings.seed,
      asOfDates: settings.asOf.dates.map(\.dateText), observedThrough: settings.asOf.observedThrough.text,
      data: DataWindow(
        from: summary.earliest.dateText, to: summary.latest.dateText,
        borrowers: Set(model.rows.map { table.borrowers[$0] }).count, examples: model.rows.count, counts: counts),
      metrics: model.metrics, foldMetrics: model.foldMetrics, candidates: model.candidates, choice: model.choice,
      trainingCard: model.card, architecture: model.architecture)
  }

  private struct Report: Encodable {
    var asOf: [String]
    var observedThrough: String
    var horizonDays: Int
    var seed: UInt64
    var events: Int
    var badLines: Int
    var borrowers: Int
    var examples: Int
    var models: [String: ModelReport]
    enum CodingKeys: String, CodingKey {
      case asOf = "as_of"
      case observedThrough = "observed_through"
      case horizonDays = "horizon_days"
      case badLines = "bad_lines"
      case seed, events, borrowers, examples, models
    }
  }

  static func writeReport(
    _ folder: String, _ result: TrainingResult, _ settings: TrainingSettings, _ reports: [ModelReport]
  ) throws(TrainingError) {
    let context = ReportContext(
      isEvaluation: false, asOf: settings.asOf.dates.map(\.dateText),
      observedThrough: settings.asOf.observedThrough.text, horizonDays: settings.asOf.horizonDays,
      events: result.summary.events, borrowers: result.borrowers, examples: result.examples, seed: settings.seed)
    let metrics = Report(
      asOf: context.asOf, observedThrough: context.observedThrough, horizonDays: context.horizonDays,
      seed: settings.seed, events: result.summary.events, badLines: result.summary.badLines,
      borrowers: result.borrowers, examples: result.examples,
      models: Dictionary(uniqueKeysWithValues: reports.map { ($0.kind.rawValue, $0) }))
    let pages = reports.map { (name: "\($0.kind.rawValue).html", html: ModelPage($0, context).html) }
    try ReportFolder.write(metrics, pages: pages, folder: folder)
  }

  private static func lines(_ result: TrainingResult, _ finished: [FinishedModel]) -> [String] {
    var lines = [
      "\(result.examples) examples of \(result.borrowers) borrowers as of "
        + result.asOf.dates.map(\.dateText).joined(separator: ", ")
    ]
    lines += sampleLines(result.sample)
    lines += badLines(result.summary)
    return lines + self.lines(of: result.models, finished)
  }

  /// Versions, and the figures of each candidate.
  static func lines(of models: [TrainingResult.Model], _ finished: [FinishedModel]) -> [String] {
    var lines: [String] = []
    for (model, found) in zip(models, finished) {
      let seconds = String(format: "%.1f", found.measured.trainingSeconds)
      let cost = found.measured.scoreMicroseconds["served"].map { String(format: ", %.1f us an event", $0) } ?? ""
      lines.append("\(model.kind.rawValue): \(model.version) (trained in \(seconds) s\(cost))")
      for candidate in model.candidates {
        lines.append(
          "  \(candidate.chosen ? "*" : " ") \(candidate.name.padded(24)) \(figures(candidate.metrics, model.kind))")
      }
      if let outOfTime = found.outOfTime {
        lines.append(
          outOfTime.date == nil
            ? "    \(outOfTime.summary)"
            : "    \("out of time".padded(24)) \(figures(outOfTime.figures, model.kind))")
      }
    }
    return lines
  }

  /// Says so where not all borrowers are taken.
  static func sampleLines(_ sample: ExampleSample) -> [String] {
    guard !sample.isWhole else { return [] }
    return [
      "a seeded sample: \(sample.borrowersTaken) of \(sample.borrowersThere) borrowers "
        + "(\(String(format: "%.1f", sample.share * 100)) %), \(sample.examplesTaken) of \(sample.examplesThere) examples; "
        + "--max-examples bounds them"
    ]
  }

  /// How long everything took, and the most memory held.
  private static func duration(seconds: Double, reading: Double, _ finished: [FinishedModel]) -> String {
    func text(_ seconds: Double) -> String { String(format: "%.1f s", seconds) }
    let parts = finished.map { model in
      "\(model.trained.kind.rawValue) \(text(model.measured.trainingSeconds))"
        + (model.afterwardsSeconds >= 0.1 ? " and \(text(model.afterwardsSeconds)) to test it" : "")
    }
    return "\(text(seconds)) in all: events and examples \(text(reading)), \(parts.joined(separator: ", ")); "
      + String(format: "at most %.2f GiB", Double(Clocks.peakBytes) / 1_073_741_824)
  }

  static func badLines(_ summary: HistorySummary) -> [String] {
    guard summary.badLines > 0 else { return [] }
    return ["\(summary.badLines) lines are no events and were left out:"]
      + summary.firstBadLines.map { "  " + $0.description }
  }

  /// The figures that matter of a kind, in a fixed order.
  static func figures(_ metrics: [String: Double], _ kind: ModelKind) -> String {
    let names: [String]
    switch kind {
    case .overdue: names = ["auc", "ks", "brier", "log_loss", "ece"]
    case .demand:
      names = ["borrowing.auc", "rmse_log1p", "mae", "normalized_gini", "total_forecast_over_actual", "coverage_80"]
    case .utilization: names = ["rmse", "mae"]
    case .repayment: names = ["wape", "wape_1d", "wape_7d", "wape_30d", "wape_92d", "coverage_80", "origins"]
    }
    return names.compactMap { name in
      metrics[name].map { "\(name) \(String(format: $0 >= 100 ? "%.0f" : "%.4f", $0))" }
    }.joined(separator: "  ")
  }
}

extension String {
  func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

/// `metrics.json` of a training or an evaluation: sorted keys, replaced by rename.
enum MetricsFile {
  static func write(_ value: some Encodable, folder: String) throws(TrainingError) {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    do {
      let data = try encoder.encode(value) + Data([10])
      try data.write(to: URL(fileURLWithPath: folder).appendingPathComponent("metrics.json"), options: .atomic)
    } catch {
      throw TrainingError(.failed, "\(folder)/metrics.json: cannot be written; look for space and the right to write")
    }
  }
}
