import Borrowers
import Features
import Foundation
import History
import Models
import Synchronization
import Testing

@testable import Training

func ndjson(_ events: [BorrowerEvent]) -> String {
  events.map { event in
    var fields = [
      "\"event_id\":\"\(event.string(event.eventID)!)\"", "\"borrower_id\":\"\(event.string(event.borrowerID)!)\"",
      "\"type\":\"\(event.kind.name)\"", "\"occurred_at\":\(event.occurredAt.milliseconds)",
      "\"platform\":\"\(event.string(event.platform)!)\"",
    ]
    func number(_ name: String, _ value: Double) { if !value.isNaN { fields.append("\"\(name)\":\(value)") } }
    switch event.kind {
    case .limitChanged: number("credit_limit", event.amount)
    case .statementIssued: number("balance", event.amount)
    case .creditScoreUpdated: number("score", event.amount)
    default: number("amount", event.amount)
    }
    number("days_past_due", event.daysPastDue)
    number("minimum_due", event.minimumDue)
    if event.dueAt != .distantPast { fields.append("\"due_at\":\(event.dueAt.milliseconds)") }
    if let loan = event.string(event.loanID) { fields.append("\"loan_id\":\"\(loan)\"") }
    if event.kind == .pageView { fields.append("\"page\":\"p\"") }
    return "{" + fields.joined(separator: ",") + "}\n"
  }.joined()
}

/// Borrowers of whom the indebted half misses payments more often, with statements and drawdowns each month.
private func madeUp(
  _ borrowers: Int, isOverdue: (Int) -> Bool = { $0 % 3 == 0 }, draws: (Int) -> Double = { Double(50 + $0) }
)
  -> [BorrowerEvent]
{
  var events: [BorrowerEvent] = []
  for index in 0..<borrowers {
    let name = "B\(index)"
    func add(_ kind: EventKind, _ time: String, _ amount: Double = .nan, days: Double = .nan) {
      let loan = kind == .drawdown ? name + "-loan" : nil
      events.append(event(kind, time, amount, loan: loan, days: days, id: "\(name)-\(kind)-\(time)", borrower: name))
    }
    add(.limitChanged, "2026-01-02", 1000 + Double(index % 5) * 500)
    add(.drawdown, "2026-01-10", 100 + Double(index % 7) * 40)
    add(.statementIssued, "2026-01-28", 100 + Double(index % 11) * 30)
    if isOverdue(index) { add(.paymentMissed, "2026-02-20", 20, days: 3) }
    if index % 2 == 0 { add(.drawdown, "2026-02-15", draws(index)) }
    add(.statementIssued, "2026-02-27", 90 + Double(index % 11) * 30)
  }
  return events
}

private func train(
  _ place: Workplace, _ history: String, kind: String, asOf: [String] = ["2026-02-01"], through: String? = "2026-03-03",
  _ change: (inout TrainingOptions) -> Void = { _ in }
) throws -> TrainingResult {
  var options = TrainingOptions(history: try HistorySource(history), modelsDirectory: place.path("models"))
  options.kinds = try TrainingOptions.kinds(named: kind)
  options.asOf = asOf.map { date($0) }
  options.observedThrough = through.map { date($0) }
  change(&options)
  return try TrainingRun.run(options)
}

@Test func `training that cannot succeed says why in one line and leaves nothing behind`() throws {
  let place = try Workplace()
  defer { place.remove() }
  let good = try place.write("good.ndjson", ndjson(madeUp(60)))
  let constant = (0..<40).map { event(.statementIssued, "2026-01-05", 100, borrower: "B\($0)") }
  let cases: [(name: String, kind: String, history: String, says: String)] = [
    ("empty", "all", try place.write("empty.ndjson", ""), "no event"),
    ("bad lines only", "overdue", try place.write("bad.ndjson", "nonsense\n"), "line 1: invalid_json"),
    ("nobody overdue", "overdue", try place.write("never.ndjson", ndjson(madeUp(60) { _ in false })), "none of"),
    ("everybody overdue", "overdue", try place.write("ever.ndjson", ndjson(madeUp(60) { _ in true })), "every one of"),
    ("few borrowers", "overdue", try place.write("few.ndjson", ndjson(madeUp(5))), "7 folds"),
    (
      "amounts equal", "demand", try place.write("equal.ndjson", ndjson(madeUp(60, draws: { _ in 70 }))),
      "amounts drawn"
    ),
    ("too few for demand", "demand", try place.write("dozen.ndjson", ndjson(madeUp(12))), "too few"),
    ("nobody draws", "demand", try place.write("idle.ndjson", ndjson(constant)), "nobody"),
    ("no utilization", "utilization", try place.write("no.ndjson", ndjson(constant)), "5 folds"),
    ("nothing repaid", "repayment", try place.write("unpaid.ndjson", ndjson(constant)), "whole days with loans"),
    ("missing", "all", place.path("none.ndjson"), "none.ndjson"),
    ("database", "all", "sqlite:history.db", "no such file"),
    ("folder", "all", place.folder.path, "folder"),
  ]
  for test in cases {
    let error = #expect(throws: (any Error).self, "\(test.name)") { try train(place, test.history, kind: test.kind) }
    let text = "\(error!)"
    #expect(text.contains(test.says), "\(test.name): \(text)")
    #expect(!text.contains("\n"))
  }
  let outside = #expect(throws: TrainingError.self) { try train(place, good, kind: "overdue", asOf: ["2026-02-02"]) }
  #expect(outside?.exitStatus == 2)
  let unwritable = #expect(throws: TrainingError.self) {
    try train(place, good, kind: "overdue") { $0.modelsDirectory = good + "/models" }
  }
  #expect(unwritable?.description.contains("good.ndjson/models") == true)
  let unreportable = #expect(throws: TrainingError.self) {
    try train(place, good, kind: "overdue") { $0.reportDirectory = good + "/report" }
  }
  #expect(unreportable?.description.contains("good.ndjson/report") == true)
  #expect(try place.contents("models").isEmpty)
}

@Test func `features that tell nothing apart are refused`() throws {
  // Alike in all that is seen before the date; only what comes after differs.
  var events: [BorrowerEvent] = []
  for index in 0..<40 {
    events.append(event(.statementIssued, "2026-01-05", 100, borrower: "B\(index)"))
    if index % 2 == 0 { events.append(event(.paymentMissed, "2026-02-05", 9, days: 2, borrower: "B\(index)")) }
  }
  let place = try Workplace()
  defer { place.remove() }
  let history = try place.write("h.ndjson", ndjson(events))
  let error = #expect(throws: TrainingError.self) { try train(place, history, kind: "overdue") }
  #expect(error?.description.contains("constant") == true)
}

@Test func `utilization is trained, served and measured, with the same bytes each time`() throws {
  let place = try Workplace()
  defer { place.remove() }
  let history = try place.write("h.ndjson", ndjson(madeUp(60)))
  let phases = Mutex<Set<String>>([])
  func train(_ folder: String) throws -> TrainingResult {
    var options = TrainingOptions(history: .ndjson(path: history), modelsDirectory: place.path(folder))
    options.kinds = [.utilization]
    options.asOf = [date("2026-02-01")]
    options.observedThrough = date("2026-03-03")
    options.labels.utilizationTarget = .balance
    options.reportDirectory = place.path("report")
    return try TrainingRun.run(options) { told in phases.withLock { _ = $0.insert(told.phase) } }
  }
  let first = try train("first")
  _ = try train("second")
  #expect(try place.lastingContents("first") == place.lastingContents("second"))
  #expect(
    phases.withLock { $0 } == [
      "reading events", "making examples", "training utilization", "measuring utilization", "writing",
    ])
  #expect(first.models.map(\.kind) == [.utilization] && first.examples == 60)
  let models = try ModelSet.load(directory: place.path("first"))
  #expect(models.version == first.models[0].version && models.utilization?.target == "balance")
  let metrics = try JSONSerialization.jsonObject(with: place.contents("report")["metrics.json"]!) as? [String: Any]
  #expect(metrics?["horizon_days"] as? Int == 30)
  // One date is all there is.
  let card = try #require(ModelRegistry.entries(directory: place.path("first"), verify: true)[0].manifest?.trainingCard)
  #expect(card.contains("out of borrower, not out of time"))

  var options = EvaluationOptions(history: .ndjson(path: history), modelsDirectory: place.path("first"))
  options.asOf = [date("2026-02-01")]
  options.observedThrough = date("2026-03-03")
  let measured = try EvaluationRun.run(options)
  #expect(measured["utilization.rmse"]! < 0.2)
  #expect(measured["overdue.auc"] == nil)
}

@Test(.enabled(if: isReleaseBuild, "training as a whole is tested in release builds"))
func `all models learn from a simulated world, and their measures hold on borrowers they never saw`() throws {
  let place = try Workplace()
  defer { place.remove() }
  let seen = try place.write("seen.ndjson", ndjson(simulated(1500, days: 180, seed: 1)))
  let unseen = try place.write("unseen.ndjson", ndjson(simulated(1000, days: 180, seed: 2)))
  let result = try train(place, seen, kind: "all", asOf: [], through: nil) { $0.gan = .never }
  #expect(result.models.map(\.kind) == [.overdue, .demand, .utilization, .repayment])
  let options = EvaluationOptions(history: .ndjson(path: unseen), modelsDirectory: place.path("models"))
  let measured = try EvaluationRun.run(options)
  #expect(measured["overdue.auc"]! > 0.75)
  #expect(measured["overdue.ece"]! < 0.05)
  #expect(measured["demand.borrowing.auc"]! > 0.65)
  #expect((0.85...1.15).contains(measured["demand.total_forecast_over_actual"]!))
  #expect((0.74...0.9).contains(measured["demand.coverage_80"]!))
  let models = try place.contents("models")
  // What serves in training's own arithmetic: the members' files are there, and nothing else.
  #expect(models.keys.count { $0.hasSuffix("/champion") } == 4)

  let again = try place.write("again.ndjson", ndjson(simulated(1500, days: 180, seed: 1)))
  let second = try train(place, again, kind: "all", asOf: [], through: nil) {
    $0.modelsDirectory = place.path("again")
    $0.gan = .never
  }
  #expect(second.models.map(\.version) == result.models.map(\.version))
  #expect(try place.lastingContents("again") == place.lastingContents("models"))
}

@Test(.enabled(if: isReleaseBuild, "training as a whole is tested in release builds"))
func `every kind is tested on the latest date by a model of earlier dates, and reported in a page of its own`() throws {
  let place = try Workplace()
  defer { place.remove() }
  let history = try place.write("h.ndjson", ndjson(simulated(600, days: 150, seed: 6)))
  let result = try train(place, history, kind: "all", asOf: [], through: nil) {
    $0.reportDirectory = place.path("report")
    $0.asChallenger = true
  }
  for (model, figure) in zip(result.models, ["auc", "borrowing.auc", "rmse"]) {
    #expect(model.metrics["out_of_time." + figure] != nil, "\(model.kind)")
    #expect(model.measured.scoreMicroseconds["served"]! > 0)
    #expect(model.measured.scoreMicroseconds.keys.contains { $0.contains("/") })
  }
  #expect(try ModelFolder.version(.champion, directory: place.path("models"), kind: .demand) == nil)
  #expect(
    try ModelFolder.version(.challenger, directory: place.path("models"), kind: .demand) == result.models[1].version)

  let files = try place.contents("report")
  let metrics = try JSONSerialization.jsonObject(with: files["metrics.json"]!) as? [String: Any]
  var models = try #require(metrics?["models"] as? [String: [String: Any]])
  // Of platforms, not of borrowers: measured by rolling origins.
  #expect(models.removeValue(forKey: "repayment") != nil)
  #expect(Set(models.keys) == ["overdue", "demand", "utilization"])
  for (kind, report) in models {
    let test = try #require(report["out_of_time"] as? [String: Any])
    let trainedOn = try #require(test["trained_on"] as? [String])
    let latest = try #require(test["date"] as? String)
    // The horizon of 30 days ends by the date that is measured on.
    for day in trainedOn { #expect(date(day) + 30 * EventTime.millisecondsPerDay <= date(latest)) }
    #expect((report["importance"] as? [Any])?.isEmpty == false)
    let page = String(decoding: try #require(files[kind + ".html"]), as: UTF8.self)
    #expect(page.hasPrefix("<!doctype html>") && page.contains("<svg") && page.contains("In time"))
    // Nothing is fetched from anywhere, and nothing runs.
    for outside in ["http:", "https:", "src=", "<link", "<script", "@import", "url("] {
      #expect(!page.contains(outside), "\(kind): \(outside)")
    }
    for tag in ["table", "svg", "figure", "tr", "td", "div", "p"] {
      let opened = page.ranges(of: "<\(tag)>").count + page.ranges(of: "<\(tag) ").count
      #expect(opened == page.ranges(of: "</\(tag)>").count, "\(kind): \(tag)")
    }
  }
}

@Test(.enabled(if: isReleaseBuild, "training as a whole is tested in release builds"))
func `protected attributes reach no model unless asked for`() throws {
  let place = try Workplace()
  defer { place.remove() }
  // Gender decides who falls behind, and nothing else does.
  var events: [BorrowerEvent] = []
  for index in 0..<400 {
    var profile = event(.profileUpdated, "2026-01-01", borrower: "B\(index)")
    profile.profile.gender = profile.appendText(index % 2 == 0 ? "female" : "male")
    events.append(profile)
    events.append(event(.statementIssued, "2026-01-20", Double(100 + (index * 37) % 90), borrower: "B\(index)"))
    if index % 2 == 0 { events.append(event(.paymentMissed, "2026-02-05", 9, days: 2, borrower: "B\(index)")) }
  }
  func auc(_ isIncluded: Bool) throws -> Double {
    let history = try EventHistory(events: events)
    let asOf = AsOfDates(dates: [date("2026-02-01")], observedThrough: date("2026-03-03"), horizonDays: 30)
    let table = try ExampleSet.make(history, asOf, ExampleOptions()).table
    var settings = TrainingSettings(asOf: asOf, labels: LabelSettings(), seed: 1, includeProtected: isIncluded)
    settings.gan = .never
    return try OverdueTraining(table, settings).run { _ in }.metrics["auc"]!
  }
  #expect(try auc(false) < 0.65)
  #expect(try auc(true) > 0.95)
}
