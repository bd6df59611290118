import Borrowers
import Features
import Models

/// How a kind of model does on a date that lies after everything it was trained on.
struct OutOfTime: Encodable, Sendable {
  /// The latest date, on which it is measured; nil where there is no earlier date whose horizon ends by then.
  var date: String?
  var trainedOn: [String] = []
  var trainingExamples = 0
  var examples = 0
  /// Share of the earlier examples that it was trained on; under 1 above `examplesMax`.
  var share = 1.0
  var figures: [String: Double] = [:]
  var probability: ProbabilityFigures?
  var amounts: AmountFigures?
  /// In words, for the card.
  var summary: String

  enum CodingKeys: String, CodingKey {
    case date, examples, share, figures, probability, amounts, summary
    case trainedOn = "trained_on"
    case trainingExamples = "training_examples"
  }

  /// The test is of the procedure, not of the last digit: more rows would only double the time that training takes.
  static let examplesMax = 100_000

  static let oneDate = "out of borrower, not out of time"

  /// Trains `kind` again, in the same way, on dates whose horizon ends by the latest date, and measures that model on the
  /// latest date through the code that serves. A training that the earlier dates are too few for is no error: the summary
  /// says so.
  static func test(
    _ kind: ModelKind, _ examples: ExampleSet, _ settings: TrainingSettings,
    train: (ExampleSet, TrainingSettings) throws(TrainingError) -> TrainedModel
  ) throws(TrainingError) -> OutOfTime {
    let dates = settings.asOf.dates
    let latest = dates[dates.count - 1]
    let earlier = dates.indices.filter { dates[$0] + settings.asOf.horizonMilliseconds <= latest }
    guard !earlier.isEmpty else {
      return OutOfTime(
        summary: "Figures are \(oneDate): there is no date whose horizon ends by \(latest.dateText).")
    }
    var past = settings
    past.isRehearsal = true
    past.asOf.dates = earlier.map { dates[$0] }
    past.asOf.observedThrough = latest
    let (before, share) = earlierExamples(examples, past)
    let model: TrainedModel
    do throws(TrainingError) {
      model = try train(before, past)
    } catch {
      return OutOfTime(
        summary: "Figures are \(oneDate): on dates whose horizon ends by \(latest.dateText) alone it cannot be trained "
          + "(\(error.description)).")
    }
    var result = OutOfTime(
      date: latest.dateText, trainedOn: past.asOf.dates.map(\.dateText), trainingExamples: model.rows.count,
      share: share, summary: "")
    try result.measure(model, past, examples.table, latest: dates.count - 1)
    return result
  }

  private mutating func measure(
    _ model: TrainedModel, _ settings: TrainingSettings, _ table: ExampleTable, latest: Int
  ) throws(TrainingError) {
    let set = try TrainingRun.serving(model, settings)
    let rows = Predictions.rows(model.kind, table).filter { table.dates[$0] == latest }
    guard !rows.isEmpty else {
      summary = "Figures are \(Self.oneDate): nobody at the latest date has an outcome to measure by."
      date = nil
      return
    }
    let evidence = try Predictions(set, table, rows: rows)
      .evidence(model.kind, table, rows)
    var report = ModelReport(kind: model.kind, version: "", metrics: [:])
    report.draw(evidence, table, overdue: [:])
    probability = report.probability
    amounts = report.amounts
    examples = rows.count
    figures = EvaluationRun.figures(model.kind, evidence, table)
    let shown = TrainingRun.figures(figures, model.kind)
    summary = """
      Out of time: trained in the same way on \(trainingExamples) examples as of \(trainedOn.joined(separator: ", "))\
      \(share < 1 ? " (of a seeded \(FigureFormat.percent.text(share)) of the borrowers)" : ""), whose horizons end by \
      \(date ?? ""), and measured on the \(examples) examples of that date: \(shown).
      """
  }

  /// Rows of the earlier dates, of all borrowers or of a seeded sample; what had not come true by the latest date is taken
  /// out.
  private static func earlierExamples(_ examples: ExampleSet, _ past: TrainingSettings) -> (ExampleSet, share: Double) {
    let dates = past.asOf.dates.count
    let count = examples.table.dates.count { $0 < dates } + examples.asServed.dates.count { $0 < dates }
    var kept: Set<UInt64>?
    var share = 1.0
    if count > examplesMax {
      share = Double(examplesMax) / Double(count)
      let ordered = Folds.ordered(Array(Set(examples.table.borrowers)), seed: past.seed &+ 77)
      kept = Set(ordered.prefix(Int(share * Double(ordered.count))))
    }
    var before = ExampleSet(asOf: past.asOf, options: examples.options, sample: examples.sample)
    append(examples.table, to: &before.table, past, kept)
    append(examples.asServed, to: &before.asServed, past, kept)
    return (before, share)
  }

  private static func append(
    _ table: ExampleTable, to earlier: inout ExampleTable, _ past: TrainingSettings, _ kept: Set<UInt64>?
  ) {
    let latest = past.asOf.observedThrough
    let input = ModelInput()
    for row in 0..<table.count where table.dates[row] < past.asOf.dates.count {
      let horizonEnd = table.times[row] + past.asOf.horizonMilliseconds
      guard horizonEnd <= latest, kept?.contains(table.borrowers[row]) ?? true else { continue }
      var labels = table.labels[row]
      // What a first grant came to be used for is known later than the horizon's end.
      let known = horizonEnd + Int64(past.labels.prospectDays) * EventTime.millisecondsPerDay
      if !labels.hasLimit, known > latest { labels.utilization = nil }
      table.read(row, into: input)
      earlier.append(
        input, borrower: table.borrowers[row], date: table.dates[row], time: table.times[row], owes: table.owes[row],
        isPastDue: table.isPastDue[row], labels: labels)
    }
  }
}
