/// How published scores are spread, since the engine was made: counts in fixed bins, for the drift of each model.
public struct ScoreBins: Equatable, Sendable {
  public static let count = 12
  /// Of calibrated probabilities and of utilizations: few borrowers lie high, and it matters where.
  static let shareEdges: [Double] = [0.01, 0.02, 0.04, 0.07, 0.11, 0.17, 0.25, 0.37, 0.52, 0.7, 0.9]
  /// Of forecast money.
  static let moneyEdges: [Double] = [1, 10, 50, 150, 400, 1_000, 2_500, 6_000, 15_000, 50_000, 200_000]

  public var overdue = [UInt64](repeating: 0, count: count)
  public var demand = [UInt64](repeating: 0, count: count)
  public var utilization = [UInt64](repeating: 0, count: count)

  public init() {}

  mutating func note(_ scores: HeldScores) {
    if scores.overdueMillionths != HeldScores.absent {
      overdue[Self.bin(scores.overdueProbability, Self.shareEdges)] += 1
    }
    if scores.forecastHundredths != HeldScores.absent { demand[Self.bin(scores.forecast, Self.moneyEdges)] += 1 }
    if scores.utilizationMillionths != HeldScores.absent {
      utilization[Self.bin(scores.predictedUtilization, Self.shareEdges)] += 1
    }
  }

  private static func bin(_ value: Double, _ edges: [Double]) -> Int {
    var bin = 0
    while bin < edges.count && value >= edges[bin] { bin += 1 }
    return bin
  }

  public mutating func merge(_ other: ScoreBins) {
    for index in 0..<Self.count {
      overdue[index] += other.overdue[index]
      demand[index] += other.demand[index]
      utilization[index] += other.utilization[index]
    }
  }
}
