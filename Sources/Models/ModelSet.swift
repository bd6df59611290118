import Features

/// The contribution of one feature to a score, in the score's own unit.
public struct Contribution: Sendable {
  /// Index into `FeatureCatalogue.all`.
  public var feature: Int
  public var value: Float
  public var contribution: Double

  public init(feature: Int, value: Float, contribution: Double) {
    self.feature = feature
    self.value = value
    self.contribution = contribution
  }
}

/// The models that serve, loaded once and shared by all workers. A model that is not in the folder is nil.
public final class ModelSet: Sendable {
  public let overdue: OverdueModel?
  public let demand: DemandModel?
  public let utilization: UtilizationModel?
  /// Those that score borrowers and are there.
  public var kinds: [ModelKind] {
    (overdue == nil ? [] : [.overdue]) + (demand == nil ? [] : [.demand]) + (utilization == nil ? [] : [.utilization])
  }
  /// Forecasts for platforms. It scores no borrower: `version` and `digest` do not name it.
  public let repayment: RepaymentModel?
  /// Names the set: the versions of its models joined by `+`.
  public let version: String
  /// Hex SHA-256 over the manifests: what a journal names.
  public let digest: String

  /// The champions of a models folder. Throws when it holds none, or when one of them cannot be used.
  public static func load(directory: String) throws(ModelError) -> ModelSet {
    try load(directory: directory, catalogue: .current)
  }

  /// The set that a journal names: `version` says which folders, `digest` that they are what they were.
  public static func load(directory: String, version: String, digest: String) throws(ModelError) -> ModelSet {
    try load(directory: directory, version: version, digest: digest, catalogue: .current)
  }

  /// The challengers of a models folder, those that there are. Throws when it holds none.
  public static func loadChallengers(directory: String) throws(ModelError) -> ModelSet {
    try load(directory: directory, .challenger, catalogue: .current)
  }

  package static func load(
    directory: String, _ alias: ModelAlias = .champion, catalogue: Catalogue
  ) throws(ModelError) -> ModelSet {
    var versions: [LoadedVersion] = []
    for kind in servingKinds {
      guard let version = try ModelFolder.version(alias, directory: directory, kind: kind) else { continue }
      versions.append(try ModelFolder.read(directory: directory, kind: kind, version: version, catalogue: catalogue))
    }
    let repayment = try repaymentVersion(alias, directory: directory, catalogue: catalogue)
    guard !versions.isEmpty || repayment != nil else {
      throw ModelError(
        file: directory,
        problem:
          "holds no model (no overdue/\(alias.rawValue), demand/\(alias.rawValue), utilization/\(alias.rawValue) or "
          + "repayment/\(alias.rawValue)); name a models folder or make "
          + (alias == .champion ? "one with `lendpulse train all`" : "some with `lendpulse train all --challenger`"))
    }
    return try ModelSet(versions + (repayment.map { [$0] } ?? []), catalogue)
  }

  private static func repaymentVersion(
    _ alias: ModelAlias, directory: String, catalogue: Catalogue
  ) throws(ModelError) -> LoadedVersion? {
    guard let version = try ModelFolder.version(alias, directory: directory, kind: .repayment) else { return nil }
    return try ModelFolder.read(directory: directory, kind: .repayment, version: version, catalogue: catalogue)
  }

  package static func load(
    directory: String, version: String, digest: String, catalogue: Catalogue
  ) throws(ModelError) -> ModelSet {
    var versions: [LoadedVersion] = []
    for name in version.split(separator: "+").map(String.init) {
      guard let kind = servingKinds.first(where: { name.hasPrefix($0.rawValue + "-") }) else {
        throw ModelError(file: directory, problem: "\(name) is not the version of a model; the journal names it")
      }
      versions.append(try ModelFolder.read(directory: directory, kind: kind, version: name, catalogue: catalogue))
    }
    let set = try ModelSet(versions, catalogue)
    guard set.digest == digest else {
      throw ModelError(
        file: directory,
        problem: "\(version) has digest \(set.digest), the journal wants \(digest); restore the models it decided with")
    }
    return set
  }

  /// Models that were trained and are in no folder yet.
  package static func make(
    _ models: [(manifest: Manifest, files: [String: [UInt8]])]
  ) throws(ModelError) -> ModelSet {
    try ModelSet(
      models.map { LoadedVersion(manifest: $0.manifest, folder: "", files: $0.files, digest: "") }, .current)
  }

  /// Those that score borrowers: repayment is forecast for platforms.
  private static let servingKinds: [ModelKind] = [.overdue, .demand, .utilization]

  init(_ versions: [LoadedVersion], _ catalogue: Catalogue) throws(ModelError) {
    var overdue: OverdueModel?
    var demand: DemandModel?
    var utilization: UtilizationModel?
    var repayment: RepaymentModel?
    for version in versions {
      switch version.manifest.kind {
      case .overdue: overdue = try OverdueModel(version, catalogue)
      case .demand: demand = try DemandModel(version, catalogue)
      case .utilization: utilization = try UtilizationModel(version, catalogue)
      case .repayment: repayment = try RepaymentModel(version)
      }
    }
    self.overdue = overdue
    self.demand = demand
    self.utilization = utilization
    self.repayment = repayment
    let scoring = versions.filter { $0.manifest.kind != .repayment }
    version = scoring.map(\.manifest.version).joined(separator: "+")
    digest = SHA256.hex(of: Array(scoring.map { $0.manifest.kind.rawValue + " " + $0.digest + "\n" }.joined().utf8))
  }
}

/// The features a model must have been made for.
package struct Catalogue: Sendable {
  package var count: Int
  package var hash: String
  package init(count: Int, hash: String) {
    self.count = count
    self.hash = hash
  }
  package static var current: Catalogue { Catalogue(count: FeatureCatalogue.count, hash: FeatureCatalogue.hash) }
}
