import Features
import Foundation
import History
import Models
import Testing

@testable import Training

/// Examples of a simulated world, with states right after events.
private func examples(_ borrowers: Int, seed: UInt64 = 4) throws -> ExampleSet {
  let history = try EventHistory(events: simulated(borrowers, days: 200, seed: seed))
  let dates = [date("2025-04-01"), date("2025-05-01"), date("2025-06-01")]
  return try ExampleSet.make(
    history, AsOfDates(dates: dates, observedThrough: date("2025-07-01"), horizonDays: 30), ExampleOptions())
}

private func train(
  _ set: ExampleSet, _ change: (inout TrainingSettings) -> Void = { _ in }
) throws -> TrainedModel {
  var settings = TrainingSettings(asOf: set.asOf, labels: set.options.labels, seed: 1, includeProtected: false)
  settings.ganSteps = 10
  change(&settings)
  return try OverdueTraining(set.table, asServed: set.asServed, settings).run { _ in }
}

@Test func `an interval of paired differences covers what it should`() {
  // 400 borrowers of two rows each; the second forecast is noisier.
  var random = SeededRandom(seed: 31)
  var covered = 0
  for _ in 0..<40 {
    var first: [Double] = []
    var second: [Double] = []
    var labels: [Bool] = []
    var borrowers: [UInt64] = []
    for borrower in 0..<400 {
      let score = random.normal()
      for _ in 0..<2 {
        first.append(logistic(score))
        second.append(logistic(score))
        labels.append(random.uniform() < logistic(score))
        borrowers.append(UInt64(borrower))
      }
    }
    for index in second.indices { second[index] = logistic(1.3 * logarithm(second[index] / (1 - second[index]))) }
    let loss = PairedInterval.logLoss(first, over: second, labels, borrowers)
    #expect(loss.lower <= loss.gain && loss.gain <= loss.upper)
    #expect(
      abs(loss.gain - (Metrics.logLoss(second, labels) - Metrics.logLoss(first, labels))) < 1e-12)
    if loss.upper > 0 { covered += 1 }
    // The order is the same, so the areas are, with no doubt left.
    let area = PairedInterval.areaUnderROC(first, over: second, labels, borrowers)
    #expect(abs(area.gain) < 1e-12 && area.upper - area.lower < 1e-9)
  }
  #expect(covered >= 34)
}

@Test func `an interval between areas agrees with drawing borrowers again and again`() {
  var random = SeededRandom(seed: 32)
  let rows = 600
  let truth = (0..<rows).map { _ in random.normal() }
  let labels = truth.map { random.uniform() < logistic($0 - 1) }
  let first = truth.map { $0 + 0.5 * random.normal() }
  let second = truth.map { $0 + 1.0 * random.normal() }
  let interval = PairedInterval.areaUnderROC(first, over: second, labels, (0..<UInt64(rows)).map { $0 })
  #expect(
    abs(interval.gain - Metrics.areaUnderROC(first, labels) + Metrics.areaUnderROC(second, labels)) < 1e-12)
  var drawn: [Double] = []
  for _ in 0..<300 {
    let sample = (0..<rows).map { _ in random.below(rows) }
    let known = sample.map { labels[$0] }
    drawn.append(
      Metrics.areaUnderROC(sample.map { first[$0] }, known) - Metrics.areaUnderROC(sample.map { second[$0] }, known))
  }
  let mean = drawn.reduce(0, +) / 300
  let deviation = (drawn.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 299).squareRoot()
  #expect(abs((interval.upper - interval.gain) / 1.96 / deviation - 1) < 0.2)
}

@Test func `a bound on the time of a score shrinks the members and drops none`() {
  var last = Double.infinity
  for bound in [100.0, 8, 5, 3, 2, 1.2, 1] {
    let share = ServingBudget(microseconds: bound).share(of: .overdue)
    let sizes = OverdueSizes.within(share)
    #expect(sizes.cost.microseconds <= share && sizes.cost.microseconds <= last)
    #expect(sizes.boostedRounds >= 8 && sizes.forestTrees >= 8 && !sizes.hidden.isEmpty && sizes.inputs >= 16)
    last = sizes.cost.microseconds
  }
  let budget = ServingBudget()
  #expect(abs([.overdue, .demand, .utilization].reduce(0) { $0 + budget.share(of: $1) } - 8) < 1e-9)
}

@Test(.enabled(if: isReleaseBuild, "training as a whole is tested in release builds"))
func `made rows never reach what is measured, and the card proves it`() throws {
  let set = try examples(160)
  let model = try train(set)
  for fold in 1...7 {
    let line = try #require(model.card.split(separator: "\n").first { $0.hasPrefix("fold \(fold):") })
    let hashes = line.matches(of: #/(?:forecast \(sha256|of the table) ([0-9a-f]{16})/#).map { $0.output.1 }
    #expect(hashes.count == 2 && hashes[0] == hashes[1], "\(line)")
    #expect(line.contains("made rows (") && line.hasSuffix(" 0 of them made"), "\(line)")
  }
  #expect(model.card.contains("They are left out") || model.card.contains("They are kept: the whole interval"))
  let lower = try #require(model.metrics["gan.log_loss.lower"])
  #expect(model.metrics["gan.is_kept"] == (lower > 0 ? 1 : 0))
  // Every member and the fusion, with and without, each date, and who owed nothing.
  let names = Set(model.candidates.map(\.name))
  for name in OverdueMember.allCases.map(\.name) + ["fusion"] {
    #expect(names.contains(name) && names.contains(name + "_with_gan"))
  }
  let fusion = try #require(model.candidates.first { $0.name == "fusion" })
  for figure in ["auc", "ks", "gini", "brier", "log_loss", "ece", "2025-05-01.auc", "not_past_due.auc"] {
    #expect(fusion.metrics[figure] != nil, "\(figure)")
  }
  #expect(model.metrics["as_served.brier"] != nil && model.evidence.comparisons.count == 3)
  #expect(model.metrics["score_us"]! <= model.metrics["score_us_bound"]!)
  #expect(model.evidence.forecasts.count == model.evidence.rows.count && !model.evidence.curves.isEmpty)
  #expect(model.evidence.members.values.allSatisfy { $0.count == model.evidence.rows.count })
  #expect(model.evidence.servedForecasts.count == model.evidence.servedRows.count)
}

@Test(.enabled(if: isReleaseBuild, "training as a whole is tested in release builds"))
func `always keeps made rows, never makes none, and trees may be monotonic`() throws {
  let set = try examples(110, seed: 5)
  let always = try train(set) {
    $0.gan = .always
    $0.isMonotonic = true
    $0.budget = ServingBudget(microseconds: 2)
  }
  #expect(always.metrics["gan.is_kept"] == 1 && always.card.contains("--gan always"))
  #expect(always.card.contains("monotonic") && always.metrics["unconstrained.auc.gain"] != nil)
  #expect(always.metrics["score_us"]! <= 0.875)
  let never = try train(set) { $0.gan = .never }
  #expect(never.metrics["gan.log_loss.gain"] == nil && !never.candidates.contains { $0.name.hasSuffix("_with_gan") })
  #expect(never.card.contains("--gan never"))
}

@Test(.enabled(if: isReleaseBuild, "training as a whole is tested in release builds"))
func `monotonic trees never lower the risk for a higher value`() throws {
  var random = SeededRandom(seed: 41)
  let rows = 1_500
  var values: [Float] = []
  var labels: [Float] = []
  for _ in 0..<rows {
    let x = random.uniform()
    // Falls where it should rise, in the middle.
    let risk = x < 0.4 ? x : x < 0.6 ? 0.2 : x
    values += [Float(x), Float(random.normal())]
    labels.append(random.uniform() < risk ? 1 : 0)
  }
  let matrix = FeatureMatrix(rows: rows, columns: 2, values: values)
  func falls(_ constraints: [Int]) throws -> Int {
    var settings = TreeSettings(rounds: 60, maxDepth: 3, learningRate: 0.2)
    settings.constraints = constraints
    let trees = try Booster.train(try TreeRows(matrix, labels: labels), meanLabel: 0.5, settings)
    let grid = FeatureMatrix(rows: 200, columns: 2, values: (0..<200).flatMap { [Float($0) / 200, 0] })
    let margins = try Booster.reading(trees).margins(try TreeRows(grid, labels: nil))
    return zip(margins, margins.dropFirst()).count { $1 < $0 }
  }
  #expect(try falls([]) > 0)
  #expect(try falls([1, 0]) == 0)
}
