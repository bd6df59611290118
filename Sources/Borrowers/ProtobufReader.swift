/// What a field of a Protobuf message is, in terms of this project's messages.
enum ProtobufFieldType {
  case string, double, int64, enumeration, bool, message
}

/// The known fields of a message and of the one message that may lie in it.
protocol ProtobufLayout {
  /// The `FieldValues` index and the type of a field; nil where the number is not known.
  static func field(_ number: UInt32) -> (index: Int, type: ProtobufFieldType)?
  static func nestedField(_ number: UInt32) -> (index: Int, type: ProtobufFieldType)?
}

/// Reads Protobuf's wire format (protobuf.dev/programming-guides/encoding) as the C++ library does: unknown fields, and
/// known ones of another wire type, are skipped; of a repeated field the last value counts, messages are merged.
struct ProtobufReader {
  let bytes: InputBytes
  private(set) var index = 0
  private var end: Int

  init(_ bytes: InputBytes) {
    self.bytes = bytes
    end = bytes.count
  }

  static func scan<Layout: ProtobufLayout>(
    _ bytes: InputBytes, _ layout: Layout.Type, into values: inout FieldValues
  ) throws(DeadLetterCode) {
    values.removeAll()
    var reader = ProtobufReader(bytes)
    while reader.index < reader.end {
      let (number, wireType) = try reader.readTag()
      guard let field = layout.field(number) else {
        try reader.skip(number, wireType, depth: 1)
        continue
      }
      if field.type == .message && wireType == 2 {
        let count = try reader.readLength()
        let outerEnd = reader.end
        reader.end = reader.index + count
        values.set(field.index, FieldValues.Value(kind: .object))
        while reader.index < reader.end {
          let (number, wireType) = try reader.readTag()
          if let field = layout.nestedField(number) {
            try reader.readValue(field.index, field.type, number, wireType, depth: 2, into: &values)
          } else {
            try reader.skip(number, wireType, depth: 2)
          }
        }
        reader.end = outerEnd
      } else {
        try reader.readValue(field.index, field.type, number, wireType, depth: 1, into: &values)
      }
    }
  }

  @inline(__always)
  private mutating func readValue(
    _ field: Int, _ type: ProtobufFieldType, _ number: UInt32, _ wireType: UInt32, depth: Int,
    into values: inout FieldValues
  ) throws(DeadLetterCode) {
    switch (type, wireType) {
    case (.string, 2):
      let count = try readLength()
      try UTF8Check.check(bytes, index, count)
      values.set(
        field,
        FieldValues.Value(
          kind: .plainString, start: UInt32(truncatingIfNeeded: index), count: UInt32(truncatingIfNeeded: count)))
      index += count
    case (.double, 1):
      guard index + 8 <= end else { throw .invalidProtobuf }
      values.set(field, FieldValues.Value(kind: .number, bits: bytes.word(at: index)))
      index += 8
    case (.int64, 0):
      values.set(field, FieldValues.Value(kind: .integer, bits: try readVarint()))
    case (.enumeration, 0):
      let value = UInt64(UInt32(truncatingIfNeeded: try readVarint()))
      // 0 is each enumeration's UNSPECIFIED.
      if value == 0 {
        values.remove(1 << UInt64(field))
      } else {
        values.set(field, FieldValues.Value(kind: .integer, bits: value))
      }
    case (.bool, 0):
      values.set(field, FieldValues.Value(kind: .bool, bits: try readVarint() != 0 ? 1 : 0))
    default:
      try skip(number, wireType, depth: depth)
    }
  }

  @inline(__always)
  private mutating func readTag() throws(DeadLetterCode) -> (number: UInt32, wireType: UInt32) {
    var tag: UInt32 = 0
    for shift in stride(from: UInt32(0), to: 35, by: 7) {
      guard index < end else { throw .invalidProtobuf }
      let byte = bytes[index]
      index += 1
      tag |= UInt32(byte & 0x7F) << shift
      if byte < 0x80 {
        guard tag >> 3 != 0 else { throw .invalidProtobuf }
        return (tag >> 3, tag & 7)
      }
    }
    throw .invalidProtobuf
  }

  @inline(__always)
  private mutating func readVarint() throws(DeadLetterCode) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard index < end else { throw .invalidProtobuf }
      let byte = bytes[index]
      index += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw .invalidProtobuf
  }

  @inline(__always)
  private mutating func readLength() throws(DeadLetterCode) -> Int {
    let start = index
    let count = try readVarint()
    guard index - start <= 5, count <= UInt64(end - index) else { throw .invalidProtobuf }
    return Int(count)
  }

  /// Passes the value of a field whose tag has been read, a whole group with its end.
  @inline(never)
  private mutating func skip(_ number: UInt32, _ wireType: UInt32, depth: Int) throws(DeadLetterCode) {
    // The numbers of the groups that are open, which their ends must repeat.
    var groups: [UInt32] = []
    var (number, wireType) = (number, wireType)
    while true {
      switch wireType {
      case 0: _ = try readVarint()
      case 1: try skipBytes(8)
      case 2: try skipBytes(try readLength())
      case 3:
        guard depth + groups.count < JSONScanner.depthMax else { throw .tooDeep }
        groups.append(number)
      case 4: guard groups.popLast() == number else { throw .invalidProtobuf }
      case 5: try skipBytes(4)
      default: throw .invalidProtobuf
      }
      if groups.isEmpty { return }
      (number, wireType) = try readTag()
    }
  }

  private mutating func skipBytes(_ count: Int) throws(DeadLetterCode) {
    guard count <= end - index else { throw .invalidProtobuf }
    index += count
  }
}

/// `BorrowerEvent` of `schemas/lendpulse.proto`.
enum ProtobufEvent: ProtobufLayout {
  static func scan(_ bytes: InputBytes, into values: inout FieldValues) throws(DeadLetterCode) {
    try ProtobufReader.scan(bytes, ProtobufEvent.self, into: &values)
  }

  @inline(__always)
  static func field(_ number: UInt32) -> (index: Int, type: ProtobufFieldType)? {
    guard let (field, type) = knownField(number) else { return nil }
    return (field.rawValue, type)
  }

  @inline(__always)
  static func nestedField(_ number: UInt32) -> (index: Int, type: ProtobufFieldType)? {
    switch number {
    case 1: (EventField.birthYear.rawValue, .double)
    case 2: (EventField.region.rawValue, .string)
    case 3: (EventField.householdRegion.rawValue, .string)
    case 4: (EventField.education.rawValue, .string)
    case 5: (EventField.occupation.rawValue, .string)
    case 6: (EventField.maritalStatus.rawValue, .string)
    case 7: (EventField.gender.rawValue, .string)
    case 8: (EventField.monthlyIncome.rawValue, .double)
    case 9: (EventField.marketingConsent.rawValue, .bool)
    default: nil
    }
  }

  @inline(__always)
  private static func knownField(_ number: UInt32) -> (EventField, ProtobufFieldType)? {
    switch number {
    case 1: (.eventID, .string)
    case 2: (.borrowerID, .string)
    case 3: (.type, .enumeration)
    case 4: (.occurredAt, .int64)
    case 5: (.platform, .string)
    case 6: (.amount, .double)
    case 7: (.loanID, .string)
    case 8: (.product, .string)
    case 9: (.installments, .double)
    case 10: (.dueAt, .int64)
    case 11: (.score, .double)
    case 12: (.bureau, .string)
    case 13: (.deposits, .double)
    case 14: (.propertyValue, .double)
    case 15: (.creditLimit, .double)
    case 16: (.balance, .double)
    case 17: (.minimumDue, .double)
    case 18: (.daysPastDue, .double)
    case 19: (.category, .string)
    case 20: (.page, .string)
    case 21: (.topic, .string)
    case 22: (.channel, .string)
    case 23: (.profile, .message)
    default: nil
    }
  }
}
