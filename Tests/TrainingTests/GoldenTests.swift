import Foundation
import Models
import Testing

@testable import Training

/// What `Tests/Golden/make_golden.py` wrote.
private func golden<Answers: Decodable>(_ name: String, _: Answers.Type) throws -> Answers {
  let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  let decoder = JSONDecoder()
  decoder.keyDecodingStrategy = .convertFromSnakeCase
  return try decoder.decode(
    Answers.self, from: Data(contentsOf: folder.appendingPathComponent("Golden/\(name).json")))
}

private struct NetworkCases: Decodable {
  struct Case: Decodable {
    var name: String
    var loss: String
    var targets: [Float]
    var value: Double
    var parameters: [Float]
    var gradient: [Double]
  }
  var rows: Int
  var channels: Int
  var statics: Int
  var count: Int
  var pictures: [Float]
  var features: [Float]
  var cases: [Case]
}

@Test func `losses and gradients of networks are those of PyTorch`() throws {
  let golden = try golden("network_gradients", NetworkCases.self)
  for example in golden.cases {
    let hasPicture = example.name != "dense"
    var layers: [LayerDescription] = []
    if hasPicture {
      layers = [
        .convolution("a", outputs: 5, kernel: 3, stride: 2), .convolution("b", outputs: 4, kernel: 3),
        .pooling("p", mode: example.name == "max" ? .max : .average, size: 2),
      ]
    }
    layers += [.dense("c", outputs: 6), .dense("d", outputs: 1, activation: .identity)]
    let shape = NetworkShape(
      pictureRows: hasPicture ? golden.rows : 0, channels: hasPicture ? golden.channels : 0, statics: golden.statics,
      layers: layers)
    var network = Network(shape, seed: 1, outputBias: 0)
    #expect(network.parameters.count == example.parameters.count)
    network.parameters = example.parameters
    let batch = NetworkBatch(
      count: golden.count, pictures: hasPicture ? golden.pictures : [], statics: golden.features)
    var work = NetworkWorkspace()
    var gradient = [Float](repeating: 0, count: network.parameters.count)
    let value = network.backward(
      batch, targets: example.targets, loss: example.loss == "logistic" ? .logistic : .squaredError, &work,
      into: &gradient)
    #expect(abs(value - example.value) < 1e-5 * max(1, abs(example.value)), "\(example.name)")
    let worst = zip(gradient, example.gradient).map { abs(Double($0) - $1) }.max()!
    #expect(worst < 1e-5, "\(example.name)")
    #expect(example.gradient.contains { abs($0) > 1e-2 })
  }
}

private struct MoneyMetrics: Decodable {
  var forecast: [Double]
  var actual: [Double]
  var mae: Double
  var rmse: Double
  var normalizedGini: Double
  var lift10: Double
}

@Test func `measures of amounts have the values that scikit-learn gives`() throws {
  let golden = try golden("money_metrics", MoneyMetrics.self)
  func differs(_ value: Double, _ wanted: Double) -> Double { abs(value - wanted) / abs(wanted) }
  #expect(differs(Metrics.meanAbsoluteError(golden.forecast, golden.actual), golden.mae) < 1e-7)
  #expect(differs(Metrics.rootMeanSquaredError(golden.forecast, golden.actual), golden.rmse) < 1e-7)
  #expect(differs(Metrics.normalizedGini(golden.forecast, golden.actual), golden.normalizedGini) < 1e-7)
  #expect(differs(Metrics.lift(golden.forecast, golden.actual, share: 0.1), golden.lift10) < 1e-7)
}

@Test func `lift takes equal forecasts at its edge in proportion`() {
  // Of four rows alike, the best quarter is as good as any.
  #expect(Metrics.lift([1, 1, 1, 1], [4, 0, 0, 0], share: 0.25) == 1)
  #expect(Metrics.lift([2, 1, 1, 0], [3, 1, 3, 1], share: 0.5) == 1.25)
  #expect(Metrics.lift([1, 2], [0, 0], share: 0.5).isNaN)
}
