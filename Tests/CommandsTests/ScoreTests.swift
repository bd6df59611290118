import Foundation
import Testing

@testable import Commands

@Suite struct ScoreTests {
  /// Ten borrowers: the even ones miss a payment on the third day; all consent to marketing.
  private static let events: String = {
    var lines: [String] = []
    for day in 1...5 {
      for borrower in 0..<10 {
        let common = "\"event_id\":\"e\(day)-\(borrower)\",\"borrower_id\":\"B\(borrower)\""
        let time = "\"occurred_at\":\"2026-01-0\(day)T0\(borrower):00:00Z\""
        switch day {
        case 1:
          lines.append(
            "{\(common),\"type\":\"profile_updated\",\(time),\"profile\":{\"marketing_consent\":true}}")
        case 3 where borrower % 2 == 0:
          lines.append("{\(common),\"type\":\"payment_missed\",\(time),\"days_past_due\":10,\"amount\":50}")
        default: lines.append("{\(common),\"type\":\"page_view\",\(time),\"page\":\"home\"}")
        }
      }
    }
    return lines.map { $0 + "\n" }.joined()
  }()

  private func score(_ input: String, _ options: String...) async throws -> Program.Outcome {
    let models = try SmallModels()
    defer { models.remove() }
    return try await Program.run(["score", "--input", "-", "--models", models.directory] + options, input: input)
  }

  private func records(_ outcome: Program.Outcome) throws -> [[String: Any]] {
    try outcome.outputLines.map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
  }

  @Test func `every accepted event has one score, with its place in the log`() async throws {
    let outcome = try await score(Self.events + Self.events, "--scores", "-")
    #expect(outcome.status == 0)
    let scores = try records(outcome)
    #expect(scores.count == 50)
    let sources = try scores.map { try #require($0["source"] as? [String: Any]) }
    #expect(sources.compactMap { $0["offset"] as? Int } == Array(0..<50))
    #expect(sources.allSatisfy { $0["topic"] as? String == "borrower-events" })
  }

  @Test func `a missed payment raises an alert and closes the door to leads`() async throws {
    let alerts = try records(try await score(Self.events, "--alerts", "-"))
    #expect(Set(alerts.compactMap { $0["borrower_id"] as? String }) == ["B0", "B2", "B4", "B6", "B8"])
    #expect(alerts.allSatisfy { $0["status"] as? String == "raised" && $0["severity"] as? String == "high" })
    let leads = try records(try await score(Self.events, "--leads", "-"))
    #expect(leads.count { $0["status"] as? String == "opened" } == 10)
    #expect(leads.count { $0["status"] as? String == "withdrawn" } == 5)
  }

  @Test func `the start says which models are missing and what is off`() async throws {
    let outcome = try await score(Self.events, "--scores", "/dev/null", "--forecasts", "-")
    #expect(
      outcome.errorLines == [
        "lendpulse score: no demand model is there: off are borrowing forecasts",
        "lendpulse score: no repayment model is there: off are repayment forecasts",
      ])
    #expect(outcome.output.isEmpty)
  }

  @Test func `the partitions change places and nothing of a borrower's records`() async throws {
    let one = try records(try await score(Self.events, "--scores", "-", "--partitions", "1"))
    let four = try records(try await score(Self.events, "--scores", "-", "--partitions", "4"))
    #expect(one.count == four.count)
    for (a, b) in zip(one, four) {
      var (a, b) = (a, b)
      let place = try #require(b.removeValue(forKey: "source") as? [String: Any])
      a["source"] = nil
      #expect(NSDictionary(dictionary: a) == NSDictionary(dictionary: b))
      #expect((0..<4).contains(try #require(place["partition"] as? Int)))
    }
    let again = try await score(Self.events, "--scores", "-", "--partitions", "4")
    #expect(try records(again).map { NSDictionary(dictionary: $0) } == four.map { NSDictionary(dictionary: $0) })
  }

  @Test func `a line that is no event is a dead letter that takes an offset, and the next is scored`() async throws {
    let good = Self.events.split(separator: "\n").map(String.init)
    let long = "{\"pad\":\"" + String(repeating: "x", count: 2 << 20) + "\"}"
    let bad = [
      "{", "", "[1]",
      "{\"event_id\":\"x\",\"borrower_id\":\"B1\",\"type\":\"dance\",\"occurred_at\":\"2026-01-05T00:00:00Z\"}",
      "{\"event_id\":\"x\",\"borrower_id\":\"B1\",\"type\":\"page_view\",\"occurred_at\":1e400,\"page\":\"p\"}", long,
    ]
    let outcome = try await score(
      (bad + good).joined(separator: "\n"), "--dead-letters", "-", "--scores", "/dev/null")
    #expect(outcome.status == 0)
    let letters = try records(outcome)
    let headers = try letters.map { try #require($0["headers"] as? [String: String]) }
    #expect(
      headers.map { $0["lendpulse.error.code"] } == [
        "invalid_json", "empty_value", "wrong_type", "unknown_type", "time_out_of_range", "too_large",
      ])
    #expect(headers.map { $0["lendpulse.source.offset"] } == ["0", "1", "2", "3", "4", "5"])
    #expect(headers[0]["lendpulse.source.timestamp"] == "0")
    #expect(headers[3]["lendpulse.source.timestamp"] == "1767571200000")
    let values = try letters.map { letter -> String in
      let encoded = try #require(letter["value_base64"] as? String)
      return String(decoding: try #require(Data(base64Encoded: encoded)), as: UTF8.self)
    }
    #expect(values == bad)
    #expect(letters.allSatisfy { $0["key"] is NSNull })
  }

  @Test func `what cannot work is said before anything is written`() async throws {
    let models = try SmallModels()
    defer { models.remove() }
    let folder = TestFolder.make()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let input = "\(folder)/events.ndjson"
    try Self.events.write(toFile: input, atomically: true, encoding: .utf8)
    let common = ["score", "--input", input, "--models", models.directory]
    let same = try await Program.run(common + ["--scores", input])
    #expect(same.status == 2)
    #expect(try String(contentsOfFile: input, encoding: .utf8) == Self.events)
    #expect(try await Program.run(common + ["--scores", "-", "--alerts", "-"]).status == 2)
    #expect(try await Program.run(["score", "--input", input, "--models", folder]).status == 2)
    let missing = try await Program.run(["score", "--input", "\(folder)/none", "--models", models.directory])
    #expect(missing.status == 1)
    #expect(missing.errors == "lendpulse score: \(folder)/none: cannot be read: no such file or directory\n")
    try "{\"series\":\"a\"}\n".write(toFile: "\(folder)/industry", atomically: true, encoding: .utf8)
    let industry = try await Program.run(common + ["--industry", "\(folder)/industry"])
    #expect(industry.status == 1)
    #expect(industry.errors.contains("industry:1: no industry indicator, missing_field (date)"))
  }

  @Test func `settings over the file's decide`() async throws {
    let calm = try await score(Self.events, "--alerts", "-", "--set", "alerts.raise_at=critical")
    #expect(calm.output.isEmpty)
    let five = try await score(
      Self.events, "--alerts", "-", "--set", "alerts.raise_at=x", "--set", "workers=y", "--set", "a=b",
      "--set", "leads.margin=-1", "--set", "output=xml")
    #expect(five.status == 2)
    #expect(five.errorLines.count == 5)
  }
}
