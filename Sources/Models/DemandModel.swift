import Features

public struct DemandPrediction: Sendable, Equatable {
  public var borrowingProbability: Double
  /// The conditional mean, in money, with its 80 % interval.
  public var amount: Double
  public var lower: Double
  public var upper: Double
  /// The expected logarithm of one and the amount, 0 of nothing borrowed: the log head, by which RMSE of log1p is measured.
  public var logarithm = 0.0

  public init(borrowingProbability: Double, amount: Double, lower: Double, upper: Double) {
    self.borrowingProbability = borrowingProbability
    self.amount = amount
    self.lower = lower
    self.upper = upper
  }
}

/// What a borrower will borrow within 30 days.
public struct DemandModel: Sendable {
  public let version: String
  private let borrowing: Ensemble
  private let amount: Ensemble
  private let description: DemandDescription

  /// Contract's bound of an amount of money.
  static let amountMax = 1e15

  init(_ loaded: LoadedVersion, _ catalogue: Catalogue) throws(ModelError) {
    let manifest = loaded.manifest
    let file = loaded.folder + "manifest.json"
    version = manifest.version
    guard manifest.horizonDays == 30 else {
      throw ModelError(
        file: file, problem: "forecasts \(manifest.horizonDays) days, demand is of 30; train with --horizon-days 30")
    }
    guard let description = manifest.architecture.demand else {
      throw ModelError(file: file, problem: "has no demand section; train again")
    }
    try description.calibration.validate("the amount", file: file)
    try description.lower.validate("the lower bound", file: file)
    try description.upper.validate("the upper bound", file: file)
    self.description = description
    borrowing = try loaded.head("borrowing", catalogue, explained: false)
    amount = try loaded.head("amount", catalogue, explained: false)
  }

  public func predict(_ input: borrowing ModelInput, _ workspace: inout ModelWorkspace) -> DemandPrediction {
    unsafe predict(ModelRow(input), &workspace)
  }

  public func predict(_ row: ModelRow, _ workspace: inout ModelWorkspace) -> DemandPrediction {
    let probability = unsafe min(max(borrowing.calibrated(borrowing.fused(row, &workspace)), 0), 1)
    let (fused, sum) = unsafe amount.fusedWithSum(row, &workspace)
    var prediction = Self.combine(probability, amount.calibrated(fused), description)
    prediction.logarithm = description.combination == .hurdle ? probability * sum : sum
    return prediction
  }

  /// The forecast from the two heads' calibrated outputs. Training fits the calibrations through it.
  public static func combine(
    _ probability: Double, _ amount: Double, _ description: DemandDescription
  ) -> DemandPrediction {
    let combined = max(description.combination == .hurdle ? probability * amount : amount, 0)
    let mean = bounded(description.calibration(combined))
    return DemandPrediction(
      borrowingProbability: probability, amount: mean, lower: min(bounded(description.lower(mean)), mean),
      upper: max(bounded(description.upper(mean)), mean))
  }

  private static func bounded(_ amount: Double) -> Double { min(max(amount, 0), amountMax) }
}
