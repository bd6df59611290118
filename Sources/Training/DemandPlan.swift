import Features
import Models

/// How large demand's served members are: the largest of a few sizes whose counted operations the bound of serving time
/// allows. The convolutional network is in every one of them.
struct DemandPlan: Sendable, Equatable {
  /// Of both parts' networks.
  var layers: [LayerDescription]
  /// Features joined into each network.
  var inputs: Int
  /// Most rounds of each part's trees.
  var rounds: Int

  static let treeDepth = 4

  private struct Size {
    /// Of the first convolution, in days; of the second one, in rows of the first.
    var outputs: Int
    var kernel: Int
    var stride: Int
    var hidden: Int
    var inputs: Int
    var rounds: Int
    /// Intervals that are read as one: with few operations left, the picture is read more coarsely.
    var coarseness = 1
  }

  /// Largest first.
  private static let sizes: [Size] = [
    Size(outputs: 32, kernel: 5, stride: 1, hidden: 32, inputs: 64, rounds: 96),
    Size(outputs: 16, kernel: 5, stride: 1, hidden: 24, inputs: 48, rounds: 48),
    Size(outputs: 16, kernel: 5, stride: 1, hidden: 16, inputs: 48, rounds: 40),
    Size(outputs: 16, kernel: 5, stride: 2, hidden: 16, inputs: 48, rounds: 40),
    Size(outputs: 16, kernel: 5, stride: 2, hidden: 16, inputs: 32, rounds: 32),
    Size(outputs: 16, kernel: 5, stride: 2, hidden: 16, inputs: 16, rounds: 16),
    Size(outputs: 16, kernel: 10, stride: 2, hidden: 8, inputs: 8, rounds: 8),
    Size(outputs: 16, kernel: 10, stride: 2, hidden: 8, inputs: 8, rounds: 8, coarseness: 5),
  ]

  /// The largest plan within the budget; the smallest where none is.
  static func fitting(_ budget: ServingBudget, intervalDays: Int) -> DemandPlan {
    let plans = sizes.map { plan($0, intervalDays: intervalDays) }
    return plans.first { budget.allows($0.cost, for: .demand) } ?? plans[plans.count - 1]
  }

  /// Convolution, convolution, pooling, fully connected. A longer interval first takes the mean of as many days, and the
  /// first convolution then spans about the same time. Windows are chosen so that no layer leaves out its last row: that
  /// is what the borrower did today.
  private static func plan(_ size: Size, intervalDays: Int) -> DemandPlan {
    let coarse = intervalDays * size.coarseness
    let intervalDays = intervals.contains(coarse) ? coarse : intervalDays
    let intervals = ModelInput.pictureDays / intervalDays
    let wanted = max(1, size.kernel / intervalDays)
    let kernel = (wanted...intervals).first { intervals % $0 == 0 }!
    let rows = intervals / kernel
    // Pooling takes the second convolution's rows by two.
    let second = (3...rows).first { (rows - $0) % size.stride == 0 && ((rows - $0) / size.stride + 1) % 2 == 0 }!
    var layers: [LayerDescription] = []
    if intervalDays > 1 { layers.append(.pooling("interval", mode: .average, size: intervalDays)) }
    layers += [
      .convolution("convolution1", outputs: size.outputs, kernel: kernel, stride: kernel),
      .convolution("convolution2", outputs: size.outputs, kernel: second, stride: size.stride),
      .pooling("pooling", mode: .average, size: 2), .dense("hidden", outputs: size.hidden),
      .dense("output", outputs: 1, activation: .identity),
    ]
    return DemandPlan(layers: layers, inputs: size.inputs, rounds: size.rounds)
  }

  /// Days that a picture can be read by: they divide its 90 days, and leave the convolutions six rows.
  static let intervals = [1, 2, 3, 5, 6, 9, 10, 15]

  /// Of both parts, before anything is trained: every feature's logarithm taken, a third of the features with an
  /// indicator, every tree as deep as allowed.
  var cost: ServingCost {
    let features = Array(0..<inputs)
    let read = FeatureInputs(
      features: features, logarithmic: features, missingIndicators: Array(features.prefix(inputs / 3)))
    let part =
      ServingCost.network(layers, read, hasPicture: true) + ServingCost.forest(trees: rounds, depth: Self.treeDepth)
    var links = ServingCost()
    links.links = 5
    return part + part + links
  }
}
