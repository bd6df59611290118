import Borrowers

/// One feature: a column of every model's input.
public struct FeatureDefinition: Sendable {
  public enum Channel: Sendable, Hashable { case none }  // interface: the real list is the table's
  public var name: String
  /// `1h`, `24h`, `7d`, `30d`, `90d`, or empty.
  public var window: String
  /// `count`, `money`, `days`, `ratio`, ...
  public var unit: String
  public var meaning: String
  /// The code that reasons of alerts and leads give for it.
  public var reasonCode: String
  /// Gender, marital status, household region: kept out of every model unless asked for.
  public var isProtected: Bool
}

/// The one table of features. Its order is the order of every feature vector.
public enum FeatureCatalogue {
  public static var all: [FeatureDefinition] { fatalError("interface") }
  public static var count: Int { fatalError("interface") }
  /// Hex digest over names, windows, units and the picture's shape: a model made for another hash is refused.
  public static var hash: String { fatalError("interface") }
}

/// What the models read of one borrower: the feature vector (`FeatureCatalogue.count` floats, NaN where missing) and the
/// picture (row-major [day][channel], `pictureDays` x `pictureChannels`, newest day last). Reused for every event; both
/// are padded with zeros to a multiple of 16 floats and aligned to 64 bytes.
@safe public struct ModelInput: ~Copyable {
  public static let pictureDays = 90
  public static let pictureChannels = 16
  public let features: UnsafeMutableBufferPointer<Float>
  public let picture: UnsafeMutableBufferPointer<Float>
  public init() { fatalError("interface") }
}
