import Models

/// The pictures of a probability forecast.
enum ProbabilityCharts {
  private static let unit = 0.0...1.0

  static func all(
    _ figures: ProbabilityFigures, members: [String: [ProbabilityFigures.Point]], kind: ModelKind
  ) -> [Chart] {
    [
      roc(figures, members: members), precisionRecall(figures), calibration(figures), kolmogorovSmirnov(figures),
      lift(figures), distribution(figures, kind: kind),
    ]
  }

  private static func points(_ points: [ProbabilityFigures.Point]) -> [Chart.Point] { points.map { ($0.x, $0.y) } }

  static func roc(_ figures: ProbabilityFigures, members: [String: [ProbabilityFigures.Point]]) -> Chart {
    var chart = Chart(
      "ROC", x: Chart.Axis(label: "share of negatives above the threshold", range: unit),
      y: Chart.Axis(label: "share of positives above it", range: unit), isSquare: true,
      caption:
        "AUC \(FigureFormat.plain.text(figures.metrics.auc)), Gini \(FigureFormat.plain.text(figures.metrics.gini)).")
    chart.add(members.isEmpty ? "" : "what serves", .line(points(figures.roc)))
    for (name, curve) in members.sorted(by: { $0.key < $1.key }).prefix(5) where !curve.isEmpty {
      chart.add(FigureTable.readable(name), .line(points(curve)))
    }
    chart.add("", .reference((0, 0), (1, 1)))
    return chart
  }

  static func precisionRecall(_ figures: ProbabilityFigures) -> Chart {
    let rate = Double(figures.metrics.positives) / Double(figures.metrics.rows)
    var chart = Chart(
      "Precision and recall", x: Chart.Axis(label: "recall: share of positives found", range: unit),
      y: Chart.Axis(label: "precision: share that is positive", range: unit), isSquare: true,
      caption: "Average precision \(FigureFormat.plain.text(figures.averagePrecision)); the dashed line is chance.")
    chart.add("", .line(points(figures.precisionRecall)))
    chart.add("", .reference((0, rate), (1, rate)))
    return chart
  }

  static func calibration(_ figures: ProbabilityFigures) -> Chart {
    let highest = figures.calibration.map { max($0.meanForecast, $0.observedUpper) }.max() ?? 1
    let range = 0...Ticks(nil, [0, min(highest, 1)], target: 5).high
    var chart = Chart(
      "Calibration", x: Chart.Axis(label: "mean forecast", range: range, format: .percent),
      y: Chart.Axis(label: "share that came true", range: range, format: .percent), isSquare: true,
      caption: "\(figures.calibration.count) groups of as many rows each; the band is the 95 % interval of the share. "
        + "Calibration error \(FigureFormat.plain.text(figures.metrics.ece)).")
    chart.add("", .band(figures.calibration.map { ($0.meanForecast, $0.observedLower, $0.observedUpper) }))
    chart.marks.append(
      Chart.Mark(name: "", shape: .points(figures.calibration.map { ($0.meanForecast, $0.observed) }), series: 0))
    chart.add("", .reference((0, 0), (range.upperBound, range.upperBound)))
    return chart
  }

  static func kolmogorovSmirnov(_ figures: ProbabilityFigures) -> Chart {
    var chart = Chart(
      "Kolmogorov-Smirnov", x: Chart.Axis(label: "forecast", range: unit, format: .percent),
      y: Chart.Axis(label: "cumulative share", range: unit, format: .percent),
      caption: "The classes lie furthest apart, by \(FigureFormat.plain.text(figures.metrics.ks)), at a forecast of "
        + "\(FigureFormat.percent.text(figures.ksAt)).")
    chart.add("came true", .line(points(figures.cumulativePositives)))
    chart.add("did not", .line(points(figures.cumulativeNegatives)))
    if let at = figures.ksAt { chart.add("", .reference((at, 0), (at, 1))) }
    return chart
  }

  static func lift(_ figures: ProbabilityFigures) -> Chart {
    var chart = Chart(
      "Lift", x: Chart.Axis(label: "share of rows, highest forecasts first", range: unit, format: .percent),
      y: Chart.Axis(label: "times the mean rate", range: nil),
      caption: "How much more often it comes true among the highest forecasts than among all.")
    chart.add("", .line(figures.lift.map { ($0.share, $0.lift) }))
    chart.marks.append(Chart.Mark(name: "", shape: .points(figures.lift.map { ($0.share, $0.lift) }), series: 0))
    chart.add("", .reference((0, 1), (1, 1)))
    chart.y.range = 0...Ticks(nil, [0, figures.lift.map(\.lift).max() ?? 1], target: 5).high
    return chart
  }

  static func distribution(_ figures: ProbabilityFigures, kind: ModelKind) -> Chart {
    var chart = Chart(
      "Distribution of forecasts", x: Chart.Axis(label: "forecast", range: unit, format: .percent),
      y: Chart.Axis(label: "share of the class", format: .percent),
      caption: "\(FigureFormat.integer.text(Double(figures.metrics.positives))) came true, "
        + "\(FigureFormat.integer.text(Double(figures.metrics.rows - figures.metrics.positives))) did not.")
    func bars(_ shares: [Double]) -> [(from: Double, to: Double, height: Double)] {
      let width = 1 / Double(max(shares.count, 1))
      return shares.enumerated().map { (Double($0) * width, Double($0 + 1) * width, $1) }
    }
    chart.add(kind == .overdue ? "became overdue" : "came true", .bars(bars(figures.distribution.positives)))
    chart.add(kind == .overdue ? "did not" : "did not", .bars(bars(figures.distribution.negatives)))
    return chart
  }

  static func liftTable(_ figures: ProbabilityFigures) -> ReportTable {
    var table = ReportTable(
      "At each threshold",
      [
        ReportTable.Column(name: "highest"), ReportTable.Column(name: "rows"),
        ReportTable.Column(name: "forecast from"), ReportTable.Column(name: "precision", isHeat: true),
        ReportTable.Column(name: "recall", isHeat: true), ReportTable.Column(name: "lift"),
      ])
    for row in figures.lift {
      table.add([
        ReportTable.Cell(row.share, .percent), ReportTable.Cell(Double(row.rows), .integer),
        ReportTable.Cell(row.threshold, .percent), ReportTable.Cell(row.precision, .percent),
        ReportTable.Cell(row.recall, .percent), ReportTable.Cell(row.lift, .twoDecimals),
      ])
    }
    return table
  }
}
