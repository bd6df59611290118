import Foundation
import Models
import TestSupport

/// Instructions for an event, counted by callgrind: the same on a busy machine and on a quiet one.
enum Instructions {
  static let group = "Instructions an event (callgrind)"
  static let events = 20_000

  static func measure(models: String, into report: inout Report) async throws {
    guard let valgrind = Repository.tool("valgrind") else {
      print("\n\(group)\n  left out: valgrind is not installed")
      return
    }
    let directory = try TemporaryDirectory()
    // What is counted less is what comes before: making the world and loading the models.
    var counts: [Double] = []
    for limit in [0, events] {
      let result = try await run(
        valgrind,
        [
          "--tool=callgrind", "--callgrind-out-file=\(directory.file("out"))", CommandLine.arguments[0], "engine",
          "--events", "\(limit)", "--models", models,
        ], within: 3_600)
      guard result.status == 0 else {
        print("\n\(group)\n  left out: \(result.errors.suffix(300))")
        return
      }
      let text = try String(contentsOfFile: directory.file("out"), encoding: .utf8)
      let total = text.split(separator: "\n").last { $0.hasPrefix("totals:") || $0.hasPrefix("summary:") } ?? ""
      counts.append(Double(total.split(separator: " ").last ?? "") ?? 0)
    }
    report.add(group, "whole: decode to outputs", (counts[1] - counts[0]) / Double(events), "instructions")
  }
}
