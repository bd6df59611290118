/// Decodes borrower events. One is kept for each thread and used for every record: it allocates nothing once its buffers
/// have grown to their working size.
///
/// Rules, beyond those of the fields: unknown fields are ignored, as are the fields of other types than the event's own;
/// `null` counts as missing; of a field that comes twice the last value counts (a second JSON `profile` replaces the
/// first; in Protobuf, as there usual, the two are merged).
public struct EventDecoder: ~Copyable {
  /// The most bytes of a value.
  public static let valueBytesMax = 1 << 20
  /// How far an event may lie ahead of its record's Kafka timestamp.
  public static let aheadMillisecondsMax: Int64 = 86_400_000

  private var scanner = JSONScanner()
  private var reader = FieldReader()
  private let names = EventField.names
  private let kinds = EventKind.names

  public init() {}

  /// Decodes a record into `event`, all of which is overwritten; after an error its content is not specified.
  ///
  /// - Parameters:
  ///   - value: nil is a tombstone.
  ///   - key: nil where the record has none.
  ///   - contentType: the header's value, nil where the record has none: then the value is JSON.
  ///   - recordTimestamp: the record's Kafka timestamp.
  /// - Throws: what the record's dead letter says.
  public mutating func decode(
    _ value: UnsafeBufferPointer<UInt8>?, key: UnsafeBufferPointer<UInt8>?,
    contentType: UnsafeBufferPointer<UInt8>?, recordTimestamp: EventTime, into event: inout BorrowerEvent
  ) throws(DecodingError) {
    let format = unsafe try RecordFormat(contentType: contentType)
    guard let value = unsafe value, value.count > 0 else { throw DecodingError(.emptyValue) }
    guard value.count <= Self.valueBytesMax else { throw DecodingError(.tooLarge) }
    let bytes = unsafe InputBytes(value)
    do throws(DeadLetterCode) {
      switch format {
      case .json: try scanner.scan(bytes, names, into: &reader.values)
      case .protobuf: try ProtobufEvent.scan(bytes, into: &reader.values)
      }
    } catch {
      throw DecodingError(error)
    }
    reader.text.removeAll()
    event.kind = try readKind(bytes)
    event.eventID = try string(bytes, .eventID, isIdentifier: true)
    event.borrowerID = try string(bytes, .borrowerID, isIdentifier: true)
    try readTime(bytes, recordTimestamp, into: &event)
    event.platform = try string(bytes, .platform)
    if !event.platform.isPresent {
      event.platform = TextSlice(start: UInt32(reader.text.count), count: 7)
      reader.text.append("default")
    }
    try readFields(bytes, into: &event)
    event.text.removeAll(keepingCapacity: true)
    unsafe event.text.append(contentsOf: reader.text.bytes)
    if let key = unsafe key, unsafe !reader.isText(event.borrowerID, equalTo: key) {
      throw DecodingError(.keyMismatch, field: EventField.borrowerID.name)
    }
  }

  // MARK: - What every event has

  @inline(__always)
  private func readKind(_ bytes: InputBytes) throws(DecodingError) -> EventKind {
    let name = EventField.type.name
    guard reader.values.isPresent(EventField.type.rawValue) else { throw DecodingError(.missingField, field: name) }
    let value = reader.values[EventField.type.rawValue]
    let raw: UInt64
    switch value.kind {
    case .plainString: raw = UInt64(kinds.index(bytes, Int(value.start), Int(value.count)) + 1)
    case .escapedString:
      var unescaped = ByteBuffer()
      JSONScanner.unescape(bytes, Int(value.start), Int(value.count), into: &unescaped)
      raw = UInt64(unsafe kinds.index(InputBytes(unescaped.bytes), 0, unescaped.count) + 1)
    case .integer: raw = value.bits
    default: throw DecodingError(.wrongType, field: name)
    }
    guard let kind = UInt8(exactly: raw).flatMap(EventKind.init(rawValue:)) else {
      throw DecodingError(.unknownType, field: name)
    }
    return kind
  }

  @inline(__always)
  private mutating func readTime(
    _ bytes: InputBytes, _ recordTimestamp: EventTime, into event: inout BorrowerEvent
  ) throws(DecodingError) {
    let field = EventField.occurredAt
    guard reader.values.isPresent(field.rawValue) else { throw DecodingError(.missingField, field: field.name) }
    event.occurredAt = try time(bytes, field)
    guard event.occurredAt <= recordTimestamp + Self.aheadMillisecondsMax else {
      throw DecodingError(.timeOutOfRange, field: field.name)
    }
  }

  // MARK: - By type

  /// The fields of the event's type; all others become missing.
  private mutating func readFields(
    _ bytes: InputBytes, into event: inout BorrowerEvent
  ) throws(DecodingError) {
    event.removeFields()
    switch event.kind {
    case .profileUpdated: event.profile = try readProfile(bytes)
    case .creditScoreUpdated:
      event.amount = try required(.score)
      event.detail = try string(bytes, .bureau)
    case .assetsUpdated:
      event.deposits = try number(.deposits)
      event.propertyValue = try number(.propertyValue)
    case .limitChanged: event.amount = try required(.creditLimit)
    case .loanApplied:
      event.amount = try required(.amount)
      event.detail = try string(bytes, .product)
    case .drawdown:
      event.amount = try required(.amount)
      event.loanID = try string(bytes, .loanID, isRequired: true)
      event.installments = try number(.installments)
      event.detail = try string(bytes, .product)
    case .installmentDue:
      event.amount = try required(.amount)
      event.loanID = try string(bytes, .loanID, isRequired: true)
      guard reader.values.isPresent(EventField.dueAt.rawValue) else {
        throw DecodingError(.missingField, field: EventField.dueAt.name)
      }
      event.dueAt = try time(bytes, .dueAt)
    case .statementIssued:
      event.amount = try required(.balance, from: -FieldReader.magnitudeMax)
      event.minimumDue = try number(.minimumDue)
      event.dueAt = try time(bytes, .dueAt)
    case .repayment:
      event.amount = try required(.amount)
      event.loanID = try string(bytes, .loanID)
    case .paymentMissed:
      event.daysPastDue = try required(.daysPastDue)
      event.loanID = try string(bytes, .loanID)
      event.amount = try number(.amount)
    case .purchase:
      event.amount = try required(.amount)
      event.detail = try string(bytes, .category)
    case .pageView: event.detail = try string(bytes, .page, isRequired: true)
    case .search: event.detail = try string(bytes, .topic)
    case .sessionStarted: event.detail = try string(bytes, .channel)
    case .wealthTransaction, .bankTransaction:
      event.amount = try required(.amount, from: -FieldReader.magnitudeMax)
    case .borrowerErased: break
    }
  }

  private mutating func readProfile(_ bytes: InputBytes) throws(DecodingError) -> ProfileUpdate {
    let field = EventField.profile
    guard reader.values.isPresent(field.rawValue) else { throw DecodingError(.missingField, field: field.name) }
    guard reader.values[field.rawValue].kind == .object else { throw DecodingError(.wrongType, field: field.name) }
    var profile = ProfileUpdate()
    profile.birthYear = try number(.birthYear)
    profile.monthlyIncome = try number(.monthlyIncome)
    profile.region = try string(bytes, .region)
    profile.householdRegion = try string(bytes, .householdRegion)
    profile.education = try string(bytes, .education)
    profile.occupation = try string(bytes, .occupation)
    profile.maritalStatus = try string(bytes, .maritalStatus)
    profile.gender = try string(bytes, .gender)
    profile.marketingConsent = try reader.bool(EventField.marketingConsent.rawValue, EventField.marketingConsent.name)
    return profile
  }

  @inline(__always) private func number(_ field: EventField) throws(DecodingError) -> Double {
    try reader.number(field.rawValue, field.name)
  }
  @inline(__always)
  private func required(_ field: EventField, from minimum: Double = 0) throws(DecodingError) -> Double {
    try reader.requiredNumber(field.rawValue, field.name, from: minimum)
  }
  @inline(__always)
  private mutating func string(
    _ bytes: InputBytes, _ field: EventField, isRequired: Bool = false, isIdentifier: Bool = false
  ) throws(DecodingError) -> TextSlice {
    if isIdentifier { return try reader.identifier(bytes, field.rawValue, field.name) }
    if isRequired { return try reader.requiredString(bytes, field.rawValue, field.name) }
    return try reader.string(bytes, field.rawValue, field.name)
  }
  @inline(__always)
  private mutating func time(_ bytes: InputBytes, _ field: EventField) throws(DecodingError) -> EventTime {
    try reader.time(bytes, field.rawValue, field.name)
  }
}

extension FieldReader {
  /// Whether a string of the record is these bytes.
  @inline(__always)
  func isText(_ slice: TextSlice, equalTo other: UnsafeBufferPointer<UInt8>) -> Bool {
    guard Int(slice.count) == other.count else { return false }
    let own = unsafe InputBytes(text.bytes)
    let given = unsafe InputBytes(other)
    for index in 0..<given.count where own[Int(slice.start) + index] != given[index] { return false }
    return true
  }
}

extension RecordFormat {
  /// The format that a `content-type` header names, JSON where there is no header. The media type's case, white space
  /// around it and its parameters do not matter.
  public init(contentType: UnsafeBufferPointer<UInt8>?) throws(DecodingError) {
    guard let contentType = unsafe contentType else {
      self = .json
      return
    }
    let bytes = unsafe InputBytes(contentType)
    func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
    var start = 0
    var end = 0
    while end < bytes.count && bytes[end] != 0x3B { end += 1 }
    while end > start && isSpace(bytes[end - 1]) { end -= 1 }
    while start < end && isSpace(bytes[start]) { start += 1 }
    func isType(_ name: StaticString) -> Bool {
      guard name.utf8CodeUnitCount == end - start else { return false }
      for offset in 0..<(end - start) {
        let byte = bytes[start + offset]
        let lowercase = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
        if unsafe lowercase != name.utf8Start[offset] { return false }
      }
      return true
    }
    if isType("application/json") {
      self = .json
    } else if isType("application/x-protobuf") {
      self = .protobuf
    } else {
      throw DecodingError(.unsupportedContentType)
    }
  }
}
