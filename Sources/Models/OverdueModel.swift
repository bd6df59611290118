import Features

public struct OverduePrediction: Sendable, Equatable {
  /// The fused score before calibration.
  public var fused: Double
  /// Calibrated, within 0...1.
  public var probability: Double
}

/// The probability that a borrower becomes overdue within the horizon.
public struct OverdueModel: Sendable {
  public let version: String
  private let head: Ensemble

  init(_ loaded: LoadedVersion, _ catalogue: Catalogue) throws(ModelError) {
    version = loaded.manifest.version
    head = try loaded.head("overdue", catalogue, explained: true)
  }

  /// The fused score that contributions are measured against.
  public var reference: Double { head.reference }

  public func predict(_ input: borrowing ModelInput, _ workspace: inout ModelWorkspace) -> OverduePrediction {
    unsafe predict(ModelRow(input), &workspace)
  }

  public func predict(_ row: ModelRow, _ workspace: inout ModelWorkspace) -> OverduePrediction {
    let fused = unsafe head.fused(row, &workspace)
    return OverduePrediction(fused: fused, probability: min(max(head.calibrated(fused), 0), 1))
  }

  /// Contributions to the fused score before calibration; together they are it less `reference`. See
  /// `Ensemble.explain`.
  public func explain(
    _ input: borrowing ModelInput, _ workspace: inout ModelWorkspace, into contributions: inout [Contribution]
  ) {
    unsafe head.explain(ModelRow(input), &workspace, into: &contributions)
  }

  public func explain(_ row: ModelRow, _ workspace: inout ModelWorkspace, into contributions: inout [Contribution]) {
    unsafe head.explain(row, &workspace, into: &contributions)
  }
}
