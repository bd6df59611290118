import Features

/// A model's figures apart by protected attribute and age: computed for people to look at, never learned from.
struct Fairness: Encodable, Sendable {
  struct Group: Encodable, Sendable {
    var attribute: String
    var group: String
    var rows: Int
    /// Among them `alert_rate` or `lead_rate`, at the thresholds.
    var figures: [String: Double]
  }

  var groups: [Group]

  func encode(to encoder: any Encoder) throws { try groups.encode(to: encoder) }

  /// Groups of fewer rows say too little and are left out.
  static let rowsMin = 30
  /// Regions are many: the largest are shown.
  private static let regionsMax = 8

  /// `measure` gets indices into `rows` and answers with figures.
  init(_ table: ExampleTable, _ rows: [Int], _ measure: ([Int]) -> [String: Double]) {
    groups = []
    for attribute in Attribute.allCases {
      guard let column = FeatureCatalogue.index(of: attribute.rawValue) else { continue }
      var members: [String: [Int]] = [:]
      for (index, row) in rows.enumerated() {
        members[attribute.group(table.features[row * FeatureCatalogue.count + column]), default: []].append(index)
      }
      // Nothing was said of anybody.
      guard members.count > 1 || members["not known"] == nil else { continue }
      var kept = members.filter { $0.value.count >= Self.rowsMin }
        .sorted { (attribute.rank($0.key), $0.key) < (attribute.rank($1.key), $1.key) }
      if attribute == .householdRegion {
        kept = kept.sorted { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
        kept = Array(kept.prefix(Self.regionsMax))
      }
      for (name, indices) in kept {
        groups.append(
          Group(
            attribute: attribute.title, group: name, rows: indices.count, figures: measure(indices)))
      }
    }
  }

  private enum Attribute: String, CaseIterable {
    case gender
    case maritalStatus = "marital_status"
    case householdRegion = "household_region"
    case age = "age_years"

    var title: String {
      switch self {
      case .gender: "gender"
      case .maritalStatus: "marital status"
      case .householdRegion: "household region"
      case .age: "age"
      }
    }

    func group(_ value: Float) -> String {
      guard value.isFinite else { return "not known" }
      switch self {
      case .gender: return value == 1 ? "female" : value == 2 ? "male" : "other"
      case .maritalStatus: return value == 1 ? "married" : value == 2 ? "single" : "other"
      // The catalogue holds six bits of a hash of the region's name.
      case .householdRegion: return "region \(Int(value))"
      case .age: return Self.bands.first { value < $0.below }!.name
      }
    }

    private static let bands: [(below: Float, name: String)] = [
      (25, "under 25"), (35, "25 to 34"), (45, "35 to 44"), (55, "45 to 54"), (65, "55 to 64"),
      (.infinity, "65 and over"),
    ]

    /// Bands stand in order of age, and those of whom nothing is known last.
    func rank(_ group: String) -> Int {
      if group == "not known" { return Self.bands.count }
      return self == .age ? Self.bands.firstIndex { $0.name == group } ?? 0 : 0
    }
  }
}

extension Fairness {
  /// Probabilities of being overdue against what came true.
  static func overdue(
    _ table: ExampleTable, _ rows: [Int], _ probabilities: [Double], _ labels: [Bool], _ thresholds: DecisionThresholds
  ) -> Fairness {
    Fairness(table, rows) { indices in
      let p = indices.map { probabilities[$0] }
      let y = indices.map { labels[$0] }
      var figures = ClassificationMetrics(probabilities: p, labels: y).figures()
      figures["overdue_rate"] = share(y) { $0 }
      figures["mean_forecast"] = p.reduce(0, +) / Double(p.count)
      figures["alert_rate"] = share(p) { $0 >= thresholds.alert }
      let paired = Array(zip(p, y))
      figures["alert_rate_of_overdue"] = share(paired.filter(\.1)) { $0.0 >= thresholds.alert }
      figures["alert_rate_of_others"] = share(paired.filter { !$0.1 }) { $0.0 >= thresholds.alert }
      return figures
    }
  }

  /// Forecast utilization against what came true. `overdue`: probabilities for the same rows, where there are any.
  static func utilization(
    _ table: ExampleTable, _ rows: [Int], _ forecasts: [Double], _ actual: [Double], overdue: [Double]?,
    _ thresholds: DecisionThresholds
  ) -> Fairness {
    Fairness(table, rows) { indices in
      let f = indices.map { forecasts[$0] }
      let a = indices.map { actual[$0] }
      let count = Double(indices.count)
      var figures = [
        "rmse": Metrics.rootMeanSquaredError(f, a), "mae": Metrics.meanAbsoluteError(f, a),
        "mean_forecast": f.reduce(0, +) / count, "mean_actual": a.reduce(0, +) / count,
      ]
      figures["lead_rate"] = share(indices) { index in
        forecasts[index] >= thresholds.leadUtilization && !table.isPastDue[rows[index]]
          && (overdue.map { $0[index] < thresholds.leadOverdueAtMost } ?? true)
      }
      figures["reached_rate"] = share(a) { $0 >= thresholds.leadUtilization }
      return figures
    }
  }

  /// Forecast borrowing against what was borrowed.
  static func demand(
    _ table: ExampleTable, _ rows: [Int], _ forecasts: [Double], _ actual: [Double], _ probabilities: [Double]
  ) -> Fairness {
    Fairness(table, rows) { indices in
      let f = indices.map { forecasts[$0] }
      let a = indices.map { actual[$0] }
      let count = Double(indices.count)
      var figures = [
        "mae": Metrics.meanAbsoluteError(f, a), "mean_forecast": f.reduce(0, +) / count,
        "mean_actual": a.reduce(0, +) / count,
      ]
      figures["drew_rate"] = share(a) { $0 > 0 }
      let ratio = f.reduce(0, +) / a.reduce(0, +)
      if ratio.isFinite { figures["total_forecast_over_actual"] = ratio }
      if !probabilities.isEmpty {
        let auc = Metrics.areaUnderROC(indices.map { probabilities[$0] }, a.map { $0 > 0 })
        if auc.isFinite { figures["auc"] = auc }
      }
      return figures
    }
  }

  private static func share<Element>(_ values: [Element], _ belongs: (Element) -> Bool) -> Double? {
    values.isEmpty ? nil : Double(values.count(where: belongs)) / Double(values.count)
  }
}
