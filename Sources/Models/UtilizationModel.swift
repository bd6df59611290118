import Features

/// How much of the credit limit a borrower will come to use.
public struct UtilizationModel: Sendable {
  public let version: String
  /// `balance` or `cumulative`.
  public let target: String
  private let head: Ensemble
  /// Serves where `prospectFeature` is missing.
  private let prospect: Ensemble?
  private let prospectFeature: Int

  init(_ loaded: LoadedVersion, _ catalogue: Catalogue) throws(ModelError) {
    let manifest = loaded.manifest
    version = manifest.version
    guard let target = manifest.target, target == "balance" || target == "cumulative" else {
      throw ModelError(
        file: loaded.folder + "manifest.json", problem: "the target must be balance or cumulative; train again")
    }
    self.target = target
    head = try loaded.head("utilization", catalogue, explained: true)
    guard manifest.architecture.heads["prospect"] != nil else {
      prospect = nil
      prospectFeature = 0
      return
    }
    guard let feature = manifest.architecture.prospectFeature, feature >= 0, feature < catalogue.count else {
      throw ModelError(
        file: loaded.folder + "manifest.json",
        problem: "a prospect head needs prospectFeature, the index of the credit limit; train again")
    }
    prospect = try loaded.head("prospect", catalogue, explained: true)
    prospectFeature = feature
  }

  @inline(__always) private func serving(_ row: ModelRow) -> Ensemble {
    if let prospect, unsafe row.features[prospectFeature].isNaN { prospect } else { head }
  }

  /// Drawn or owed over the limit, at least 0.
  public func predict(_ input: borrowing ModelInput, _ workspace: inout ModelWorkspace) -> Double {
    unsafe predict(ModelRow(input), &workspace)
  }

  public func predict(_ row: ModelRow, _ workspace: inout ModelWorkspace) -> Double {
    let serving = unsafe serving(row)
    return unsafe max(serving.calibrated(serving.fused(row, &workspace)), 0)
  }

  /// The fused score that contributions are measured against.
  public func reference(_ input: borrowing ModelInput) -> Double { unsafe serving(ModelRow(input)).reference }

  /// Contributions to the fused score before calibration and its bounds. See `Ensemble.explain`.
  public func explain(
    _ input: borrowing ModelInput, _ workspace: inout ModelWorkspace, into contributions: inout [Contribution]
  ) {
    unsafe explain(ModelRow(input), &workspace, into: &contributions)
  }

  public func explain(_ row: ModelRow, _ workspace: inout ModelWorkspace, into contributions: inout [Contribution]) {
    unsafe serving(row).explain(row, &workspace, into: &contributions)
  }
}
