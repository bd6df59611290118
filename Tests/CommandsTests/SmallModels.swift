import Features
import Foundation
import Models
import Testing

/// A folder of tiny models whose answers are known: overdue 0.7 from one day past due on, else 0.1; utilization 0.8.
/// There is no demand model.
struct SmallModels {
  let directory: String

  init() throws {
    directory = TestFolder.make()
    let pastDue = try #require(FeatureCatalogue.all.firstIndex { $0.name == "days_past_due" })
    let overdue = Self.tree(splits: true, below: 0.1, above: 0.7)
    try Self.write(directory, .overdue, .overdue(Self.head("overdue.json", pastDue)), ["overdue.json": overdue])
    let utilization = Self.tree(splits: false, below: 0.8, above: 0.8)
    try Self.write(
      directory, .utilization, .utilization(Self.head("utilization.json", pastDue)),
      ["utilization.json": utilization])
  }

  func remove() { try? FileManager.default.removeItem(atPath: directory) }

  private static func head(_ file: String, _ column: Int) -> EnsembleDescription {
    EnsembleDescription(members: [
      .forest("tree", file: file, columns: [column])
    ])
  }

  private static func write(
    _ directory: String, _ kind: ModelKind, _ architecture: Architecture, _ files: [String: [UInt8]]
  ) throws {
    let manifest = Manifest(
      kind: kind, created: "2026-01-01", target: kind == .utilization ? "cumulative" : nil, horizonDays: 30,
      featureHash: FeatureCatalogue.hash, seed: 1, asOfDates: ["2026-01-01"], observedThrough: "2026-02-01",
      data: DataWindow(from: "2025-01-01", to: "2026-02-01", borrowers: 1, examples: 1), metrics: ["auc": 0.75],
      trainingCard: "made by hand", architecture: architecture)
    try ModelFolder.write(directory: directory, manifest: manifest, files: files)
  }

  /// XGBoost's JSON of one tree: below one half one value, above another.
  private static func tree(splits: Bool, below: Double, above: Double) -> [UInt8] {
    let nodes =
      splits
      ? """
      "left_children":[1,-1,-1],"right_children":[2,-1,-1],"split_indices":[0,0,0],
      "split_conditions":[0.5,\(below),\(above)],"default_left":[1,0,0],"sum_hessian":[10,5,5]
      """
      : """
      "left_children":[-1],"right_children":[-1],"split_indices":[0],"split_conditions":[\(above)],
      "default_left":[0],"sum_hessian":[10]
      """
    let text = """
      {"learner":{"gradient_booster":{"name":"gbtree","model":{"tree_info":[0],"trees":[{\(nodes)}]}},
      "learner_model_param":{"base_score":"0","num_class":"0","num_feature":"1"},
      "objective":{"name":"reg:squarederror"}}}
      """
    return Array(text.utf8)
  }
}

/// A folder of one test.
enum TestFolder {
  static func make() -> String {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("lendpulse-\(UUID().uuidString)").path
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }
}
