import Foundation
import Models
import TestSupport

/// What it costs, measured here: `make bench`, or one part of it.
///
///     Benchmarks [stages|instructions|memory|restore|daemon|midnight]... [--json FILE] [--borrowers N] [--days N]
///       [--models DIR]
@main struct Benchmarks {
  static func option(_ name: String) -> String? {
    let arguments = CommandLine.arguments
    guard let index = arguments.firstIndex(of: "--" + name), index + 1 < arguments.count else { return nil }
    return arguments[index + 1]
  }

  static func number(_ name: String, or standard: Int) -> Int { option(name).flatMap(Int.init) ?? standard }

  static func main() async {
    do {
      try await measure()
    } catch {
      FileHandle.standardError.write(Data("Benchmarks: \(error)\n".utf8))
      exit(1)
    }
  }

  static func measure() async throws {
    let models = option("models") ?? Repository.root.appendingPathComponent("demo/models").path
    let parts = CommandLine.arguments.dropFirst().prefix { !$0.hasPrefix("--") }
    switch parts.first {
    case "world":
      return try Memory.writeWorld(borrowers: number("borrowers", or: 1_000), days: number("days", or: 90))
    case "memory-of":
      return try Memory.child(
        borrowers: number("borrowers", or: 1_000), days: number("days", or: 90), models: models)
    case "engine":
      let stages = Stages(models: try ModelSet.load(directory: models), borrowers: 400, days: 120)
      stages.scoreAll(limit: min(number("events", or: 0), stages.events.count))
      return
    default: break
    }
    var report = Report()
    let all = parts.isEmpty
    if all || parts.contains("stages") {
      Stages(models: try ModelSet.load(directory: models)).measure(into: &report)
    }
    if all || parts.contains("instructions") { try await Instructions.measure(models: models, into: &report) }
    if all || parts.contains("memory") {
      try await Memory.measure(
        borrowers: number("borrowers", or: 1_000_000), days: number("days", or: 90), models: models, into: &report)
    }
    if all || parts.contains("restore") {
      try Restore.measure(borrowers: number("borrowers", or: 1_000_000), models: models, into: &report)
    }
    if all || parts.contains("daemon") {
      guard let brokers = ProcessInfo.processInfo.environment["LENDPULSE_TEST_BROKERS"] else {
        throw BenchmarkFailed(description: "the daemon is measured on a real Kafka: name one in LENDPULSE_TEST_BROKERS")
      }
      for workers in [1, 2] {
        try await WholeDaemon(
          brokers: brokers, models: models, workers: workers, borrowers: number("borrowers", or: 20_000),
          days: number("days", or: 90)
        ).measure(into: &report)
      }
    }
    if all || parts.contains("midnight") {
      guard let brokers = ProcessInfo.processInfo.environment["LENDPULSE_TEST_BROKERS"] else {
        throw BenchmarkFailed(description: "a midnight is measured on a real Kafka: name one in LENDPULSE_TEST_BROKERS")
      }
      try await Midnight(brokers: brokers, models: models, dues: number("dues", or: 1_000_000)).measure(into: &report)
    }
    if let path = option("json") { try report.write(to: path) }
  }
}
