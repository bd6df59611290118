import Features
import Models

/// The outputs of models for rows of a table, by the code that serves; empty where a model is not there.
struct Predictions: Sendable {
  var overdue: [Double] = []
  var demand: [DemandPrediction] = []
  var utilization: [Double] = []
  /// Where each row of the table stands in them; empty: all rows, in order.
  private var places: [Int: Int] = [:]

  init(_ models: ModelSet, _ table: ExampleTable, rows: [Int]) throws(TrainingError) {
    let chunk = 4096
    let chunks = (rows.count + chunk - 1) / chunk
    let parts = try parallelMap(chunks) { index throws(TrainingError) in
      let input = ModelInput()
      var workspace = ModelWorkspace()
      var part = Predictions()
      for row in rows[index * chunk..<min((index + 1) * chunk, rows.count)] {
        table.read(row, into: input)
        part.append(models, input, &workspace)
      }
      return part
    }
    for part in parts {
      overdue += part.overdue
      demand += part.demand
      utilization += part.utilization
    }
    if rows.count < table.count { places = Dictionary(uniqueKeysWithValues: zip(rows, 0...)) }
  }

  private init() {}

  private mutating func append(
    _ models: ModelSet, _ input: borrowing ModelInput, _ workspace: inout ModelWorkspace
  ) {
    if let model = models.overdue { overdue.append(model.predict(input, &workspace).probability) }
    if let model = models.demand { demand.append(model.predict(input, &workspace)) }
    if let model = models.utilization { utilization.append(model.predict(input, &workspace)) }
  }

  /// The rows of a table that a kind is measured on.
  static func rows(_ kind: ModelKind, _ table: ExampleTable) -> [Int] {
    switch kind {
    case .overdue: (0..<table.count).filter(table.isOverdueExample)
    case .utilization: (0..<table.count).filter { table.labels[$0].utilization != nil }
    case .demand: Array(0..<table.count)
    case .repayment: []
    }
  }

  /// What a report draws of `rows`, which must be among those predicted.
  func evidence(_ kind: ModelKind, _ table: ExampleTable, _ rows: [Int]) -> TrainingEvidence {
    let index = places.isEmpty ? rows : rows.map { places[$0]! }
    var evidence = TrainingEvidence(rows: rows)
    switch kind {
    case .overdue:
      evidence.actual = rows.map { table.labels[$0].isOverdue ? 1 : 0 }
      evidence.forecasts = index.map { overdue[$0] }
    case .demand:
      evidence.actual = rows.map { table.labels[$0].drawn }
      evidence.forecasts = index.map { demand[$0].amount }
      evidence.probabilities = index.map { demand[$0].borrowingProbability }
      evidence.lower = index.map { demand[$0].lower }
      evidence.upper = index.map { demand[$0].upper }
    case .utilization:
      evidence.actual = rows.map { table.labels[$0].utilization ?? .nan }
      evidence.forecasts = index.map { utilization[$0] }
    case .repayment: break
    }
    return evidence
  }
}
