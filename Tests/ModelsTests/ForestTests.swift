import Features
import Testing

@testable import Models

/// The flat forest and its Shapley values against a plain tree and their definitions.
struct ForestTests {
  static let features = 7

  /// A row of halves (so that some equal a threshold), some missing, some signed zeros.
  private func row(_ random: inout SplitMix) -> [Float] {
    (0..<Self.features).map { _ in
      switch random.next() % 8 {
      case 0: .nan
      case 1: -0.0
      case 2: .infinity
      case 3: -.infinity
      default: Float(Int(random.unit() * 9) - 4) / 2
      }
    }
  }

  private func withRow<Result>(_ row: [Float], _ body: (ModelRow) -> Result) -> Result {
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: 16)
    defer { unsafe memory.deallocate() }
    unsafe memory.initialize(repeating: 0, count: 16)
    for (index, value) in row.enumerated() { unsafe memory[index] = value }
    return unsafe body(ModelRow(features: memory, picture: memory))
  }

  private func ensemble(_ file: [UInt8], columns: [Int]? = nil) throws -> Ensemble {
    try Ensemble(
      EnsembleDescription(members: [.forest("forest", file: "f.json", columns: columns)]), files: ["f.json": file],
      catalogueCount: Self.features, name: "test")
  }

  @Test("a flat forest walks as a plain tree does", arguments: [(1, 3), (7, 6), (8, 1), (9, 12), (30, 0)])
  func descent(trees: Int, depth: Int) throws {
    var random = SplitMix(state: UInt64(trees * 100 + depth))
    let plain = (0..<trees).map { _ in
      PlainTree.random(features: Self.features, depth: depth, cover: 100, zeroCovers: false, &random)
    }
    let forest = try ensemble(try forestFile(plain, features: Self.features, baseScore: "5E-1"))
    var workspace = ModelWorkspace()
    for _ in 0..<200 {
      let row = row(&random)
      let expected = plain.reduce(Float(0.5)) { $0 + $1.value(row) }
      let found = unsafe withRow(row) { unsafe forest.fused($0, &workspace) }
      #expect(found == Double(expected), "\(row)")
    }
  }

  @Test(
    "contributions are Shapley values by their definition, at every depth and with covers of zero",
    arguments: [(3, 4, false), (3, 8, true), (2, 13, false), (2, 14, true), (1, 17, true)])
  func shapley(trees: Int, depth: Int, zeroCovers: Bool) throws {
    var random = SplitMix(state: UInt64(trees * 1000 + depth))
    let plain = (0..<trees).map { _ in
      PlainTree.random(features: Self.features, depth: depth, cover: 1000, zeroCovers: zeroCovers, &random)
    }
    let forest = try ensemble(try forestFile(plain, features: Self.features))
    var workspace = ModelWorkspace()
    var contributions: [Contribution] = []
    for _ in 0..<4 {
      let row = row(&random)
      var expected = [Double](repeating: 0, count: Self.features)
      for tree in plain { for (index, value) in tree.shapleyValues(row).enumerated() { expected[index] += value } }
      unsafe withRow(row) { unsafe forest.explain($0, &workspace, into: &contributions) }
      var found = [Double](repeating: 0, count: Self.features)
      for contribution in contributions { found[contribution.feature] = contribution.contribution }
      for feature in 0..<Self.features {
        #expect(near(found[feature], expected[feature], 1e-6), "feature \(feature) of \(row)")
      }
    }
  }

  @Test("a forest of some columns reads them where they stand in the catalogue")
  func columns() throws {
    var random = SplitMix(state: 5)
    let plain = [PlainTree.random(features: 3, depth: 4, cover: 10, zeroCovers: false, &random)]
    let forest = try ensemble(try forestFile(plain, features: 3), columns: [6, 0, 3])
    var workspace = ModelWorkspace()
    for _ in 0..<50 {
      let row = row(&random)
      let found = unsafe withRow(row) { unsafe forest.fused($0, &workspace) }
      #expect(found == Double(plain[0].value([row[6], row[0], row[3]])))
    }
  }

  @Test("every damaged tree is refused with its number, and none is walked")
  func damagedTrees() throws {
    let leaf = PlainTree.leaf(value: 1, cover: 1)
    let tree = PlainTree.split(feature: 1, threshold: 0, defaultLeft: true, cover: 2, left: leaf, right: leaf)
    let spoilers: [(inout PlainTree.Arrays) -> Void] = [
      { $0.left[0] = 9 }, { $0.left[0] = -7 }, { $0.left[0] = 0 }, { $0.right[0] = $0.left[0] },
      { $0.features[0] = Self.features }, { $0.features[0] = -1 }, { $0.covers.removeLast() },
      { $0.conditions.removeAll() }, { $0.right[1] = 2 }, { $0.covers[1] = -4 },
      { arrays in
        // A loop: the left child leads back to the root's children.
        arrays.left[1] = 2
        arrays.right[1] = 1
      },
    ]
    for (index, spoil) in spoilers.enumerated() {
      let file = try forestFile([leaf, tree].suffix(1), features: Self.features, spoil: spoil)
      #expect(throws: ModelError.self, "spoiler \(index)") { try ensemble(file) }
    }
  }

  @Test("a forest that is not one sum of trees is refused")
  func foreignForests() throws {
    let leaf = PlainTree.leaf(value: 1, cover: 1)
    #expect(throws: ModelError.self) { try ensemble(try forestFile([leaf], features: 2, booster: "dart")) }
    #expect(throws: ModelError.self) { try ensemble(try forestFile([leaf], features: 2, objective: "multi:softmax")) }
    #expect(throws: ModelError.self) { try ensemble(try forestFile([leaf], features: 2, baseScore: "nan")) }
    #expect(throws: ModelError.self) {
      try ensemble(try forestFile([leaf], features: 2, baseScore: "1", objective: "binary:logistic"))
    }
    #expect(throws: ModelError.self) { try ensemble(try forestFile([leaf], features: Self.features + 1)) }
    #expect(throws: ModelError.self) { try ensemble(try forestFile([leaf], features: 2), columns: [0, Self.features]) }
    #expect(throws: ModelError.self) { try ensemble([123, 125]) }
    var deep = leaf
    for _ in 0...Forest.depthMax {
      deep = .split(feature: 0, threshold: 0, defaultLeft: true, cover: 2, left: deep, right: leaf)
    }
    #expect(throws: ModelError.self) { try ensemble(try forestFile([deep], features: 2)) }
  }
}
