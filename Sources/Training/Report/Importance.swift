import Features
import Models

/// How much each feature moves a score: the mean size of its contribution (`Ensemble.explain`: exact Shapley values of
/// trees, integrated gradients of networks, coefficients of linear models) over a sample of rows.
struct Importance: Encodable, Sendable {
  struct Feature: Encodable, Sendable {
    var name: String
    var meaning: String
    /// In the score's unit before calibration.
    var meanContribution: Double
    /// Correlation of the feature's value with its contribution: whether more of it raises the score. Nil where either is
    /// constant.
    var direction: Double?

    enum CodingKeys: String, CodingKey {
      case name, meaning, direction
      case meanContribution = "mean_contribution"
    }
  }

  /// Of a model's heads.
  var head: String
  var rows: Int
  /// The largest first.
  var features: [Feature]

  static let rowsMax = 1000
  static let shown = 25

  /// Of each head of a model that is not written yet. The rows are spread evenly over those given.
  static func measure(
    _ architecture: Architecture, files: [String: [UInt8]], _ table: ExampleTable, rows: [Int]
  ) throws(TrainingError) -> [Importance] {
    guard !rows.isEmpty else { return [] }
    let count = min(rows.count, rowsMax)
    let sample = (0..<count).map { rows[$0 * rows.count / count] }
    var result: [Importance] = []
    for (name, head) in architecture.heads.sorted(by: { $0.key < $1.key }) {
      let ensemble = try ensemble(explained(head), files, name)
      result.append(try Importance(name, ensemble, table, sample))
    }
    return result
  }

  /// A convolutional member that does not say what its channels stand for: the channel's number of events.
  private static func explained(_ head: EnsembleDescription) -> EnsembleDescription {
    var head = head
    for index in head.members.indices
    where head.members[index].type == .convolutional && head.members[index].pictureFeatures == nil {
      head.members[index].pictureFeatures = Channel.allCases.map { channel in
        FeatureCatalogue.all.firstIndex { $0.channel == "\(channel.name)" && $0.window == "90d" }
          ?? FeatureCatalogue.all.firstIndex { $0.channel == "\(channel.name)" } ?? 0
      }
    }
    return head
  }

  static func ensemble(
    _ head: EnsembleDescription, _ files: [String: [UInt8]], _ name: String
  ) throws(TrainingError) -> Ensemble {
    do throws(ModelError) {
      return try Ensemble(head, files: files, catalogueCount: FeatureCatalogue.count, name: name)
    } catch {
      throw TrainingError(.failed, error.description)
    }
  }

  private struct Sums: Sendable {
    var sizes = [Double](repeating: 0, count: FeatureCatalogue.count)
    // Of the value, the contribution, their squares and their product, over rows where the value is there.
    var moments = [[Double]](repeating: [0, 0, 0, 0, 0, 0], count: FeatureCatalogue.count)

    mutating func add(_ contribution: Contribution) {
      sizes[contribution.feature] += abs(contribution.contribution)
      guard contribution.value.isFinite else { return }
      let (x, y) = (Double(contribution.value), contribution.contribution)
      for (index, term) in [1, x, y, x * x, y * y, x * y].enumerated() {
        moments[contribution.feature][index] += term
      }
    }

    mutating func add(_ other: Sums) {
      for feature in sizes.indices {
        sizes[feature] += other.sizes[feature]
        for index in 0..<6 { moments[feature][index] += other.moments[feature][index] }
      }
    }

    func correlation(_ feature: Int) -> Double? {
      let m = moments[feature]
      let x = m[0] * m[3] - m[1] * m[1]
      let y = m[0] * m[4] - m[2] * m[2]
      guard x > 1e-9 * m[0] * m[3], y > 1e-9 * m[0] * m[4] else { return nil }
      return (m[0] * m[5] - m[1] * m[2]) / (x * y).squareRoot()
    }
  }

  private init(
    _ head: String, _ ensemble: Ensemble, _ table: ExampleTable, _ sample: [Int]
  ) throws(TrainingError) {
    let chunk = 50
    let parts = try parallelMap((sample.count + chunk - 1) / chunk) { index throws(TrainingError) in
      var sums = Sums()
      var workspace = ModelWorkspace()
      var contributions: [Contribution] = []
      let input = ModelInput()
      for row in sample[index * chunk..<min((index + 1) * chunk, sample.count)] {
        table.read(row, into: input)
        ensemble.explain(input, &workspace, into: &contributions)
        for contribution in contributions { sums.add(contribution) }
      }
      return sums
    }
    var sums = Sums()
    for part in parts { sums.add(part) }
    self.head = head
    rows = sample.count
    let order = sums.sizes.indices.filter { sums.sizes[$0] > 0 }
      .sorted { (sums.sizes[$1], $0) < (sums.sizes[$0], $1) }
    features = order.prefix(Self.shown).map { feature in
      let definition = FeatureCatalogue.all[feature]
      return Feature(
        name: definition.name,
        meaning: definition.channel.isEmpty
          ? definition.meaning : "\(definition.meaning) of \(definition.channel) in \(definition.window)",
        meanContribution: sums.sizes[feature] / Double(sample.count), direction: sums.correlation(feature))
    }
  }
}
