import Borrowers
import Features
import Foundation
import History
import Models
import Testing

@testable import Training

/// Books with known patterns: what is repaid follows the weekday, the day of the month and what was announced.
private enum Books {
  static let start = EventTime.day(date("2025-01-01"))

  static func time(_ day: Int, hour: Int = 10) -> EventTime {
    EventTime(milliseconds: Int64(day) * EventTime.millisecondsPerDay + Int64(hour) * EventTime.millisecondsPerHour)
  }

  private static func event(
    _ kind: EventKind, _ time: EventTime, _ amount: Double, _ platform: String, _ id: Int, due: EventTime? = nil
  ) -> BorrowerEvent {
    var event = BorrowerEvent()
    event.kind = kind
    event.occurredAt = time
    event.eventID = event.appendText("\(platform)-\(id)")
    event.borrowerID = event.appendText("B\(platform)\(id % 23)")
    event.platform = event.appendText(platform)
    event.amount = amount
    if let due { event.dueAt = due }
    return event
  }

  /// Every day of `days`: draws, dues announced `lead` days ahead, and payments of nine tenths of what falls due.
  static func make(platforms: Int, days: Int, seed: UInt64 = 5, lead: Int = 12) -> [BorrowerEvent] {
    var random = SeededRandom(seed: seed)
    var events: [BorrowerEvent] = []
    for platform in 0..<platforms {
      let name = "platform\(platform)"
      let size = 100.0 * Double(platform + 1)
      var id = 0
      func add(_ kind: EventKind, _ time: EventTime, _ amount: Double, due: EventTime? = nil) {
        id += 1
        events.append(event(kind, time, (amount * 100).rounded() / 100, name, id, due: due))
      }
      // What falls due wanders, so that what is announced says more than what was.
      var level = 1.0
      for day in start..<(start + days) {
        level *= exponential(0.08 * random.normal())
        level = min(max(level, 0.4), 2.5)
        let weekday = (day + 3) % 7
        let due = size * level * (weekday >= 5 ? 0.3 : 1.2)
        add(.drawdown, time(day), due * 1.02)
        add(.installmentDue, time(day), due, due: time(day + lead))
        for part in 0..<3 {
          add(.repayment, time(day + lead, hour: 8 + part), due * 0.3 * (0.9 + 0.2 * random.uniform()))
        }
      }
    }
    return events.filter { $0.occurredAt < time(start + days, hour: 0) }
  }

  static func examples(_ events: [BorrowerEvent], days: Int) throws -> RepaymentExamples {
    let ledger = try RepaymentLedger(try EventHistory(events: events), before: time(start + days, hour: 0))
    return RepaymentExamples(ledger, IndustryHistory(), end: start + days, seed: 1) { _ in }
  }
}

@Suite struct RepaymentTests {
  @Test func `the ledger adds up what each platform was repaid, drew and has falling due`() throws {
    let events = [
      event(.drawdown, "2025-01-01T10:00:00Z", 100, loan: "L"),
      event(.repayment, "2025-01-03T10:00:00Z", 30, loan: "L"),
      event(.repayment, "2025-01-03T11:00:00Z", 20, loan: "L"), event(.repayment, "2025-01-03", 5, platform: "other"),
      event(.installmentDue, "2025-01-02", 40, loan: "L", due: "2025-01-20"),
      event(.statementIssued, "2025-01-04", 70, minimum: 10, due: "2025-01-22"),
      event(.repayment, "2025-01-09", 999),
    ]
    let ledger = try RepaymentLedger(try EventHistory(events: events), before: date("2025-01-09"))
    #expect(ledger.names.map { String(decoding: $0, as: UTF8.self) } == ["card", "other"])
    let day = EventTime.day(date("2025-01-09"))
    let series = try #require(ledger.series(ofPlatform: Array("card".utf8), asOf: day))
    #expect(series.repaid(from: day - 30, to: day) == 50_000_000)
    #expect(ExactMoney.amount(series.assetScale) == 70)
    let outlook = RepaymentOutlook(series, IndustryHistory(), asOf: day)
    // Ten days known, of which 50 were repaid; 50 fall due from the 20th to the 22nd.
    var features: [Float] = []
    #expect(outlook.fill(&features, offset: 0, days: 30) > 0)
    #expect(features.count == 32)
    #expect(ledger.series(ofPlatform: Array("card".utf8), asOf: EventTime.day(date("2025-01-01"))) == nil)
  }

  @Test func `what is known of a period does not depend on what comes later`() throws {
    let events = Books.make(platforms: 2, days: 120)
    let whole = try RepaymentLedger(try EventHistory(events: events), before: .distantFuture)
    let asOf = Books.start + 80
    let known = events.filter { $0.occurredAt < Books.time(asOf, hour: 0) }
    let part = try RepaymentLedger(try EventHistory(events: known), before: .distantFuture)
    for name in part.names {
      let (a, b) = (whole.series(ofPlatform: name, asOf: asOf)!, part.series(ofPlatform: name, asOf: asOf)!)
      #expect(a == b)
      for (offset, days) in [(0, 1), (3, 9), (40, 30), (92, 92)] {
        var (first, second): ([Float], [Float]) = ([], [])
        let references = (
          RepaymentOutlook(a, IndustryHistory(), asOf: asOf).fill(&first, offset: offset, days: days),
          RepaymentOutlook(b, IndustryHistory(), asOf: asOf).fill(&second, offset: offset, days: days)
        )
        #expect(references.0 == references.1)
        #expect(first.map(\.bitPattern) == second.map(\.bitPattern))
      }
    }
  }

  @Test(.enabled(if: isReleaseBuild, "training as a whole is tested in release builds"))
  func `a short history is served by a baseline, whose name the model says`() throws {
    let place = try Workplace()
    defer { place.remove() }
    let examples = try Books.examples(Books.make(platforms: 1, days: 150), days: 150)
    #expect(examples.independentPeriods == 5)
    let trained = try RepaymentTraining(examples, seed: 1, hasIndustry: false).run { _ in }
    #expect(trained.candidates.allSatisfy { $0.name != "network" })
    let chosen = try #require(trained.candidates.first { $0.chosen })
    #expect(trained.card.contains("Served: \(chosen.name)"))
    #expect(trained.card.contains("not considered below 24"))
    let model = try #require(try write(trained, place))
    #expect(model.forecastVersion == chosen.name)
  }

  private func write(_ trained: TrainedModel, _ place: Workplace) throws -> RepaymentModel? {
    var summary = HistorySummary()
    summary.earliest = date("2025-01-01")
    summary.latest = date("2026-01-01")
    try ModelFolder.write(
      directory: place.path("models"),
      manifest: RepaymentRun.manifest(trained, summary, observedThrough: date("2026-01-01"), seed: 1),
      files: trained.files)
    return try ModelSet.load(directory: place.path("models")).repayment
  }

  @Test(.enabled(if: isReleaseBuild, "training as a whole is tested in release builds"))
  func `on long books the forecasts beat repeating the past, and their interval covers what it says`() throws {
    let place = try Workplace()
    defer { place.remove() }
    let days = 400
    let events = Books.make(platforms: 4, days: days)
    let examples = try Books.examples(events, days: days)
    #expect(examples.independentPeriods >= 48)
    let trained = try RepaymentTraining(examples, seed: 1, hasIndustry: false).run { _ in }
    let wape = Dictionary(uniqueKeysWithValues: trained.candidates.map { ($0.name, $0.metrics["wape"]!) })
    print("WAPE:", wape, "coverage:", trained.metrics["coverage_80"] ?? .nan)
    #expect(wape.count == 5)
    let served = try #require(trained.candidates.first { $0.chosen })
    #expect(served.metrics["wape"]! <= wape.values.min()! || served.name != "network")
    #expect(served.metrics["wape"]! < wape["same_period_last_time"]! * 0.8)
    #expect((0.6...0.95).contains(try #require(trained.metrics["coverage_80"])))

    let model = try #require(try write(trained, place))
    #expect(served.name == "network" ? model.forecastVersion == model.version : model.forecastVersion == served.name)
    // A week of which all is announced.
    let ledger = try RepaymentLedger(try EventHistory(events: events), before: .distantFuture)
    let series = try #require(ledger.series(ofPlatform: Array("platform1".utf8), asOf: Books.start + days - 7))
    let outlook = RepaymentOutlook(series, IndustryHistory(), asOf: Books.start + days - 7)
    var workspace = ModelWorkspace()
    let forecast = model.forecast(outlook, offset: 0, days: 7, &workspace)
    let whole = try #require(ledger.series(ofPlatform: Array("platform1".utf8), asOf: Books.start + days))
    let actual = ExactMoney.amount(whole.repaid(from: Books.start + days - 7, to: Books.start + days))
    #expect(abs(forecast.expected / actual - 1) < 0.3)
    #expect(forecast.lower <= forecast.expected && forecast.expected <= forecast.upper)

    let again = try RepaymentTraining(examples, seed: 1, hasIndustry: false).run { _ in }
    #expect(again.files == trained.files)
    #expect(again.metrics == trained.metrics)
  }

  @Test func `every period and place gives a finite forecast, whatever little is known`() throws {
    let short = [event(.installmentDue, "2025-01-02", 40, loan: "L", due: "2025-01-20")]
    let ledger = try RepaymentLedger(try EventHistory(events: short), before: .distantFuture)
    let day = EventTime.day(date("2025-01-03"))
    let series = try #require(ledger.series(ofPlatform: Array("card".utf8), asOf: day))
    for series in [series, PlatformSeries()] {
      let outlook = RepaymentOutlook(series, IndustryHistory(), asOf: day)
      for offset in [0, 1, 50, 92] {
        for days in [1, 7, 28, 31, 92] {
          var features: [Float] = []
          let reference = outlook.fill(&features, offset: offset, days: days)
          #expect(reference.isFinite && reference >= 0)
          #expect(features.allSatisfy { !$0.isInfinite })
        }
      }
    }
  }
}
