import Foundation
import Models

/// The pictures of a forecast amount or ratio.
enum AmountCharts {
  static func all(_ figures: AmountFigures, kind: ModelKind) -> [Chart] {
    var charts = [forecastAgainstActual(figures, kind: kind)]
    if !figures.density.counts.isEmpty { charts.append(density(figures, kind: kind)) }
    charts.append(residuals(figures, kind: kind))
    if !figures.gains.isEmpty { charts.append(gains(figures, kind: kind)) }
    return charts
  }

  private static func format(_ kind: ModelKind) -> FigureFormat { kind == .utilization ? .percent : .compact }
  private static func unit(_ kind: ModelKind) -> String { kind == .utilization ? "of the limit" : "in money" }

  static func forecastAgainstActual(_ figures: AmountFigures, kind: ModelKind) -> Chart {
    let highest = figures.groups.map { max($0.meanForecast, $0.actualUpper, $0.meanActual) }.max() ?? 1
    let lowest = figures.groups.map { min($0.meanForecast, $0.actualLower, $0.meanActual) }.min() ?? 0
    let ticks = Ticks(nil, [min(lowest, 0), highest], target: 5)
    var chart = Chart(
      "Forecast against actual",
      x: Chart.Axis(label: "mean forecast, \(unit(kind))", range: ticks.low...ticks.high, format: format(kind)),
      y: Chart.Axis(label: "what came true", range: ticks.low...ticks.high, format: format(kind)), isSquare: true,
      caption:
        "\(figures.groups.count) groups by forecast: the mean of what came true, and the band that holds the middle "
        + "80 % of it. On the dashed line forecast and actual are alike.")
    chart.add("", .band(figures.groups.map { ($0.meanForecast, $0.actualLower, $0.actualUpper) }))
    chart.marks.append(
      Chart.Mark(name: "", shape: .points(figures.groups.map { ($0.meanForecast, $0.meanActual) }), series: 0))
    chart.add("", .reference((ticks.low, ticks.low), (ticks.high, ticks.high)))
    return chart
  }

  static func density(_ figures: AmountFigures, kind: ModelKind) -> Chart {
    let edges = figures.density.edges
    let range = 0...(edges.last ?? 1)
    var chart = Chart(
      "Row by row", x: Chart.Axis(label: "forecast, \(unit(kind))", range: range, format: format(kind)),
      y: Chart.Axis(label: "what came true", range: range, format: format(kind)), isSquare: true,
      caption:
        "The darker, the more rows, on a logarithmic scale; what lies beyond the highest hundredth counts at the edge.")
    let most = logarithm(Double(1 + (figures.density.counts.flatMap { $0 }.max() ?? 0)))
    let size = edges.count > 1 ? edges[1] - edges[0] : 1
    var cells: [(x: Double, y: Double, weight: Double)] = []
    for (row, counts) in figures.density.counts.enumerated() {
      for (column, count) in counts.enumerated() where count > 0 {
        cells.append((edges[column], edges[row], 0.08 + 0.92 * logarithm(Double(1 + count)) / max(most, 1e-9)))
      }
    }
    chart.add("", .cells(cells, width: size, height: size))
    chart.add("", .reference((0, 0), (range.upperBound, range.upperBound)))
    return chart
  }

  static func residuals(_ figures: AmountFigures, kind: ModelKind) -> Chart {
    let quantiles = figures.residuals.quantiles
    let names = ["5 %", "25 %", "50 %", "75 %", "95 %"]
    let text = zip(names, quantiles).map { "\($0) under \(format(kind).text($1))" }.joined(separator: ", ")
    var chart = Chart(
      "Residuals", x: Chart.Axis(label: "forecast less actual, \(unit(kind))", format: format(kind)),
      y: Chart.Axis(label: "share of rows", format: .percent),
      caption: text.isEmpty ? "" : "Of the rows, \(text).")
    let edges = figures.residuals.edges
    chart.add("", .bars(figures.residuals.shares.enumerated().map { (edges[$0], edges[$0 + 1], $1) }))
    return chart
  }

  static func gains(_ figures: AmountFigures, kind: ModelKind) -> Chart {
    var chart = Chart(
      "Gains", x: Chart.Axis(label: "share of rows, highest forecasts first", range: 0...1, format: .percent),
      y: Chart.Axis(label: "share of what came true", range: 0...1, format: .percent),
      caption: figures.normalizedGini.map { "Normalised Gini \(FigureFormat.plain.text($0))." } ?? "")
    chart.add("", .line(figures.gains.map { ($0.share, $0.amount) }))
    chart.add("", .reference((0, 0), (1, 1)))
    return chart
  }

  static func groupTable(_ figures: AmountFigures, coverage: [Double], kind: ModelKind) -> ReportTable {
    let format: FigureFormat = kind == .utilization ? .percent : .plain
    let hasCoverage = coverage.count == figures.groups.count
    var table = ReportTable(
      "By forecast",
      [
        ReportTable.Column(name: "group"), ReportTable.Column(name: "rows"), ReportTable.Column(name: "mean forecast"),
        ReportTable.Column(name: "mean actual"), ReportTable.Column(name: "forecast less actual"),
        ReportTable.Column(name: "10 % under"), ReportTable.Column(name: "90 % under"),
        ReportTable.Column(name: "share of all", isHeat: true),
      ] + (hasCoverage ? [ReportTable.Column(name: "in 80 % interval")] : []))
    for (index, group) in figures.groups.enumerated() {
      table.add(
        [
          ReportTable.Cell(Double(index + 1), .integer), ReportTable.Cell(Double(group.rows), .integer),
          ReportTable.Cell(group.meanForecast, format), ReportTable.Cell(group.meanActual, format),
          ReportTable.Cell(group.meanResidual, format), ReportTable.Cell(group.actualLower, format),
          ReportTable.Cell(group.actualUpper, format), ReportTable.Cell(group.actualShare, .percent),
        ] + (hasCoverage ? [ReportTable.Cell(coverage[index], .percent)] : []))
    }
    return table
  }
}
