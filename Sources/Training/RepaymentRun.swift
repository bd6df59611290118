import Borrowers
import Features
import History
import Models

/// A repayment model from a history.
public enum RepaymentRun {
  /// Trains; `observedThrough` bounds what is known.
  static func train(
    _ history: EventHistory, observedThrough: EventTime, industry: [IndustryIndicator], seed: UInt64,
    _ progress: @escaping @Sendable (Double) -> Void
  ) throws(TrainingError) -> TrainedModel {
    // Of the day that is not over yet nothing is learned.
    let end = EventTime.day(observedThrough)
    let midnight = EventTime(milliseconds: Int64(end) * EventTime.millisecondsPerDay)
    let ledger = try RepaymentLedger(history, before: midnight) { progress(0.2 * $0) }
    var points = IndustryHistory()
    for one in industry { _ = points.set(series: one.series, day: EventTime.day(one.date), value: one.value) }
    let examples = RepaymentExamples(ledger, points, end: end, seed: seed) { progress(0.2 + 0.2 * $0) }
    let training = try RepaymentTraining(examples, seed: seed, hasIndustry: !industry.isEmpty)
    return try training.run { progress(0.4 + 0.6 * $0) }
  }

  /// `train repayment` alone: no borrower's examples are made.
  static func run(
    _ options: TrainingOptions, progress: @escaping @Sendable (TrainingProgress) -> Void
  ) throws(TrainingError) -> TrainingResult {
    if options.history == .standardInput, options.observedThrough == nil {
      throw TrainingError(.usage, "--observed-through: is needed for events on standard input")
    }
    let history = try read(options.history, options.historyOptions, progress)
    let observedThrough = options.observedThrough ?? history.summary.latest
    let model = try FinishedModel(repaymentOf: history, observedThrough: observedThrough, options, progress)
    let trained = model.trained
    let asOf = AsOfDates(
      dates: [EventTime(milliseconds: Int64(EventTime.day(observedThrough)) * EventTime.millisecondsPerDay)],
      observedThrough: observedThrough, horizonDays: options.horizonDays)
    var result = TrainingResult(
      models: [], summary: history.summary, asOf: asOf, examples: trained.counts["examples"] ?? 0, borrowers: 0,
      lines: [])
    var manifest = manifest(trained, history.summary, observedThrough: observedThrough, seed: options.seed)
    manifest.measured = model.measured
    do throws(ModelError) {
      let version = try ModelFolder.write(
        directory: options.modelsDirectory, manifest: manifest, files: trained.files, champion: false)
      result.models.append(
        TrainingResult.Model(
          kind: .repayment, version: version, metrics: manifest.metrics, candidates: manifest.candidates,
          measured: model.measured))
      if let folder = options.reportDirectory {
        let settings = TrainingSettings(
          asOf: asOf, labels: options.labels, seed: options.seed, includeProtected: options.includeProtected)
        let report = model.report(manifest, version, ExampleTable(), options.thresholds, overdue: [:])
        do throws(TrainingError) {
          try TrainingRun.writeReport(folder, result, settings, [report])
        } catch {
          throw ModelError(file: folder, problem: error.description)
        }
      }
      try options.asChallenger
        ? ModelFolder.set(.challenger, directory: options.modelsDirectory, kind: .repayment, version: version)
        : ModelFolder.setChampion(directory: options.modelsDirectory, kind: .repayment, version: version)
    } catch {
      throw TrainingError(.failed, error.description)
    }
    result.lines =
      ["\(result.examples) periods of \(trained.counts["platforms"] ?? 0) platforms"]
      + TrainingRun.badLines(history.summary) + TrainingRun.lines(of: result.models, [model]) + [trained.card]
    return result
  }

  /// Reads a history that holds anything at all.
  public static func read(
    _ source: HistorySource, _ options: HistoryOptions, _ progress: @escaping @Sendable (TrainingProgress) -> Void
  ) throws(TrainingError) -> EventHistory {
    let history: EventHistory
    do throws(HistoryError) {
      history = try EventHistory(source, options: options) { read in
        let share = read.totalBytes > 0 ? Double(read.bytes) / Double(read.totalBytes) : nil
        progress(TrainingProgress(phase: "reading events", share: share, detail: "\(read.events) events"))
      }
    } catch {
      throw TrainingError(error.kind == .usage ? .usage : .failed, error.description)
    }
    guard history.summary.events > 0 else {
      throw TrainingError(.failed, "\(source): holds no event\(AsOfDates.badLineHint(history.summary))")
    }
    return history
  }

  /// The manifest of a trained one.
  static func manifest(
    _ model: TrainedModel, _ summary: HistorySummary, observedThrough: EventTime, seed: UInt64
  ) -> Manifest {
    var counts = model.counts
    // No count of bad lines: a database into which the history was imported has none, and gives the same model.
    counts["events"] = summary.events
    return Manifest(
      kind: .repayment, created: observedThrough.dateText, horizonDays: 92, featureHash: RepaymentFeatures.hash,
      seed: seed, asOfDates: [], observedThrough: observedThrough.text,
      data: DataWindow(
        from: summary.earliest.dateText, to: summary.latest.dateText, borrowers: 0,
        examples: model.counts["examples"] ?? 0, counts: counts),
      metrics: model.metrics, candidates: model.candidates, choice: model.choice, trainingCard: model.card,
      reference: "A learned forecast is a multiple of the baselines' mean; nothing is explained.",
      architecture: model.architecture)
  }
}
