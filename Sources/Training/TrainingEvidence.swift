/// What a report plots of a training: forecasts of rows that were held out, beside what came true. Arrays have one
/// element for each of `rows`, those of `served` one for each of `servedRows`. A trainer fills in what it has, and a report
/// leaves out what is not there.
struct TrainingEvidence: Sendable {
  /// Of the example table; of a kind without one, 0, 1, ...
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
  /// Demand: the probability of any borrowing.
  var probabilities: [Double] = []
  /// Demand, repayment: the 80 % interval.
  var lower: [Double] = []
  var upper: [Double] = []
  /// Whatever else was compared, each as a table of its own: with and without made-up rows, within and without a budget,
  /// with a credit line hidden, thresholds for leads, ...
  var comparisons: [Comparison] = []

  /// Alternatives side by side.
  struct Comparison: Encodable, Sendable {
    struct Row: Encodable, Sendable {
      var name: String
      var figures: [String: Double]
      var isChosen = false
      enum CodingKeys: String, CodingKey {
        case name, figures
        case isChosen = "is_chosen"
      }
    }
    var title: String
    /// What it shows and what was decided by it.
    var explanation: String
    /// The figures to show, in order.
    var columns: [String]
    var rows: [Row]
  }
}

/// How a member's loss fell in one fold: on its training rows where that was measured, and on the rows held out of them
/// for early stopping.
struct LearningCurve: Encodable, Sendable {
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
