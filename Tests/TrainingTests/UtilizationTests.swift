import Borrowers
import Features
import Foundation
import History
import Models
import Testing

@testable import Training

private func column(_ name: String) -> Int { FeatureCatalogue.index(of: name)! }

@Test func `a hidden credit line looks as one that never was`() throws {
  // The same person twice: with a credit line in use, and without one.
  func person(hasLine: Bool) -> [BorrowerEvent] {
    var events: [BorrowerEvent] = []
    var profile = event(.profileUpdated, "2026-01-01")
    profile.profile.monthlyIncome = 3000
    events.append(profile)
    events.append(event(.purchase, "2026-01-20", 50))
    events.append(event(.search, "2026-01-21"))
    guard hasLine else { return events }
    events += [
      event(.limitChanged, "2026-01-03", 5000), event(.drawdown, "2026-01-10", 900, loan: "L"),
      event(.installmentDue, "2026-01-11", 300, loan: "L", due: "2026-01-25"),
      event(.repayment, "2026-01-24", 100, loan: "L"), event(.statementIssued, "2026-01-28", 800),
      event(.paymentMissed, "2026-01-29", 200, loan: "L", days: 4),
    ]
    return events.sorted { $0.occurredAt < $1.occurredAt }
  }
  func features(_ events: [BorrowerEvent]) throws -> FeatureMatrix {
    let asOf = AsOfDates(dates: [date("2026-02-01")], observedThrough: date("2026-03-03"), horizonDays: 30)
    var options = ExampleOptions()
    options.asOfEvents = 0
    let set = try ExampleSet.make(try EventHistory(events: events), asOf, options)
    return FeatureMatrix(set.table, rows: [0], allowed: FeatureCatalogue.allowed(includeProtected: true))
  }
  let mask = CreditLineMask()
  let hidden = mask.apply(try features(person(hasLine: true)))
  let without = mask.apply(try features(person(hasLine: false)), keeping: { _ in true })
  for index in 0..<FeatureCatalogue.count {
    let (a, b) = (hidden[0, index], without[0, index])
    #expect(a == b || (a.isNaN && b.isNaN), "\(FeatureCatalogue.all[index].name): \(a) is not \(b)")
  }
  #expect(hidden[0, column("purchase_sum_30d")] == 50 && hidden[0, column("credit_limit")].isNaN)
  #expect(mask.columns.contains(column("drawdown_sum_90d")) && !mask.columns.contains(column("monthly_income")))
}

@Test func `a threshold's leads, precision and recall are counted`() {
  let forecasts = [0.9, 0.7, 0.65, 0.4, 0.2, 0.1]
  let actual = [0.8, 0.3, 0.9, 0.7, 0.1, 0.0]
  let table = LeadThresholds.table(forecasts, actual, dates: 1, horizonDays: 30)
  let row = table.first { $0.threshold == 0.6 }!
  #expect(row.leads == 3)
  #expect(row.precision == 2.0 / 3 && row.recall == 2.0 / 3)
  #expect(abs(row.lift! - 4.0 / 3) < 1e-12)
  #expect(row.leadsADay == 0.1)
  let none = LeadThresholds.table([0.05], [0.0], dates: 1, horizonDays: 30)
  #expect(none.allSatisfy { $0.precision == nil && $0.recall == nil && $0.leads == 0 })
  #expect(LeadThresholds.suggested(none) == nil)
  #expect(LeadThresholds.suggested(table) != nil)
}

/// Income tells what people use of their limit, and what they use of it tells it better.
private func spenders(_ count: Int) -> [BorrowerEvent] {
  var random = SeededRandom(seed: 9)
  var events: [BorrowerEvent] = []
  for index in 0..<count {
    let name = "B\(index)"
    let income = 1000 + 4000 * random.uniform()
    let use = min(max(1 - income / 5000 + random.normal() * 0.08, 0.02), 1.2)
    func add(_ kind: EventKind, _ time: String, _ amount: Double = .nan) {
      events.append(event(kind, time, amount, id: "\(name)-\(kind)-\(time)", borrower: name))
    }
    var profile = event(.profileUpdated, "2026-01-01", id: "\(name)-profile", borrower: name)
    profile.profile.monthlyIncome = income
    events.append(profile)
    add(.purchase, "2026-01-05", 20 + 100 * random.uniform())
    add(.limitChanged, "2026-01-02", 2000)
    add(.statementIssued, "2026-01-28", 2000 * use)
    add(.statementIssued, "2026-02-27", 2000 * (use + random.normal() * 0.02))
  }
  return events
}

@Test(.enabled(if: isReleaseBuild, "training as a whole is tested in release builds"))
func `utilization holds up for people without a limit, and is chosen by the metric asked for`() throws {
  let asOf = AsOfDates(dates: [date("2026-02-01")], observedThrough: date("2026-03-03"), horizonDays: 30)
  var options = ExampleOptions()
  options.labels.utilizationTarget = .balance
  let set = try ExampleSet.make(try EventHistory(events: spenders(900)), asOf, options)
  var settings = TrainingSettings(asOf: asOf, labels: options.labels, seed: 1, includeProtected: false)
  for metric in UtilizationMetric.allCases {
    settings.utilizationMetric = metric
    let trained = try UtilizationTraining(set, settings).run { _ in }
    let figures = trained.metrics
    #expect(figures["with_limit.rmse"]! < 0.06)
    #expect(figures["hidden.rmse"]! < 0.13, "hidden_constant \(figures["hidden_constant.rmse"]!)")
    #expect(figures["hidden.rmse"]! < 0.7 * figures["hidden_constant.rmse"]!)
    #expect(figures["hidden.rmse"]! < figures["hidden_without_masking.rmse"]!)
    #expect(figures["score_us"]! <= settings.budget.share(of: .utilization))
    let main = trained.candidates.filter { !$0.name.hasPrefix("prospect_") && $0.name != "constant" }
    #expect(main.count >= 6 && main.count { $0.chosen } == 1)
    let affordable = main.filter { $0.metrics["planned_score_us"]! <= settings.budget.share(of: .utilization) }
    let best = affordable.min { $0.metrics[metric.rawValue]! < $1.metrics[metric.rawValue]! }
    #expect(best?.chosen == true)
    #expect(figures["margin_over_next"]! >= 0)
    #expect(trained.evidence.forecasts.count == 900 && trained.evidence.comparisons.count == 2)
    #expect(trained.architecture.heads["prospect"] != nil)
  }
}
