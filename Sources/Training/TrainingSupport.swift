import Foundation
import Models

/// Rows to train on where there are more than training gains from.
enum RowSample {
  /// At most about `limit` of `rows`: all rows of a seeded sample of borrowers, in their order.
  static func rows(_ table: ExampleTable, _ rows: [Int], limit: Int, seed: UInt64) -> [Int] {
    guard rows.count > limit else { return rows }
    var counts: [UInt64: Int] = [:]
    for row in rows { counts[table.borrowers[row], default: 0] += 1 }
    var taken: Set<UInt64> = []
    var total = 0
    for borrower in Folds.ordered(Array(counts.keys), seed: seed &+ 77) {
      guard total < limit else { break }
      taken.insert(borrower)
      total += counts[borrower]!
    }
    return rows.filter { taken.contains(table.borrowers[$0]) }
  }
}

/// What a trained architecture costs at every event, by counted operations.
enum ServedCost {
  static func microseconds(_ architecture: Architecture, _ files: [String: [UInt8]]) throws(TrainingError) -> Double {
    do throws(ModelError) {
      return try ServingCost(architecture, files: files).microseconds
    } catch {
      throw TrainingError(.failed, error.description)
    }
  }
}

/// Numbers in a training card.
enum TrainingText {
  static func number(_ value: Double) -> String { value.isFinite ? String(format: "%.4g", value) : "not measured" }
}

extension LearningCurve {
  static func network(_ member: String, fold: Int, measure: String, _ trained: TrainedNetwork) -> LearningCurve {
    LearningCurve(
      member: member, fold: fold, measure: measure, unit: "epoch", training: trained.trainingLosses,
      validation: trained.validationLosses, best: max(trained.epochs - 1, 0))
  }

  static func trees(_ member: String, fold: Int, measure: String, _ trained: TrainedTrees) -> LearningCurve {
    LearningCurve(
      member: member, fold: fold, measure: measure, unit: "round", validation: trained.validationLosses,
      best: max(trained.rounds - 1, 0))
  }
}
