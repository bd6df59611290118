import Models

/// What all pages of one run share.
struct ReportContext: Sendable {
  /// Measured on a history that the models were not trained on, or trained.
  var isEvaluation: Bool
  var asOf: [String]
  var observedThrough: String
  var horizonDays: Int
  var events: Int
  var borrowers: Int
  var examples: Int
  var seed: UInt64?
}

/// The page of one kind of model.
struct ModelPage {
  private let report: ModelReport
  private let context: ReportContext
  private var page: ReportPage

  init(_ report: ModelReport, _ context: ReportContext) {
    self.report = report
    self.context = context
    let dates =
      context.asOf.count > 1 ? "\(context.asOf[0]) to \(context.asOf[context.asOf.count - 1])" : context.asOf[0]
    page = ReportPage(
      title: "Lendpulse: \(Self.titles[report.kind] ?? "")",
      subtitle: """
        \(context.isEvaluation ? "Measured on a history" : "Trained"): \(report.version), \
        \(context.asOf.count == 1 ? "as of" : "\(context.asOf.count) dates,") \(dates), \
        \(FigureFormat.integer.text(Double(context.examples))) \
        \(context.borrowers > 0
          ? "examples of \(FigureFormat.integer.text(Double(context.borrowers))) borrowers" : "past periods of platforms")
        """)
    addSummary()
    addChoice()
    addProbability()
    addAmounts()
    addGroups()
    addServed()
    addTime()
    addComparisons()
    addLearning()
    addImportance()
    addFairness()
    addCost()
    addCard()
  }

  var html: String { page.html }

  private static let titles: [ModelKind: String] = [
    .overdue: "will a payment be missed?", .demand: "how much will be borrowed?",
    .utilization: "how much of the limit will be used?", .repayment: "what will a platform be repaid?",
  ]

  // MARK: What to see first

  private mutating func addSummary() {
    let figures = report.metrics
    var cards: [(name: String, value: String, note: String)] = []
    func add(_ key: String, _ name: String, _ note: String = "", _ format: FigureFormat = .plain) {
      if let value = figures[key] { cards.append((name, format.text(value), note)) }
    }
    switch report.kind {
    case .overdue:
      add("auc", "AUC", "1 is perfect, 0.5 a coin")
      add("not_past_due.auc", "AUC, not past due", "without those late already")
      add("ks", "KS", "largest gap of the classes")
      add("brier", "Brier score", "mean squared error, lower is better")
      add("ece", "Calibration error", "mean gap of ten bins")
      if let rate = rate { cards.append(("Became overdue", FigureFormat.percent.text(rate), "of all examples")) }
    case .demand:
      add("rmse_log1p", "RMSE of log1p", "of the log head")
      add("normalized_gini", "Normalised Gini", "of the order by amount")
      add("total_forecast_over_actual", "Forecast over actual", "of the totals, 1 is right")
      add("borrowing.auc", "AUC of borrowing", "who draws at all")
      add("mae", "Mean error", "in money", .compact)
      add("coverage_80", "Within the 80 % interval", "", .percent)
    case .utilization:
      add("rmse", "RMSE")
      add("mae", "Mean error")
      add("with_limit.rmse", "RMSE, with a limit")
      add("prospects.rmse", "RMSE, prospects", "no limit yet")
      if let ratio = report.amounts?.totalForecastOverActual {
        cards.append(("Forecast over actual", FigureFormat.plain.text(ratio), "of the totals, 1 is right"))
      }
    case .repayment:
      add("wape", "WAPE", "error over what was repaid", .percent)
      add("coverage_80", "Within the 80 % interval", "", .percent)
      add("origins", "Origins measured", "", .integer)
    }
    page.cards(cards)
    guard !context.isEvaluation, report.kind != .repayment else { return }
    guard let outOfTime = report.outOfTime else { return }
    if outOfTime.date == nil { page.notice(outOfTime.summary) }
  }

  private var rate: Double? {
    guard let rows = report.metrics["rows"], let positives = report.metrics["positives"], rows > 0 else { return nil }
    return positives / rows
  }

  // MARK: Candidates, groups, comparisons

  private mutating func addChoice() {
    guard !report.candidates.isEmpty else { return }
    page.section(
      "Candidates",
      "All measured on the same rows, which none of them saw in training. What serves stands in bold.")
    if let choice = report.choice, !choice.isEmpty { page.paragraph(choice) }
    page.table(
      FigureTable.make(
        "Candidates", report.candidates.map { ($0.name, $0.metrics, $0.chosen) }, first: "candidate", kind: report.kind)
    )
    if report.foldMetrics.count > 1 {
      page.table(
        FigureTable.make(
          "What serves, fold by fold", report.foldMetrics.enumerated().map { ("fold \($0 + 1)", $1, false) },
          first: "fold", kind: report.kind))
    }
  }

  private mutating func addGroups() {
    let groups = report.groups.filter { $0.name != "out_of_time" }
    guard !groups.isEmpty else { return }
    page.section(
      "Groups of borrowers and dates",
      report.kind == .overdue
        ? "Old arrears flatter a pooled figure: a borrower who is late now is easily known to be late soon. Owing: owed "
          + "at the date; if lent: owed nothing and drew within the horizon; not past due: had no amount open past its date."
        : "The same figures on parts of the rows.")
    page.table(
      FigureTable.make("By group", groups.map { ($0.name, $0.figures, false) }, first: "group", kind: report.kind))
  }

  private mutating func addComparisons() {
    for comparison in report.comparisons where !comparison.rows.isEmpty {
      page.section(comparison.title, comparison.explanation)
      var table = ReportTable(
        comparison.title,
        [ReportTable.Column(name: "", isText: true)]
          + comparison.columns.map { ReportTable.Column(name: FigureTable.title($0)) })
      for row in comparison.rows {
        table.add(
          [ReportTable.Cell(FigureTable.readable(row.name))]
            + comparison.columns.map { ReportTable.Cell(row.figures[$0], FigureTable.format($0)) },
          isChosen: row.isChosen)
      }
      page.table(table)
    }
  }

  // MARK: Forecasts against what came true

  private mutating func addProbability() {
    guard let probability = report.probability, !probability.roc.isEmpty else { return }
    page.section(
      report.kind == .overdue ? "Who becomes overdue" : "Who borrows at all",
      "Each row is forecast by a model that did not see its borrower"
        + (context.isEvaluation
          ? "." : " in training; calibration is fitted on other rows than those it is measured on."))
    page.charts(ProbabilityCharts.all(probability, members: report.memberCurves, kind: report.kind))
    page.table(ProbabilityCharts.liftTable(probability))
  }

  private mutating func addAmounts() {
    guard let amounts = report.amounts, !amounts.groups.isEmpty else { return }
    page.section(
      report.kind == .utilization
        ? "How much of the limit" : report.kind == .demand ? "How much" : "Forecast and actual",
      "Rows in order of their forecast, cut into groups of as many rows each.")
    page.charts(AmountCharts.all(amounts, kind: report.kind))
    page.table(AmountCharts.groupTable(amounts, coverage: report.coverage, kind: report.kind))
  }

  private mutating func addServed() {
    var charts: [Chart] = []
    if let served = report.servedProbability, !served.roc.isEmpty {
      charts = [ProbabilityCharts.calibration(served), ProbabilityCharts.roc(served, members: [:])]
    } else if let served = report.servedAmounts, !served.groups.isEmpty {
      charts = [
        AmountCharts.forecastAgainstActual(served, kind: report.kind),
        AmountCharts.residuals(served, kind: report.kind),
      ]
    }
    guard !charts.isEmpty else { return }
    page.section(
      "Right after an event",
      "The daemon scores right after an event, examples stand at midnights. The same measured on states taken right after "
        + "events drawn by the seed; the figures stand above as the group `as served`.")
    page.charts(charts)
  }

  private mutating func addTime() {
    guard let outOfTime = report.outOfTime, outOfTime.date != nil else { return }
    page.section("In time", outOfTime.summary)
    var rows: [(String, [String: Double], Bool)] = []
    let pooled = report.metrics.filter { !$0.key.contains(".") }
    rows.append(("other borrowers, all dates", pooled, false))
    if let date = outOfTime.date, let same = report.groups.first(where: { $0.name == date }) {
      rows.append(("other borrowers, the latest date", same.figures, false))
    }
    rows.append(("the latest date, trained on earlier ones", outOfTime.figures.filter { !$0.key.contains(".") }, true))
    page.table(FigureTable.make("Out of borrower and out of time", rows, first: "measured on", kind: report.kind))
    if let probability = outOfTime.probability, report.kind == .overdue {
      page.charts([
        ProbabilityCharts.roc(probability, members: [:]), ProbabilityCharts.calibration(probability),
      ])
    } else if let amounts = outOfTime.amounts {
      page.charts([
        AmountCharts.forecastAgainstActual(amounts, kind: report.kind),
        AmountCharts.residuals(amounts, kind: report.kind),
      ])
    }
  }

  // MARK: How it came about

  private mutating func addLearning() {
    let curves = report.learningCurves.filter { $0.training.count > 1 || $0.validation.count > 1 }
    guard !curves.isEmpty else { return }
    page.section(
      "Learning",
      "The loss on the rows learned from and on rows held out from them; learning stops where the latter rests.")
    // One picture a member: its folds differ little, and the eye compares them best on one pair of axes.
    var members: [String] = []
    for curve in curves where !members.contains(curve.member) { members.append(curve.member) }
    page.charts(members.map { member in Self.chart(curves.filter { $0.member == member }) })
  }

  private static let curvesShown = 4

  private static func chart(_ curves: [LearningCurve]) -> Chart {
    let kept = curves.map { "\($0.best + 1)" }.joined(separator: ", ")
    var chart = Chart(
      FigureTable.readable(curves[0].member), x: Chart.Axis(label: curves[0].unit),
      y: Chart.Axis(label: curves[0].measure),
      caption: curves.count == 1
        ? "Kept: \(curves[0].unit) \(kept)."
        : "Kept: \(curves[0].unit) \(kept), fold by fold; shown are the first \(min(curves.count, curvesShown)).")
    func points(_ losses: [Double]) -> [Chart.Point] { losses.enumerated().map { (Double($0 + 1), $1) } }
    for curve in curves.prefix(curvesShown) where !curve.validation.isEmpty {
      chart.add(curves.count == 1 ? "held out" : "held out, fold \(curve.fold + 1)", .line(points(curve.validation)))
    }
    if let curve = curves.first(where: { !$0.training.isEmpty }) {
      chart.add("learned from", .line(points(curve.training)))
    }
    for (series, curve) in curves.prefix(curvesShown).filter({ !$0.validation.isEmpty }).enumerated() {
      guard let held = curve.validation[safe: curve.best] else { continue }
      chart.marks.append(
        Chart.Mark(name: "", shape: .points([(Double(curve.best + 1), held)]), series: series))
    }
    return chart
  }

  private mutating func addImportance() {
    guard report.importance.contains(where: { !$0.features.isEmpty }) else { return }
    page.section(
      "What moves the score",
      """
      The mean size of each feature's contribution (SHAP values of trees, integrated gradients of networks, coefficients of \
      linear models) over \(report.importance[0].rows) examples, in the score's unit before calibration. + : more of it \
      raises the score; − : lowers it. A contribution is no cause.
      """)
    for head in report.importance where !head.features.isEmpty {
      page.add(
        BarList(
          caption: report.importance.count > 1 ? "Head: \(head.head)" : "Mean size of contribution",
          rows: head.features.map { feature in
            let sign = feature.direction.map { $0 > 0.15 ? "+ " : $0 < -0.15 ? "− " : "± " } ?? ""
            return (feature.name, sign + feature.meaning, feature.meanContribution)
          }
        ).markup)
    }
  }

  private mutating func addFairness() {
    guard let fairness = report.fairness, !fairness.groups.isEmpty else { return }
    let thresholds = report.thresholds
    let decision =
      switch report.kind {
      case .overdue: "An alert is counted from a probability of \(FigureFormat.percent.text(thresholds.alert)) on."
      case .utilization:
        "A lead is counted from a forecast of \(FigureFormat.percent.text(thresholds.leadUtilization)) on with nothing past "
          + "due and, where it was forecast, an overdue probability under "
          + "\(FigureFormat.percent.text(thresholds.leadOverdueAtMost)); consent is left aside."
      default: ""
      }
    page.section(
      "Fairness",
      "Figures apart by gender, marital status, household region and age, for people to judge. \(decision) Groups of fewer "
        + "than \(Fairness.rowsMin) examples are left out. Regions are numbered by a hash of their names.")
    let columns = FigureTable.columns(fairness.groups.map(\.figures), kind: report.kind).filter {
      // Two that say what AUC and Brier score say would push the rates off a printed page.
      !["gini", "log_loss", "positives"].contains($0)
    }
    var table = ReportTable(
      "By protected attribute and age",
      [ReportTable.Column(name: "group", isText: true), ReportTable.Column(name: "rows")]
        + columns.map {
          ReportTable.Column(
            name: FigureTable.title($0), isHeat: $0.hasPrefix("alert_rate") || $0 == "lead_rate" || $0 == "auc")
        })
    var attribute = ""
    for group in fairness.groups {
      if group.attribute != attribute {
        attribute = group.attribute
        table.part(attribute)
      }
      table.add(
        [ReportTable.Cell(group.group), ReportTable.Cell(Double(group.rows), .integer)]
          + columns.map { ReportTable.Cell(group.figures[$0], FigureTable.format($0)) })
    }
    page.table(table)
  }

  private mutating func addCost() {
    guard let measured = report.measured, !measured.scoreMicroseconds.isEmpty else { return }
    page.section(
      "What it costs to serve",
      "Processor time of one event's prediction on the machine that trained, the least of several passes; trained in "
        + "\(FigureFormat.plain.text(measured.trainingSeconds.rounded())) s, done \(measured.trainedAt).")
    var table = ReportTable(
      "Microseconds an event", [ReportTable.Column(name: "part", isText: true), ReportTable.Column(name: "µs")])
    for (name, cost) in measured.scoreMicroseconds.sorted(by: { $0.key < $1.key }) where name != "served" {
      table.add([ReportTable.Cell(FigureTable.readable(name)), ReportTable.Cell(cost, .twoDecimals)])
    }
    if let served = measured.scoreMicroseconds["served"] {
      table.add(
        [ReportTable.Cell("all that serves"), ReportTable.Cell(served, .twoDecimals)], isChosen: true)
    }
    page.table(table)
  }

  private mutating func addCard() {
    page.section(context.isEvaluation ? "Measured on" : "Training card")
    if let card = report.card { page.add("<pre class=\"text\">\(card)</pre>\n") }
    var table = ReportTable(
      "Data", [ReportTable.Column(name: "", isText: true), ReportTable.Column(name: "", isText: true)])
    func add(_ name: String, _ value: String) { table.add([ReportTable.Cell(name), ReportTable.Cell(value)]) }
    add("version", report.version)
    if let target = report.target { add("target", target) }
    add("as of", context.asOf.joined(separator: ", "))
    add("observed through", context.observedThrough)
    add("horizon", "\(context.horizonDays) days")
    add("events read", FigureFormat.integer.text(Double(context.events)))
    if context.borrowers > 0 { add("borrowers", FigureFormat.integer.text(Double(context.borrowers))) }
    add("examples of all kinds", FigureFormat.integer.text(Double(context.examples)))
    if let seed = context.seed { add("seed", "\(seed)") }
    page.table(table)
  }
}

extension Array {
  fileprivate subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
