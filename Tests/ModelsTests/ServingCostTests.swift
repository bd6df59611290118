import Features
import Testing

@testable import Models

struct ServingCostTests {
  @Test func `a cost counts what a prediction does`() throws {
    let description = try ConformanceTests.description("fused")
    let cost = try Golden.ensemble(description).servingCost
    #expect(cost.members == 4)
    // Three links of members to probabilities or none, and the calibration.
    #expect(cost.links >= 3 && cost.rowBlocks > 0 && cost.treeSteps > 0 && cost.denseProducts > 0)
    let parts = try description.members.map { member in
      try Golden.ensemble(EnsembleDescription(members: [member])).servingCost
    }
    #expect(
      abs(parts.reduce(0) { $0 + $1.microseconds } + ServingCost.head(description).microseconds - cost.microseconds)
        < 1e-9)
  }

  @Test func `trees cost no more than a plan that allows their number and depth`() throws {
    // 30 trees of at most 4 levels; 13 of at most 6.
    for (name, trees, depth) in [("boosted", 30, 4), ("random_forest", 13, 6)] {
      let cost = try Golden.ensemble(try ConformanceTests.description(name)).servingCost
      let plan = ServingCost.forest(trees: trees, depth: depth)
      #expect(cost.treeSteps <= plan.treeSteps && cost.treeSteps * 2 > plan.treeSteps, "\(name)")
    }
  }

  @Test func `a larger network costs more, and a convolution by its days`() {
    let inputs = FeatureInputs(features: Array(0..<20), logarithmic: [3], missingIndicators: [1, 2])
    let small = ServingCost.network(
      [.dense("a", outputs: 16), .dense("b", outputs: 1)], inputs, hasPicture: false)
    #expect(small.inputBlocks == 2 && small.logarithmBlocks == 2 && small.indicators == 2 && small.layers == 2)
    #expect(small.denseProducts == 22 + 16)
    let convolutional = ServingCost.network(
      [
        .convolution("a", outputs: 20, kernel: 7, stride: 2, padding: 3), .pooling("b", mode: .max, size: 3),
        .dense("c", outputs: 1),
      ], inputs, hasPicture: true)
    // 96 shaded cells, each in up to four windows of two blocks; 45 rows of two blocks; 15 rows pooled; 15 rows of 32 and the
    // static inputs.
    #expect(convolutional.pictureDays == 0 && convolutional.cellProducts == 96 * 2 * 4)
    #expect(convolutional.convolutionProducts == 45 * 2)
    #expect(convolutional.poolingReads == 15 * 2 * 3 && convolutional.denseProducts == 15 * 32 + 22)
    #expect(convolutional.microseconds > small.microseconds)
  }
}
