import Models

/// Named figures as a table: which columns, in which order, under which heads.
enum FigureTable {
  /// Those that are there, the telling ones first.
  static func columns(_ figures: [[String: Double]], kind: ModelKind) -> [String] {
    let present = Set(figures.flatMap(\.keys)).filter { $0 != "rows" && !$0.contains(".") || isPartOfDemand($0, kind) }
    let known = order.filter(present.contains)
    return known + present.subtracting(known).sorted()
  }

  /// Demand's candidates are also told apart by whether anything is borrowed.
  private static func isPartOfDemand(_ key: String, _ kind: ModelKind) -> Bool {
    kind == .demand && ["borrowing.auc", "borrowing.brier", "borrowing.log_loss"].contains(key)
  }

  private static let order = [
    "positives", "overdue_rate", "drew_rate", "mean_forecast", "mean_actual", "auc", "gini", "ks", "average_precision",
    "brier", "log_loss", "ece", "borrowing.auc", "borrowing.brier", "borrowing.log_loss", "rmse_log1p", "rmse", "mae",
    "wape", "normalized_gini", "total_forecast_over_actual", "coverage_80", "alert_rate", "alert_rate_of_overdue",
    "alert_rate_of_others", "lead_rate", "reached_rate",
  ]

  private static let titles = [
    "auc": "AUC", "ks": "KS", "gini": "Gini", "brier": "Brier", "log_loss": "log loss", "ece": "ECE", "rmse": "RMSE",
    "mae": "MAE", "wape": "WAPE", "rmse_log1p": "RMSE log1p", "normalized_gini": "norm. Gini",
    "total_forecast_over_actual": "forecast / actual", "coverage_80": "in 80 %", "average_precision": "avg. precision",
    "borrowing.auc": "AUC borrows", "borrowing.brier": "Brier borrows", "borrowing.log_loss": "log loss borrows",
    "positives": "positive", "mean_forecast": "mean forecast", "mean_actual": "mean actual", "overdue_rate": "overdue",
    "drew_rate": "drew", "alert_rate": "alerts", "alert_rate_of_overdue": "alerts, of overdue",
    "alert_rate_of_others": "alerts, of others", "lead_rate": "leads", "reached_rate": "reached it",
  ]

  static func title(_ key: String) -> String { titles[key] ?? readable(key) }

  static func readable(_ key: String) -> String {
    key.replacing("_", with: " ").replacing("/", with: ": ")
  }

  static func format(_ key: String) -> FigureFormat {
    if key.hasSuffix("_rate") || key.contains("_rate_of_") || key == "coverage_80" { return .percent }
    return ["rows", "positives", "origins"].contains(key) ? .integer : .plain
  }

  static func make(
    _ caption: String, _ rows: [(name: String, figures: [String: Double], isChosen: Bool)], first: String,
    kind: ModelKind
  ) -> ReportTable {
    let columns = columns(rows.map(\.figures), kind: kind)
    let hasRows = rows.contains { $0.figures["rows"] != nil }
    var table = ReportTable(
      caption,
      [ReportTable.Column(name: first, isText: true)] + (hasRows ? [ReportTable.Column(name: "rows")] : [])
        + columns.map { ReportTable.Column(name: title($0)) })
    for row in rows {
      table.add(
        [ReportTable.Cell(readable(row.name))] + (hasRows ? [ReportTable.Cell(row.figures["rows"], .integer)] : [])
          + columns.map { ReportTable.Cell(row.figures[$0], format($0)) },
        isChosen: row.isChosen)
    }
    return table
  }
}
