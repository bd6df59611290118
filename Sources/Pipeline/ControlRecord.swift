import Borrowers
import Scoring

/// A record of the control topic: what somebody asked for, who, when and why. In the order of the topic it holds for every
/// partition of every instance.
///
/// A JSON object: `schema` (`lendpulse.control.v1`), `kind` (`settings`, `file`, `models`, `override`), `at`, `by`, `why`, and
/// by kind `settings`; `models` {version, digest}; `override` {partition, action, severity, until, salt, digest}. A
/// borrower is named by a salted hash alone: the topic is kept for ever.
public struct ControlRecord: Equatable, Sendable {
  public enum Content: Equatable, Sendable {
    /// Somebody's, by HTTP.
    case settings(DecisionSettings)
    /// Those of an instance's configuration file, which it found edited at its start.
    case file(DecisionSettings)
    case models(version: String, digest: String)
    /// For a borrower of one partition.
    case alertOverride(partition: Int32, AlertOverride)
  }

  public static let schema = "lendpulse.control.v1"
  /// What `by` and `why` may be, in bytes of UTF-8.
  public static let textBytesMax = 512

  /// In the control topic; -1 before it is there.
  public var offset: Int64 = -1
  public var content: Content
  /// By the wall clock of the instance that wrote it.
  public var at: EventTime
  /// The token's name, or the instance that started.
  public var by: String
  public var why: String

  public init(content: Content, at: EventTime, by: String, why: String) {
    self.content = content
    self.at = at
    self.by = by
    self.why = why
  }

  /// What `triggering_event_id` says of what it decides.
  public var id: String {
    if case .file(let settings) = content { return settings.fileControlID }
    return "control:\(offset)"
  }

  public var kind: String {
    switch content {
    case .settings: "settings"
    case .file: "file"
    case .models: "models"
    case .alertOverride: "override"
    }
  }

  /// The settings that it brings into force.
  public var settings: DecisionSettings? {
    switch content {
    case .settings(let settings), .file(let settings): settings
    default: nil
    }
  }
}

// MARK: JSON

extension ControlRecord {
  public var json: String {
    var fields: [(key: String, value: JSONText)] = [
      ("schema", .text(Self.schema)), ("kind", .text(kind)), ("at", .text(at.text)), ("by", .text(by)),
      ("why", .text(why)),
    ]
    switch content {
    case .settings(let settings), .file(let settings):
      if let value = try? JSONText.parse(settings.json).get() { fields.append(("settings", value)) }
    case .models(let version, let digest):
      fields.append(("models", .object([("version", .text(version)), ("digest", .text(digest))])))
    case .alertOverride(let partition, let one):
      fields.append(
        (
          "override",
          .object([
            ("partition", .number(Double(partition))), ("action", .text("\(one.action.name)")),
            ("severity", .text("\(one.severity.name)")), ("until", .text(one.until.text)),
            ("salt", .text(Self.hexadecimal(one.salt))), ("digest", .text(Self.hexadecimal(one.digest))),
          ])
        ))
    }
    return JSONText.object(fields).canonical
  }

  /// Nil when it is none that this version can read.
  public init?(_ bytes: [UInt8], offset: Int64) {
    guard case .object(let fields)? = try? JSONText.parse(String(decoding: bytes, as: UTF8.self)).get() else {
      return nil
    }
    let values = Dictionary(fields.map { ($0.key, $0.value) }) { first, _ in first }
    guard values.text("schema") == Self.schema, let at = values.text("at").flatMap({ EventTime(rfc3339: $0) }),
      let content = Self.content(values)
    else { return nil }
    self.init(content: content, at: at, by: values.text("by") ?? "", why: values.text("why") ?? "")
    self.offset = offset
  }

  private static func content(_ values: [String: JSONText]) -> Content? {
    switch values.text("kind") {
    case "settings", "file":
      guard let text = values["settings"]?.canonical, let settings = try? DecisionSettings(json: text) else {
        return nil
      }
      return values.text("kind") == "file" ? .file(settings) : .settings(settings)
    case "models":
      guard let models = values.object("models"), let version = models.text("version"),
        let digest = models.text("digest")
      else { return nil }
      return .models(version: version, digest: digest)
    case "override":
      guard let one = values.object("override"), case .number(let partition)? = one["partition"],
        let action = one.text("action").flatMap(AlertOverride.Action.init(name:)),
        let severity = one.text("severity").flatMap(Severity.init(name:)),
        let until = one.text("until").flatMap({ EventTime(rfc3339: $0) }), let salt = bytes(one.text("salt")),
        let digest = bytes(one.text("digest")), (0...Double(Int32.max)).contains(partition)
      else { return nil }
      return .alertOverride(
        partition: Int32(partition),
        AlertOverride(action: action, severity: severity, until: until, salt: salt, digest: digest))
    default: return nil
    }
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  private static func bytes(_ text: String?) -> [UInt8]? {
    guard let digits = text.map({ Array($0.utf8) }), digits.count % 2 == 0, digits.count <= 256 else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let byte = UInt8(String(decoding: digits[index...index + 1], as: UTF8.self), radix: 16) else { return nil }
      bytes.append(byte)
    }
    return bytes
  }
}

extension [String: JSONText] {
  fileprivate func text(_ key: String) -> String? {
    guard case .text(let text)? = self[key] else { return nil }
    return text
  }

  fileprivate func object(_ key: String) -> [String: JSONText]? {
    guard case .object(let fields)? = self[key] else { return nil }
    return Dictionary(fields.map { ($0.key, $0.value) }) { first, _ in first }
  }
}

extension AlertOverride.Action {
  public init?(name: String) {
    switch name {
    case "lift": self = .lift
    case "snooze": self = .snooze
    case "override": self = .force
    default: return nil
    }
  }
}
