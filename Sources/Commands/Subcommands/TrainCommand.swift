import Borrowers
import History
import Synchronization
import Training

extension CommandDefinition {
  static let train = CommandDefinition(
    name: "train",
    summary: "trains models from a history of events",
    details: """
      An example is a borrower as of 00:00 UTC of a date: it sees the events before it, its label is what came in the
      horizon that begins there. Without --as-of, dates count back by 30 days from what is observed, less the horizon. A
      model is written whole or not at all; the new versions serve when all asked for are trained. Each is also tested on
      the latest date by a model trained on earlier dates alone.
      """,
    choices: [
      ChoiceDefinition(name: "demand", meaning: "what a borrower draws within 30 days"),
      ChoiceDefinition(name: "overdue", meaning: "whether a payment is missed within the horizon"),
      ChoiceDefinition(name: "utilization", meaning: "how much of the credit limit is used"),
      ChoiceDefinition(name: "repayment", meaning: "what a platform is repaid over a coming period"),
      ChoiceDefinition(name: "all", meaning: "all four"),
    ],
    options: [historyOption.optional(), examplesOption, modelsOption] + exampleOptions + labelOptions + [
      OptionDefinition(
        name: "--seed", value: "S", meaning: "the same seed and history give the same models; default 1"),
      OptionDefinition(
        name: "--utilization-metric", value: "METRIC",
        meaning: "what utilization's candidates are chosen by: rmse or mae; default rmse"),
      OptionDefinition(
        name: "--picture-interval-days", value: "D",
        meaning: "demand: days that the network reads as one, a divisor of 90 up to 15; default 1"),
      industryOption,
      OptionDefinition(name: "--include-protected", meaning: "lets gender, marital status and household region in"),
      OptionDefinition(
        name: "--challenger", meaning: "the new versions do not serve: they are named challengers, to be promoted"),
      OptionDefinition(
        name: "--gan", value: "MODE",
        meaning: "overdue: auto keeps made-up training rows where they help beyond doubt, always, never; default auto"),
      OptionDefinition(
        name: "--gan-steps", value: "N", meaning: "overdue: steps of the adversarial network a fold; default 500"),
      OptionDefinition(
        name: "--monotonic", meaning: "overdue: trees in which more arrears or limit use never lower the risk"),
      OptionDefinition(
        name: "--max-score-us", value: "US",
        meaning: "what the borrower models may take of an event together, by counted operations; default 8"),
      reportOption, thresholdsOption, .set,
    ],
    examples: [
      ("lendpulse train all --history events.ndjson.gz --models models", "four models from all that is there"),
      (
        "lendpulse train overdue --history events.ndjson --models models --as-of 2005-10-01 --observed-through 2005-11-01",
        "one model as of one date"
      ),
    ]
  ) { arguments throws(CommandFailure) in try trainModels(arguments) }

  static let evaluate = CommandDefinition(
    name: "evaluate",
    summary: "measures models on a history that they were not trained on",
    options: [historyOption, modelsOption] + exampleOptions + [
      OptionDefinition(name: "--challenger", meaning: "measures the challengers in place of what serves"),
      industryOption, reportOption, thresholdsOption, .set,
    ],
    examples: [
      ("lendpulse evaluate --history later.ndjson --models models", "the figures of every model that serves"),
      (
        "lendpulse evaluate --history later.ndjson --models models --report report",
        "also as report/metrics.json, and a page for each kind"
      ),
    ]
  ) { arguments throws(CommandFailure) in try evaluateModels(arguments) }

  static let historyOption = OptionDefinition(
    name: "--history", value: "SOURCE", isRequired: true,
    meaning: "past events: an .ndjson file (also .gz), sqlite:FILE, a postgresql:// address, or - for standard input")
  private static let examplesOption = OptionDefinition(
    name: "--examples", value: "DIR", repeats: true,
    meaning: "in place of a history: a table that lendpulse examples wrote, or a folder of its pieces")
  private static let modelsOption = OptionDefinition(
    name: "--models", value: "DIR", isRequired: true, meaning: "the folder of models")
  private static let industryOption = OptionDefinition(
    name: "--industry", value: "FILE", meaning: "industry repayment history, for the repayment model")
  private static let reportOption = OptionDefinition(
    name: "--report", value: "DIR", meaning: "where metrics.json and a page for each kind go; default: nowhere")
  private static let thresholdsOption = OptionDefinition(
    name: "--config", value: "FILE", meaning: "a configuration, for the thresholds of alerts and leads in the report")
  static let labelOptions = [
    OptionDefinition(name: "--overdue-days", value: "D", meaning: "days past due that count as overdue; default 1"),
    OptionDefinition(
      name: "--utilization-target", value: "TARGET", meaning: "balance or cumulative; default cumulative"),
    OptionDefinition(
      name: "--prospect-days", value: "D", meaning: "days after a first grant in which its use is measured; default 90"),
  ]
  static let exampleOptions = [
    OptionDefinition(name: "--as-of", value: "DATE", repeats: true, meaning: "a date to make examples of"),
    OptionDefinition(
      name: "--observed-through", value: "DATE",
      meaning: "what is known ends here; default: the latest event of the history"),
    OptionDefinition(name: "--horizon-days", value: "D", meaning: "how far labels look ahead; default 30"),
    OptionDefinition(
      name: "--as-of-events", value: "N",
      meaning:
        "states right after events, drawn for each borrower, that calibration is fitted and measured on too; default 2"
    ),
    OptionDefinition(
      name: "--max-examples", value: "N",
      meaning: "above these a seeded sample of borrowers is taken; default 1000000"),
  ]
}

private func trainModels(_ arguments: ParsedArguments) throws(CommandFailure) -> ExitStatus {
  let folders = arguments.all("--examples")
  guard folders.isEmpty != (arguments["--history"] == nil) else {
    throw arguments.misuse(
      folders.isEmpty ? "--history SOURCE or --examples DIR is required" : "--history and --examples exclude each other"
    )
  }
  // A table of examples has no source to read; its folder stands for it where one is named.
  let source: HistorySource =
    if let folder = folders.first { .ndjson(path: folder) } else { try history(arguments) }
  var options = TrainingOptions(history: source, modelsDirectory: arguments.required("--models"))
  options.exampleFolders = folders
  options.asOf = try arguments.dates("--as-of")
  options.observedThrough = try arguments.dates("--observed-through").last
  options.horizonDays = try arguments.integer("--horizon-days", 1...365) ?? options.horizonDays
  options.seed = try arguments.seed() ?? options.seed
  options.labels = try arguments.labels()
  options.asOfEvents = try arguments.integer("--as-of-events", 0...1_000) ?? options.asOfEvents
  options.maxExamples = try arguments.integer("--max-examples", 1...Int.max) ?? options.maxExamples
  for option in ["--horizon-days", "--overdue-days", "--prospect-days", "--utilization-target", "--as-of-events"] {
    if let value = arguments[option] { options.statedLabels.append((option, value)) }
  }
  if let text = arguments["--utilization-metric"] {
    guard let metric = UtilizationMetric(rawValue: text) else {
      throw arguments.misuse("--utilization-metric must be rmse or mae, not \(text)")
    }
    options.utilizationMetric = metric
  }
  options.pictureIntervalDays =
    try arguments.integer("--picture-interval-days", 1...90) ?? options.pictureIntervalDays
  options.includeProtected = arguments.has("--include-protected")
  if let path = arguments["--industry"] { options.industry = try IndustryIndicators.read(path: path, command: "train") }
  if let text = arguments["--gan"] {
    guard let mode = GANMode(rawValue: text) else {
      throw arguments.misuse("--gan must be auto, always or never, not \(text)")
    }
    options.gan = mode
  }
  options.ganSteps = try arguments.integer("--gan-steps", 1...100_000) ?? options.ganSteps
  options.isMonotonic = arguments.has("--monotonic")
  if let text = arguments["--max-score-us"] {
    guard let bound = Double(text), bound >= 1, bound <= 10_000 else {
      throw arguments.misuse("--max-score-us must be a number from 1 to 10000, not \(text)")
    }
    options.maxScoreMicroseconds = bound
  }
  options.reportDirectory = arguments["--report"]
  options.thresholds = try Configuration.load(arguments).thresholds
  options.asChallenger = arguments.has("--challenger")
  let made = options
  return try report(command: "train") { progress throws(TrainingError) in
    var options = made
    options.kinds = try TrainingOptions.kinds(named: arguments.choice ?? "all")
    return try TrainingRun.run(options, progress: progress).lines
  }
}

private func evaluateModels(_ arguments: ParsedArguments) throws(CommandFailure) -> ExitStatus {
  var options = EvaluationOptions(history: try history(arguments), modelsDirectory: arguments.required("--models"))
  options.asOf = try arguments.dates("--as-of")
  options.observedThrough = try arguments.dates("--observed-through").last
  options.horizonDays = try arguments.integer("--horizon-days", 1...365) ?? options.horizonDays
  options.asOfEvents = try arguments.integer("--as-of-events", 0...1_000) ?? options.asOfEvents
  options.maxExamples = try arguments.integer("--max-examples", 1...Int.max) ?? options.maxExamples
  if let path = arguments["--industry"] {
    options.industry = try IndustryIndicators.read(path: path, command: "evaluate")
  }
  options.reportDirectory = arguments["--report"]
  options.thresholds = try Configuration.load(arguments).thresholds
  options.ofChallengers = arguments.has("--challenger")
  let made = options
  return try report(command: "evaluate") { progress throws(TrainingError) in
    try EvaluationRun.run(made, progress: progress).lines
  }
}

func history(_ arguments: ParsedArguments) throws(CommandFailure) -> HistorySource {
  do throws(HistoryError) {
    return try HistorySource(arguments.required("--history"))
  } catch {
    throw .misused("lendpulse \(arguments.command): \(error.description)")
  }
}

/// Runs long work with its progress on a terminal, and prints the lines it comes to.
func report(
  command: String, _ work: (@escaping @Sendable (TrainingProgress) -> Void) throws(TrainingError) -> [String]
) throws(CommandFailure) -> ExitStatus {
  let shown = Mutex((progress: Progress(), remaining: RemainingTime()))
  let lines: [String]
  do throws(TrainingError) {
    lines = try work { progress in
      shown.withLock { shown in
        let remaining = shown.remaining.estimate(phase: progress.phase, share: progress.share)
        shown.progress.show { progress.line + (remaining.map { ", \($0) left" } ?? "") }
      }
    }
  } catch {
    shown.withLock { $0.progress.finish() }
    let line = "lendpulse \(command): \(error.description)"
    throw error.kind == .usage ? .misused(line) : .failed(line)
  }
  shown.withLock { $0.progress.finish() }
  try StandardStreams.print(lines.map { $0 + "\n" }.joined())
  return .done
}

extension TrainingProgress {
  var line: String {
    let percent = share.map { " \(Int($0 * 100)) %" } ?? ""
    return phase + percent + (detail.isEmpty ? "" : ", \(detail)")
  }
}

extension Configuration {
  /// Those that a report counts by.
  fileprivate var thresholds: DecisionThresholds {
    var thresholds = DecisionThresholds()
    switch alerts.raiseAt {
    case .none, .low: thresholds.alert = alerts.low
    case .medium: thresholds.alert = alerts.medium
    case .high: thresholds.alert = alerts.high
    case .critical: thresholds.alert = alerts.critical
    }
    thresholds.leadUtilization = leads.utilizationThreshold
    thresholds.leadOverdueAtMost = leads.overdueAtMost
    return thresholds
  }
}

extension ParsedArguments {
  /// The dates of an option that may be given again.
  func dates(_ option: String) throws(CommandFailure) -> [EventTime] {
    var dates: [EventTime] = []
    for text in all(option) {
      guard let date = EventTime(date: text), date >= .earliest, date < .end else {
        throw misuse("\(option) must be a date from 1990 to 2099, such as 2026-10-01, not \(text)")
      }
      dates.append(date)
    }
    return dates
  }

  func seed() throws(CommandFailure) -> UInt64? { try integer("--seed", 0...Int.max).map { UInt64($0) } }

  /// How labels are asked for.
  func labels() throws(CommandFailure) -> LabelSettings {
    var labels = LabelSettings()
    labels.overdueDays = try integer("--overdue-days", 1...3_650) ?? labels.overdueDays
    labels.prospectDays = try integer("--prospect-days", 1...3_650) ?? labels.prospectDays
    guard let text = self["--utilization-target"] else { return labels }
    guard let target = UtilizationTarget(rawValue: text) else {
      throw misuse("--utilization-target must be balance or cumulative, not \(text)")
    }
    labels.utilizationTarget = target
    return labels
  }
}
