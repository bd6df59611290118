import Features

/// How a platform's repayment is forecast, and its 80 % interval.
public struct RepaymentDescription: Codable, Sendable, Equatable {
  /// A quantile of what was repaid over what was forecast, for periods of up to `daysMax` days.
  public struct Interval: Codable, Sendable, Equatable {
    public var daysMax: Int
    public var lower: Double
    public var upper: Double

    public init(daysMax: Int, lower: Double, upper: Double) {
      self.daysMax = daysMax
      self.lower = lower
      self.upper = upper
    }
  }

  /// `network`, `linear_regression`, or the name of a `RepaymentBaseline`.
  public var method: String
  /// In order of `daysMax`; empty where no forecast could be measured: there is no interval then.
  public var intervals: [Interval]

  public init(method: String, intervals: [Interval]) {
    self.method = method
    self.intervals = intervals
  }

  public static let network = "network"
  public static let linear = "linear_regression"

  public func interval(days: Int) -> Interval? { intervals.first { days <= $0.daysMax } ?? intervals.last }
}

public struct RepaymentPrediction: Sendable, Equatable {
  /// In money.
  public var expected: Double
  /// The 80 % interval; NaN where it was never measured.
  public var lower: Double
  public var upper: Double

  public init(expected: Double, lower: Double, upper: Double) {
    self.expected = expected
    self.lower = lower
    self.upper = upper
  }
}

/// What a platform will be repaid over a coming period: by a network, or by the baseline that was better.
public struct RepaymentModel: Sendable {
  /// Of the folder.
  public let version: String
  /// What forecasts name as their model: the folder's version, or the baseline that was better.
  public let forecastVersion: String
  public let description: RepaymentDescription
  private let head: Ensemble?
  private let baseline: RepaymentBaseline?

  /// Learned forecasts are held within this multiple of the baselines' mean.
  public static let ratioMax = 10.0

  init(_ loaded: LoadedVersion) throws(ModelError) {
    let file = loaded.folder + "manifest.json"
    guard let description = loaded.manifest.architecture.repayment else {
      throw ModelError(file: file, problem: "has no repayment section; train again")
    }
    guard loaded.manifest.featureHash == RepaymentFeatures.hash else {
      throw ModelError(
        file: file, problem: "was made for repayment features that this lendpulse does not have; train again with it")
    }
    for interval in description.intervals {
      guard interval.lower.isFinite, interval.upper.isFinite, interval.lower <= interval.upper else {
        throw ModelError(file: file, problem: "has an interval that is none; train again")
      }
    }
    self.description = description
    version = loaded.manifest.version
    baseline = RepaymentBaseline(rawValue: description.method)
    switch description.method {
    case RepaymentDescription.network, RepaymentDescription.linear:
      head = try loaded.head(
        "repayment", Catalogue(count: RepaymentFeatures.count, hash: RepaymentFeatures.hash), explained: false)
      forecastVersion =
        description.method == RepaymentDescription.network ? loaded.manifest.version : RepaymentDescription.linear
    default:
      guard let baseline else {
        throw ModelError(file: file, problem: "forecasts by \(description.method), which is not known; train again")
      }
      head = nil
      forecastVersion = baseline.rawValue
    }
  }

  /// The forecast of a period that begins `offset` days (0...92) after the outlook's day and lasts `days` (1...92).
  public func forecast(
    _ outlook: RepaymentOutlook, offset: Int, days: Int, _ workspace: inout ModelWorkspace
  ) -> RepaymentPrediction {
    precondition((0...92).contains(offset) && (1...92).contains(days), "a period of 1 to 92 days that begins within 92")
    let expected: Double
    if let baseline {
      expected = outlook.baseline(baseline, offset: offset, days: days)
    } else if let head {
      var features: [Float] = []
      let reference = outlook.fill(&features, offset: offset, days: days)
      let ratio = reference > 0 ? Self.ratio(features, head, &workspace) : 0
      expected = reference * min(max(ratio, 0), Self.ratioMax)
    } else {
      expected = 0
    }
    return description.prediction(expected: expected, days: days)
  }

  private static func ratio(_ features: [Float], _ head: Ensemble, _ workspace: inout ModelWorkspace) -> Double {
    unsafe features.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return 0 }
      // A dense or linear member reads no picture.
      let row = unsafe ModelRow(features: base, picture: base)
      return unsafe head.calibrated(head.fused(row, &workspace))
    }
  }
}

extension RepaymentDescription {
  /// An expected amount with the interval of periods of that length.
  public func prediction(expected: Double, days: Int) -> RepaymentPrediction {
    let expected = min(max(expected, 0), 1e18)
    guard let interval = interval(days: days) else {
      return RepaymentPrediction(expected: expected, lower: .nan, upper: .nan)
    }
    return RepaymentPrediction(
      expected: expected, lower: min(max(expected * interval.lower, 0), expected),
      upper: max(expected * interval.upper, expected))
  }
}
