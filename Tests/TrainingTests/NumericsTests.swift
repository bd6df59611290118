import Features
import Models
import Testing

@testable import Training

@Test func `the measures have the values that scikit-learn and scipy give`() {
  // roc_auc_score, ks_2samp, brier_score_loss, log_loss of scikit-learn 1.2 and scipy 1.10.
  let scores = [0.1, 0.4, 0.35, 0.8, 0.65, 0.4, 0.05, 0.9]
  let labels = [false, false, true, true, true, true, false, false]
  #expect(abs(Metrics.areaUnderROC(scores, labels) - 0.65625) < 1e-12)
  #expect(abs(Metrics.kolmogorovSmirnov(scores, labels) - 0.5) < 1e-12)
  #expect(abs(Metrics.brier(scores, labels) - 0.2409375) < 1e-12)
  #expect(abs(Metrics.logLoss(scores, labels) - 0.6987629813) < 1e-6)
  #expect(Metrics.areaUnderROC([1, 2], [true, true]).isNaN)
  #expect(Metrics.normalizedGini([1, 2, 3], [10, 20, 30]) == 1)
  #expect(abs(Metrics.rootMeanSquaredError([1, 2], [2, 4]) - 2.5.squareRoot()) < 1e-12)
}

@Test func `AUC is the share of pairs that are in order, ties half`() {
  var random = SeededRandom(seed: 5)
  for _ in 0..<30 {
    let scores = (0..<40).map { _ in Double(random.below(12)) }
    let labels = (0..<40).map { _ in random.below(3) == 0 }
    var sum = 0.0
    var pairs = 0.0
    for i in 0..<40 where labels[i] {
      for j in 0..<40 where !labels[j] {
        pairs += 1
        sum += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0
      }
    }
    if pairs > 0 { #expect(abs(Metrics.areaUnderROC(scores, labels) - sum / pairs) < 1e-12) }
  }
}

private func finiteDifferenceCheck(
  _ layers: [LayerDescription], rows: Int, channels: Int, statics: Int, _ loss: NetworkLoss
) {
  let seed: UInt64 = 21
  var random = SeededRandom(seed: seed)
  let shape = NetworkShape(pictureRows: rows, channels: channels, statics: statics, layers: layers)
  var network = Network(shape, seed: seed, outputBias: 0.1)
  // The last layer starts at zero, where most gradients are zero too.
  for index in network.parameters.indices { network.parameters[index] += Float(random.normal() * 0.1) }
  let count = 6
  let batch = NetworkBatch(
    count: count, pictures: (0..<count * rows * channels).map { _ in Float(random.normal()) },
    statics: (0..<count * statics).map { _ in Float(random.normal()) })
  let targets = (0..<count).map { _ in Float(random.below(2)) }
  var work = NetworkWorkspace()
  var gradient = [Float](repeating: 0, count: network.parameters.count)
  _ = network.backward(batch, targets: targets, loss: loss, &work, into: &gradient)
  var unused = gradient
  func value(_ index: Int, _ step: Float) -> Double {
    var moved = network
    moved.parameters[index] += step
    return moved.backward(batch, targets: targets, loss: loss, &work, into: &unused)
  }
  var worst = 0.0
  for index in network.parameters.indices {
    let step: Float = 2e-3
    let numeric = (value(index, step) - value(index, -step)) / Double(2 * step)
    worst = max(worst, abs(numeric - Double(gradient[index])) / max(0.05, abs(numeric)))
  }
  #expect(worst < 0.02, "seed \(seed)")
  #expect(gradient.contains { abs($0) > 0.01 })
}

@Test func `a dense network's gradients are those of finite differences`() {
  finiteDifferenceCheck(
    [.dense("a", outputs: 5), .dense("b", outputs: 4), .dense("c", outputs: 1, activation: .identity)], rows: 0,
    channels: 0, statics: 7, .logistic)
}

@Test(arguments: [PoolingMode.max, .average])
func `a convolutional network's gradients are those of finite differences`(mode: PoolingMode) {
  finiteDifferenceCheck(
    [
      .convolution("a", outputs: 4, kernel: 3, stride: 2), .convolution("b", outputs: 3, kernel: 2),
      .pooling("p", mode: mode, size: 2), .dense("c", outputs: 5), .dense("d", outputs: 1, activation: .identity),
    ], rows: 13, channels: 3, statics: 4, .squaredError)
}

@Test func `logistic regression finds the coefficients that made the labels`() throws {
  var random = SeededRandom(seed: 8)
  let rows = 6000
  var values: [Float] = []
  var labels: [Float] = []
  for _ in 0..<rows {
    let x = random.normal()
    let y = random.normal()
    values += [Float(x), Float(y), 3]
    labels.append(random.uniform() < logistic(1.5 * x - 0.7 * y - 0.4) ? 1 : 0)
  }
  let matrix = FeatureMatrix(rows: rows, columns: 3, values: values)
  let fitting = InputFitting(matrix)
  // The third column is constant.
  #expect(fitting.inputs.features == [0, 1])
  let penaltyFree = try TrainedLinear.logistic(matrix, labels: labels, penalty: 0)
  #expect(abs(penaltyFree.coefficients[0] - 1.5 * Double(fitting.scales[0])) < 0.15)
  #expect(abs(penaltyFree.coefficients[1] + 0.7 * Double(fitting.scales[1])) < 0.15)
}

@Test func `ridge regression solves the normal equations`() {
  // y = 2 + 3 a - b, solved exactly.
  let design: [Double] = [1, 0, 1, 1, 1, 0, 1, 2, 5, 1, -1, 2]
  let targets = [1.0, 5, 3, -3]
  let normal = NormalEquations(design, columns: 3, targets: targets)
  let solution = normal.solve(ridge: [0, 0, 0])!
  for (found, wanted) in zip(solution, [2.0, 3, -1]) { #expect(abs(found - wanted) < 1e-9) }
  let constrained = normal.solveNonNegative(constrained: [false, true, true])
  #expect(constrained[2] == 0 && constrained[1] > 0)
}

@Test func `beta calibration finds a bent curve, never falls, and keeps the mean`() {
  var random = SeededRandom(seed: 4)
  let scores = (0..<4000).map { _ in random.uniform() }
  let labels = scores.map { random.uniform() < $0 * $0 }
  let beta = BetaCalibration(scores: scores, labels: labels, weights: labels.map { _ in 1 })
  let served = beta.calibration
  #expect(abs(beta(0.7) - 0.49) < 0.04 && abs(served(0.7) - beta(0.7)) < 1e-3)
  for (a, b) in zip(scores.sorted(), scores.sorted().dropFirst()) { #expect(served(a) <= served(b)) }
  let calibrated = scores.map { served($0) }
  #expect(Metrics.calibrationError(calibrated, labels) < 0.02)
  #expect(abs(calibrated.reduce(0, +) - Double(labels.count { $0 })) < 20)
  // A weight counts a row so often.
  let twice = BetaCalibration(scores: scores, labels: labels, weights: labels.map { $0 ? 2 : 1 })
  let repeated = BetaCalibration(
    scores: scores + zip(scores, labels).filter(\.1).map(\.0), labels: labels + labels.filter { $0 },
    weights: [Double](repeating: 1, count: labels.count + labels.count { $0 }))
  #expect(abs(twice(0.4) - repeated(0.4)) < 1e-6)
}

@Test func `beta calibration of scores that go the wrong way tells nobody apart, and of two rows stays near them`() {
  var random = SeededRandom(seed: 5)
  let scores = (0..<1000).map { _ in random.uniform() }
  let labels = scores.map { random.uniform() < 1 - $0 }
  let beta = BetaCalibration(scores: scores, labels: labels, weights: labels.map { _ in 1 })
  #expect(beta(0.1) <= beta(0.9) && abs(beta(0.9) - 0.5) < 0.1)
  let two = BetaCalibration(scores: [0.2, 0.8], labels: [false, true], weights: [1, 1])
  #expect((0.02..<0.5).contains(two(0.2)) && two(0.8) > 0.5)
}

@Test func `Platt's calibration finds slope and intercept`() {
  var random = SeededRandom(seed: 4)
  let scores = (0..<8000).map { _ in random.normal() }
  let labels = scores.map { random.uniform() < logistic(2 * $0 - 1) }
  let platt = Platt(scores: scores, labels: labels)
  #expect(abs(platt.slope - 2) < 0.15 && abs(platt.intercept + 1) < 0.12)
}

@Test func `folds keep a borrower together, are even, and do not depend on the order of rows`() {
  let borrowers = (0..<1000).map { UInt64($0 % 331) &* 0x9E37_79B9_7F4A_7C15 }
  let folds = Folds(borrowers: borrowers, count: 7, seed: 3)
  var foldOf: [UInt64: Int] = [:]
  for (borrower, fold) in zip(borrowers, folds.foldOfRow) {
    #expect(foldOf[borrower] == nil || foldOf[borrower] == fold)
    foldOf[borrower] = fold
  }
  for fold in 0..<7 { #expect((47...48).contains(foldOf.values.count { $0 == fold })) }
  #expect(Folds(borrowers: borrowers.reversed(), count: 7, seed: 3).foldOfRow == folds.foldOfRow.reversed())
  #expect(Folds(borrowers: borrowers, count: 7, seed: 4).foldOfRow != folds.foldOfRow)
}

private func noisyRows(_ rows: Int, seed: UInt64) -> (FeatureMatrix, [Float]) {
  var random = SeededRandom(seed: seed)
  var values: [Float] = []
  var labels: [Float] = []
  for _ in 0..<rows {
    let x = (0..<FeatureCatalogue.count).map { _ in random.below(9) == 0 ? Float.nan : Float(random.normal()) }
    values += x
    let signal = (x[0].isNaN ? 0.5 : x[0]) * 2 - (x[1].isNaN ? -1 : x[1])
    labels.append(random.uniform() < logistic(Double(signal)) ? 1 : 0)
  }
  return (FeatureMatrix(rows: rows, columns: FeatureCatalogue.count, values: values), labels)
}

@Test func `the same seed gives the same trees, byte for byte, and another seed others`() throws {
  let (matrix, labels) = noisyRows(300, seed: 2)
  func json(_ seed: UInt64) throws -> [UInt8] {
    try Booster.train(
      try TreeRows(matrix, labels: labels), meanLabel: 0.5,
      TreeSettings(rounds: 5, maxDepth: 3, rowShare: 0.7, columnShareOfTree: 0.5, seed: seed)
    ).json
  }
  #expect(try json(1) == json(1))
  #expect(try json(1) != json(2))
}

@Test func `early stopping keeps the best round`() throws {
  let (matrix, labels) = noisyRows(400, seed: 2)
  let training = try TreeRows(matrix.selecting(Array(0..<300)), labels: Array(labels[0..<300]))
  let held = Array(300..<400)
  let validation = try TreeRows(matrix.selecting(held), labels: held.map { labels[$0] })
  let settings = TreeSettings(rounds: 60, maxDepth: 4, learningRate: 0.5, minChildWeight: 1)
  let trees = try Booster.train(training, validation: validation, meanLabel: 0.5, settings, patience: 10)
  #expect(trees.rounds < 60)
  let margins = try Booster.reading(trees).margins(validation)
  let loss = Metrics.logLoss(margins.map(logistic), held.map { labels[$0] > 0 })
  #expect(abs(loss - trees.validationLoss!) < 1e-4)
}
