import Features
import Foundation

extension Forest {
  /// Reads XGBoost's JSON (`save_model("x.json")`, of the C API or Python). `columns` gives the catalogue index of each
  /// of its features; nil when feature i is the catalogue's i. Everything the descent relies on is checked here.
  convenience init(xgboost bytes: [UInt8], columns: [Int]?, catalogueCount: Int, file: String) throws(ModelError) {
    func refuse(_ problem: String) -> ModelError { ModelError(file: file, problem: problem + "; train again") }
    let learner: XGBoostFile.Learner
    do {
      learner = try JSONDecoder().decode(XGBoostFile.self, from: Data(bytes)).learner
    } catch {
      throw refuse("is not XGBoost's JSON of a forest")
    }
    let booster = learner.gradientBooster
    guard booster.name == "gbtree" else { throw refuse("the booster is \(booster.name), only gbtree is read") }
    guard (Int(learner.parameters.classes ?? "0") ?? 0) <= 1, (booster.model.treeInfo ?? []).allSatisfy({ $0 == 0 })
    else { throw refuse("has several classes or outputs") }
    guard let features = Int(learner.parameters.features), features >= 0 else { throw refuse("has no num_feature") }
    let columns = columns ?? Array(0..<features)
    guard columns.count == features, columns.allSatisfy({ $0 >= 0 && $0 < catalogueCount }) else {
      throw refuse("reads \(features) features, the manifest places \(columns.count) within 0..<\(catalogueCount)")
    }
    let trees = booster.model.trees
    guard trees.count <= Forest.treesMax, trees.reduce(0, { $0 + $1.leftChildren.count }) <= Forest.nodesMax else {
      throw refuse("has more than \(Forest.treesMax) trees or \(Forest.nodesMax) nodes")
    }
    let rowCount = paddedToLanes(catalogueCount)
    guard rowCount * 2 < 1 << 16 else { throw refuse("the catalogue has too many features for a forest") }
    let base = try Self.baseMargin(learner, refuse)
    var layout = ForestLayout(rowCount: rowCount)
    for (index, tree) in trees.enumerated() {
      do {
        try layout.append(tree, columns: columns)
      } catch {
        throw refuse("tree \(index) \(error.problem)")
      }
    }
    layout.finish()
    self.init(layout, rowCount: rowCount, base: base)
  }

  /// The base score is kept as an output; the sum of leaves begins at its margin, in single precision.
  private static func baseMargin(
    _ learner: XGBoostFile.Learner, _ refuse: (String) -> ModelError
  ) throws(ModelError) -> Float {
    let text = learner.parameters.baseScore.filter { $0 != "[" && $0 != "]" }
    guard let base = Float(text), base.isFinite else { throw refuse("has no finite base_score") }
    switch learner.objective.name {
    case "binary:logistic", "reg:logistic":
      guard base > 0, base < 1 else { throw refuse("has a base_score outside 0 to 1") }
      return Float(-Portable.log(1 / Double(base) - 1))
    case "count:poisson", "reg:gamma", "reg:tweedie":
      guard base > 0 else { throw refuse("has a base_score that is not positive") }
      return Float(Portable.log(Double(base)))
    case "binary:logitraw", "reg:squarederror", "reg:linear", "reg:absoluteerror", "reg:pseudohubererror",
      "reg:quantileerror":
      return base
    default: throw refuse("has the objective \(learner.objective.name), which is not known here")
    }
  }
}

/// The part of XGBoost's JSON that makes predictions.
/// https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
struct XGBoostFile: Decodable {
  var learner: Learner

  struct Learner: Decodable {
    var gradientBooster: Booster
    var parameters: Parameters
    var objective: Objective
    enum CodingKeys: String, CodingKey {
      case gradientBooster = "gradient_booster"
      case parameters = "learner_model_param"
      case objective
    }
  }
  struct Objective: Decodable { var name: String }
  struct Parameters: Decodable {
    var baseScore: String
    var classes: String?
    var features: String
    enum CodingKeys: String, CodingKey {
      case baseScore = "base_score"
      case classes = "num_class"
      case features = "num_feature"
    }
  }
  struct Booster: Decodable {
    var name: String
    var model: Model
  }
  struct Model: Decodable {
    var trees: [Tree]
    var treeInfo: [Int]?
    enum CodingKeys: String, CodingKey {
      case trees
      case treeInfo = "tree_info"
    }
  }
  struct Tree: Decodable {
    var leftChildren: [Int32]
    var rightChildren: [Int32]
    var splitIndices: [Int32]
    /// The threshold of a split, the value of a leaf.
    var splitConditions: [Float]
    var defaultLeft: [Flag]
    var sumHessian: [Float]
    var splitType: [Int]?
    enum CodingKeys: String, CodingKey {
      case leftChildren = "left_children"
      case rightChildren = "right_children"
      case splitIndices = "split_indices"
      case splitConditions = "split_conditions"
      case defaultLeft = "default_left"
      case sumHessian = "sum_hessian"
      case splitType = "split_type"
    }
  }
  /// 0 or 1, or a boolean in older files.
  struct Flag: Decodable {
    var isSet: Bool
    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let number = try? container.decode(Int.self) {
        isSet = number != 0
      } else {
        isSet = try container.decode(Bool.self)
      }
    }
  }
}

/// A forest's nodes as the descent wants them, tree after tree, each in breadth-first order.
struct ForestLayout {
  struct TreeProblem: Error { var problem: String }

  let rowCount: Int
  private(set) var nodes: [UInt64] = []
  private(set) var shares: [Double] = []
  private(set) var splitsAgain: [Bool] = []
  private(set) var roots: [Int32] = []
  private(set) var groupDepths: [Int32] = []
  private(set) var trees = 0
  private(set) var depth = 0
  /// The sum of the trees' means.
  private(set) var mean = 0.0
  private var treeDepths: [Int32] = []

  /// A share of cover of 0 (min_child_weight 0) would make a factor of 0: it is held above.
  static let shareMin = 1e-12

  init(rowCount: Int) { self.rowCount = rowCount }

  mutating func append(_ tree: XGBoostFile.Tree, columns: [Int]) throws(TreeProblem) {
    let count = tree.leftChildren.count
    guard count > 0, tree.rightChildren.count == count, tree.splitIndices.count == count,
      tree.splitConditions.count == count, tree.defaultLeft.count == count, tree.sumHessian.count == count
    else { throw TreeProblem(problem: "is empty or its arrays differ in length") }
    guard (tree.splitType ?? []).allSatisfy({ $0 == 0 }) else { throw TreeProblem(problem: "has categorical splits") }
    let start = nodes.count
    roots.append(Int32(start))
    // Original nodes in breadth-first order, siblings side by side: position `start + k` is that of `order[k]`.
    var order: [(node: Int, depth: Int)] = [(0, 0)]
    var parents = [-1]
    var features: [Int] = []
    var nodeMeans: [Double] = []
    shares.append(1)
    var position = 0
    while position < order.count {
      let (node, level) = order[position]
      let left = Int(tree.leftChildren[node])
      let right = Int(tree.rightChildren[node])
      let value = tree.splitConditions[node]
      if left == -1 {
        guard right == -1, value.isFinite else { throw TreeProblem(problem: "has a leaf that is not a finite number") }
        nodes.append(pack(value, slot: rowCount * 2, distance: 0))
        features.append(-1)
        splitsAgain.append(false)
      } else {
        let split = Int(tree.splitIndices[node])
        guard left > 0, left < count, right > 0, right < count, left != right, split >= 0, split < columns.count,
          !value.isNaN
        else { throw TreeProblem(problem: "has a split outside its arrays") }
        // A tree reaches each of its nodes once; more would be a loop.
        guard order.count + 2 <= count, level < Forest.depthMax else {
          throw TreeProblem(problem: "has a loop or is deeper than \(Forest.depthMax)")
        }
        let distance = order.count - position
        guard distance < 1 << 16 else { throw TreeProblem(problem: "is too wide") }
        let goesLeft = tree.defaultLeft[node].isSet
        let column = columns[split]
        features.append(column)
        var above = parents[position]
        while above >= 0, features[above] != column { above = parents[above] }
        splitsAgain.append(above >= 0)
        nodes.append(
          goesLeft
            ? pack(value, slot: column, distance: distance)
            : pack((-value).nextUp, slot: rowCount + column, distance: distance))
        for child in goesLeft ? [left, right] : [right, left] {
          order.append((child, level + 1))
          parents.append(position)
          let share = Double(tree.sumHessian[child]) / Double(tree.sumHessian[node])
          guard share.isFinite || tree.sumHessian[node] == 0, !(share < 0) else {
            throw TreeProblem(problem: "has a cover that is not a number >= 0")
          }
          shares.append(share.isFinite ? max(share, Self.shareMin) : 0.5)
        }
      }
      position += 1
    }
    let deepest = order.last?.depth ?? 0
    nodeMeans = [Double](repeating: 0, count: order.count)
    for index in stride(from: order.count - 1, through: 0, by: -1) {
      let node = nodes[start + index]
      let distance = Forest.distance(node)
      if distance == 0 {
        nodeMeans[index] = Double(Forest.threshold(node))
      } else {
        for child in [index + distance, index + distance + 1] {
          nodeMeans[index] += shares[start + child] * nodeMeans[child]
        }
      }
    }
    mean += nodeMeans[0]
    treeDepths.append(Int32(deepest))
    depth = max(depth, deepest)
    trees += 1
  }

  /// Fills the last group with trees of one leaf 0.
  mutating func finish() {
    while roots.count % Forest.groupSize != 0 {
      roots.append(Int32(nodes.count))
      nodes.append(pack(0, slot: rowCount * 2, distance: 0))
      shares.append(1)
      splitsAgain.append(false)
      treeDepths.append(0)
    }
    for group in stride(from: 0, to: treeDepths.count, by: Forest.groupSize) {
      groupDepths.append(treeDepths[group..<(group + Forest.groupSize)].max() ?? 0)
    }
  }

  private func pack(_ threshold: Float, slot: Int, distance: Int) -> UInt64 {
    UInt64(threshold.bitPattern) | UInt64(slot) << 32 | UInt64(distance) << 48
  }
}
