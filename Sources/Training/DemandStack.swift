import Models

/// How the parts' members are weighted and their product turned into money, learned on rows that no member saw.
struct DemandStack: Sendable {
  var borrowing: (weights: [Double], intercept: Double)
  var amount: (weights: [Double], intercept: Double)
  var description: DemandDescription

  /// Rows that a stack is learned from.
  struct Rows: Sendable {
    /// A column of margins for each member: log-odds of any drawing, and the logarithm of one and the amount if any.
    var borrowing: [[Double]]
    var amount: [[Double]]
    var actual: [Double]
    /// False of a row taken right after an event.
    var isMidnight: [Bool]
    /// Rows of one borrower are in one half.
    var halves: [UInt64]

    func selecting(_ rows: [Int]) -> Rows {
      Rows(
        borrowing: borrowing.map { column in rows.map { column[$0] } },
        amount: amount.map { column in rows.map { column[$0] } }, actual: rows.map { actual[$0] },
        isMidnight: rows.map { isMidnight[$0] }, halves: rows.map { halves[$0] })
    }
  }

  /// Weights are those of midnights, which members are trained on; calibration is of all rows or of midnights alone.
  init(_ rows: Rows, calibratesOnEvents: Bool, seed: UInt64) {
    let midnights = rows.selecting(rows.actual.indices.filter { rows.isMidnight[$0] })
    borrowing = LogisticStacking.fit(midnights.borrowing, midnights.actual.map { $0 > 0 })
    amount = Self.weighAmounts(midnights.amount, midnights.actual)
    let calibrating = calibratesOnEvents ? rows : midnights
    description = Self.calibrate(
      probabilities: Self.combine(calibrating.borrowing, borrowing).map(logistic),
      amounts: Self.combine(calibrating.amount, amount).map(exponential), actual: calibrating.actual,
      halves: Folds(borrowers: calibrating.halves, count: 2, seed: seed))
  }

  static func combine(_ columns: [[Double]], _ weighting: (weights: [Double], intercept: Double)) -> [Double] {
    columns[0].indices.map { row in
      var sum = weighting.intercept
      for (weight, column) in zip(weighting.weights, columns) { sum += weight * column[row] }
      return sum
    }
  }

  /// Least squares of the logarithm of one and the amount, over those who drew; no weight is negative.
  static func weighAmounts(_ columns: [[Double]], _ actual: [Double]) -> (weights: [Double], intercept: Double) {
    let drew = actual.indices.filter { actual[$0] > 0 }
    var design: [Double] = []
    design.reserveCapacity(drew.count * (columns.count + 1))
    for row in drew {
      design.append(1)
      for column in columns { design.append(column[row]) }
    }
    let normal = NormalEquations(design, columns: columns.count + 1, targets: drew.map { logarithm(1 + actual[$0]) })
    let solution = normal.solveNonNegative(constrained: [false] + columns.map { _ in true })
    var weights = Array(solution.dropFirst())
    // Members that all forecast alike leave no weight.
    if weights.allSatisfy({ $0 <= 0 }) { weights[0] = 1e-3 }
    return (weights, solution[0])
  }

  static func calibrate(
    probabilities: [Double], amounts: [Double], actual: [Double], halves: Folds
  ) -> DemandDescription {
    let combined = zip(probabilities, amounts).map { $0 * $1 }
    var description = DemandDescription(
      combination: .hurdle, calibration: MoneyCalibration.means(combined, actual), lower: .identity, upper: .identity)
    let means = combined.map { description.calibration($0) }
    (description.lower, description.upper) = MoneyCalibration.interval(means, actual, halves: halves)
    return description
  }

  /// A forecast of one row out of fold.
  struct Forecasts: Sendable {
    var probabilities: [Double] = []
    /// Expected logarithm of one and the amount: the log head.
    var logarithms: [Double] = []
    var money: [DemandPrediction] = []
  }

  /// Stacked and calibrated on one half of the rows at a time and forecast on the other, so that no row calibrates its own
  /// forecast.
  static func crossFitted(_ rows: Rows, calibratesOnEvents: Bool, seed: UInt64) -> Forecasts {
    var forecasts = Forecasts.empty(rows.actual.count)
    let halves = Folds(borrowers: rows.halves, count: 2, seed: seed)
    for half in 0..<2 {
      let stack = DemandStack(
        rows.selecting(halves.training(half)), calibratesOnEvents: calibratesOnEvents, seed: seed &+ 1)
      let held = halves.validation(half)
      let asked = rows.selecting(held)
      let margins = combine(asked.borrowing, stack.borrowing)
      let logarithms = combine(asked.amount, stack.amount)
      for (position, row) in held.enumerated() {
        let p = logistic(margins[position])
        forecasts.probabilities[row] = p
        forecasts.logarithms[row] = p * logarithms[position]
        forecasts.money[row] = DemandModel.combine(p, exponential(logarithms[position]), stack.description)
      }
    }
    return forecasts
  }

  /// As `crossFitted`, of one forecast of the logarithm of one and the amount over everybody.
  static func crossFitted(logarithms: [Double], actual: [Double], halves: Folds, seed: UInt64) -> Forecasts {
    var forecasts = Forecasts.empty(actual.count)
    forecasts.logarithms = logarithms
    for half in 0..<2 {
      let learned = halves.training(half)
      let truth = learned.map { actual[$0] }
      let platt = Platt(scores: learned.map { logarithms[$0] }, labels: truth.map { $0 > 0 })
      // One part: the probability that multiplies is 1.
      var description = calibrate(
        probabilities: learned.map { _ in 1 }, amounts: learned.map { exponential(logarithms[$0]) }, actual: truth,
        halves: Folds(borrowers: learned.map { UInt64($0) }, count: 2, seed: seed))
      description.combination = .direct
      for row in halves.validation(half) {
        forecasts.probabilities[row] = platt(logarithms[row])
        forecasts.money[row] = DemandModel.combine(
          forecasts.probabilities[row], exponential(logarithms[row]), description)
      }
    }
    return forecasts
  }
}

extension DemandStack.Forecasts {
  fileprivate static func empty(_ count: Int) -> DemandStack.Forecasts {
    DemandStack.Forecasts(
      probabilities: [Double](repeating: 0, count: count), logarithms: [Double](repeating: 0, count: count),
      money: [DemandPrediction](
        repeating: DemandPrediction(borrowingProbability: 0, amount: 0, lower: 0, upper: 0), count: count))
  }

  func part(_ rows: Range<Int>) -> DemandStack.Forecasts {
    DemandStack.Forecasts(
      probabilities: Array(probabilities[rows]), logarithms: Array(logarithms[rows]), money: Array(money[rows]))
  }

  /// The figures that a candidate is known by.
  func figures(_ actual: [Double]) -> [String: Double] {
    var report = DemandReport(
      probabilities: probabilities, amounts: money.map(\.amount), lower: money.map(\.lower), upper: money.map(\.upper),
      actual: actual, borrowed: actual.map { $0 > 0 })
    report.rmseLog1p = Metrics.rootMeanSquaredError(logarithms, actual.map { logarithm(1 + $0) })
    var figures = report.figures
    let lift = Metrics.lift(money.map(\.amount), actual, share: 0.1)
    if lift.isFinite { figures["lift_10"] = lift }
    return figures
  }
}
