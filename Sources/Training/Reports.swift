import Borrowers
import Models

/// A model that was trained, before it is written.
struct TrainedModel: Sendable {
  var kind: ModelKind
  var files: [String: [UInt8]]
  var architecture: Architecture
  var metrics: [String: Double]
  var foldMetrics: [[String: Double]] = []
  var candidates: [Candidate]
  /// Of the table.
  var rows: [Int]
  var counts: [String: Int]
  /// Why the chosen candidate was chosen; empty: by the figures of the candidates.
  var choice = ""
  var card: String
  /// What a report plots.
  var evidence = TrainingEvidence()
}

extension ClassificationMetrics {
  /// Named figures, those that could be measured, `prefix` before each name.
  func figures(_ prefix: String = "") -> [String: Double] {
    var figures: [String: Double] = [prefix + "rows": Double(rows), prefix + "positives": Double(positives)]
    let named: [(String, Double?)] = [
      ("auc", auc), ("gini", gini), ("ks", ks), ("brier", brier), ("log_loss", logLoss), ("ece", ece),
    ]
    for (name, value) in named { if let value { figures[prefix + name] = value } }
    return figures
  }
}

/// The overdue measures, pooled and apart: old arrears flatter a pooled figure.
struct OverdueReport: Codable, Sendable {
  var all: ClassificationMetrics
  /// By date, `yyyy-mm-dd`.
  var byDate: [String: ClassificationMetrics] = [:]
  /// By `owing`, `if_lent`, `not_past_due`.
  var byGroup: [String: ClassificationMetrics] = [:]

  enum CodingKeys: String, CodingKey {
    case all
    case byDate = "by_date"
    case byGroup = "by_group"
  }

  init(all: ClassificationMetrics) { self.all = all }

  mutating func addGroups(
    _ table: ExampleTable, _ rows: [Int], _ probabilities: [Double], _ labels: [Bool], dates: [EventTime]
  ) {
    func measure(_ belongs: (Int) -> Bool) -> ClassificationMetrics? {
      let selected = rows.indices.filter { belongs(rows[$0]) }
      guard !selected.isEmpty else { return nil }
      return ClassificationMetrics(
        probabilities: selected.map { probabilities[$0] }, labels: selected.map { labels[$0] })
    }
    for (index, date) in dates.enumerated() {
      byDate[date.dateText] = measure { table.dates[$0] == index }
    }
    byGroup["owing"] = measure { table.owes[$0] }
    byGroup["if_lent"] = measure { !table.owes[$0] }
    byGroup["not_past_due"] = measure { !table.isPastDue[$0] }
  }

  var figures: [String: Double] {
    var figures = all.figures()
    for (name, metrics) in byGroup { figures.merge(metrics.figures(name + ".")) { $1 } }
    for (date, metrics) in byDate { figures.merge(metrics.figures(date + ".")) { $1 } }
    return figures
  }
}

/// The measures of a demand forecast.
struct DemandReport: Codable, Sendable {
  var rows: Int
  /// Of any borrowing.
  var borrowing: ClassificationMetrics
  var meanAbsoluteError: Double
  var rmse: Double
  var normalizedGini: Double?
  /// Total forecast over total actual; nil where nothing was borrowed.
  var totalRatio: Double?
  /// Share of rows within the 80 % interval.
  var coverage: Double
  /// Of the log head; nil where only money is known.
  var rmseLog1p: Double?

  enum CodingKeys: String, CodingKey {
    case rows, borrowing, rmse, coverage
    case meanAbsoluteError = "mae"
    case normalizedGini = "normalized_gini"
    case totalRatio = "total_ratio"
    case rmseLog1p = "rmse_log1p"
  }

  init(probabilities: [Double], amounts: [Double], lower: [Double], upper: [Double], actual: [Double], borrowed: [Bool])
  {
    rows = actual.count
    borrowing = ClassificationMetrics(probabilities: probabilities, labels: borrowed)
    meanAbsoluteError = Metrics.meanAbsoluteError(amounts, actual)
    rmse = Metrics.rootMeanSquaredError(amounts, actual)
    let gini = Metrics.normalizedGini(amounts, actual)
    normalizedGini = gini.isFinite ? gini : nil
    let total = actual.reduce(0, +)
    totalRatio = total > 0 ? amounts.reduce(0, +) / total : nil
    coverage =
      Double(actual.indices.count { actual[$0] >= lower[$0] && actual[$0] <= upper[$0] }) / Double(max(actual.count, 1))
  }

  var figures: [String: Double] {
    var figures = borrowing.figures("borrowing.")
    figures["mae"] = meanAbsoluteError
    figures["rmse"] = rmse
    figures["coverage_80"] = coverage
    if let normalizedGini { figures["normalized_gini"] = normalizedGini }
    if let totalRatio { figures["total_forecast_over_actual"] = totalRatio }
    if let rmseLog1p { figures["rmse_log1p"] = rmseLog1p }
    return figures
  }
}

/// The measures of a utilization forecast.
struct UtilizationReport: Codable, Sendable {
  struct Group: Codable, Sendable {
    var rows: Int
    var rmse: Double
    var mae: Double
    init(_ forecasts: [Double], _ actual: [Double]) {
      rows = actual.count
      rmse = Metrics.rootMeanSquaredError(forecasts, actual)
      mae = Metrics.meanAbsoluteError(forecasts, actual)
    }
  }
  var all: Group
  /// `with_limit`, `prospects`.
  var byGroup: [String: Group] = [:]

  enum CodingKeys: String, CodingKey {
    case all
    case byGroup = "by_group"
  }

  init(_ forecasts: [Double], _ actual: [Double], hasLimit: [Bool]) {
    all = Group(forecasts, actual)
    for (name, wanted) in [("with_limit", true), ("prospects", false)] {
      let selected = actual.indices.filter { hasLimit[$0] == wanted }
      if !selected.isEmpty {
        byGroup[name] = Group(selected.map { forecasts[$0] }, selected.map { actual[$0] })
      }
    }
  }

  var figures: [String: Double] {
    var figures = ["rmse": all.rmse, "mae": all.mae]
    for (name, group) in byGroup {
      figures[name + ".rmse"] = group.rmse
      figures[name + ".mae"] = group.mae
      figures[name + ".rows"] = Double(group.rows)
    }
    return figures
  }
}
