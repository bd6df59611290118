/// What a threshold of predicted utilization would have given: one row of a lift table.
public struct LeadThreshold: Codable, Equatable, Sendable {
  public var threshold: Double
  /// Examples at or above it.
  public var leads: Int
  /// Of those leads, the share whose utilization did come to the threshold; nil without a lead.
  public var precision: Double?
  /// Of all examples whose utilization came to the threshold, the share that were leads; nil where none did.
  public var recall: Double?
  /// Precision over the share of all examples whose utilization came to the threshold.
  public var lift: Double?
  /// For as many borrowers as there are examples of one date: a lead stands for a horizon.
  public var leadsADay: Double

  enum CodingKeys: String, CodingKey {
    case threshold, leads, precision, recall, lift
    case leadsADay = "leads_a_day"
  }
}

enum LeadThresholds {
  static let steps = stride(from: 0.1, through: 0.95, by: 0.05).map { ($0 * 100).rounded() / 100 }

  static func table(_ forecasts: [Double], _ actual: [Double], dates: Int, horizonDays: Int) -> [LeadThreshold] {
    steps.map { threshold in
      let leads = forecasts.count { $0 >= threshold }
      let reached = actual.count { $0 >= threshold }
      let hits = forecasts.indices.count { forecasts[$0] >= threshold && actual[$0] >= threshold }
      let precision = leads > 0 ? Double(hits) / Double(leads) : nil
      let rate = Double(reached) / Double(max(actual.count, 1))
      return LeadThreshold(
        threshold: threshold, leads: leads, precision: precision,
        recall: reached > 0 ? Double(hits) / Double(reached) : nil,
        lift: rate > 0 ? precision.map { $0 / rate } : nil,
        leadsADay: Double(leads) / Double(max(dates, 1)) / Double(max(horizonDays, 1)))
    }
  }

  /// The threshold with the highest harmonic mean of precision and recall (F1); of equals the higher one.
  static func suggested(_ table: [LeadThreshold]) -> LeadThreshold? {
    var best: (score: Double, row: LeadThreshold)?
    for row in table {
      guard let precision = row.precision, let recall = row.recall, precision + recall > 0 else { continue }
      let score = 2 * precision * recall / (precision + recall)
      if best == nil || score >= best!.score { best = (score, row) }
    }
    return best?.row
  }

  static func comparison(_ table: [LeadThreshold]) -> TrainingEvidence.Comparison {
    let chosen = suggested(table)?.threshold
    return TrainingEvidence.Comparison(
      title: "Leads by threshold",
      explanation:
        "What each threshold of predicted utilization would have given; suggested is the highest harmonic mean "
        + "of precision and recall. Consent, arrears and the overdue probability thin leads out further.",
      columns: ["precision", "recall", "lift", "leads_a_day"],
      rows: table.map { row in
        var figures = ["leads_a_day": row.leadsADay]
        figures["precision"] = row.precision
        figures["recall"] = row.recall
        figures["lift"] = row.lift
        return TrainingEvidence.Comparison.Row(
          name: "\(row.threshold)", figures: figures, isChosen: row.threshold == chosen)
      })
  }

  /// Lines of the table for a training card.
  static func text(_ table: [LeadThreshold]) -> String {
    table.filter { row in Int((row.threshold * 100).rounded()) % 10 == 0 }.map { row in
      "at \(TrainingText.number(row.threshold)) precision \(TrainingText.number(row.precision ?? .nan)), recall "
        + "\(TrainingText.number(row.recall ?? .nan)), \(TrainingText.number(row.leadsADay)) leads a day"
    }.joined(separator: "; ")
  }
}
