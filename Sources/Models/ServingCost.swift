import Features

/// What a model costs at every event: its operations, counted, times what each was measured to take. Counts are the same
/// on every machine and every day, so a choice by them is too; timings are not.
public struct ServingCost: Codable, Equatable, Sendable {
  /// Models that are called.
  public var members = 0
  /// Blocks of 16 inputs gathered and standardised.
  public var inputBlocks = 0
  /// Those of them whose logarithm is worked out.
  public var logarithmBlocks = 0
  /// Inputs that say whether a feature is missing.
  public var indicators = 0
  /// Days of a picture standardised, 16 channels each: where no convolution reads it first.
  public var pictureDays = 0
  /// Shaded cells of a picture that a convolution reads first, once for each multiply-add of 16 lanes.
  public var cellProducts = 0
  /// Multiply-adds of 16 lanes in dense layers and linear models.
  public var denseProducts = 0
  /// Multiply-adds of 16 lanes in convolutions, which share their loads between four days.
  public var convolutionProducts = 0
  /// Vectors of 16 lanes read by pooling.
  public var poolingReads = 0
  /// Layers of networks.
  public var layers = 0
  /// Blocks of 16 features laid out for a forest, each as x and -x.
  public var rowBlocks = 0
  /// Nodes passed: trees go down in groups, all of them as many steps as the deepest of the group.
  public var treeSteps = 0
  /// Exponentials of links, knots of a calibration looked for.
  public var links = 0

  public init() {}

  /// Nanoseconds of each operation on a 2.1 GHz x86-64-v3 core with warm caches: estimates from the costs of
  /// whole models, not a fit. They are part of what a training decides by: changing one changes what is chosen.
  public enum Nanoseconds {
    public static let member = 12.0
    public static let inputBlock = 12.0
    public static let logarithmBlock = 9.0
    public static let indicator = 1.0
    public static let pictureDay = 1.6
    public static let cellProduct = 2.4
    public static let denseProduct = 0.6
    public static let convolutionProduct = 0.36
    public static let poolingRead = 0.5
    public static let layer = 6.0
    public static let rowBlock = 1.2
    public static let treeStep = 1.9
    public static let link = 8.0
  }

  public var microseconds: Double {
    var sum = Double(members) * Nanoseconds.member + Double(inputBlocks) * Nanoseconds.inputBlock
    sum += Double(logarithmBlocks) * Nanoseconds.logarithmBlock + Double(indicators) * Nanoseconds.indicator
    sum += Double(pictureDays) * Nanoseconds.pictureDay + Double(cellProducts) * Nanoseconds.cellProduct
    sum += Double(denseProducts) * Nanoseconds.denseProduct
    sum += Double(convolutionProducts) * Nanoseconds.convolutionProduct
    sum += Double(poolingReads) * Nanoseconds.poolingRead + Double(layers) * Nanoseconds.layer
    sum += Double(rowBlocks) * Nanoseconds.rowBlock + Double(treeSteps) * Nanoseconds.treeStep
    sum += Double(links) * Nanoseconds.link
    return sum / 1_000
  }

  public static func + (a: ServingCost, b: ServingCost) -> ServingCost {
    var sum = ServingCost()
    for path in operations { sum[keyPath: path] = a[keyPath: path] + b[keyPath: path] }
    return sum
  }

  private static let operations: [WritableKeyPath<ServingCost, Int> & Sendable] = [
    \.members, \.inputBlocks, \.logarithmBlocks, \.indicators, \.pictureDays, \.cellProducts, \.denseProducts,
    \.convolutionProducts, \.poolingReads, \.layers, \.rowBlocks, \.treeSteps, \.links,
  ]
}

// MARK: What is planned

extension ServingCost {
  /// A linear model over standardised inputs.
  public static func linear(_ inputs: FeatureInputs) -> ServingCost {
    var cost = standardizing(inputs)
    cost.members = 1
    cost.denseProducts = paddedToLanes(inputs.count) / 16
    return cost
  }

  /// A forest of `trees` that may all be `depth` deep, every one over the whole catalogue.
  public static func forest(trees: Int, depth: Int) -> ServingCost {
    let groups = (trees + Forest.groupSize - 1) / Forest.groupSize
    return forest(treeSteps: groups * Forest.groupSize * depth, rowCount: paddedToLanes(FeatureCatalogue.count))
  }

  static func forest(treeSteps: Int, rowCount: Int) -> ServingCost {
    var cost = ServingCost()
    cost.members = 1
    cost.rowBlocks = rowCount / 16
    cost.treeSteps = treeSteps
    return cost
  }

  /// Cells of a picture that count as shaded: what a borrower of an event every other day has, and half as many again.
  private static let shadedCells = 96

  /// A network over static inputs and, with `hasPicture`, over the picture.
  public static func network(_ layers: [LayerDescription], _ inputs: FeatureInputs, hasPicture: Bool) -> ServingCost {
    var cost = standardizing(inputs)
    cost.members = 1
    cost.layers = layers.count
    let readsCells = hasPicture && layers.first?.type == .convolution
    if hasPicture && !readsCells { cost.pictureDays = ModelInput.pictureDays }
    var rows = hasPicture ? ModelInput.pictureDays : 0
    var channels = ModelInput.pictureChannels
    var window = inputs.count
    var isFirstDense = true
    for (index, layer) in layers.enumerated() {
      let kernel = layer.kernel ?? 1
      switch layer.type {
      case .convolution, .pooling:
        rows = max((rows + 2 * (layer.padding ?? 0) - kernel) / max(layer.stride ?? 1, 1) + 1, 0)
        let outputs = layer.type == .convolution ? layer.outputs ?? 0 : channels
        let blocks = paddedToLanes(outputs) / 16
        if layer.type == .convolution, index == 0, readsCells {
          let stride = max(layer.stride ?? 1, 1)
          cost.cellProducts += shadedCells * blocks * ((kernel + stride - 1) / stride)
          cost.convolutionProducts += rows * blocks
        } else if layer.type == .convolution {
          cost.convolutionProducts += rows * blocks * kernel * paddedToLanes(channels)
        } else {
          cost.poolingReads += rows * blocks * kernel
        }
        channels = outputs
      case .dense:
        if isFirstDense { window = inputs.count + (hasPicture ? rows * paddedToLanes(channels) : 0) }
        isFirstDense = false
        let outputs = layer.outputs ?? 0
        cost.denseProducts += window * paddedToLanes(outputs) / 16
        window = outputs
      }
      // A curve is worked out lane by lane.
      if layer.activation == .tanh || layer.activation == .sigmoid {
        cost.links += max(rows, 1) * paddedToLanes(layer.outputs ?? 0)
      }
    }
    return cost
  }

  private static func standardizing(_ inputs: FeatureInputs) -> ServingCost {
    var cost = ServingCost()
    cost.inputBlocks = paddedToLanes(inputs.features.count) / 16
    cost.logarithmBlocks = inputs.logarithmic.isEmpty ? 0 : cost.inputBlocks
    cost.indicators = inputs.missingIndicators.count
    return cost
  }

  /// Of a member whose margin goes through a link before it is weighted.
  public func linked(_ link: Link) -> ServingCost {
    var cost = self
    if link != .identity { cost.links += 1 }
    return cost
  }
}

// MARK: What was trained

extension ServingCost {
  /// What a trained model costs: every head's members, links and calibration, forests as deep as they came out. `files`
  /// are those that the architecture names.
  public init(_ architecture: Architecture, files: [String: [UInt8]]) throws(ModelError) {
    self.init()
    var heads: [String: ServingCost] = [:]
    for (name, head) in architecture.heads.sorted(by: { $0.key < $1.key }) {
      heads[name] = try Ensemble(head, files: files, catalogueCount: FeatureCatalogue.count, name: name).servingCost
    }
    // A borrower is of one of these two: the dearer counts.
    if let prospect = heads["prospect"], let other = heads["utilization"] {
      heads[prospect.microseconds > other.microseconds ? "utilization" : "prospect"] = nil
    }
    for (_, cost) in heads.sorted(by: { $0.key < $1.key }) { self = self + cost }
    if let demand = architecture.demand {
      self = self + Self.calibration(demand.calibration) + Self.calibration(demand.lower)
      self = self + Self.calibration(demand.upper)
    }
  }

  /// Of one member; `model` is what its file came to.
  init(_ member: MemberDescription, _ model: Ensemble.Model) {
    switch model {
    case .linear: self = .linear(member.inputs ?? FeatureInputs(features: []))
    case .forest(let forest): self = .forest(treeSteps: forest.steps, rowCount: forest.rowCount)
    case .network:
      self = .network(
        member.layers ?? [], member.inputs ?? FeatureInputs(features: []), hasPicture: member.type == .convolutional)
    }
    self = linked(member.link)
  }

  /// Of a head beside its members: its link and its calibration.
  static func head(_ description: EnsembleDescription) -> ServingCost {
    calibration(description.calibration).linked(description.link)
  }

  private static func calibration(_ calibration: Calibration) -> ServingCost {
    var cost = ServingCost()
    cost.links = calibration.form == .identity ? 0 : 1
    return cost
  }
}

/// How much time an event may take in the three borrower models together, and what each of them may take of it.
public struct ServingBudget: Equatable, Sendable {
  /// Microseconds of all three.
  public var microseconds: Double

  public init(microseconds: Double = 8) { self.microseconds = microseconds }

  /// Microseconds that a kind may take: fixed shares, so that a model trained alone is the one that is trained with the
  /// others. Overdue has four members, demand a convolutional network.
  public func share(of kind: ModelKind) -> Double {
    switch kind {
    case .overdue: microseconds * 0.4375
    case .demand: microseconds * 0.375
    case .utilization: microseconds * 0.1875
    case .repayment: .infinity
    }
  }

  public func allows(_ cost: ServingCost, for kind: ModelKind) -> Bool { cost.microseconds <= share(of: kind) }
}
