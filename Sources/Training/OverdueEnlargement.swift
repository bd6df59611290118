import Features
import Models

/// Rows that an adversarial network made from one training part, and the proof that none of them is anywhere else.
struct OverdueEnlargement: Sendable {
  /// Made rows for each real row learned from.
  static let share = 0.5
  /// Made rows at most, and real rows that the network learns from at most.
  static let rowsMax = 30_000
  static let learnedMax = 60_000

  var made: FeatureMatrix
  var labels: [Bool]
  /// Steps of the network kept, and how far its rows were from the rows held out before and after.
  var steps: Int
  var distanceBefore: Double
  var distanceAfter: Double

  static func empty(columns: Int) -> OverdueEnlargement {
    OverdueEnlargement(
      made: FeatureMatrix(rows: 0, columns: columns, values: []), labels: [], steps: 0, distanceBefore: 0,
      distanceAfter: 0)
  }

  /// From `inner` and its labels alone; `held`, which is of the same training part, says when to stop. Made rows have the
  /// classes in the proportion of the real ones.
  init(
    inner: FeatureMatrix, _ labels: [Bool], held: FeatureMatrix, _ heldLabels: [Bool], allowed: [Bool], steps: Int,
    seed: UInt64
  ) {
    var settings = GANSettings()
    settings.seed = seed
    // Small tables are learned in fewer steps.
    settings.steps = min(steps, max(inner.rows / 25, 20))
    let derived = DerivedFeatures.standard
    let network = TableGAN(inner, labels, held: held, heldLabels, derived: derived.columns, settings)
    var random = SeededRandom(seed: seed, stream: 19)
    let count = min(max(Int(Double(inner.rows) * Self.share), 1), Self.rowsMax)
    self.labels = (0..<count).map { _ in labels[random.below(labels.count)] }
    made = network.make(self.labels, columns: inner.columns, seed: seed)
    derived.recompute(&made, allowed: allowed)
    self.steps = network.steps
    distanceBefore = network.distances.first ?? 0
    distanceAfter = network.distances.min() ?? 0
  }

  private init(
    made: FeatureMatrix, labels: [Bool], steps: Int, distanceBefore: Double, distanceAfter: Double
  ) {
    self.made = made
    self.labels = labels
    self.steps = steps
    self.distanceBefore = distanceBefore
    self.distanceAfter = distanceAfter
  }
}

/// What was learned from and what was measured on in one fold, by count and hash.
struct OverdueFoldProof: Sendable {
  var trained: Int
  var made: Int
  var madeSteps: Int
  /// How far made rows were from the rows held out for stopping, before the first step and at the step kept.
  var distanceBefore: Double
  var distanceAfter: Double
  var validated: Int
  /// First 16 hexadecimal digits of the SHA-256 of the made rows and of the rows forecast, features and labels.
  var madeHash: String
  var validatedHash: String
  /// The rows forecast, taken again from the table of examples: the same hash.
  var tableHash: String
  /// Rows forecast that are among the made ones, bit for bit, though not among those trained on.
  var shared: Int

  init(
    _ enlargement: OverdueEnlargement, training: Int, validation: FeatureMatrix, _ labels: [Bool], table: FeatureMatrix
  ) {
    trained = training
    made = enlargement.made.rows
    madeSteps = enlargement.steps
    distanceBefore = enlargement.distanceBefore
    distanceAfter = enlargement.distanceAfter
    validated = validation.rows
    madeHash = Self.hash(enlargement.made, enlargement.labels)
    validatedHash = Self.hash(validation, labels)
    tableHash = Self.hash(table, labels)
    let madeRows = Set((0..<enlargement.made.rows).map { Self.rowHash(enlargement.made, $0) })
    shared = madeRows.isEmpty ? 0 : (0..<validation.rows).count { madeRows.contains(Self.rowHash(validation, $0)) }
  }

  private static func hash(_ matrix: FeatureMatrix, _ labels: [Bool]) -> String {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(matrix.values.count * 4 + labels.count)
    for value in matrix.values {
      let bits = value.isNaN ? 0x7FC0_0000 : value.bitPattern
      for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: bits >> shift)) }
    }
    for label in labels { bytes.append(label ? 1 : 0) }
    return String(SHA256.hex(of: bytes).prefix(16))
  }

  private static func rowHash(_ matrix: FeatureMatrix, _ row: Int) -> UInt64 {
    var hash: UInt64 = 0x9E37_79B9_7F4A_7C15
    for column in 0..<matrix.columns {
      let value = matrix[row, column]
      hash = (hash ^ UInt64(value.isNaN ? 0x7FC0_0000 : value.bitPattern)) &* 0xBF58_476D_1CE4_E5B9
      hash ^= hash >> 29
    }
    return hash
  }

  /// One line of the training card.
  func text(_ fold: Int) -> String {
    "fold \(fold + 1): \(trained) real and \(made) made rows (\(madeSteps) steps, distance "
      + "\(TrainingText.number(distanceBefore)) to \(TrainingText.number(distanceAfter)), sha256 \(madeHash)) learned from; "
      + "\(validated) real rows forecast (sha256 \(validatedHash), of the table \(tableHash)), \(shared) of them made"
  }
}
