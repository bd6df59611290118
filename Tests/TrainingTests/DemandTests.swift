import Features
import Models
import Testing

@testable import Training

@Test func `every plan of demand reads its newest day, whatever the interval`() {
  for interval in DemandPlan.intervals {
    for bound in [0.5, 1, 2, 4, 6, 8, 16, 40] {
      let plan = DemandPlan.fitting(ServingBudget(microseconds: bound), intervalDays: interval)
      let shape = NetworkShape(
        pictureRows: ModelInput.pictureDays, channels: ModelInput.pictureChannels, statics: plan.inputs,
        layers: plan.layers)
      #expect(plan.layers.contains { $0.type == .convolution })
      for stage in shape.stages where stage.layer.type != .dense {
        let last = (stage.rows - 1) * stage.stride + stage.kernel
        #expect(last == stage.inputRows, "interval \(interval), bound \(bound), layer \(stage.layer.name)")
      }
    }
  }
}

@Test func `a bound of serving time shrinks demand's members, and what is planned keeps to it`() {
  var before = 0.0
  for bound in [4.0, 6, 8, 12, 20] {
    let budget = ServingBudget(microseconds: bound)
    let plan = DemandPlan.fitting(budget, intervalDays: 1)
    #expect(budget.allows(plan.cost, for: .demand), "bound \(bound): \(plan.cost.microseconds)")
    #expect(plan.cost.microseconds >= before)
    before = plan.cost.microseconds
  }
}

@Test func `stacked forecasts add up to what was drawn, and four of five lie in the interval`() {
  let seed: UInt64 = 12
  var random = SeededRandom(seed: seed)
  var borrowing: [Double] = []
  var amounts: [Double] = []
  var actual: [Double] = []
  for _ in 0..<8000 {
    let inclination = random.normal() * 1.5
    let size = 6 + random.normal()
    let draws = random.uniform() < logistic(inclination)
    actual.append(draws ? exponential(size + random.normal() * 0.8) : 0)
    // Members that are right in order and wrong in scale.
    borrowing.append(inclination * 0.5 + 1)
    amounts.append(size * 0.9)
  }
  let forecasts = DemandStack.crossFitted(
    DemandStack.Rows(
      borrowing: [borrowing], amount: [amounts], actual: actual, isMidnight: actual.map { _ in true },
      halves: actual.indices.map { UInt64($0) }),
    calibratesOnEvents: false, seed: seed)
  let figures = forecasts.figures(actual)
  #expect((0.95...1.05).contains(figures["total_forecast_over_actual"]!), "seed \(seed)")
  #expect((0.77...0.83).contains(figures["coverage_80"]!), "seed \(seed)")
  #expect(figures["borrowing.ece"]! < 0.03)
  #expect(figures["lift_10"]! > 2)
  // The log head is the mean of the logarithm: nothing near it does better.
  let logs = actual.map { logarithm(1 + $0) }
  let rmse = figures["rmse_log1p"]!
  for factor in [0.9, 1.1] {
    #expect(Metrics.rootMeanSquaredError(forecasts.logarithms.map { $0 * factor }, logs) > rmse)
  }
}

@Test func `a regression tree finds a step`() throws {
  var random = SeededRandom(seed: 3)
  func rows(_ count: Int) -> (FeatureMatrix, [Float]) {
    var values: [Float] = []
    var labels: [Float] = []
    for _ in 0..<count {
      let x = Float(random.uniform())
      values += [x, Float(random.uniform())]
      labels.append((x < 0.3 ? 5 : x < 0.7 ? -1 : 2) + Float(random.normal()) * 0.1)
    }
    return (FeatureMatrix(rows: count, columns: 2, values: values), labels)
  }
  let (training, labels) = rows(2000)
  let (held, heldLabels) = rows(500)
  let tree = try RegressionTree.train(training, labels: labels, validation: (held, heldLabels), seed: 1)
  #expect(tree.rounds == 1)
  let forecasts = try Booster.reading(tree).margins(try TreeRows(held, labels: nil))
  #expect(Metrics.rootMeanSquaredError(forecasts, heldLabels.map(Double.init)) < 0.5)
}

@Test func `averaged weights are measured and kept, and the losses of every epoch are told`() throws {
  var random = SeededRandom(seed: 6)
  var values: [Float] = []
  var labels: [Float] = []
  for _ in 0..<1200 {
    let x = (0..<FeatureCatalogue.count).map { _ in Float(random.normal()) }
    values += x
    labels.append(x[0] * 2 - x[1] + Float(random.normal()))
  }
  let matrix = FeatureMatrix(rows: 1200, columns: FeatureCatalogue.count, values: values)
  let training = Array(0..<900)
  let held = Array(900..<1200)
  let fitting = InputFitting(matrix.selecting(training), ranked: Array(0..<6), limit: 6)
  func train(_ averaging: Float) throws -> TrainedNetwork {
    NetworkTrainer.train(
      try NetworkSource(matrix.selecting(training), fitting), targets: training.map { labels[$0] },
      validation: try NetworkSource(matrix.selecting(held), fitting), validationTargets: held.map { labels[$0] },
      fitting: fitting, layers: [.dense("a", outputs: 8), .dense("b", outputs: 1, activation: .identity)],
      hasPicture: false, loss: .squaredError,
      NetworkSettings(batch: 64, epochs: 12, patience: 12, learningRate: 1e-2, averaging: averaging, seed: 4))
  }
  for averaging: Float in [0, 0.98] {
    let network = try train(averaging)
    #expect(network.validationLosses.count == 12 && network.trainingLosses.count == 12)
    #expect(network.validationLosses.min() == network.validationLoss)
    #expect(network.validationLosses[network.epochs - 1] == network.validationLoss)
    let forecasts = network.margins(try NetworkSource(matrix.selecting(held), fitting))
    let rmse = Metrics.rootMeanSquaredError(forecasts, held.map { Double(labels[$0]) })
    #expect(abs(rmse * rmse / 2 - network.validationLoss) < 1e-6)
    #expect(rmse < 1.3)
  }
}
