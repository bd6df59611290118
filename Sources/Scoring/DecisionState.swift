import Borrowers
import Features

/// The newest scores of a borrower, as published: rounded to whole millionths (probabilities, utilization) and hundredths
/// (money), so that what is decided again later is decided from the very numbers that were published, in few bytes.
struct HeldScores: Equatable {
  /// Of a model that is not there.
  static let absent = Int64.min

  var overdueMillionths = absent
  var previousOverdueMillionths = absent
  var borrowingMillionths = absent
  var utilizationMillionths = absent
  var forecastHundredths = absent
  var forecastLowerHundredths = absent
  var forecastUpperHundredths = absent
  var basis = OverdueBasis.ifLent

  var overdueProbability: Double { Self.value(overdueMillionths, 1e6) }
  var previousProbability: Double { Self.value(previousOverdueMillionths, 1e6) }
  var borrowingProbability: Double { Self.value(borrowingMillionths, 1e6) }
  var predictedUtilization: Double { Self.value(utilizationMillionths, 1e6) }
  var forecast: Double { Self.value(forecastHundredths, 100) }
  var forecastLower: Double { Self.value(forecastLowerHundredths, 100) }
  var forecastUpper: Double { Self.value(forecastUpperHundredths, 100) }

  @inline(__always) static func millionths(_ value: Double) -> Int64 { rounded(value, 1e6) }
  @inline(__always) static func hundredths(_ value: Double) -> Int64 { rounded(value, 100) }

  /// Division of two whole numbers under 2^53 is rounded correctly, so the decimal that is published has at most six
  /// (two) places.
  @inline(__always) static func value(_ whole: Int64, _ unit: Double) -> Double {
    whole == absent ? .nan : Double(whole) / unit
  }

  @inline(__always) private static func rounded(_ value: Double, _ unit: Double) -> Int64 {
    guard value == value else { return absent }
    // 2^52 hundredths are 45 trillion: a forecast past them is none, but must not trap.
    let scaled = (value * unit).rounded(.toNearestOrEven)
    return Int64(min(max(scaled, -0x1p52), 0x1p52))
  }
}

/// A 128-bit identifier; published as 32 lower-case hexadecimal digits.
struct Identifier: Equatable {
  var high: UInt64 = 0
  var low: UInt64 = 0

  func writeHexadecimal(into digits: inout [UInt8]) {
    digits.removeAll(keepingCapacity: true)
    for word in [high, low] {
      for shift in stride(from: UInt64(60), through: 0, by: -4) {
        let nibble = UInt8(truncatingIfNeeded: word >> shift) & 15
        digits.append(nibble < 10 ? 0x30 + nibble : 0x57 + nibble)
      }
    }
  }
}

/// What decisions keep of a borrower besides its features: the scores held, the open alert and lead, and what cooldowns
/// need. Its bytes stand behind the features part of the borrower's.
///
/// Bytes: version (1; 2 with what version 1 had not), two bytes of flags, then what the flags announce, in the order of
/// `encode`. With scores of all models and nothing open it takes about 30 bytes.
struct DecisionState {
  static let version: UInt8 = 2

  var scores = HeldScores()

  var hasAlert = false
  var alertID = Identifier()
  /// The highest since it was raised.
  var alertSeverity = Severity.none
  var alertLevel = Severity.none
  var alertRaisedByModel = false
  var alertRaisedByOverride = false
  /// Names of the rules that raised it, each behind its length in one byte.
  var alertRules: [UInt8] = []

  /// `.distantPast` where no alert was cleared.
  var alertClearedAt = EventTime.distantPast
  /// The severity of the alert that was cleared then.
  var clearedSeverity = Severity.none

  var hasLead = false
  var leadID = Identifier()
  /// The forecast at its last publication.
  var leadForecastHundredths = HeldScores.absent
  var leadValidUntil = EventTime.distantFuture
  /// Of the decision that opened it, for the timer that ends it.
  var leadEventID: [UInt8] = []
  var leadPlatform: [UInt8] = []

  /// `.distantPast` where no lead has ended.
  var leadEndedAt = EventTime.distantPast

  /// What a person decided about the alert; `lift`: nothing.
  var overrideAction = AlertOverride.Action.lift
  var overrideSeverity = Severity.none
  var overrideUntil = EventTime.distantFuture
  /// Of the control record.
  var overrideID: [UInt8] = []

  var hasOverride: Bool { overrideAction != .lift }

  /// When it ends.
  @inline(__always) var overrideTimer: EventTime { hasOverride ? overrideUntil : .distantFuture }

  mutating func liftOverride() {
    overrideAction = .lift
    overrideSeverity = .none
    overrideUntil = .distantFuture
    overrideID.removeAll(keepingCapacity: true)
  }

  /// When its timer comes due.
  @inline(__always) var leadTimer: EventTime { hasLead ? leadValidUntil : .distantFuture }

  mutating func reset() {
    scores = HeldScores()
    closeAlert()
    alertClearedAt = .distantPast
    clearedSeverity = .none
    closeLead()
    leadEndedAt = .distantPast
    liftOverride()
  }

  mutating func closeAlert() {
    hasAlert = false
    alertID = Identifier()
    alertSeverity = .none
    alertLevel = .none
    alertRaisedByModel = false
    alertRaisedByOverride = false
    alertRules.removeAll(keepingCapacity: true)
  }

  mutating func closeLead() {
    hasLead = false
    leadID = Identifier()
    leadForecastHundredths = HeldScores.absent
    leadValidUntil = .distantFuture
    leadEventID.removeAll(keepingCapacity: true)
    leadPlatform.removeAll(keepingCapacity: true)
  }
}

// MARK: Bytes

extension DecisionState {
  private struct Flags: OptionSet {
    let rawValue: UInt16
    static let overdue = Flags(rawValue: 1 << 0)
    static let previousOverdue = Flags(rawValue: 1 << 1)
    static let borrowing = Flags(rawValue: 1 << 2)
    static let utilization = Flags(rawValue: 1 << 3)
    static let forecast = Flags(rawValue: 1 << 4)
    static let owing = Flags(rawValue: 1 << 5)
    static let alert = Flags(rawValue: 1 << 6)
    static let alertRaisedByModel = Flags(rawValue: 1 << 7)
    static let cleared = Flags(rawValue: 1 << 8)
    static let lead = Flags(rawValue: 1 << 9)
    static let leadForecast = Flags(rawValue: 1 << 10)
    static let leadEnded = Flags(rawValue: 1 << 11)
    static let alertOverride = Flags(rawValue: 1 << 12)
    static let alertRaisedByOverride = Flags(rawValue: 1 << 13)
    static let known = Flags(rawValue: (1 << 14) - 1)
    static let ofVersion2: Flags = [.alertOverride, .alertRaisedByOverride]
  }

  /// The most bytes besides its texts.
  private static let fixedBytes = 256

  private var flags: Flags {
    var flags: Flags = []
    if scores.overdueMillionths != HeldScores.absent { flags.insert(.overdue) }
    if scores.previousOverdueMillionths != HeldScores.absent { flags.insert(.previousOverdue) }
    if scores.borrowingMillionths != HeldScores.absent { flags.insert(.borrowing) }
    if scores.utilizationMillionths != HeldScores.absent { flags.insert(.utilization) }
    if scores.forecastHundredths != HeldScores.absent { flags.insert(.forecast) }
    if scores.basis == .owing { flags.insert(.owing) }
    if hasAlert { flags.insert(.alert) }
    if alertRaisedByModel { flags.insert(.alertRaisedByModel) }
    if alertClearedAt != .distantPast { flags.insert(.cleared) }
    if hasLead { flags.insert(.lead) }
    if leadForecastHundredths != HeldScores.absent { flags.insert(.leadForecast) }
    if leadEndedAt != .distantPast { flags.insert(.leadEnded) }
    if hasOverride { flags.insert(.alertOverride) }
    if alertRaisedByOverride { flags.insert(.alertRaisedByOverride) }
    return flags
  }

  func encode(into buffer: inout ByteBuffer) {
    let room = Self.fixedBytes + alertRules.count + leadEventID.count + leadPlatform.count + overrideID.count
    var writer = unsafe DecisionWriter(buffer.reserve(room))
    let flags = flags
    writer.byte(flags.isDisjoint(with: .ofVersion2) ? 1 : Self.version)
    writer.byte(UInt8(truncatingIfNeeded: flags.rawValue))
    writer.byte(UInt8(truncatingIfNeeded: flags.rawValue >> 8))
    if flags.contains(.overdue) { writer.signed(scores.overdueMillionths) }
    if flags.contains(.previousOverdue) { writer.signed(scores.previousOverdueMillionths) }
    if flags.contains(.borrowing) { writer.signed(scores.borrowingMillionths) }
    if flags.contains(.utilization) { writer.signed(scores.utilizationMillionths) }
    if flags.contains(.forecast) {
      writer.signed(scores.forecastHundredths)
      writer.signed(scores.forecastLowerHundredths == HeldScores.absent ? 0 : scores.forecastLowerHundredths)
      writer.signed(scores.forecastUpperHundredths == HeldScores.absent ? 0 : scores.forecastUpperHundredths)
    }
    if hasAlert {
      writer.fixed(alertID.high)
      writer.fixed(alertID.low)
      writer.byte(alertSeverity.rawValue << 4 | alertLevel.rawValue)
      writer.text(alertRules)
    }
    if flags.contains(.cleared) {
      writer.signed(alertClearedAt.milliseconds)
      writer.byte(clearedSeverity.rawValue)
    }
    if hasLead {
      writer.fixed(leadID.high)
      writer.fixed(leadID.low)
      if flags.contains(.leadForecast) { writer.signed(leadForecastHundredths) }
      writer.signed(leadValidUntil.milliseconds)
      writer.text(leadEventID)
      writer.text(leadPlatform)
    }
    if flags.contains(.leadEnded) { writer.signed(leadEndedAt.milliseconds) }
    if hasOverride {
      writer.byte(overrideAction.rawValue << 4 | overrideSeverity.rawValue)
      writer.signed(overrideUntil.milliseconds)
      writer.text(overrideID)
    }
    buffer.advance(writer.count)
  }

  /// Reads what `encode` wrote; the bytes must end with it.
  mutating func decode(_ bytes: UnsafeBufferPointer<UInt8>) throws(StateError) {
    reset()
    var reader = unsafe DecisionReader(bytes)
    let version = reader.byte()
    guard !reader.isDamaged, version > 0 else { throw .damaged }
    guard version <= Self.version else { throw .newerVersion(version) }
    let low = reader.byte()
    let flags = Flags(rawValue: UInt16(reader.byte()) << 8 | UInt16(low))
    guard flags.isSubset(of: .known) else { throw .damaged }
    decodeScores(flags, &reader)
    if flags.contains(.alert) {
      hasAlert = true
      alertID = Identifier(high: reader.fixed(), low: reader.fixed())
      let levels = reader.byte()
      guard let severity = Severity(rawValue: levels >> 4), let level = Severity(rawValue: levels & 15) else {
        throw .damaged
      }
      alertSeverity = severity
      alertLevel = level
      alertRaisedByModel = flags.contains(.alertRaisedByModel)
      alertRaisedByOverride = flags.contains(.alertRaisedByOverride)
      reader.text(into: &alertRules)
    }
    if flags.contains(.cleared) {
      alertClearedAt = EventTime(milliseconds: reader.signed())
      guard let severity = Severity(rawValue: reader.byte()) else { throw .damaged }
      clearedSeverity = severity
    }
    if flags.contains(.lead) {
      hasLead = true
      leadID = Identifier(high: reader.fixed(), low: reader.fixed())
      if flags.contains(.leadForecast) { leadForecastHundredths = reader.signed() }
      leadValidUntil = EventTime(milliseconds: reader.signed())
      reader.text(into: &leadEventID)
      reader.text(into: &leadPlatform)
    }
    if flags.contains(.leadEnded) { leadEndedAt = EventTime(milliseconds: reader.signed()) }
    if flags.contains(.alertOverride) {
      let head = reader.byte()
      guard let action = AlertOverride.Action(rawValue: head >> 4), let severity = Severity(rawValue: head & 15) else {
        throw .damaged
      }
      overrideAction = action
      overrideSeverity = severity
      overrideUntil = EventTime(milliseconds: reader.signed())
      reader.text(into: &overrideID)
    }
    guard !reader.isDamaged, reader.isAtEnd else { throw .damaged }
  }

  @inline(__always) private mutating func decodeScores(_ flags: Flags, _ reader: inout DecisionReader) {
    if flags.contains(.overdue) { scores.overdueMillionths = reader.signed() }
    if flags.contains(.previousOverdue) { scores.previousOverdueMillionths = reader.signed() }
    if flags.contains(.borrowing) { scores.borrowingMillionths = reader.signed() }
    if flags.contains(.utilization) { scores.utilizationMillionths = reader.signed() }
    if flags.contains(.forecast) {
      scores.forecastHundredths = reader.signed()
      scores.forecastLowerHundredths = reader.signed()
      scores.forecastUpperHundredths = reader.signed()
    }
    scores.basis = flags.contains(.owing) ? .owing : .ifLent
  }
}
