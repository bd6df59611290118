import Foundation

/// What was measured: a table for people, JSON for programs.
struct Report {
  struct Row: Codable {
    var group: String
    var name: String
    var value: Double
    var unit: String
  }

  private(set) var rows: [Row] = []

  mutating func add(_ group: String, _ name: String, _ value: Double, _ unit: String) {
    rows.append(Row(group: group, name: name, value: value, unit: unit))
    if rows.count == 1 || rows[rows.count - 2].group != group { print("\n\(group)") }
    let digits = abs(value) >= 1_000 ? 0 : abs(value) >= 100 ? 1 : 3
    let number = String(format: "%.\(digits)f", value)
    print("  " + name.padding(toLength: 58, withPad: " ", startingAt: 0) + padded(number) + " " + unit)
    fflush(nil)
  }

  private func padded(_ text: String) -> String { String(repeating: " ", count: max(0, 12 - text.count)) + text }

  func write(to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try encoder.encode(rows).write(to: URL(fileURLWithPath: path))
  }
}

/// Why something could not be measured.
struct BenchmarkFailed: Error, CustomStringConvertible {
  var description: String
}
