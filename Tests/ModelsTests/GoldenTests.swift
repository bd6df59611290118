import Testing

@testable import Models

/// Against XGBoost, scikit-learn and PyTorch.
struct GoldenTests {
  @Test(
    "a forest gives XGBoost's margin, bit for bit",
    arguments: ["boosted", "deep", "random_forest", "positive", "stump"])
  func margins(name: String) throws {
    let forest = try Golden.ensemble(
      EnsembleDescription(members: [.forest(name, file: "\(name).forest.json")]))
    let answers = try Golden.answers(name, Golden.Forest.self)
    var workspace = ModelWorkspace()
    for row in 0..<Golden.rowCount {
      let margin = unsafe forest.fused(Golden.rows[row], &workspace)
      // A base score that is no exact float as a margin may differ by its last bit.
      let exact = name == "deep" || name == "stump"
      #expect(
        exact ? Float(margin) == Float(answers.margin[row]) : near(margin, answers.margin[row], 2e-6), "row \(row)")
    }
  }

  @Test("a forest's output is XGBoost's", arguments: [("boosted", Link.logistic), ("positive", .exponential)])
  func outputs(name: String, link: Link) throws {
    let forest = try Golden.ensemble(
      EnsembleDescription(members: [.forest(name, file: "\(name).forest.json", link: link)]))
    let answers = try Golden.answers(name, Golden.Forest.self)
    var workspace = ModelWorkspace()
    for row in 0..<Golden.rowCount {
      #expect(near(unsafe forest.fused(Golden.rows[row], &workspace), answers.output[row], 2e-6), "row \(row)")
    }
  }

  @Test(
    "a forest's contributions are XGBoost's",
    arguments: ["boosted", "deep", "random_forest", "positive", "stump"])
  func contributions(name: String) throws {
    let forest = try Golden.ensemble(
      EnsembleDescription(members: [.forest(name, file: "\(name).forest.json")]))
    let answers = try Golden.answers(name, Golden.Forest.self)
    var workspace = ModelWorkspace()
    var contributions: [Contribution] = []
    for row in 0..<Golden.rowCount {
      unsafe forest.explain(Golden.rows[row], &workspace, into: &contributions)
      var found = [Double](repeating: 0, count: Golden.featureCount)
      for contribution in contributions { found[contribution.feature] = contribution.contribution }
      let scale = answers.contributions[row].map(abs).max() ?? 1
      for feature in 0..<Golden.featureCount {
        #expect(
          abs(found[feature] - answers.contributions[row][feature]) <= 1e-5 * max(scale, 1),
          "row \(row) feature \(feature)")
      }
      #expect(near(forest.reference, answers.contributions[row][Golden.featureCount], 1e-5))
    }
  }

  @Test("a logistic regression gives scikit-learn's margins, probabilities and isotonic calibration")
  func linear() throws {
    let answers = try Golden.answers("linear", Golden.Linear.self)
    let model = try Golden.ensemble(
      EnsembleDescription(
        members: [try Golden.linear()], calibration: .piecewise(x: answers.knotsX, y: answers.knotsY)))
    var workspace = ModelWorkspace()
    var contributions: [Contribution] = []
    for row in 0..<Golden.rowCount {
      let probability = unsafe model.fused(Golden.rows[row], &workspace)
      #expect(near(probability, answers.probability[row], 2e-6), "row \(row)")
      #expect(near(model.calibrated(answers.probability[row]), answers.calibrated[row], 1e-6), "row \(row)")
    }
    var bare = try Golden.linear()
    bare.link = .identity
    let margins = try Golden.ensemble(EnsembleDescription(members: [bare]))
    for row in 0..<Golden.rowCount {
      #expect(near(unsafe margins.fused(Golden.rows[row], &workspace), answers.margin[row], 5e-6), "row \(row)")
      unsafe margins.explain(Golden.rows[row], &workspace, into: &contributions)
      var expected = [Double](repeating: 0, count: Golden.featureCount)
      for (input, contribution) in answers.contributions[row].enumerated() {
        expected[(answers.features + answers.missingIndicators)[input]] += contribution
      }
      for contribution in contributions {
        #expect(near(contribution.contribution, expected[contribution.feature], 1e-5), "row \(row)")
      }
    }
  }

  @Test("a dense network gives PyTorch's output")
  func dense() throws {
    var member = try Golden.dense()
    member.link = .identity
    let model = try Golden.ensemble(EnsembleDescription(members: [member]))
    let answers = try Golden.answers("dense", Golden.Dense.self)
    var workspace = ModelWorkspace()
    for row in 0..<Golden.rowCount {
      #expect(near(unsafe model.fused(Golden.rows[row], &workspace), answers.margin[row], 5e-6), "row \(row)")
    }
  }

  @Test("a convolutional network gives PyTorch's output", arguments: [PoolingMode.max, .average])
  func convolutional(mode: PoolingMode) throws {
    let model = try Golden.ensemble(EnsembleDescription(members: [try Golden.convolutional(mode)]))
    let answers = try Golden.answers("convolutional", Golden.Convolutional.self)
    let margins = mode == .max ? answers.marginMax : answers.marginAverage
    var workspace = ModelWorkspace()
    for row in 0..<Golden.rowCount {
      #expect(near(unsafe model.fused(Golden.rows[row], &workspace), margins[row], 5e-6), "row \(row)")
    }
  }
}

/// Within a share of the larger magnitude, or of 1.
func near(_ a: Double, _ b: Double, _ tolerance: Double) -> Bool {
  abs(a - b) <= tolerance * max(1, abs(a), abs(b))
}
