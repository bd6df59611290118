import Foundation
import Models
import Testing

@testable import Commands

@Suite struct ForecastTests {
  /// Twelve borrowers who draw, and repay a tenth each day for ten days; forty days.
  private static let events: String = {
    var lines: [String] = []
    func add(_ borrower: Int, _ day: Int, _ type: String, _ rest: String) {
      let time = "\"occurred_at\":\(1_767_225_600_000 + (Int64(day) * 24 + Int64(borrower)) * 3_600_000)"
      let platform = borrower % 3 == 0 ? "cards" : "cash"
      lines.append(
        "{\"event_id\":\"\(type)-\(borrower)-\(day)\",\"borrower_id\":\"B\(borrower)\",\"type\":\"\(type)\",\(time),"
          + "\"platform\":\"\(platform)\"\(rest)}")
    }
    for day in 0..<40 {
      for borrower in 0..<12 {
        if day % 10 == borrower % 10 { add(borrower, day, "drawdown", ",\"amount\":100,\"loan_id\":\"L\"") }
        add(borrower, day, "repayment", ",\"amount\":\(10 + borrower % 2)")
        if day % 5 == 0 {
          add(
            borrower, day, "installment_due",
            ",\"amount\":50,\"loan_id\":\"L\",\"due_at\":\(1_767_225_600_000 + Int64(day + 7) * 86_400_000)")
        }
      }
    }
    return lines.map { $0 + "\n" }.joined()
  }()

  /// A folder of models with a repayment baseline beside the others, and the events.
  private struct Place {
    let models: SmallModels
    let history: String

    init() throws {
      models = try SmallModels()
      let description = RepaymentDescription(
        method: RepaymentBaseline.samePeriodLastTime.rawValue,
        intervals: [RepaymentDescription.Interval(daysMax: 92, lower: 0.5, upper: 2)])
      try ModelFolder.write(
        directory: models.directory,
        manifest: Manifest(
          kind: .repayment, created: "2026-01-01", horizonDays: 92, featureHash: RepaymentFeatures.hash, seed: 1,
          asOfDates: [], observedThrough: "2026-01-01",
          data: DataWindow(from: "2025-01-01", to: "2026-01-01", borrowers: 0, examples: 1), metrics: ["wape": 0.2],
          trainingCard: "made by hand", architecture: .repayment(description, head: nil)),
        files: [:])
      history = models.directory + "/events.ndjson"
      try ForecastTests.events.write(toFile: history, atomically: true, encoding: .utf8)
    }

    func forecast(_ options: String...) async throws -> Program.Outcome {
      try await Program.run(["forecast", "--history", history, "--models", models.directory] + options)
    }

    func score(_ options: String...) async throws -> [[String: Any]] {
      let outcome = try await Program.run(
        ["score", "--input", history, "--models", models.directory, "--forecasts", "-"] + options)
      #expect(outcome.status == 0)
      return try outcome.outputLines.map {
        try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
      }
    }
  }

  @Test func `a forecast of any coming period is the record that run publishes`() async throws {
    let place = try Place()
    defer { place.models.remove() }
    // The last day is 2026-02-09; on each of the last ten, eight borrowers of cash repaid 84 together.
    let outcome = try await place.forecast("--platform", "cash", "--from", "2026-02-10", "--to", "2026-02-20")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let record = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    #expect(record["platform"] as? String == "cash")
    #expect(record["as_of"] as? String == "2026-02-10T00:00:00.000Z")
    #expect(record["period_start"] as? String == "2026-02-10T00:00:00.000Z")
    #expect(record["period_end"] as? String == "2026-02-20T00:00:00.000Z")
    #expect(record["expected_repayment"] as? Double == 840)
    #expect(record["lower"] as? Double == 420)
    #expect(record["upper"] as? Double == 1_680)
    #expect(record["model_version"] as? String == "same_period_last_time")
    #expect((record["forecast_id"] as? String)?.count == 32)
    // A period that begins before the history ends is forecast from what was known then.
    let early = try await place.forecast("--platform", "cash", "--from", "2026-01-21", "--to", "2026-01-22")
    #expect(early.output.contains("\"as_of\":\"2026-01-21T00:00:00.000Z\""))
    let far = try await place.forecast("--platform", "cash", "--from", "2026-05-12", "--to", "2026-08-12")
    #expect(far.status == 0, "\(far.errors)")
  }

  @Test func `what cannot be forecast is said in one line`() async throws {
    let place = try Place()
    defer { place.models.remove() }
    let cases: [(options: [String], status: Int32, says: String)] = [
      (["--platform", "cash", "--from", "2026-05-13", "--to", "2026-06-01"], 2, "at most 92 days after"),
      (["--platform", "cash", "--from", "2026-03-01", "--to", "2026-07-01"], 2, "1 to 92 days"),
      (["--platform", "cash", "--from", "2026-03-02", "--to", "2026-03-02"], 2, "1 to 92 days"),
      (["--platform", "cash", "--from", "soon", "--to", "2026-03-02"], 2, "--from must be a date"),
      (["--platform", "gold", "--from", "2026-03-01", "--to", "2026-03-02"], 1, "cards, cash"),
    ]
    for one in cases {
      let outcome = try await Program.run(
        ["forecast", "--history", place.history, "--models", place.models.directory] + one.options)
      #expect(outcome.status == one.status, "\(one.options): \(outcome.errors)")
      #expect(outcome.errorLines.count == 1 && outcome.errors.contains(one.says), "\(outcome.errors)")
    }
    let without = try SmallModels()
    defer { without.remove() }
    let none = try await Program.run([
      "forecast", "--history", place.history, "--models", without.directory, "--platform", "cash", "--from",
      "2026-02-10", "--to", "2026-02-11",
    ])
    #expect(none.status == 2)
    #expect(none.errors.contains("holds no repayment model"))
  }

  @Test func `score forecasts at every midnight, the same for any number of partitions`() async throws {
    let place = try Place()
    defer { place.models.remove() }
    let one = try await place.score()
    // Every midnight from the second day to the last, two platforms, two periods.
    #expect(one.count == 39 * 4)
    #expect(one.allSatisfy { $0["as_of"] as? String == $0["period_start"] as? String })
    let three = try await place.score("--partitions", "3")
    #expect(three.map { NSDictionary(dictionary: $0) } == one.map { NSDictionary(dictionary: $0) })
    let last = try #require(
      one.last { $0["platform"] as? String == "cash" && ($0["period_end"] as? String)?.hasPrefix("2026-02-16") == true }
    )
    #expect(last["as_of"] as? String == "2026-02-09T00:00:00.000Z")
    #expect(abs(try #require(last["expected_repayment"] as? Double) - 84 * 7) < 1e-6)
    let weekly = try await place.score(
      "--set", "repayment.every_hours=168", "--set", "repayment.periods_days=[1]", "--set", "currency=EUR")
    #expect(weekly.allSatisfy { $0["currency"] as? String == "EUR" })
    // Multiples of seven days since 1970 are Thursdays.
    #expect(
      Set(weekly.compactMap { $0["as_of"] as? String }) == [
        "2026-01-08T00:00:00.000Z", "2026-01-15T00:00:00.000Z", "2026-01-22T00:00:00.000Z", "2026-01-29T00:00:00.000Z",
        "2026-02-05T00:00:00.000Z",
      ])
  }
}
