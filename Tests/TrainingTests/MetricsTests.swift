import Foundation
import Testing

@testable import Training

/// The measures against scikit-learn, scipy and numpy: `Tests/Golden/make_metrics.py`.
struct MetricsTests {
  struct Golden: Decodable {
    struct Classification: Decodable, CustomTestStringConvertible, Sendable {
      var name: String
      var scores: [Double]
      var labels: [Bool]
      var auc: Double
      var gini: Double
      var ks: Double
      var brier: Double
      var logLoss: Double
      var ece: Double
      var averagePrecision: Double
      var psiExpected: [Double]
      var psiActual: [Double]
      var psi: Double
      var rocX: [Double]
      var rocY: [Double]
      var precision: [Double]
      var recall: [Double]
      var testDescription: String { name }
    }
    struct Amounts: Decodable, CustomTestStringConvertible, Sendable {
      var name: String
      var forecasts: [Double]
      var actual: [Double]
      var mae: Double
      var rmse: Double
      var wape: Double
      var normalizedGini: Double
      var testDescription: String { name }
    }
    var classification: [Classification]
    var amounts: [Amounts]
  }

  static let golden: Golden = {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let data = try! Data(contentsOf: folder.appendingPathComponent("Golden/metrics.json"))
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try! decoder.decode(Golden.self, from: data)
  }()

  private func expect(_ found: Double?, _ wanted: Double, _ name: String) {
    let isClose = found.map { abs($0 - wanted) < 1e-9 * max(1, abs(wanted)) } ?? false
    #expect(isClose, "\(name): \(found as Any), not \(wanted)")
  }

  @Test(arguments: golden.classification)
  func `measures of probabilities are those of scikit-learn and scipy`(_ wanted: Golden.Classification) {
    let metrics = ClassificationMetrics(probabilities: wanted.scores, labels: wanted.labels)
    expect(metrics.auc, wanted.auc, "AUC")
    expect(metrics.gini, wanted.gini, "Gini")
    expect(metrics.ks, wanted.ks, "KS")
    expect(metrics.brier, wanted.brier, "Brier")
    expect(metrics.logLoss, wanted.logLoss, "log loss")
    expect(metrics.ece, wanted.ece, "ECE")
    expect(Metrics.averagePrecision(wanted.scores, wanted.labels), wanted.averagePrecision, "average precision")
    expect(
      Metrics.populationStabilityIndex(expected: wanted.psiExpected, actual: wanted.psiActual), wanted.psi, "PSI")
    // The Gini coefficient of zeros and ones is that of the ROC curve, ties and all.
    expect(Metrics.normalizedGini(wanted.scores, wanted.labels.map { $0 ? 1 : 0 }), wanted.gini, "normalised Gini")
  }

  @Test(arguments: golden.classification)
  func `every place of a drawn curve lies on that of scikit-learn`(_ wanted: Golden.Classification) {
    let figures = ProbabilityFigures(wanted.scores, wanted.labels)
    func lies(_ point: ProbabilityFigures.Point, on x: [Double], _ y: [Double]) -> Bool {
      zip(x, y).contains { abs($0 - point.x) < 1e-9 && abs($1 - point.y) < 1e-9 }
    }
    #expect(figures.roc.count > 8 && figures.roc.allSatisfy { lies($0, on: wanted.rocX, wanted.rocY) })
    #expect(figures.roc.first == ProbabilityFigures.Point(x: 0, y: 0))
    #expect(figures.roc.last == ProbabilityFigures.Point(x: 1, y: 1))
    #expect(figures.precisionRecall.allSatisfy { lies($0, on: wanted.recall, wanted.precision) })
    let gap = zip(figures.cumulativePositives, figures.cumulativeNegatives).map { abs($0.y - $1.y) }.max()!
    #expect(gap <= wanted.ks + 1e-12 && gap > wanted.ks - 0.05)
  }

  @Test(arguments: golden.amounts)
  func `measures of amounts are those of scikit-learn and numpy`(_ wanted: Golden.Amounts) {
    let figures = AmountFigures(wanted.forecasts, wanted.actual)
    expect(figures.mae, wanted.mae, "MAE")
    expect(figures.rmse, wanted.rmse, "RMSE")
    expect(figures.wape, wanted.wape, "WAPE")
    expect(figures.normalizedGini, wanted.normalizedGini, "normalised Gini")
    expect(figures.gains.last?.amount, 1, "all is gained at the end")
    expect(figures.groups.reduce(0) { $0 + $1.actualShare }, 1, "shares of groups")
    expect(
      Double(figures.density.counts.flatMap { $0 }.reduce(0, +)), Double(wanted.actual.count), "rows of the density")
    expect(figures.residuals.shares.reduce(0, +), 1, "shares of residuals")
  }

  @Test func `lift at a share is what precision there is against the mean, and recall ends at 1`() {
    let scores = (0..<1000).map { Double($0) / 1000 }
    let labels = (0..<1000).map { $0 % 10 == 0 || $0 >= 950 }
    let figures = ProbabilityFigures(scores, labels)
    let tenth = figures.lift.first { $0.share == 0.1 }!
    #expect(tenth.rows == 100 && tenth.threshold == 0.9 && tenth.precision == 0.55)
    #expect(abs(tenth.lift - 0.55 / (Double(labels.count { $0 }) / 1000)) < 1e-12)
    #expect(figures.lift.last?.recall == 1 && figures.lift.last?.lift == 1)
    for bin in figures.calibration { #expect(bin.observedLower <= bin.observed && bin.observed <= bin.observedUpper) }
  }

  @Test func `one class alone has no curve, and nothing no figure`() {
    #expect(ProbabilityFigures([0.1, 0.2], [true, true]).roc.isEmpty)
    #expect(ProbabilityFigures([], []).metrics.rows == 0)
    #expect(AmountFigures([], []).groups.isEmpty)
    #expect(AmountFigures([1], [0]).normalizedGini == nil)
    #expect(Metrics.averagePrecision([0.5], [false]).isNaN)
    #expect(Metrics.populationStabilityIndex(expected: [1, 2, 3, 4], actual: [1, 2, 3, 4]) == 0)
    #expect(Metrics.wilson(positives: 0, rows: 20).lower == 0)
  }
}
