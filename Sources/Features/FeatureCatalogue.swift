import Borrowers

/// One feature: a column of every model's input.
public struct FeatureDefinition: Sendable, Equatable {
  public var name: String
  /// The channel it is of; empty where it is of several or of none.
  public var channel: String
  /// `count`, `sum`, `mean`, `largest`; empty where it is none of these.
  public var aggregate: String
  /// `1h`, `24h`, `7d`, `30d`, `90d`, ..., or empty.
  public var window: String
  /// `count`, `money`, `days`, `hours`, `years`, `ratio`, `points`, `category`.
  public var unit: String
  public var meaning: String
  /// The code that reasons of alerts and leads give for it: a `ReasonCode`.
  public var reasonCode: String
  /// Gender, marital status, household region: kept out of every model unless asked for.
  public var isProtected: Bool
}

/// The one table of features. Its order is the order of every feature vector.
public enum FeatureCatalogue {
  /// Raised when a feature or the picture is computed in another way though its name stays.
  public static let semanticsVersion = 1

  public static let all: [FeatureDefinition] = {
    var sink = DefinitionSink()
    let state = BorrowerState()
    let inputs = state.gather(at: EventTime(milliseconds: 0))
    state.describeFeatures(inputs, &sink)
    return sink.definitions
  }()

  public static let count = all.count

  private static let indices: [String: Int] = Dictionary(uniqueKeysWithValues: all.enumerated().map { ($1.name, $0) })

  /// The column of a feature.
  public static func index(of name: String) -> Int? { indices[name] }

  /// Hex digest over the table, the picture's shape and `semanticsVersion`: a model made for another hash is refused.
  public static let hash: String = {
    var text = "\(semanticsVersion) \(ModelInput.pictureDays)x\(ModelInput.pictureChannels)"
    for channel in Channel.allCases { text += " \(channel.name)" }
    for feature in all { text += "\n\(feature.name)\t\(feature.window)\t\(feature.unit)" }
    return String(decoding: Murmur.hash128(Array(text.utf8)).hexadecimal, as: UTF8.self)
  }()

  /// The content of `schemas/features.json`.
  public static func json() -> String {
    var text = "{\n  \"hash\": \"\(hash)\",\n  \"picture\": {\"days\": \(ModelInput.pictureDays), \"channels\": ["
    text += Channel.allCases.map { "\"\($0.name)\"" }.joined(separator: ", ")
    text += "]},\n  \"features\": [\n"
    text += all.map { feature in
      let fields = [
        ("name", feature.name), ("channel", feature.channel), ("aggregate", feature.aggregate),
        ("window", feature.window),
        ("unit", feature.unit), ("meaning", feature.meaning), ("reason_code", feature.reasonCode),
      ]
      // Nothing in the table needs escaping.
      return "    {" + fields.map { "\"\($0)\": \"\($1)\"" }.joined(separator: ", ")
        + ", \"protected\": \(feature.isProtected)}"
    }.joined(separator: ",\n")
    return text + "\n  ]\n}\n"
  }

  /// The table for people: name, window, unit, meaning.
  public static func table() -> String {
    let width = all.reduce(0) { max($0, $1.name.count) }
    func padded(_ text: String, _ size: Int) -> String {
      text + String(repeating: " ", count: max(1, size - text.count))
    }
    return all.map { feature in
      padded(feature.name, width + 2) + padded(feature.window, 6) + padded(feature.unit, 10) + feature.meaning
        + (feature.isProtected ? " (protected)" : "") + "\n"
    }.joined()
  }
}

/// Collects definitions.
private struct DefinitionSink: FeatureSink {
  var definitions: [FeatureDefinition] = []

  mutating func add(_ channel: Channel, _ aggregate: Aggregate, _ window: Window, _ reason: ReasonCode, _ value: Float)
  {
    let what =
      switch aggregate {
      case .count: "Number of events"
      case .sum: "Sum"
      case .mean: "Mean of an event"
      case .largest: "Largest"
      }
    definitions.append(
      FeatureDefinition(
        name: "\(channel.name)_\(aggregate.rawValue)_\(window.name)", channel: "\(channel.name)",
        aggregate: aggregate.rawValue, window: "\(window.name)",
        unit: aggregate == .count ? "count" : "\(channel.unit)", meaning: what, reasonCode: reason.rawValue,
        isProtected: false))
  }

  mutating func add(
    _ name: StaticString, _ window: StaticString, _ unit: StaticString, _ reason: ReasonCode, _ value: Float,
    isProtected: Bool, _ meaning: StaticString
  ) {
    definitions.append(
      FeatureDefinition(
        name: "\(name)", channel: "", aggregate: "", window: "\(window)", unit: "\(unit)", meaning: "\(meaning)",
        reasonCode: reason.rawValue, isProtected: isProtected))
  }
}
