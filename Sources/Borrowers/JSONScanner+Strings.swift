extension JSONScanner {
  struct StringRange {
    var start: Int
    var count: Int
    var hasEscapes: Bool
  }

  /// A string up to behind its closing quote; `index` stands behind the opening one.
  @inline(__always)
  static func scanString(_ bytes: InputBytes, _ index: inout Int) throws(DeadLetterCode) -> StringRange {
    let start = index
    var end = index
    while end + 8 <= bytes.count {
      let ends = ByteWord.stringEnds(bytes.word(at: end))
      if ends == 0 {
        end += 8
        continue
      }
      end += ends.trailingZeroBitCount >> 3
      if bytes[end] == 0x22 {
        index = end + 1
        return StringRange(start: start, count: end - start, hasEscapes: false)
      }
      break
    }
    return try scanStringRest(bytes, &index, from: end)
  }

  /// As `scanString`, with everything before `from` known to be plain.
  @inline(never)
  private static func scanStringRest(
    _ bytes: InputBytes, _ index: inout Int, from: Int
  ) throws(DeadLetterCode) -> StringRange {
    let start = index
    var end = from
    var hasEscapes = false
    while end < bytes.count {
      let byte = bytes[end]
      if byte == 0x22 {
        index = end + 1
        return StringRange(start: start, count: end - start, hasEscapes: hasEscapes)
      } else if byte == 0x5C {
        hasEscapes = true
        try skipEscape(bytes, &end)
      } else if byte < 0x20 {
        throw .invalidJSON
      } else if byte < 0x80 {
        end += 1
        while end + 8 <= bytes.count && ByteWord.stringEnds(bytes.word(at: end)) == 0 { end += 8 }
      } else {
        end = try UTF8Check.endOfCharacter(bytes, end)
      }
    }
    throw .invalidJSON
  }

  private static func skipEscape(_ bytes: InputBytes, _ index: inout Int) throws(DeadLetterCode) {
    guard index + 1 < bytes.count else { throw .invalidJSON }
    switch bytes[index + 1] {
    case 0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74:
      index += 2
    case 0x75:
      guard let unit = hexadecimal(bytes, index + 2) else { throw .invalidJSON }
      index += 6
      if unit & 0xF800 == 0xD800 {
        // A high surrogate and the low one after it, and no other.
        guard unit < 0xDC00, index + 1 < bytes.count, bytes[index] == 0x5C, bytes[index + 1] == 0x75,
          let low = hexadecimal(bytes, index + 2), low & 0xFC00 == 0xDC00
        else { throw .invalidJSON }
        index += 6
      }
    default:
      throw .invalidJSON
    }
  }

  private static func hexadecimal(_ bytes: InputBytes, _ start: Int) -> UInt32? {
    guard start + 4 <= bytes.count else { return nil }
    var value: UInt32 = 0
    for index in start..<(start + 4) {
      let byte = bytes[index]
      switch byte {
      case 0x30...0x39: value = value << 4 | UInt32(byte - 0x30)
      case 0x41...0x46, 0x61...0x66: value = value << 4 | UInt32((byte | 0x20) - 0x57)
      default: return nil
      }
    }
    return value
  }

  /// Writes a string that `scanString` has passed, without its escapes.
  @inline(never)
  static func unescape(_ bytes: InputBytes, _ start: Int, _ count: Int, into output: inout ByteBuffer) {
    var index = start
    let end = start + count
    while index < end {
      guard bytes[index] == 0x5C else {
        output.append(bytes[index])
        index += 1
        continue
      }
      let escape = bytes[index + 1]
      index += 2
      switch escape {
      case 0x62: output.append(8)
      case 0x66: output.append(12)
      case 0x6E: output.append(10)
      case 0x72: output.append(13)
      case 0x74: output.append(9)
      case 0x75:
        var scalar = hexadecimal(bytes, index) ?? 0
        index += 4
        if scalar & 0xFC00 == 0xD800 {
          scalar = 0x10000 + (scalar & 0x3FF) << 10 + (hexadecimal(bytes, index + 2) ?? 0) & 0x3FF
          index += 6
        }
        append(scalar, to: &output)
      default: output.append(escape)
      }
    }
  }

  private static func append(_ scalar: UInt32, to output: inout ByteBuffer) {
    func continuation(_ shift: UInt32) -> UInt8 { 0x80 | UInt8(truncatingIfNeeded: scalar >> shift & 0x3F) }
    switch scalar {
    case ..<0x80: output.append(UInt8(scalar))
    case ..<0x800:
      output.append(0xC0 | UInt8(scalar >> 6))
      output.append(continuation(0))
    case ..<0x10000:
      output.append(0xE0 | UInt8(scalar >> 12))
      output.append(continuation(6))
      output.append(continuation(0))
    default:
      output.append(0xF0 | UInt8(scalar >> 18))
      output.append(continuation(12))
      output.append(continuation(6))
      output.append(continuation(0))
    }
  }
}
