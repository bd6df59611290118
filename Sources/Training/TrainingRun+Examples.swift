import Borrowers
import History

extension TrainingRun {
  /// Reads a history, with its progress told.
  static func history(
    _ source: HistorySource, _ options: HistoryOptions, _ observedThrough: EventTime?,
    _ progress: (TrainingProgress) -> Void
  ) throws(TrainingError) -> EventHistory {
    if source == .standardInput, observedThrough == nil {
      throw TrainingError(.usage, "--observed-through: is needed for events on standard input")
    }
    do throws(HistoryError) {
      return try EventHistory(source, options: options) { read in
        let share = read.totalBytes > 0 ? Double(read.bytes) / Double(read.totalBytes) : nil
        progress(TrainingProgress(phase: "reading events", share: share, detail: "\(read.events) events"))
      }
    } catch {
      throw TrainingError(error.kind == .usage ? .usage : .failed, error.description)
    }
  }

  static func noExamples(_ source: HistorySource, _ asOf: AsOfDates) -> TrainingError {
    TrainingError(
      .failed, "\(source): no borrower has an event before \(asOf.dates.last!.dateText); name a later --as-of date")
  }

  /// The examples of a training, and the history that they come from where one is read.
  static func allExamples(
    _ options: TrainingOptions, _ progress: @escaping @Sendable (TrainingProgress) -> Void
  ) throws(TrainingError) -> (history: EventHistory?, summary: HistorySummary, examples: ExampleSet) {
    guard options.exampleFolders.isEmpty else {
      let (summary, examples) = try storedExamples(options, progress)
      return (nil, summary, examples)
    }
    let (history, examples) = try examples(
      options.history, options.historyOptions, asOf: options.asOf, observedThrough: options.observedThrough,
      horizonDays: options.horizonDays, options.exampleOptions, progress)
    return (history, history.summary, examples)
  }

  /// The examples of `options.exampleFolders`. They were made with dates and labels of their own; what is asked for beside
  /// them has to be the same.
  static func storedExamples(
    _ options: TrainingOptions, _ progress: @escaping @Sendable (TrainingProgress) -> Void
  ) throws(TrainingError) -> (HistorySummary, ExampleSet) {
    let (summary, examples) = try ExampleFolder.read(
      options.exampleFolders, maxExamples: options.maxExamples, seed: options.seed
    ) {
      progress(TrainingProgress(phase: "reading examples", share: $0, detail: ""))
    }
    func require(_ isSame: Bool, _ option: String, _ asked: String, _ made: String) throws(TrainingError) {
      guard !isSame else { return }
      throw TrainingError(
        .usage, "\(option) \(asked): the examples were made with \(made); leave it out or make them again")
    }
    let named = Set(options.asOf).sorted()
    try require(
      named.isEmpty || named == examples.asOf.dates, "--as-of", named.map(\.dateText).joined(separator: ", "),
      examples.asOf.dates.map(\.dateText).joined(separator: ", "))
    let through = options.observedThrough ?? examples.asOf.observedThrough
    try require(
      through == examples.asOf.observedThrough, "--observed-through", through.dateText,
      examples.asOf.observedThrough.text)
    for difference in options.statedLabels where difference.value != examples.stated(difference.option) {
      try require(false, difference.option, difference.value, examples.stated(difference.option))
    }
    if options.kinds.contains(.demand), examples.asOf.horizonDays != 30 {
      throw TrainingError(
        .usage,
        "the examples were made with --horizon-days \(examples.asOf.horizonDays): a demand model of other than 30 days "
          + "cannot serve; train overdue and utilization from them one by one")
    }
    return (summary, examples)
  }
}

extension ExampleSet {
  /// What an option of the command line was when the examples were made.
  func stated(_ option: String) -> String {
    switch option {
    case "--horizon-days": "\(asOf.horizonDays)"
    case "--overdue-days": "\(options.labels.overdueDays)"
    case "--prospect-days": "\(options.labels.prospectDays)"
    case "--utilization-target": options.labels.utilizationTarget.rawValue
    case "--as-of-events": "\(options.asOfEvents)"
    default: preconditionFailure("\(option) is none that examples are made with")
    }
  }
}
