import Foundation
import Testing

@testable import Commands

/// `lendpulse import` and `lendpulse examples`, as programs and filters.
@Suite struct HistoryCommandTests {
  private static let simulated = ["simulate", "--borrowers", "60", "--days", "120", "--seed", "3"]

  @Test func `events go into a database once, and bad lines are told with their numbers`() async throws {
    let folder = TestFolder.make()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let events = try await Program.run(Self.simulated).output
    let arguments = ["import", "--input", "-", "--history", "sqlite:\(folder)/h.db"]
    let first = try await Program.run(arguments, input: "no event\n" + events)
    let count = events.split(separator: "\n").count
    #expect(first.status == 0)
    #expect(
      first.outputLines == [
        "sqlite:\(folder)/h.db: \(count) events added, 0 were there already",
        "1 lines are no events and were left out:",
        "  line 1: invalid_json",
      ])
    let second = try await Program.run(arguments, input: events)
    #expect(second.output == "sqlite:\(folder)/h.db: 0 events added, \(count) were there already\n")

    for (history, status) in [("events.ndjson", 2 as Int32), ("sqlite:\(folder)/h.db/x", 1), ("sqlite:", 2)] {
      let refused = try await Program.run(["import", "--input", "-", "--history", history], input: events)
      #expect(refused.status == status && refused.errorLines.count == 1 && refused.output.isEmpty)
      #expect(refused.errors.hasPrefix("lendpulse import: "))
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["h.db"])
  }

  @Test func `a filter's pieces train to the bytes of the whole, empty pieces among them`() async throws {
    let folder = TestFolder.make()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let events = try await Program.run(Self.simulated).output
    try events.write(toFile: "\(folder)/h.ndjson", atomically: true, encoding: .utf8)
    let through = ["--observed-through", "2025-04-30"]
    var pieces = ["", "", ""]
    for line in events.split(separator: "\n") {
      // Any grouping does that keeps a borrower together; one piece gets nothing.
      let borrower = try #require(line.firstMatch(of: #/"borrower_id":"([^"]+)"/#)).output.1
      pieces[Int(borrower.utf8.last!) % 2] += line + "\n"
    }
    for (index, piece) in pieces.enumerated() {
      let made = try await Program.run(
        ["examples", "--history", "-", "--output", "\(folder)/pieces/\(index)"] + through, input: piece)
      #expect(made.status == 0 && made.errors.isEmpty, "\(made.errors)")
    }
    for (name, source) in [
      ("a", ["--history", "\(folder)/h.ndjson"] + through), ("b", ["--examples", "\(folder)/pieces"]),
    ] {
      let trained = try await Program.run(["train", "utilization", "--models", "\(folder)/\(name)"] + source)
      #expect(trained.status == 0, "\(trained.errors)")
    }
    let wanted = try Self.contents("\(folder)/a")
    let made = try Self.contents("\(folder)/b")
    #expect(wanted.count > 2 && made == wanted)
  }

  @Test func `what examples and training from them refuse is one line`() async throws {
    let folder = TestFolder.make()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let output = ["--output", "\(folder)/t"]
    for (arguments, status, says) in [
      (["examples", "--history", "-"] + output, 2 as Int32, "--observed-through"),
      (["examples", "--history", "\(folder)/none"] + output, 2, "none"),
      (["examples", "--history", "-", "--shard", "9/8"] + output, 2, "--shard"),
      (["train", "all", "--models", "\(folder)/m"], 2, "--history SOURCE or --examples DIR"),
      (["train", "all", "--models", "\(folder)/m", "--examples", folder, "--history", "-"], 2, "exclude each other"),
      (["train", "all", "--models", "\(folder)/m", "--examples", "\(folder)/t"], 2, "holds no table"),
    ] {
      let outcome = try await Program.run(arguments)
      #expect(outcome.status == status && outcome.errorLines.count == 1, "\(arguments): \(outcome.errors)")
      #expect(outcome.errors.contains(says), "\(outcome.errors)")
    }
    #expect(!FileManager.default.fileExists(atPath: "\(folder)/t"))
  }

  /// Every file below a folder, by its path, with its bytes.
  private static func contents(_ folder: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: folder) {
      files[path] = FileManager.default.contents(atPath: "\(folder)/\(path)")
      // When it was trained and how long that took.
      guard path.hasSuffix("manifest.json"), let bytes = files[path],
        var manifest = try JSONSerialization.jsonObject(with: bytes) as? [String: Any]
      else { continue }
      manifest["measured"] = nil
      files[path] = try JSONSerialization.data(withJSONObject: manifest, options: .sortedKeys)
    }
    return files
  }
}
