import Models

/// A linear model in training: intercept and a coefficient for each standardised input.
struct TrainedLinear: Sendable {
  var fitting: InputFitting
  var intercept: Double
  var coefficients: [Double]

  /// Features that ridge regression reads.
  static let inputs = 80

  /// Logistic regression by iteratively reweighted least squares with a ridge of `penalty` a row (the intercept free).
  static func logistic(
    _ matrix: FeatureMatrix, labels: [Float], penalty: Double, fitting: InputFitting? = nil
  ) throws(TrainingError) -> TrainedLinear {
    let fitting = fitting ?? InputFitting(matrix)
    let design = try Design(fitting, matrix)
    let rows = matrix.rows
    let mean = labels.reduce(0) { $0 + Double($1) } / Double(rows)
    var beta = [Double](repeating: 0, count: design.columns)
    beta[0] = logarithm(mean / (1 - mean))
    let ridge = design.ridge(penalty * Double(rows))
    for _ in 0..<25 {
      let margins = design.times(beta)
      var weights = [Double](repeating: 0, count: rows)
      var targets = [Double](repeating: 0, count: rows)
      for row in 0..<rows {
        let p = Training.logistic(margins[row])
        // Kept off zero, so that a row far out does not ask for an endless step.
        weights[row] = max(p * (1 - p), 1e-5)
        targets[row] = margins[row] + (Double(labels[row]) - p) / weights[row]
      }
      let normal = NormalEquations(design.values, columns: design.columns, targets: targets, weights: weights)
      guard let next = normal.solve(ridge: ridge) else {
        throw TrainingError(.failed, "logistic regression: the features do not determine it; more examples are needed")
      }
      let change = zip(next, beta).map { abs($0 - $1) }.max() ?? 0
      beta = next
      if change < 1e-6 { break }
    }
    return TrainedLinear(fitting: fitting, intercept: beta[0], coefficients: Array(beta.dropFirst()))
  }

  /// Ridge regression; the penalty a row is the one of `penalties` with the least squared error on the validation rows.
  static func ridge(
    _ matrix: FeatureMatrix, targets: [Double], penalties: [Double], validation: (FeatureMatrix, [Double]),
    inputs: Int = TrainedLinear.inputs, takesLogarithms: Bool = true
  ) throws(TrainingError) -> (model: TrainedLinear, penalty: Double) {
    let fitting = try ColumnRanking.fitting(
      matrix, labels: targets.map(Float.init), objective: .squaredError, limit: inputs,
      takesLogarithms: takesLogarithms)
    let design = try Design(fitting, matrix)
    let normal = NormalEquations(design.values, columns: design.columns, targets: targets)
    let validationDesign = try Design(fitting, validation.0)
    var best: (loss: Double, beta: [Double], penalty: Double)?
    for penalty in penalties {
      guard let beta = normal.solve(ridge: design.ridge(penalty * Double(matrix.rows))) else { continue }
      let loss = Metrics.rootMeanSquaredError(validationDesign.times(beta), validation.1)
      if best == nil || loss < best!.loss { best = (loss, beta, penalty) }
    }
    guard let best else {
      throw TrainingError(.failed, "ridge regression: the features do not determine it; more examples are needed")
    }
    return (
      TrainedLinear(fitting: fitting, intercept: best.beta[0], coefficients: Array(best.beta.dropFirst())), best.penalty
    )
  }

  func margins(_ matrix: FeatureMatrix) throws(TrainingError) -> [Double] {
    try Design(fitting, matrix).times([intercept] + coefficients)
  }

  var bytes: [UInt8] {
    SafeTensors.encode(
      fitting.tensors + [
        Tensor(name: "coefficients", coefficients.map(Float.init)), Tensor(name: "intercept", [Float(intercept)]),
      ])
  }
}

/// A column of ones and the standardised inputs, row-major.
private struct Design {
  let columns: Int
  let values: [Double]

  init(_ fitting: InputFitting, _ matrix: FeatureMatrix) throws(TrainingError) {
    let inputs = try fitting.standardize(matrix)
    let width = fitting.inputs.count
    columns = width + 1
    var values: [Double] = []
    values.reserveCapacity(matrix.rows * columns)
    for row in 0..<matrix.rows {
      values.append(1)
      for column in 0..<width { values.append(Double(inputs[row * width + column])) }
    }
    self.values = values
  }

  func ridge(_ penalty: Double) -> [Double] {
    // A trace for the intercept too keeps the factorisation positive.
    [1e-9] + [Double](repeating: max(penalty, 1e-6), count: columns - 1)
  }

  func times(_ beta: [Double]) -> [Double] {
    var result: [Double] = []
    let rows = values.count / columns
    result.reserveCapacity(rows)
    for row in 0..<rows {
      var sum = 0.0
      for column in 0..<columns { sum += values[row * columns + column] * beta[column] }
      result.append(sum)
    }
    return result
  }
}
