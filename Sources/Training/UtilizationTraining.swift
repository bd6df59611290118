import Borrowers
import Features
import Models

/// The utilization model. Candidates are measured in cross-validation and the best by the configured metric serves, for
/// two kinds of person: those who have a limit, and those who have none yet, who are the point of leads. What serves the
/// latter is trained on rows with everything hidden that a credit line tells, and on the people without a limit whose first
/// grant the history saw.
struct UtilizationTraining: Sendable {
  static let folds = 5
  static let penalties = [1e-4, 1e-3, 1e-2, 1e-1, 1]
  /// Rows trained on; of more, a seeded sample of borrowers is taken.
  static let rowsMax = 80_000
  /// People without a limit from whom a calibration of theirs can be learned.
  static let prospectsMin = 200

  let settings: TrainingSettings
  /// Of the table.
  let rows: [Int]
  private let known: Int
  private let isSampled: Bool
  /// Rows at midnights, then rows right after events.
  private let matrix: FeatureMatrix
  private let targets: [Double]
  private let borrowers: [UInt64]
  private let foldOfRow: [Int]
  private let midnights: Range<Int>
  /// Of the as-served table.
  private let asServedRows: [Int]
  private let dates: [Int]
  /// No limit is known: the head for prospects serves.
  private let isProspect: [Bool]
  private let hasLimit: [Bool]
  private let mask = CreditLineMask()
  private let plan: UtilizationPlan

  init(_ set: ExampleSet, _ settings: TrainingSettings) throws(TrainingError) {
    self.settings = settings
    let table = set.table
    let all = (0..<table.count).filter { table.labels[$0].utilization != nil }
    rows = RowSample.rows(table, all, limit: Self.rowsMax, seed: settings.seed)
    known = all.count
    isSampled = rows.count < all.count
    let count = Set(rows.map { table.borrowers[$0] }).count
    guard count >= Self.folds else {
      throw TrainingError(
        .failed,
        "utilization: \(count) borrowers have a \(settings.labels.utilizationTarget.rawValue) utilization at the as-of "
          + "dates, fewer than the \(Self.folds) folds; a larger history is needed")
    }
    let folds = Folds(borrowers: rows.map { table.borrowers[$0] }, count: Self.folds, seed: settings.seed)
    let served = set.asServed
    let taken = Set(rows.map { table.borrowers[$0] })
    let servedRows = (0..<served.count).filter {
      served.labels[$0].utilization != nil && taken.contains(served.borrowers[$0])
    }
    asServedRows = servedRows
    let labels = rows.map { table.labels[$0] } + servedRows.map { served.labels[$0] }
    targets = labels.map { $0.utilization! }
    hasLimit = labels.map(\.hasLimit)
    midnights = 0..<rows.count
    guard let lowest = targets[midnights].min(), let highest = targets[midnights].max(), lowest < highest else {
      throw TrainingError(
        .failed, "utilization: all \(rows.count) examples have the same utilization, so there is nothing to learn")
    }
    borrowers = rows.map { table.borrowers[$0] } + servedRows.map { served.borrowers[$0] }
    foldOfRow = folds.foldOfRow + servedRows.map { folds.fold(of: served.borrowers[$0]) }
    dates = rows.map { table.dates[$0] }
    let allowed = FeatureCatalogue.allowed(includeProtected: settings.includeProtected)
    let matrix = FeatureMatrix(table, rows: rows, allowed: allowed)
      .appending(FeatureMatrix(served, rows: servedRows, allowed: allowed))
    self.matrix = matrix
    guard !InputFitting(matrix).inputs.features.isEmpty else {
      throw TrainingError(
        .failed, "utilization: every feature is constant over \(rows.count) examples; a richer history is needed")
    }
    let limit = Self.limitColumn
    isProspect = matrix.indices.map { matrix[$0, limit].isNaN }
    plan = UtilizationPlan.fitting(settings.budget)
  }

  private static let limitColumn = FeatureCatalogue.index(of: "credit_limit")!

  func run(_ progress: @Sendable (Double) -> Void) throws(TrainingError) -> TrainedModel {
    let limited = midnights.filter { !isProspect[$0] }
    let hasTwoHeads = Set(limited.map { borrowers[$0] }).count >= 2 * Self.folds
    let main = mainHead(hasTwoHeads ? limited : Array(midnights), hasTwoHeads: hasTwoHeads)
    let prospect = hasTwoHeads ? prospectHead() : nil
    let steps = Double(Self.folds * (main.candidates.count + (prospect?.candidates.count ?? 0)) + 2)
    let done = Counter()
    let mainMeasured = try main.measure(foldCount: Self.folds) { progress(Double(done.increment()) / steps) }
    let prospectMeasured = try prospect?.measure(foldCount: Self.folds) {
      progress(Double(done.increment()) / steps)
    }
    var files: [String: [UInt8]] = [:]
    let mainMembers = try main.serving(mainMeasured, prefix: "", files: &files)
    progress(Double(done.increment()) / steps)
    var prospectServed: (members: [MemberDescription], forecasts: Prospects)?
    if let prospect, let prospectMeasured {
      prospectServed = (
        try prospect.serving(prospectMeasured, prefix: "prospect_", files: &files),
        Prospects(self, prospectMeasured.forecasts[prospectMeasured.winner]!)
      )
    }
    progress(1)
    let architecture = Architecture.utilization(
      EnsembleDescription(members: mainMembers, minimum: 0),
      prospect: prospectServed.map {
        EnsembleDescription(members: $0.members, calibration: $0.forecasts.calibration, minimum: 0)
      }, prospectFeature: Self.limitColumn)
    return try assemble(
      architecture, files, (main, mainMeasured), prospect.map { ($0, prospectMeasured!) }, prospectServed?.forecasts)
  }

  private func mainHead(_ training: [Int], hasTwoHeads: Bool) -> UtilizationHead {
    UtilizationHead(
      matrix: matrix, targets: targets, borrowers: borrowers, folds: foldOfRow, training: training, measured: training,
      candidates: UtilizationCandidate.trained, learner: UtilizationLearner(plan: plan, seed: settings.seed),
      metric: settings.utilizationMetric, microsecondsMax: settings.budget.share(of: .utilization),
      disguised: hasTwoHeads ? mask.apply(matrix, keeping: { isProspect[$0] }) : nil)
  }

  /// Everybody with a limit, the line hidden, and people without one as they are, those as often as to count as much.
  private func prospectHead() -> UtilizationHead {
    let prospects = midnights.filter { isProspect[$0] }
    let hidden = midnights.count - prospects.count
    let times = prospects.isEmpty ? 0 : min(max(hidden / prospects.count, 1), 20)
    var training: [Int] = []
    for row in midnights {
      for _ in 0..<(isProspect[row] ? times : 1) { training.append(row) }
    }
    let masked = mask.apply(matrix, keeping: { isProspect[$0] })
    let isBlind = InputFitting(masked.selecting(Array(midnights))).inputs.features.isEmpty
    return UtilizationHead(
      matrix: masked, targets: targets, borrowers: borrowers, folds: foldOfRow, training: training,
      measured: prospects.count >= Self.prospectsMin ? prospects : Array(midnights),
      // Where a hidden line leaves nothing to tell people apart by, a tree of one leaf says what they use on average.
      candidates: isBlind
        ? [.regressionTree, .constant] : UtilizationCandidate.trained.filter { $0 != .ridgeAndTrees },
      learner: UtilizationLearner(plan: plan, seed: settings.seed &+ 31), metric: settings.utilizationMetric,
      microsecondsMax: settings.budget.share(of: .utilization))
  }

  /// What people without a limit are forecast: calibrated on those of them whose first grant was seen, where there are
  /// enough. (What borrowers with a limit drew since their grant is another length of time.)
  private struct Prospects {
    var calibration = Calibration.identity
    /// Of every row, cross-fitted by fold.
    var forecasts: [Double]

    init(_ training: UtilizationTraining, _ raw: [Double]) {
      forecasts = raw
      let rows = raw.indices.filter { training.isProspect[$0] }
      guard rows.count >= UtilizationTraining.prospectsMin else { return }
      func fit(_ rows: [Int]) -> Calibration {
        MoneyCalibration.means(rows.map { raw[$0] }, rows.map { training.targets[$0] })
      }
      calibration = fit(rows)
      for fold in 0..<UtilizationTraining.folds {
        let others = fit(rows.filter { training.foldOfRow[$0] != fold })
        for row in raw.indices where training.foldOfRow[row] == fold { forecasts[row] = others(raw[row]) }
      }
    }
  }

  // MARK: What came of it

  private func assemble(
    _ architecture: Architecture, _ files: [String: [UInt8]],
    _ main: (head: UtilizationHead, measured: UtilizationHead.Measured),
    _ prospect: (head: UtilizationHead, measured: UtilizationHead.Measured)?, _ prospects: Prospects?
  ) throws(TrainingError) -> TrainedModel {
    let winner = main.measured.forecasts[main.measured.winner]!
    let forecasts = matrix.indices.map { isProspect[$0] ? prospects?.forecasts[$0] ?? winner[$0] : winner[$0] }
    func part(_ values: [Double], _ rows: [Int]) -> [Double] { rows.map { values[$0] } }
    let measured = Array(midnights)
    let truth = part(targets, measured)
    let report = UtilizationReport(part(forecasts, measured), truth, hasLimit: measured.map { hasLimit[$0] })
    var figures = report.figures
    if let margin = main.measured.margin { figures["margin_over_next"] = margin }
    let after = matrix.indices.filter { !midnights.contains($0) }
    if !after.isEmpty {
      figures["as_served.rows"] = Double(after.count)
      figures["as_served.rmse"] = Metrics.rootMeanSquaredError(part(forecasts, after), part(targets, after))
      figures["as_served.mae"] = Metrics.meanAbsoluteError(part(forecasts, after), part(targets, after))
    }
    if let prospect {
      let hidden = measured.filter { !isProspect[$0] }
      let actual = part(targets, hidden)
      let raw = part(prospect.measured.forecasts[prospect.measured.winner]!, hidden)
      let unmasked = part(main.measured.disguised[main.measured.winner]!, hidden)
      figures["hidden.rows"] = Double(hidden.count)
      figures["hidden.rmse"] = Metrics.rootMeanSquaredError(raw, actual)
      figures["hidden.mae"] = Metrics.meanAbsoluteError(raw, actual)
      figures["hidden_without_masking.rmse"] = Metrics.rootMeanSquaredError(unmasked, actual)
      figures["hidden_without_masking.mae"] = Metrics.meanAbsoluteError(unmasked, actual)
      figures["hidden_constant.rmse"] = Metrics.rootMeanSquaredError(
        part(prospect.measured.forecasts[.constant]!, hidden), actual)
      if let margin = prospect.measured.margin { figures["prospect.margin_over_next"] = margin }
    }
    figures["score_us"] = try ServedCost.microseconds(architecture, files)
    let dateCount = Set(dates).count
    let thresholds = LeadThresholds.table(
      part(forecasts, measured), truth, dates: dateCount, horizonDays: settings.asOf.horizonDays)
    if let suggested = LeadThresholds.suggested(thresholds) {
      figures["lead_threshold"] = suggested.threshold
      figures["lead_threshold.precision"] = suggested.precision
      figures["lead_threshold.recall"] = suggested.recall
      figures["lead_threshold.leads_a_day"] = suggested.leadsADay
    }
    var candidates = candidates(main, prefix: "")
    if let prospect { candidates += self.candidates(prospect, prefix: "prospect_") }
    return TrainedModel(
      kind: .utilization, files: files, architecture: architecture, metrics: figures,
      foldMetrics: (0..<Self.folds).map { fold in
        let held = measured.filter { foldOfRow[$0] == fold }
        return [
          "rmse": Metrics.rootMeanSquaredError(part(forecasts, held), part(targets, held)),
          "mae": Metrics.meanAbsoluteError(part(forecasts, held), part(targets, held)),
        ]
      },
      candidates: candidates, rows: rows,
      counts: ["prospects": measured.count { isProspect[$0] }, "known": known],
      card: card(figures, thresholds, main, prospect),
      evidence: evidence(forecasts, main.measured, prospect?.measured, thresholds, figures))
  }

  private func candidates(
    _ part: (head: UtilizationHead, measured: UtilizationHead.Measured), prefix: String
  ) -> [Candidate] {
    UtilizationCandidate.allCases.compactMap { candidate in
      guard let forecasts = part.measured.forecasts[candidate] else { return nil }
      let rows = part.head.measured
      let truth = rows.map { targets[$0] }
      let column = rows.map { forecasts[$0] }
      return Candidate(
        name: prefix + candidate.rawValue,
        metrics: [
          "rmse": Metrics.rootMeanSquaredError(column, truth), "mae": Metrics.meanAbsoluteError(column, truth),
          "planned_score_us": part.head.microseconds(candidate, part.measured),
        ], chosen: candidate == part.measured.winner)
    }
  }

  private func evidence(
    _ forecasts: [Double], _ main: UtilizationHead.Measured, _ prospect: UtilizationHead.Measured?,
    _ thresholds: [LeadThreshold], _ figures: [String: Double]
  ) -> TrainingEvidence {
    var evidence = TrainingEvidence()
    evidence.rows = rows
    evidence.folds = Array(foldOfRow[midnights])
    evidence.forecasts = Array(forecasts[midnights])
    evidence.actual = Array(targets[midnights])
    evidence.servedRows = asServedRows
    evidence.servedForecasts = Array(forecasts[midnights.count...])
    evidence.servedActual = Array(targets[midnights.count...])
    for (candidate, column) in main.forecasts { evidence.members[candidate.rawValue] = Array(column[midnights]) }
    evidence.curves = main.curves
    evidence.comparisons = [LeadThresholds.comparison(thresholds)]
    if prospect != nil {
      evidence.comparisons.append(Self.hiddenLine(figures))
    }
    return evidence
  }

  /// The same borrowers with their credit line in sight and hidden.
  private static func hiddenLine(_ figures: [String: Double]) -> TrainingEvidence.Comparison {
    func row(_ name: String, _ prefix: String, isChosen: Bool = false) -> TrainingEvidence.Comparison.Row {
      var row = TrainingEvidence.Comparison.Row(name: name, figures: [:])
      row.figures["rmse"] = figures[prefix + ".rmse"]
      row.figures["mae"] = figures[prefix + ".mae"]
      row.isChosen = isChosen
      return row
    }
    return TrainingEvidence.Comparison(
      title: "With the credit line hidden",
      explanation: "Borrowers with a limit, out of fold: as they are, and as if they had none yet. People without a "
        + "limit are served by the head that was trained with hidden lines.",
      columns: ["rmse", "mae"],
      rows: [
        row("line in sight", "with_limit"), row("line hidden, trained for it", "hidden", isChosen: true),
        row("line hidden, not trained for it", "hidden_without_masking"), row("a constant", "hidden_constant"),
      ])
  }

  private func card(
    _ figures: [String: Double], _ thresholds: [LeadThreshold],
    _ main: (head: UtilizationHead, measured: UtilizationHead.Measured),
    _ prospect: (head: UtilizationHead, measured: UtilizationHead.Measured)?
  ) -> String {
    func number(_ name: String) -> String { TrainingText.number(figures[name] ?? .nan) }
    let metric = settings.utilizationMetric.rawValue.uppercased()
    let best = main.measured.forecasts.keys.filter { $0 != .constant }
      .min { main.head.loss($0, main.measured) < main.head.loss($1, main.measured) }!
    let target =
      settings.labels.utilizationTarget == .balance
      ? "The last statement balance within \(settings.asOf.horizonDays) days"
      : "The amount drawn from the first grant (at most 365 days back) to \(settings.asOf.horizonDays) days ahead"
    var text = """
      \(target) over the credit limit; \
      of people without a limit, what they draw within \(settings.labels.prospectDays) days of their first grant over it. \
      Of candidates measured over \(Self.folds) folds split by borrower, \(main.measured.winner.rawValue) serves: the \
      least \(metric) within the bound of serving time, by \(number("margin_over_next")) before the next. Serving costs \
      \(number("score_us")) us an event by counted operations, of \
      \(TrainingText.number(settings.budget.share(of: .utilization))) allowed; the bound costs \
      \(TrainingText.number(main.head.loss(main.measured.winner, main.measured) - main.head.loss(best, main.measured))) of \
      \(metric) against the best that was measured.
      """
    if let prospect {
      text += """
         People without a limit have a head of their own (\(prospect.measured.winner.rawValue)), trained on \
        \(prospect.head.training.count) rows: borrowers with everything hidden that a credit line tells (limit, draws, \
        dues, repayments, arrears, statements: \(mask.columns.count) features), and those who had no limit yet. On \
        borrowers with the line hidden its RMSE is \(number("hidden.rmse")); what serves borrowers with a limit would have \
        \(number("hidden_without_masking.rmse")) there, a constant \(number("hidden_constant.rmse")). With the line in \
        sight: \(number("with_limit.rmse")).
        """
    }
    text += " Leads by threshold: \(LeadThresholds.text(thresholds)); suggested: \(number("lead_threshold"))."
    if isSampled { text += " Trained on a seeded sample by borrower: \(rows.count) of \(known) examples." }
    return text + " Figures are out of fold."
  }
}
