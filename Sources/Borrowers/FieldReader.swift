/// Turns the values that a scanner found into what a record's rules ask for, copying strings into `text`.
struct FieldReader: ~Copyable {
  /// The largest magnitude of a number.
  static let magnitudeMax = 1e15

  var values = FieldValues()
  /// The strings of the record so far, unescaped.
  var text = ByteBuffer(capacity: 256)

  init() {}

  /// A number; NaN where the field is missing.
  @inline(__always)
  func number(_ field: Int, _ name: StaticString, from minimum: Double = 0) throws(DecodingError) -> Double {
    guard values.isPresent(field) else { return .nan }
    let value = values[field]
    guard value.kind == .number else { throw DecodingError(.wrongType, field: name) }
    let number = Double(bitPattern: value.bits)
    // False for a NaN too, which Protobuf may carry.
    guard number >= minimum && number <= Self.magnitudeMax else { throw DecodingError(.outOfRange, field: name) }
    return number
  }

  @inline(__always)
  func requiredNumber(
    _ field: Int, _ name: StaticString, from minimum: Double = 0
  ) throws(DecodingError) -> Double {
    guard values.isPresent(field) else { throw DecodingError(.missingField, field: name) }
    return try number(field, name, from: minimum)
  }

  @inline(__always)
  func bool(_ field: Int, _ name: StaticString) throws(DecodingError) -> Bool? {
    guard values.isPresent(field) else { return nil }
    let value = values[field]
    guard value.kind == .bool else { throw DecodingError(.wrongType, field: name) }
    return value.bits == 1
  }

  /// A string, copied to `text`; `.absent` where the field is missing.
  @inline(__always)
  mutating func string(
    _ bytes: InputBytes, _ field: Int, _ name: StaticString
  ) throws(DecodingError) -> TextSlice {
    guard values.isPresent(field) else { return .absent }
    let value = values[field]
    let start = text.count
    switch value.kind {
    case .plainString: unsafe text.append(bytes.slice(Int(value.start), Int(value.count)))
    case .escapedString: JSONScanner.unescape(bytes, Int(value.start), Int(value.count), into: &text)
    default: throw DecodingError(.wrongType, field: name)
    }
    return TextSlice(start: UInt32(start), count: UInt32(text.count - start))
  }

  @inline(__always)
  mutating func requiredString(
    _ bytes: InputBytes, _ field: Int, _ name: StaticString
  ) throws(DecodingError) -> TextSlice {
    guard values.isPresent(field) else { throw DecodingError(.missingField, field: name) }
    return try string(bytes, field, name)
  }

  /// A required string of 1...64 bytes.
  @inline(__always)
  mutating func identifier(
    _ bytes: InputBytes, _ field: Int, _ name: StaticString
  ) throws(DecodingError) -> TextSlice {
    let slice = try requiredString(bytes, field, name)
    guard slice.count >= 1 && slice.count <= 64 else { throw DecodingError(.outOfRange, field: name) }
    return slice
  }

  /// A time: an RFC 3339 string or whole milliseconds since 1970, within what an event may carry; `.distantPast` where
  /// the field is missing.
  @inline(__always)
  mutating func time(_ bytes: InputBytes, _ field: Int, _ name: StaticString) throws(DecodingError) -> EventTime {
    guard values.isPresent(field) else { return .distantPast }
    let value = values[field]
    let time: EventTime
    switch value.kind {
    case .plainString:
      guard let parsed = unsafe EventTime.parse(InputBytes(bytes.slice(Int(value.start), Int(value.count)))) else {
        throw DecodingError(.invalidTime, field: name)
      }
      time = parsed
    case .escapedString: time = try escapedTime(bytes, value, name)
    case .integer: time = EventTime(milliseconds: Int64(bitPattern: value.bits))
    case .number:
      let number = Double(bitPattern: value.bits)
      guard number.isFinite && number.magnitude < 0x1p53 else { throw DecodingError(.timeOutOfRange, field: name) }
      guard number.rounded(.towardZero) == number else { throw DecodingError(.invalidTime, field: name) }
      time = EventTime(milliseconds: Int64(number))
    default: throw DecodingError(.wrongType, field: name)
    }
    guard time >= .earliest && time < .end else { throw DecodingError(.timeOutOfRange, field: name) }
    return time
  }

  @inline(never)
  private mutating func escapedTime(
    _ bytes: InputBytes, _ value: FieldValues.Value, _ name: StaticString
  ) throws(DecodingError) -> EventTime {
    let start = text.count
    JSONScanner.unescape(bytes, Int(value.start), Int(value.count), into: &text)
    let parsed = unsafe EventTime(rfc3339: UnsafeBufferPointer(rebasing: text.bytes[start...]))
    text.truncate(to: start)
    guard let parsed else { throw DecodingError(.invalidTime, field: name) }
    return parsed
  }
}
