/// What a report plots of a training: forecasts of rows that were held out, beside what came true. Arrays have one
/// element for each of `rows`, those of `served` one for each of `servedRows`.
struct TrainingEvidence: Sendable {
  /// Of the example table.
  var rows: [Int] = []
  /// The fold that each row was held out in.
  var folds: [Int] = []
  /// What is served, out of fold and cross-fitted: calibrated probabilities, money, or shares of the limit.
  var forecasts: [Double] = []
  /// What came true, in the forecasts' unit; 1 or 0 of probabilities.
  var actual: [Double] = []
  /// Out-of-fold forecasts of each member or candidate on the same rows, by its name.
  var members: [String: [Double]] = [:]
  /// The same right after events, where those were measured: rows of the as-served table.
  var servedRows: [Int] = []
  var servedForecasts: [Double] = []
  var servedActual: [Double] = []
  var curves: [LearningCurve] = []
}

/// How a member's loss fell in one fold: on its training rows where that was measured, and on the rows held out of them
/// for early stopping.
struct LearningCurve: Sendable {
  /// `neural_network`, `boosted_trees`, ...
  var member: String
  var fold: Int
  /// `log loss`, `squared error`, ...
  var measure: String
  /// `epoch` or `round`, counted from 1: the unit of the arrays' positions.
  var unit: String
  /// Empty where it was not measured.
  var training: [Double] = []
  var validation: [Double] = []
  /// Position of what is kept.
  var best = 0
}
