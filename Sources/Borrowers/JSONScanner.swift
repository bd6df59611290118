/// Reads one JSON object (RFC 8259) in one pass over its bytes, without building a tree: the values of named fields are
/// kept, all others are checked and skipped. Everything is checked as it passes: syntax, UTF-8, escapes, depth.
/// Of a repeated name the last value counts.
struct JSONScanner: ~Copyable {
  /// The deepest nesting; the record's own object is the first level.
  static let depthMax = 64

  /// Holds a name with escapes while it is looked up.
  private var unescaped = ByteBuffer(capacity: 64)

  init() {}

  mutating func scan(
    _ bytes: InputBytes, _ names: borrowing FieldNames, into values: inout FieldValues
  ) throws(DeadLetterCode) {
    values.removeAll()
    var index = 0
    guard Self.skipSpace(bytes, &index) == 0x7B else { throw try Self.notAnObject(bytes, index) }
    index += 1
    try scanMembers(
      bytes, &index, names, names.table, offset: 0, nestedField: names.nestedField, depth: 1, &values)
    _ = Self.skipSpace(bytes, &index)
    guard index == bytes.count else { throw .invalidJSON }
  }

  /// A whole JSON value of another type is not broken JSON: it is of the wrong type.
  @inline(never)
  private static func notAnObject(_ bytes: InputBytes, _ start: Int) throws(DeadLetterCode) -> DeadLetterCode {
    var index = start
    guard index < bytes.count else { return .invalidJSON }
    try skipValue(bytes, &index, bytes[index], depth: 0)
    _ = skipSpace(bytes, &index)
    return index == bytes.count ? .wrongType : .invalidJSON
  }

  /// The members of an object up to behind its closing brace; `index` stands behind the opening one. `depth` is the
  /// object's own.
  private mutating func scanMembers(
    _ bytes: InputBytes, _ position: inout Int, _ names: borrowing FieldNames, _ table: NameTable, offset: Int,
    nestedField: Int, depth: Int, _ values: inout FieldValues
  ) throws(DeadLetterCode) {
    var index = position
    var byte = Self.skipSpace(bytes, &index)
    if byte == 0x7D {
      position = index + 1
      return
    }
    while true {
      guard byte == 0x22 else { throw .invalidJSON }
      index += 1
      let name = try Self.scanString(bytes, &index)
      guard Self.skipSpace(bytes, &index) == 0x3A else { throw .invalidJSON }
      index += 1
      let found =
        name.hasEscapes ? findEscaped(bytes, name, table) : table.index(bytes, name.start, name.count)
      byte = Self.skipSpace(bytes, &index)
      if found < 0 {
        try Self.skipValue(bytes, &index, byte, depth: depth)
      } else if found == nestedField {
        values.remove(names.nestedMask)
        if byte == 0x7B {
          index += 1
          values.set(found, FieldValues.Value(kind: .object))
          try scanMembers(
            bytes, &index, names, names.nestedTable, offset: names.nestedOffset, nestedField: -1, depth: depth + 1,
            &values)
        } else {
          try Self.keepValue(bytes, &index, byte, found, depth: depth, &values)
        }
      } else {
        try Self.keepValue(bytes, &index, byte, found + offset, depth: depth, &values)
      }
      byte = Self.skipSpace(bytes, &index)
      index += 1
      if byte == 0x2C {
        byte = Self.skipSpace(bytes, &index)
        continue
      }
      guard byte == 0x7D else { throw .invalidJSON }
      position = index
      return
    }
  }

  @inline(never)
  private mutating func findEscaped(_ bytes: InputBytes, _ name: StringRange, _ table: NameTable) -> Int {
    unescaped.removeAll()
    Self.unescape(bytes, name.start, name.count, into: &unescaped)
    return unsafe table.index(InputBytes(unescaped.bytes), 0, unescaped.count)
  }

  @inline(__always)
  private static func keepValue(
    _ bytes: InputBytes, _ index: inout Int, _ byte: UInt8, _ field: Int, depth: Int, _ values: inout FieldValues
  ) throws(DeadLetterCode) {
    switch byte {
    case 0x22:
      index += 1
      let string = try scanString(bytes, &index)
      values.set(
        field,
        FieldValues.Value(
          kind: string.hasEscapes ? .escapedString : .plainString, start: UInt32(truncatingIfNeeded: string.start),
          count: UInt32(truncatingIfNeeded: string.count)))
    case 0x2D, 0x30...0x39:
      let number = try scanNumber(bytes, &index)
      values.set(field, FieldValues.Value(kind: .number, bits: number.bitPattern))
    case 0x74, 0x66:
      try skipValue(bytes, &index, byte, depth: depth)
      values.set(field, FieldValues.Value(kind: .bool, bits: byte == 0x74 ? 1 : 0))
    case 0x6E:
      try skipValue(bytes, &index, byte, depth: depth)
      values.remove(1 << UInt64(field))
    default:
      try skipValue(bytes, &index, byte, depth: depth)
      values.set(field, FieldValues.Value(kind: byte == 0x7B ? .object : .array))
    }
  }

  // MARK: - Numbers

  /// A number; `index` stands on its first byte. Infinite where it is too large for a `Double`.
  @inline(__always)
  static func scanNumber(_ bytes: InputBytes, _ position: inout Int) throws(DeadLetterCode) -> Double {
    var index = position
    let isNegative = bytes[index] == 0x2D
    if isNegative { index += 1 }
    let start = index
    var mantissa: UInt64 = 0
    while index < bytes.count && bytes[index].isDigit {
      mantissa = mantissa &* 10 &+ UInt64(bytes[index] &- 0x30)
      index += 1
    }
    var digits = index - start
    guard digits > 0, digits == 1 || bytes[start] != 0x30 else { throw .invalidJSON }
    var exponent = 0
    if index < bytes.count && bytes[index] == 0x2E {
      index += 1
      let fractionStart = index
      while index < bytes.count && bytes[index].isDigit {
        mantissa = mantissa &* 10 &+ UInt64(bytes[index] &- 0x30)
        index += 1
      }
      guard index > fractionStart else { throw .invalidJSON }
      exponent = fractionStart - index
      digits -= exponent
    }
    let end = index
    var givenExponent = 0
    if index < bytes.count && bytes[index] | 0x20 == 0x65 {
      givenExponent = try scanExponent(bytes, &index)
    }
    position = index
    // Up to 19 digits fit in the mantissa.
    if digits <= 19 {
      return DecimalParser.double(mantissa: mantissa, exponent: exponent + givenExponent, isNegative: isNegative)
    }
    return DecimalParser.double(
      longDigits: bytes, start: start, end: end, exponent: givenExponent, isNegative: isNegative)
  }

  @inline(never)
  private static func scanExponent(_ bytes: InputBytes, _ index: inout Int) throws(DeadLetterCode) -> Int {
    index += 1
    var isNegative = false
    if index < bytes.count && (bytes[index] == 0x2B || bytes[index] == 0x2D) {
      isNegative = bytes[index] == 0x2D
      index += 1
    }
    let start = index
    var exponent = 0
    while index < bytes.count && bytes[index].isDigit {
      // A record has at most a million digits: beyond this the number is zero or infinite whatever they are.
      if exponent < 10_000_000 { exponent = exponent * 10 + Int(bytes[index] - 0x30) }
      index += 1
    }
    guard index > start else { throw .invalidJSON }
    return isNegative ? -exponent : exponent
  }

  // MARK: - The rest

  /// The first byte that is no white space, which `index` then stands on; 0 at the end.
  @inline(__always)
  static func skipSpace(_ bytes: InputBytes, _ index: inout Int) -> UInt8 {
    while index < bytes.count {
      let byte = bytes[index]
      if byte > 0x20 { return byte }
      guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
      index += 1
    }
    return 0
  }

  /// Passes a value that begins with `byte`, on which `index` stands, checking all of it. `depth` is that of the
  /// container it lies in.
  @inline(never)
  private static func skipValue(
    _ bytes: InputBytes, _ index: inout Int, _ byte: UInt8, depth: Int
  ) throws(DeadLetterCode) {
    switch byte {
    case 0x22:
      index += 1
      _ = try scanString(bytes, &index)
    case 0x2D, 0x30...0x39:
      try skipNumber(bytes, &index)
    case 0x74:
      try skipLiteral(bytes, &index, 0x6575_7274)
    case 0x66:
      // `alse`, behind the f.
      index += 1
      try skipLiteral(bytes, &index, 0x6573_6C61)
    case 0x6E:
      try skipLiteral(bytes, &index, 0x6C6C_756E)
    case 0x7B, 0x5B:
      try skipContainer(bytes, &index, depth: depth)
    default:
      throw .invalidJSON
    }
  }

  @inline(__always)
  private static func skipLiteral(
    _ bytes: InputBytes, _ index: inout Int, _ letters: UInt32
  ) throws(DeadLetterCode) {
    guard index + 4 <= bytes.count, bytes.halfWord(at: index) == letters else { throw .invalidJSON }
    index += 4
  }

  private static func skipNumber(_ bytes: InputBytes, _ index: inout Int) throws(DeadLetterCode) {
    func skipDigits() -> Int {
      let start = index
      while index < bytes.count && bytes[index].isDigit { index += 1 }
      return index - start
    }
    if bytes[index] == 0x2D { index += 1 }
    let start = index
    let digits = skipDigits()
    guard digits > 0, digits == 1 || bytes[start] != 0x30 else { throw .invalidJSON }
    if index < bytes.count && bytes[index] == 0x2E {
      index += 1
      guard skipDigits() > 0 else { throw .invalidJSON }
    }
    if index < bytes.count && bytes[index] | 0x20 == 0x65 { _ = try scanExponent(bytes, &index) }
  }

  /// Passes an object or array without recursion: which of the two each open level is, is one bit.
  private static func skipContainer(
    _ bytes: InputBytes, _ index: inout Int, depth outerDepth: Int
  ) throws(DeadLetterCode) {
    var isObject: UInt64 = 0
    var depth = 0
    while true {
      // Here a value begins.
      var byte = skipSpace(bytes, &index)
      if byte == 0x7B || byte == 0x5B {
        depth += 1
        guard outerDepth + depth <= depthMax else { throw .tooDeep }
        isObject = isObject << 1 | (byte == 0x7B ? 1 : 0)
        index += 1
        byte = skipSpace(bytes, &index)
        if byte == (isObject & 1 == 1 ? 0x7D : 0x5D) {
          // Empty: passed as a value below.
          index += 1
          isObject >>= 1
          depth -= 1
        } else {
          if isObject & 1 == 1 { try skipName(bytes, &index) }
          continue
        }
      } else {
        try skipValue(bytes, &index, byte, depth: depthMax)
      }
      // Here a value has ended.
      while true {
        if depth == 0 { return }
        byte = skipSpace(bytes, &index)
        index += 1
        if byte == 0x2C {
          if isObject & 1 == 1 {
            _ = skipSpace(bytes, &index)
            try skipName(bytes, &index)
          }
          break
        }
        guard byte == (isObject & 1 == 1 ? 0x7D : 0x5D) else { throw .invalidJSON }
        isObject >>= 1
        depth -= 1
      }
    }
  }

  /// A member's name and colon.
  private static func skipName(_ bytes: InputBytes, _ index: inout Int) throws(DeadLetterCode) {
    guard index < bytes.count, bytes[index] == 0x22 else { throw .invalidJSON }
    index += 1
    _ = try scanString(bytes, &index)
    guard skipSpace(bytes, &index) == 0x3A else { throw .invalidJSON }
    index += 1
  }
}

extension DeadLetterCode: Error {}
