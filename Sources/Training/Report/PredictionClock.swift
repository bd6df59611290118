import Features
import Models

/// What a prediction costs, by the clock: the processor time of one thread, so that others at work count little.
enum PredictionClock {
  private static let rowsMax = 256
  /// The least of several passes: what a pass takes when nothing gets in its way.
  private static let passes = 5

  /// Microseconds of one prediction: `served` for all heads together, and each member's by `head/member`.
  static func microseconds(
    _ architecture: Architecture, files: [String: [UInt8]], _ table: ExampleTable, rows: [Int]
  ) throws(TrainingError) -> [String: Double] {
    guard !rows.isEmpty else { return [:] }
    let count = min(rows.count, rowsMax)
    let sample = (0..<count).map { rows[$0 * rows.count / count] }
    var costs: [String: Double] = [:]
    var served = 0.0
    for (name, head) in architecture.heads {
      let whole = try measure(try Importance.ensemble(head, files, name), table, sample)
      // A borrower gets one of utilization's two heads.
      served = name == "prospect" || name == "utilization" ? max(served, whole) : served + whole
      costs["\(name)"] = whole
      for member in head.members {
        let alone = EnsembleDescription(members: [member])
        costs["\(name)/\(member.name)"] = try measure(try Importance.ensemble(alone, files, name), table, sample)
      }
    }
    costs["served"] = served
    return costs
  }

  private static func measure(
    _ ensemble: Ensemble, _ table: ExampleTable, _ sample: [Int]
  ) throws(TrainingError) -> Double {
    let input = ModelInput()
    var workspace = ModelWorkspace()
    var least = [Double](repeating: .infinity, count: sample.count)
    var sum = 0.0
    // A row is read outside the measured part, then predicted often enough for the clock.
    let repeats = 16
    for (index, row) in sample.enumerated() {
      table.read(row, into: input)
      sum += ensemble.fused(input, &workspace)
      for _ in 0..<passes {
        let start = Clocks.threadNanoseconds
        for _ in 0..<repeats { sum += ensemble.fused(input, &workspace) }
        least[index] = min(least[index], Double(Clocks.threadNanoseconds - start) / Double(repeats))
      }
    }
    precondition(!sum.isNaN)
    return least.reduce(0, +) / Double(sample.count) / 1000
  }
}
