/// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing over U+10FFFF.
enum UTF8Check {
  /// Where the multi-byte character that begins at `start` ends.
  @inline(__always)
  static func endOfCharacter(_ bytes: InputBytes, _ start: Int) throws(DeadLetterCode) -> Int {
    let lead = bytes[start]
    let length: Int
    var lowest: UInt8 = 0x80
    var highest: UInt8 = 0xBF
    switch lead {
    case 0xC2...0xDF: length = 2
    case 0xE0...0xEF:
      length = 3
      if lead == 0xE0 { lowest = 0xA0 }
      if lead == 0xED { highest = 0x9F }
    case 0xF0...0xF4:
      length = 4
      if lead == 0xF0 { lowest = 0x90 }
      if lead == 0xF4 { highest = 0x8F }
    default: throw .invalidUTF8
    }
    guard start + length <= bytes.count, bytes[start + 1] >= lowest, bytes[start + 1] <= highest else {
      throw .invalidUTF8
    }
    for index in (start + 2)..<max(start + length, start + 2) where bytes[index] & 0xC0 != 0x80 {
      throw .invalidUTF8
    }
    return start + length
  }

  /// Checks a whole run of bytes.
  static func check(_ bytes: InputBytes, _ start: Int, _ count: Int) throws(DeadLetterCode) {
    var index = start
    let end = start + count
    while index < end {
      if index + 8 <= end && bytes.word(at: index) & 0x8080_8080_8080_8080 == 0 {
        index += 8
      } else if bytes[index] < 0x80 {
        index += 1
      } else {
        index = try endOfCharacter(bytes, index)
        if index > end { throw .invalidUTF8 }
      }
    }
  }
}
