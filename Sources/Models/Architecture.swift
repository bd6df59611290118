/// How a model's files make its prediction: a small declarative graph. Every score is an ensemble:
///
///     score = calibration(link(intercept + sum of weight x memberLink(margin of member)))
public struct Architecture: Codable, Sendable, Equatable {
  /// overdue: `overdue`. demand: `borrowing` (any borrowing within the horizon) and `amount`. utilization:
  /// `utilization`, and optionally `prospect` for borrowers without a credit limit.
  public var heads: [String: EnsembleDescription]
  /// Demand only.
  public var demand: DemandDescription?
  /// Utilization with a `prospect` head: that head serves where this feature (index in the catalogue) is missing.
  public var prospectFeature: Int?
  /// Repayment only; its head `repayment` is there where a network or a linear regression serves.
  public var repayment: RepaymentDescription?

  public init(
    heads: [String: EnsembleDescription], demand: DemandDescription? = nil, prospectFeature: Int? = nil,
    repayment: RepaymentDescription? = nil
  ) {
    self.heads = heads
    self.demand = demand
    self.prospectFeature = prospectFeature
    self.repayment = repayment
  }

  public static func repayment(_ description: RepaymentDescription, head: EnsembleDescription?) -> Architecture {
    Architecture(heads: head.map { ["repayment": $0] } ?? [:], repayment: description)
  }

  public static func overdue(_ head: EnsembleDescription) -> Architecture { Architecture(heads: ["overdue": head]) }

  public static func demand(
    borrowing: EnsembleDescription, amount: EnsembleDescription, _ demand: DemandDescription
  ) -> Architecture {
    Architecture(heads: ["borrowing": borrowing, "amount": amount], demand: demand)
  }

  /// `prospectFeature` is the catalogue's index of the credit limit.
  public static func utilization(
    _ head: EnsembleDescription, prospect: EnsembleDescription? = nil, prospectFeature: Int? = nil
  ) -> Architecture {
    var heads = ["utilization": head]
    heads["prospect"] = prospect
    return Architecture(heads: heads, prospectFeature: prospect == nil ? nil : prospectFeature)
  }
}

public struct EnsembleDescription: Codable, Sendable, Equatable {
  public var members: [MemberDescription]
  public var intercept: Double
  /// Of the weighted sum.
  public var link: Link
  public var calibration: Calibration
  /// Bounds of the calibrated score.
  public var minimum: Double?
  public var maximum: Double?

  public init(
    members: [MemberDescription], intercept: Double = 0, link: Link = .identity, calibration: Calibration = .identity,
    minimum: Double? = nil, maximum: Double? = nil
  ) {
    self.members = members
    self.intercept = intercept
    self.link = link
    self.calibration = calibration
    self.minimum = minimum
    self.maximum = maximum
  }
}

public enum MemberType: String, Codable, Sendable { case linear, forest, dense, convolutional }

/// One trained model within an ensemble.
public struct MemberDescription: Codable, Sendable, Equatable {
  public var name: String
  public var type: MemberType
  /// Its file beside the manifest: XGBoost JSON for a forest, else safetensors.
  public var file: String
  public var weight: Double
  /// From the model's margin to what is weighted.
  public var link: Link
  /// Linear, dense, convolutional: the features and how they are standardised.
  public var inputs: FeatureInputs?
  /// Forest: the catalogue index of each of its columns; nil when column i is feature i.
  public var columns: [Int]?
  /// Dense, convolutional.
  public var layers: [LayerDescription]?
  /// Convolutional: sign(x) log(1 + |x|) of the picture before it is standardised.
  public var logarithmicPicture: Bool?
  /// Convolutional: the catalogue index that each channel's contribution is put down to; needed in a score that is
  /// explained.
  public var pictureFeatures: [Int]?

  /// Tensors: `coefficients` [inputs], `intercept` [1], `features.mean` and `features.scale` [features].
  public static func linear(
    _ name: String, file: String, weight: Double = 1, link: Link = .identity, inputs: FeatureInputs
  ) -> MemberDescription {
    MemberDescription(name: name, type: .linear, file: file, weight: weight, link: link, inputs: inputs)
  }

  public static func forest(
    _ name: String, file: String, weight: Double = 1, link: Link = .identity, columns: [Int]? = nil
  ) -> MemberDescription {
    MemberDescription(name: name, type: .forest, file: file, weight: weight, link: link, columns: columns)
  }

  /// Tensors: `<layer>.weight` [outputs, inputs] and `<layer>.bias` [outputs] of each dense layer, `features.mean` and
  /// `features.scale` [features].
  public static func dense(
    _ name: String, file: String, weight: Double = 1, link: Link = .identity, inputs: FeatureInputs,
    layers: [LayerDescription]
  ) -> MemberDescription {
    MemberDescription(name: name, type: .dense, file: file, weight: weight, link: link, inputs: inputs, layers: layers)
  }

  /// As `dense`, and `<layer>.weight` [outputs, inputs, kernel] of each convolution, `picture.mean` and
  /// `picture.scale` [channels]. The first dense layer reads the last row layer flattened channel by channel (as
  /// PyTorch does), then the static features.
  public static func convolutional(
    _ name: String, file: String, weight: Double = 1, link: Link = .identity, inputs: FeatureInputs,
    layers: [LayerDescription], logarithmicPicture: Bool = false, pictureFeatures: [Int]? = nil
  ) -> MemberDescription {
    MemberDescription(
      name: name, type: .convolutional, file: file, weight: weight, link: link, inputs: inputs, layers: layers,
      logarithmicPicture: logarithmicPicture, pictureFeatures: pictureFeatures)
  }

  init(
    name: String, type: MemberType, file: String, weight: Double, link: Link, inputs: FeatureInputs? = nil,
    columns: [Int]? = nil, layers: [LayerDescription]? = nil, logarithmicPicture: Bool? = nil,
    pictureFeatures: [Int]? = nil
  ) {
    self.name = name
    self.type = type
    self.file = file
    self.weight = weight
    self.link = link
    self.inputs = inputs
    self.columns = columns
    self.layers = layers
    self.logarithmicPicture = logarithmicPicture
    self.pictureFeatures = pictureFeatures
  }
}

public enum LayerType: String, Codable, Sendable { case convolution, pooling, dense }
public enum Activation: String, Codable, Sendable, BitwiseCopyable { case identity, relu, tanh, sigmoid }
public enum PoolingMode: String, Codable, Sendable { case max, average }

public struct LayerDescription: Codable, Sendable, Equatable {
  public var type: LayerType
  /// Prefix of its tensors.
  public var name: String
  public var outputs: Int?
  public var kernel: Int?
  public var stride: Int?
  /// Rows of zeros (the standardised mean) before and after.
  public var padding: Int?
  public var mode: PoolingMode?
  public var activation: Activation?

  public static func convolution(
    _ name: String, outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, activation: Activation = .relu
  ) -> LayerDescription {
    LayerDescription(
      type: .convolution, name: name, outputs: outputs, kernel: kernel, stride: stride, padding: padding,
      activation: activation)
  }

  /// Rows that do not fill a last window are left out.
  public static func pooling(_ name: String, mode: PoolingMode, size: Int, stride: Int? = nil) -> LayerDescription {
    LayerDescription(type: .pooling, name: name, kernel: size, stride: stride ?? size, mode: mode)
  }

  public static func dense(_ name: String, outputs: Int, activation: Activation = .relu) -> LayerDescription {
    LayerDescription(type: .dense, name: name, outputs: outputs, activation: activation)
  }
}

/// How demand's two heads make the amount, and its 80 % interval.
public struct DemandDescription: Codable, Sendable, Equatable {
  public enum Combination: String, Codable, Sendable {
    /// The amount head forecasts the mean over everybody.
    case direct
    /// The amount head forecasts the mean of those who borrow; the probability multiplies it.
    case hurdle
  }
  public var combination: Combination
  /// From the combined amount to the conditional mean (a smearing factor, a mean per bin).
  public var calibration: Calibration
  /// Quantiles 0.1 and 0.9 of what was borrowed, over the forecast amount. The interval is widened to hold the forecast.
  public var lower: Calibration
  public var upper: Calibration

  public init(combination: Combination, calibration: Calibration = .identity, lower: Calibration, upper: Calibration) {
    self.combination = combination
    self.calibration = calibration
    self.lower = lower
    self.upper = upper
  }
}
