import Features

/// A score: its members' outputs, weighted and added, linked, calibrated. It does what an `EnsembleDescription` says.
public final class Ensemble: Sendable {
  enum Model: Sendable {
    case linear(LinearModel)
    case forest(Forest)
    case network(Network)

    var referenceMargin: Double {
      switch self {
      case .linear(let model): model.referenceMargin
      case .forest(let model): model.referenceMargin
      case .network(let model): model.referenceMargin
      }
    }
  }

  struct Member: Sendable {
    var model: Model
    var weight: Double
    var link: Link
  }

  static let membersMax = 32

  private let members: [Member]
  private let intercept: Double
  private let link: Link
  private let calibration: Calibration
  private let minimum: Double
  private let maximum: Double
  private let catalogueCount: Int
  private let scratchCount: Int
  private let explanationScratchCount: Int
  private let referenceSum: Double
  /// What a prediction costs: members, links and calibration.
  public let servingCost: ServingCost
  /// The fused score, before calibration, that contributions are measured against.
  public let reference: Double

  /// Makes the models of `files` (by name) ready to predict. `name` and `folder` are for messages. `explained`: a
  /// convolutional member must say what its picture's channels stand for.
  public init(
    _ description: EnsembleDescription, files: [String: [UInt8]], catalogueCount: Int, name: String,
    folder: String = "",
    explained: Bool = false
  ) throws(ModelError) {
    let manifest = folder + "manifest.json"
    func refuse(_ problem: String) -> ModelError {
      ModelError(file: manifest, problem: "head \(name) \(problem); train again")
    }
    guard !description.members.isEmpty, description.members.count <= Self.membersMax else {
      throw refuse("has no members or more than \(Self.membersMax)")
    }
    var numbers = [description.intercept] + description.members.map(\.weight)
    numbers += [description.minimum, description.maximum].compactMap { $0 }
    guard numbers.allSatisfy(\.isFinite) else { throw refuse("has a weight or bound that is not finite") }
    try description.calibration.validate(name, file: manifest)
    var members: [Member] = []
    var cost = ServingCost.head(description)
    for member in description.members {
      guard let bytes = files[member.file] else { throw refuse("needs the file \(member.file)") }
      if explained, member.type == .convolutional, member.pictureFeatures == nil {
        throw refuse("is explained, so \(member.name) needs pictureFeatures")
      }
      let model = try Self.model(member, bytes, catalogueCount, folder + member.file)
      members.append(Member(model: model, weight: member.weight, link: member.link))
      cost = cost + ServingCost(member, model)
    }
    self.members = members
    servingCost = cost
    intercept = description.intercept
    link = description.link
    calibration = description.calibration
    minimum = description.minimum ?? -.infinity
    maximum = description.maximum ?? .infinity
    guard minimum <= maximum else { throw refuse("has a minimum above its maximum") }
    self.catalogueCount = catalogueCount
    scratchCount = members.reduce(0) { max($0, Self.scratch($1.model).predict) }
    explanationScratchCount = members.reduce(0) { max($0, Self.scratch($1.model).explain) }
    referenceSum = members.reduce(description.intercept) { $0 + $1.weight * $1.link($1.model.referenceMargin) }
    reference = description.link(referenceSum)
    guard reference.isFinite else { throw refuse("has a reference score that is not finite") }
  }

  private static func model(
    _ member: MemberDescription, _ bytes: [UInt8], _ catalogueCount: Int, _ file: String
  ) throws(ModelError) -> Model {
    switch member.type {
    case .linear: .linear(try LinearModel(member, bytes, catalogueCount: catalogueCount, file: file))
    case .forest:
      .forest(try Forest(xgboost: bytes, columns: member.columns, catalogueCount: catalogueCount, file: file))
    case .dense, .convolutional:
      .network(try Network(member, bytes, catalogueCount: catalogueCount, file: file))
    }
  }

  private static func scratch(_ model: Model) -> (predict: Int, explain: Int) {
    switch model {
    case .linear(let model): (model.scratchCount, model.scratchCount)
    case .forest(let model): (model.scratchCount, model.shapleyScratchCount)
    case .network(let model): (model.scratchCount, model.explanationScratchCount)
    }
  }

  /// The linked sum of the members, before calibration. Finite: where extreme inputs overflow a member, the reference.
  public func fused(_ row: ModelRow, _ workspace: inout ModelWorkspace) -> Double {
    unsafe fusedWithSum(row, &workspace).fused
  }

  /// Beside the fused score the sum before the link.
  @inline(__always) func fusedWithSum(
    _ row: ModelRow, _ workspace: inout ModelWorkspace
  ) -> (fused: Double, sum: Double) {
    let scratch = unsafe workspace.scratch(scratchCount)
    var sum = intercept
    for member in members { unsafe sum += member.weight * member.link(Self.margin(member.model, row, scratch)) }
    let fused = link(sum)
    return fused.isFinite ? (fused, sum) : (reference, referenceSum)
  }

  /// What a fused score means: calibrated and held within the bounds.
  public func calibrated(_ fused: Double) -> Double { min(max(calibration(fused), minimum), maximum) }

  public func fused(_ input: borrowing ModelInput, _ workspace: inout ModelWorkspace) -> Double {
    unsafe fused(ModelRow(input), &workspace)
  }

  @inline(__always) private static func margin(
    _ model: Model, _ row: ModelRow, _ scratch: UnsafeMutablePointer<Float>
  ) -> Double {
    switch model {
    case .linear(let model): unsafe model.margin(row, scratch)
    case .forest(let model): unsafe model.margin(row, scratch)
    case .network(let model): unsafe model.margin(row, scratch)
    }
  }

  public func explain(
    _ input: borrowing ModelInput, _ workspace: inout ModelWorkspace, into contributions: inout [Contribution]
  ) {
    unsafe explain(ModelRow(input), &workspace, into: &contributions)
  }

  /// The contribution of each feature to the fused score: together they are the fused score less `reference`.
  ///
  /// Each member is explained in its margin (forests by exact Shapley values, linear models by coefficient x
  /// (x - mean), networks by integrated gradients), which adds up to margin - reference margin. A link is taken along by
  /// the factor (link(margin) - link(reference)) / (margin - reference), which keeps the sum exact. Features that
  /// contribute nothing are left out; the others come in the catalogue's order.
  public func explain(
    _ row: ModelRow, _ workspace: inout ModelWorkspace, into contributions: inout [Contribution]
  ) {
    contributions.removeAll(keepingCapacity: true)
    let scratch = unsafe workspace.scratch(explanationScratchCount)
    let sums = unsafe workspace.contributions(catalogueCount)
    unsafe sums.update(repeating: 0, count: catalogueCount)
    var sum = intercept
    for member in members {
      let margin = unsafe Self.margin(member.model, row, scratch)
      sum += member.weight * member.link(margin)
      let scale = member.weight * member.link.secant(margin, member.model.referenceMargin)
      guard scale.isFinite, scale != 0 else { continue }
      switch member.model {
      case .linear(let model): unsafe model.explain(row, scratch, scale: scale, into: sums)
      case .forest(let model): unsafe model.explain(row, scratch, scale: scale, into: sums)
      case .network(let model): unsafe model.explain(row, scratch, scale: scale, into: sums)
      }
    }
    let scale = link.secant(sum, referenceSum)
    for feature in 0..<catalogueCount {
      let contribution = unsafe sums[feature] * scale
      if contribution != 0, contribution.isFinite {
        unsafe contributions.append(
          Contribution(feature: feature, value: row.features[feature], contribution: contribution))
      }
    }
  }
}
