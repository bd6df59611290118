import Borrowers
import Features

/// Why a model folder could not be used; `description` is one line that names the file and the mend.
public struct ModelError: Error, CustomStringConvertible, Sendable {
  public var file: String
  public var problem: String
  public var description: String { "\(file): \(problem)" }
  public init(file: String, problem: String) {
    self.file = file
    self.problem = problem
  }
}

/// The contribution of one feature to a score, in the score's own unit.
public struct Contribution: Sendable {
  /// Index into `FeatureCatalogue.all`.
  public var feature: Int
  public var value: Float
  public var contribution: Double
}

public struct OverduePrediction: Sendable {
  /// The fused score before calibration.
  public var fused: Double
  /// Calibrated, within 0...1.
  public var probability: Double
}

public struct DemandPrediction: Sendable {
  public var borrowingProbability: Double
  /// The conditional mean, in money, with its 80 % interval.
  public var amount: Double
  public var lower: Double
  public var upper: Double
}

/// Working memory of one thread for predictions: activations, SHAP paths.
public struct ModelWorkspace: ~Copyable {
  public init() { fatalError("interface") }
}

/// The models that serve, loaded once and shared by all workers. A model that is not in the folder is nil.
public final class ModelSet: Sendable {
  public let overdue: OverdueModel?
  public let demand: DemandModel?
  public let utilization: UtilizationModel?
  /// Names the set: the versions of its models joined by `+`.
  public let version: String
  /// Hex SHA-256 over the manifests: what a journal names.
  public let digest: String

  public static func load(directory: String) throws(ModelError) -> ModelSet { fatalError("interface") }

  init() { fatalError("interface") }
}

public struct OverdueModel: Sendable {
  public var version: String { fatalError("interface") }
  public func predict(_ input: borrowing ModelInput, _ workspace: inout ModelWorkspace) -> OverduePrediction {
    fatalError("interface")
  }
  /// Exact contributions to the fused score before calibration, against the reference in the manifest.
  public func explain(
    _ input: borrowing ModelInput, _ workspace: inout ModelWorkspace, into contributions: inout [Contribution]
  ) { fatalError("interface") }
}

public struct DemandModel: Sendable {
  public var version: String { fatalError("interface") }
  public func predict(_ input: borrowing ModelInput, _ workspace: inout ModelWorkspace) -> DemandPrediction {
    fatalError("interface")
  }
}

public struct UtilizationModel: Sendable {
  public var version: String { fatalError("interface") }
  /// `balance` or `cumulative`.
  public var target: String { fatalError("interface") }
  public func predict(_ input: borrowing ModelInput, _ workspace: inout ModelWorkspace) -> Double {
    fatalError("interface")
  }
  public func explain(
    _ input: borrowing ModelInput, _ workspace: inout ModelWorkspace, into contributions: inout [Contribution]
  ) { fatalError("interface") }
}
