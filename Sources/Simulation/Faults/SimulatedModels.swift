import Features
import Models

/// Linear models of a few features, so that alerts and leads come and go.
public enum SimulatedModels {
  /// Writes two generations of models to `directory`, and returns both; the second one has another overdue model.
  public static func make(in directory: String) throws -> [ModelSet] {
    try write(.overdue, seed: 1, in: directory)
    try write(.utilization, seed: 2, in: directory)
    let first = try ModelSet.load(directory: directory)
    try write(.overdue, seed: 3, in: directory)
    return [first, try ModelSet.load(directory: directory)]
  }

  private static func write(_ kind: ModelKind, seed: UInt64, in directory: String) throws {
    var random = RandomSource(seed: RandomSource.mix(seed))
    let count = min(40, FeatureCatalogue.count)
    let head = EnsembleDescription(
      members: [.linear("linear", file: "linear.safetensors", inputs: FeatureInputs(features: Array(0..<count)))],
      link: kind == .overdue ? .logistic : .identity)
    let tensors = [
      Tensor(name: "coefficients", (0..<count).map { _ in Float(random.uniform(-0.6, 0.6)) }),
      Tensor(name: "intercept", [kind == .overdue ? -0.5 : 0.6]),
      Tensor(name: "features.mean", [Float](repeating: 1, count: count)),
      Tensor(name: "features.scale", [Float](repeating: 2, count: count)),
    ]
    try ModelFolder.write(
      directory: directory,
      manifest: Manifest(
        kind: kind, created: "2026-01-01", target: kind == .utilization ? "cumulative" : nil, horizonDays: 30,
        featureHash: FeatureCatalogue.hash, seed: seed, asOfDates: [], observedThrough: "2026-01-01",
        data: DataWindow(from: "2025-01-01", to: "2026-01-01", borrowers: 1, examples: 1), metrics: [:],
        trainingCard: "made for the simulation of faults",
        architecture: kind == .overdue ? .overdue(head) : .utilization(head)),
      files: ["linear.safetensors": SafeTensors.encode(tensors)])
  }
}
