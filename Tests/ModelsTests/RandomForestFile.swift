import Foundation

/// Seeded numbers for tests (SplitMix64).
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
}

/// A tree as plain as can be, its evaluation, and its Shapley values from their definition: the oracle.
indirect enum PlainTree {
  case leaf(value: Float, cover: Float)
  case split(feature: Int, threshold: Float, defaultLeft: Bool, cover: Float, left: PlainTree, right: PlainTree)

  var cover: Float {
    switch self {
    case .leaf(_, let cover), .split(_, _, _, let cover, _, _): cover
    }
  }

  static func random(features: Int, depth: Int, cover: Float, zeroCovers: Bool, _ random: inout SplitMix) -> PlainTree {
    if depth == 0 || random.unit() < 0.1 { return .leaf(value: Float(random.unit() * 2 - 1), cover: cover) }
    let share = zeroCovers && random.unit() < 0.1 ? 0 : Float(0.05 + 0.9 * random.unit())
    let left = cover * share
    return .split(
      feature: Int(random.next() % UInt64(features)), threshold: Float(Int(random.unit() * 9) - 4) / 2,
      defaultLeft: random.next() & 1 == 0, cover: cover,
      left: .random(features: features, depth: depth - 1, cover: left, zeroCovers: zeroCovers, &random),
      right: .random(features: features, depth: depth - 1, cover: cover - left, zeroCovers: zeroCovers, &random))
  }

  func value(_ row: [Float]) -> Float {
    switch self {
    case .leaf(let value, _): return value
    case .split(let feature, let threshold, let defaultLeft, _, let left, let right):
      let goesLeft = row[feature].isNaN ? defaultLeft : row[feature] < threshold
      return goesLeft ? left.value(row) : right.value(row)
    }
  }

  /// The expected value when only the features in `known` (a bit set) are: elsewhere both sides count by their cover.
  func expectation(_ row: [Float], known: Int) -> Double {
    switch self {
    case .leaf(let value, _): return Double(value)
    case .split(let feature, let threshold, let defaultLeft, let cover, let left, let right):
      if known >> feature & 1 == 1 {
        let goesLeft = row[feature].isNaN ? defaultLeft : row[feature] < threshold
        return goesLeft ? left.expectation(row, known: known) : right.expectation(row, known: known)
      }
      guard cover > 0 else {
        return (left.expectation(row, known: known) + right.expectation(row, known: known)) / 2
      }
      return Double(left.cover) / Double(cover) * left.expectation(row, known: known)
        + Double(right.cover) / Double(cover) * right.expectation(row, known: known)
    }
  }

  /// Over all subsets, as Shapley defined it.
  func shapleyValues(_ row: [Float]) -> [Double] {
    let features = row.count
    let values = (0..<(1 << features)).map { expectation(row, known: $0) }
    let factorials = (0...features).map { $0 == 0 ? 1.0 : (1...$0).reduce(1.0) { $0 * Double($1) } }
    return (0..<features).map { feature in
      var sum = 0.0
      for subset in 0..<(1 << features) where subset >> feature & 1 == 0 {
        let size = subset.nonzeroBitCount
        let weight = factorials[size] * factorials[features - 1 - size] / factorials[features]
        sum += weight * (values[subset | 1 << feature] - values[subset])
      }
      return sum
    }
  }

  /// The arrays of XGBoost's JSON.
  struct Arrays {
    var left: [Int] = []
    var right: [Int] = []
    var features: [Int] = []
    var conditions: [Float] = []
    var defaultLeft: [Int] = []
    var covers: [Float] = []
    var json: [String: Any] {
      [
        "left_children": left, "right_children": right, "split_indices": features,
        "split_conditions": conditions.map { Double($0) }, "default_left": defaultLeft,
        "sum_hessian": covers.map { Double($0) },
      ]
    }
  }

  var arrays: Arrays {
    var arrays = Arrays()
    _ = append(to: &arrays)
    return arrays
  }

  private func append(to arrays: inout Arrays) -> Int {
    let index = arrays.left.count
    arrays.left.append(-1)
    arrays.right.append(-1)
    arrays.features.append(0)
    arrays.conditions.append(0)
    arrays.defaultLeft.append(0)
    arrays.covers.append(cover)
    switch self {
    case .leaf(let value, _): arrays.conditions[index] = value
    case .split(let feature, let threshold, let defaultLeft, _, let left, let right):
      arrays.features[index] = feature
      arrays.conditions[index] = threshold
      arrays.defaultLeft[index] = defaultLeft ? 1 : 0
      arrays.left[index] = left.append(to: &arrays)
      arrays.right[index] = right.append(to: &arrays)
    }
    return index
  }
}

/// XGBoost's JSON of these trees, with a way to spoil it.
func forestFile(
  _ trees: [PlainTree], features: Int, baseScore: String = "0E0", objective: String = "reg:squarederror",
  booster: String = "gbtree", spoil: (inout PlainTree.Arrays) -> Void = { _ in }
) throws -> [UInt8] {
  let arrays = trees.map { tree in
    var arrays = tree.arrays
    spoil(&arrays)
    return arrays.json
  }
  let document: [String: Any] = [
    "learner": [
      "gradient_booster": ["name": booster, "model": ["trees": arrays, "tree_info": trees.map { _ in 0 }]],
      "learner_model_param": ["base_score": baseScore, "num_class": "0", "num_feature": "\(features)"],
      "objective": ["name": objective],
    ]
  ]
  return Array(try JSONSerialization.data(withJSONObject: document))
}
