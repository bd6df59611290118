import Borrowers
import Models

/// What a control record changes, as a partition takes it.
public enum ControlChange: Equatable, Sendable {
  /// Settings in force from here.
  case settings(DecisionSettings)
  /// The models in force from here.
  case models(version: String, digest: String)
  /// What a person decided about one borrower's alert.
  case alertOverride(AlertOverride)
}

/// A person's word on one borrower's alert, until an event time. The borrower is named by a salted hash alone: control and
/// journal are kept for ever, and must not name a borrower that was erased since.
public struct AlertOverride: Equatable, Sendable {
  public enum Action: UInt8, Sendable {
    /// What was decided before holds no longer.
    case lift = 0
    /// Nothing is raised, escalated or eased; an alert that is open may still be cleared.
    case snooze = 1
    /// The level is `severity`, whatever models and rules say; `none`: no alert.
    case force = 2

    public var name: StaticString {
      switch self {
      case .lift: "lift"
      case .snooze: "snooze"
      case .force: "override"
      }
    }
  }

  public var action: Action
  /// Of `force`; `none` otherwise.
  public var severity: Severity
  /// In event time, exclusive.
  public var until: EventTime
  /// Of its own for each record, so that two records of one borrower do not tell that they are.
  public var salt: [UInt8]
  /// SHA-256 of salt and borrower_id.
  public var digest: [UInt8]

  public static let saltBytes = 16

  public init(action: Action, severity: Severity, until: EventTime, salt: [UInt8], digest: [UInt8]) {
    self.action = action
    self.severity = severity
    self.until = until
    self.salt = salt
    self.digest = digest
  }

  /// Of a borrower by its id, with a salt of 16 random bytes.
  public init(action: Action, severity: Severity = .none, until: EventTime, borrowerID: [UInt8], salt: [UInt8]) {
    let digest = unsafe borrowerID.withUnsafeBufferPointer { unsafe SHA256.digest(salt: salt, $0) }
    self.init(action: action, severity: severity, until: until, salt: salt, digest: digest)
  }
}

// MARK: Bytes

extension ControlChange {
  // Behind a kind (1): settings as JSON; version and digest; or action (1), severity (1), the end in milliseconds (8),
  // salt and digest. Texts and bytes stand behind their length in four bytes.
  func encode(into buffer: inout ByteBuffer) {
    switch self {
    case .settings(let settings):
      buffer.append(1)
      JournalEntry.append(settings.json, to: &buffer)
    case .models(let version, let digest):
      buffer.append(2)
      JournalEntry.append(version, to: &buffer)
      JournalEntry.append(digest, to: &buffer)
    case .alertOverride(let one):
      buffer.append(3)
      buffer.append(one.action.rawValue)
      buffer.append(one.severity.rawValue)
      buffer.append(littleEndian: one.until.milliseconds)
      JournalEntry.append(one.salt, to: &buffer)
      JournalEntry.append(one.digest, to: &buffer)
    }
  }

  /// Nil when the bytes are damaged or of a newer version.
  init?(_ reader: inout PartitionReader) {
    switch reader.byte() {
    case 1:
      guard let settings = try? DecisionSettings(json: reader.text()) else { return nil }
      self = .settings(settings)
    case 2:
      let version = reader.text()
      self = .models(version: version, digest: reader.text())
    case 3:
      guard let action = AlertOverride.Action(rawValue: reader.byte()), let severity = Severity(rawValue: reader.byte())
      else { return nil }
      let until = EventTime(milliseconds: reader.integer(Int64.self))
      let salt = reader.run()
      let digest = reader.run()
      guard until >= .distantPast, until <= .distantFuture else { return nil }
      self = .alertOverride(
        AlertOverride(action: action, severity: severity, until: until, salt: salt, digest: digest))
    default: return nil
    }
  }
}
