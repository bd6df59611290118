/// A view of bytes to decode, read by index. Reads past the end stop debug builds; in release builds the decoders' own
/// comparisons with `count` are what keeps them inside, which the fuzz tests hold them to.
@safe struct InputBytes {
  private let base: UnsafePointer<UInt8>
  let count: Int

  @inline(__always) init(_ buffer: UnsafeBufferPointer<UInt8>) {
    count = buffer.count
    // An empty buffer may have no address; nothing is ever read through this one.
    unsafe base = buffer.baseAddress ?? UnsafePointer(bitPattern: 1)!
  }

  @inline(__always) subscript(index: Int) -> UInt8 {
    assert(index >= 0 && index < count)
    return unsafe base[index]
  }

  /// Eight bytes as a little-endian number.
  @inline(__always) func word(at index: Int) -> UInt64 {
    assert(index >= 0 && index + 8 <= count)
    return unsafe UInt64(
      littleEndian: UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self))
  }

  /// Four bytes as a little-endian number.
  @inline(__always) func halfWord(at index: Int) -> UInt32 {
    assert(index >= 0 && index + 4 <= count)
    return unsafe UInt32(
      littleEndian: UnsafeRawPointer(base + index).loadUnaligned(as: UInt32.self))
  }

  @inline(__always) func slice(_ start: Int, _ length: Int) -> UnsafeBufferPointer<UInt8> {
    assert(start >= 0 && length >= 0 && start + length <= count)
    return unsafe UnsafeBufferPointer(start: base + start, count: length)
  }

  /// Up to eight bytes as a little-endian number, the missing ones zero.
  @inline(__always) func partialWord(at start: Int, count length: Int) -> UInt64 {
    if length >= 8 { return word(at: start) }
    if start + 8 <= count { return word(at: start) & ((1 << UInt64(length * 8)) &- 1) }
    var result: UInt64 = 0
    for offset in 0..<length { result |= UInt64(self[start + offset]) << UInt64(offset * 8) }
    return result
  }
}

/// Tests of eight bytes at a time.
enum ByteWord {
  private static let ones: UInt64 = 0x0101_0101_0101_0101
  private static let highBits: UInt64 = 0x8080_8080_8080_8080

  /// The high bit of each byte that ends a run of plain characters within a JSON string: a quote, a backslash, a control
  /// character or a byte of a multi-byte character. Exact up to the first such byte; above it borrows may add more.
  @inline(__always) static func stringEnds(_ word: UInt64) -> UInt64 {
    let quote = word ^ (ones &* 0x22)
    let backslash = word ^ (ones &* 0x5C)
    let isQuote = (quote &- ones) & ~quote
    let isBackslash = (backslash &- ones) & ~backslash
    let isControl = (word &- ones &* 0x20) & ~word
    return (isQuote | isBackslash | isControl | word) & highBits
  }
}

extension UInt8 {
  @inline(__always) var isDigit: Bool { self &- 0x30 < 10 }
}
