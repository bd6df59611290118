/// What a model predicts. The order is that of versions in a `ModelSet`.
public enum ModelKind: String, Codable, CaseIterable, Sendable {
  case overdue, demand, utilization, repayment
}

/// The `manifest.json` of one version of a model: what it is, what it was made from, how well it did, and how its files
/// make a prediction.
public struct Manifest: Codable, Sendable, Equatable {
  /// Of this file; a reader refuses any other.
  public var format = 1
  public var kind: ModelKind
  /// `<kind>-<yyyymmdd>-<digest>`; set by `ModelFolder.write`.
  public var version = ""
  /// The newest as-of date, `yyyy-mm-dd`: no clock, so that the same training writes the same bytes.
  public var created: String
  /// Utilization: `balance` or `cumulative`.
  public var target: String?
  public var horizonDays: Int
  /// `FeatureCatalogue.hash` of the features it was trained on.
  public var featureHash: String
  public var seed: UInt64
  public var asOfDates: [String]
  public var observedThrough: String
  public var data: DataWindow
  /// The figures of the model that serves, by name (`auc`, `log_loss`, `rmse`, ...).
  public var metrics: [String: Double]
  /// One for each fold.
  public var foldMetrics: [[String: Double]]
  public var candidates: [Candidate]
  /// Text for people: why the chosen candidate was chosen, with its margin.
  public var choice: String?
  /// Text for people: how it was trained, on whom, what it is not for.
  public var trainingCard: String
  /// Text for people: what explanations are measured against.
  public var reference: String
  /// SHA-256 of each file beside the manifest; set by `ModelFolder.write`.
  public var files: [String: String] = [:]
  /// The only part that differs when the same training is done again; no part of the version or of a digest.
  public var measured: Measurements?
  public var architecture: Architecture

  public init(
    kind: ModelKind, created: String, target: String? = nil, horizonDays: Int, featureHash: String, seed: UInt64,
    asOfDates: [String], observedThrough: String, data: DataWindow, metrics: [String: Double],
    foldMetrics: [[String: Double]] = [], candidates: [Candidate] = [], choice: String? = nil, trainingCard: String,
    reference: String = Manifest.standardReference, architecture: Architecture
  ) {
    self.kind = kind
    self.created = created
    self.target = target
    self.horizonDays = horizonDays
    self.featureHash = featureHash
    self.seed = seed
    self.asOfDates = asOfDates
    self.observedThrough = observedThrough
    self.data = data
    self.metrics = metrics
    self.foldMetrics = foldMetrics
    self.candidates = candidates
    self.choice = choice
    self.trainingCard = trainingCard
    self.reference = reference
    self.architecture = architecture
  }

  /// How `Ensemble.explain` measures, in words.
  public static let standardReference = """
    Contributions add up to the fused score before calibration less its value at the reference. The reference of a \
    forest is its mean over its training examples (by the covers of its nodes); of a linear model or a network it is a \
    borrower whose features are all at their training means.
    """
}

/// What clocks said of a training.
public struct Measurements: Codable, Sendable, Equatable {
  /// When it ended, RFC 3339 in UTC.
  public var trainedAt: String
  /// Of this kind alone, without reading the history.
  public var trainingSeconds: Double
  /// What one event's prediction takes, in microseconds of one core: `served` for all of the model together, and each of
  /// its members by `head/member`.
  public var scoreMicroseconds: [String: Double]

  public init(trainedAt: String, trainingSeconds: Double, scoreMicroseconds: [String: Double]) {
    self.trainedAt = trainedAt
    self.trainingSeconds = trainingSeconds
    self.scoreMicroseconds = scoreMicroseconds
  }
}

/// The history that a model was trained on.
public struct DataWindow: Codable, Sendable, Equatable {
  /// First and last event, `yyyy-mm-dd`.
  public var from: String
  public var to: String
  public var borrowers: Int
  public var examples: Int
  /// Further counts by name (`events`, `positives`, `prospects`, ...).
  public var counts: [String: Int]

  public init(from: String, to: String, borrowers: Int, examples: Int, counts: [String: Int] = [:]) {
    self.from = from
    self.to = to
    self.borrowers = borrowers
    self.examples = examples
    self.counts = counts
  }
}

/// A model that was tried, measured as the chosen one was.
public struct Candidate: Codable, Sendable, Equatable {
  public var name: String
  public var metrics: [String: Double]
  public var chosen: Bool

  public init(name: String, metrics: [String: Double], chosen: Bool) {
    self.name = name
    self.metrics = metrics
    self.chosen = chosen
  }
}
