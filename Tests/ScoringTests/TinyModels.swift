import Features
import Foundation
import Models

/// Hand-made linear models, written and loaded as real ones are.
enum TinyModels {
  static let all = make(name: "all", overdue: true, demand: true, utilization: true)
  static let withoutOverdue = make(name: "without-overdue", overdue: false, demand: true, utilization: true)
  static let withoutDemand = make(name: "without-demand", overdue: true, demand: false, utilization: true)
  static let withRepayment = make(
    name: "with-repayment", overdue: true, demand: false, utilization: false, repayment: true)
  static let onlyDemand = make(name: "only-demand", overdue: false, demand: true, utilization: false)

  /// Overdue: logistic of -2 + 0.1 for each day past due + 1.5 x use of the limit. Utilization: 0.1 + 0.8 x use of the
  /// limit + 0.15 for each page viewed in 30 days.
  private static func make(
    name: String, overdue: Bool, demand: Bool, utilization: Bool, repayment: Bool = false
  ) -> ModelSet {
    let directory =
      FileManager.default.temporaryDirectory.path
      + "/lendpulse-scoring-\(ProcessInfo.processInfo.processIdentifier)-\(name)"
    defer { try? FileManager.default.removeItem(atPath: directory) }
    do {
      if overdue {
        let (member, file) = linear(["days_past_due": 0.1, "utilization": 1.5, "page_view_count_7d": 0.02], -2)
        try write(
          directory, .overdue,
          .overdue(EnsembleDescription(members: [member], calibration: .platt(slope: 1, intercept: 0))),
          ["linear.safetensors": file])
      }
      if demand {
        let (probability, first) = linear(["page_view_count_30d": 0.4], -1, file: "borrowing.safetensors")
        let (amount, second) = linear(["drawdown_sum_90d": 0.5], 100, file: "amount.safetensors")
        try write(
          directory, .demand,
          .demand(
            borrowing: EnsembleDescription(members: [probability], link: .logistic),
            amount: EnsembleDescription(members: [amount], minimum: 0),
            DemandDescription(
              combination: .hurdle,
              lower: .piecewise(x: [0, 1000], y: [0, 500]), upper: .piecewise(x: [0, 1000], y: [10, 2000]))),
          ["borrowing.safetensors": first, "amount.safetensors": second])
      }
      if utilization {
        let (member, file) = linear(["utilization": 0.8, "page_view_count_30d": 0.15], 0.1)
        try write(
          directory, .utilization, .utilization(EnsembleDescription(members: [member], minimum: 0)),
          ["linear.safetensors": file], target: "cumulative")
      }
      if repayment {
        let intervals = [RepaymentDescription.Interval(daysMax: 92, lower: 0.5, upper: 1.5)]
        let description = RepaymentDescription(
          method: RepaymentBaseline.scheduledPaidShare.rawValue, intervals: intervals)
        try write(directory, .repayment, .repayment(description, head: nil), [:], features: RepaymentFeatures.hash)
      }
      return try ModelSet.load(directory: directory)
    } catch { fatalError("\(error)") }
  }

  private static func linear(
    _ weights: [String: Float], _ intercept: Float, file: String = "linear.safetensors"
  ) -> (MemberDescription, [UInt8]) {
    let names = weights.keys.sorted()
    let indices = names.map { name -> Int in
      guard let index = FeatureCatalogue.index(of: name) else { fatalError("no feature \(name)") }
      return index
    }
    let bytes = SafeTensors.encode([
      Tensor(name: "coefficients", names.map { weights[$0] ?? 0 }),
      Tensor(name: "features.mean", names.map { _ in 0 }), Tensor(name: "features.scale", names.map { _ in 1 }),
      Tensor(name: "intercept", [intercept]),
    ])
    let inputs = FeatureInputs(features: indices, limit: 1_000_000)
    return (.linear("linear", file: file, inputs: inputs), bytes)
  }

  private static func write(
    _ directory: String, _ kind: ModelKind, _ architecture: Architecture, _ files: [String: [UInt8]],
    target: String? = nil, features: String = FeatureCatalogue.hash
  ) throws {
    let manifest = Manifest(
      kind: kind, created: "2026-01-01", target: target, horizonDays: 30, featureHash: features, seed: 1,
      asOfDates: ["2026-01-01"], observedThrough: "2026-02-01",
      data: DataWindow(from: "2025-01-01", to: "2026-02-01", borrowers: 1, examples: 1), metrics: [:],
      trainingCard: "Made by hand for tests.", architecture: architecture)
    try ModelFolder.write(directory: directory, manifest: manifest, files: files)
  }
}
