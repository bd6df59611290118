/// Writes forward into room that a `ByteBuffer` has reserved. The caller has counted the room; debug builds check it.
@safe struct OutputCursor {
  private var next: UnsafeMutablePointer<UInt8>
  private let start: UnsafeMutablePointer<UInt8>
  private let end: UnsafeMutablePointer<UInt8>

  @inline(__always) init(_ start: UnsafeMutablePointer<UInt8>, room: Int) {
    unsafe next = start
    unsafe self.start = start
    unsafe end = start + room
  }

  @inline(__always) var written: Int { unsafe next - start }

  @inline(__always) mutating func put(_ byte: UInt8) {
    unsafe assert(next < end)
    unsafe next.pointee = byte
    unsafe next += 1
  }

  @inline(__always) mutating func put(_ text: StaticString) {
    let count = text.utf8CodeUnitCount
    unsafe assert(next + count <= end)
    unsafe next.update(from: text.utf8Start, count: count)
    unsafe next += count
  }

  @inline(__always) mutating func put(_ bytes: UnsafeBufferPointer<UInt8>) {
    guard let source = bytes.baseAddress else { return }
    unsafe assert(next + bytes.count <= end)
    unsafe next.update(from: source, count: bytes.count)
    unsafe next += bytes.count
  }

  /// Exactly `width` decimal digits, zeros first.
  @inline(__always) mutating func put(_ value: Int, width: Int) {
    unsafe assert(next + width <= end)
    var rest = UInt(truncatingIfNeeded: value)
    var index = width
    while index > 0 {
      index -= 1
      unsafe next[index] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    }
    unsafe next += width
  }

  @inline(__always) mutating func put(integer value: Int64) {
    if value < 0 { put(0x2D) }
    put(natural: value.magnitude)
  }

  @inline(__always) mutating func put(natural value: UInt64) {
    let count = Self.decimalDigits(value)
    unsafe assert(next + count <= end)
    unsafe Self.writeDigits(value, count, at: next)
    unsafe next += count
  }

  @inline(__always) private static func writeDigits(
    _ value: UInt64, _ count: Int, at start: UnsafeMutablePointer<UInt8>
  ) {
    var rest = value
    var index = count
    while rest >= 100 {
      let lowest = rest % 100
      rest /= 100
      index -= 2
      unsafe UnsafeMutableRawPointer(start + index).storeBytes(of: pair(lowest), as: UInt16.self)
    }
    if rest >= 10 {
      unsafe UnsafeMutableRawPointer(start).storeBytes(of: pair(rest), as: UInt16.self)
    } else {
      unsafe start.pointee = 0x30 + UInt8(truncatingIfNeeded: rest)
    }
  }

  /// The two digits of a number under 100, as they stand in memory.
  @inline(__always) private static func pair(_ value: UInt64) -> UInt16 {
    let tens = (value &* 103) >> 10  // value / 10, exact below 178
    let ones = value &- tens &* 10
    return UInt16(truncatingIfNeeded: 0x3030 | tens | ones << 8).littleEndian
  }

  @inline(__always) private static func decimalDigits(_ value: UInt64) -> Int {
    var count = 1
    var limit: UInt64 = 10
    while count < 20 && value >= limit {
      count += 1
      limit = limit &* 10
    }
    return count
  }

  /// The most characters that one number takes.
  static let numberRoom = 32

  /// A finite number as JSON: the shortest decimal that reads back as it, plain from 1e-6 up to 1e21.
  @inline(__always) mutating func put(number value: Double) {
    precondition(value.isFinite, "a number in a record is finite")
    if value.sign == .minus { put(0x2D) }
    put(ShortestDecimal(value.magnitude))
  }

  @inline(__always) mutating func put(number value: Float) {
    precondition(value.isFinite, "a number in a record is finite")
    if value.sign == .minus { put(0x2D) }
    put(ShortestDecimal(value.magnitude))
  }

  private mutating func put(_ decimal: ShortestDecimal) {
    let count = Self.decimalDigits(decimal.digits)
    // The digits that stand before the point; may be negative.
    let whole = count + decimal.exponent
    unsafe assert(next + Self.numberRoom - 1 <= end)
    if decimal.exponent >= 0 && whole <= 21 {
      unsafe Self.writeDigits(decimal.digits, count, at: next)
      unsafe next += count
      for _ in 0..<decimal.exponent { put(0x30) }
    } else if whole > 0 && whole <= 21 {
      // The digits before the point move one place back, onto the gap left for it.
      unsafe Self.writeDigits(decimal.digits, count, at: next + 1)
      unsafe next.update(from: next + 1, count: whole)
      unsafe next[whole] = 0x2E
      unsafe next += count + 1
    } else if whole <= 0 && whole > -6 {
      put("0.")
      for _ in 0..<(-whole) { put(0x30) }
      unsafe Self.writeDigits(decimal.digits, count, at: next)
      unsafe next += count
    } else {
      if count == 1 {
        put(0x30 + UInt8(truncatingIfNeeded: decimal.digits))
      } else {
        unsafe Self.writeDigits(decimal.digits, count, at: next + 1)
        unsafe next.update(from: next + 1, count: 1)
        unsafe next[1] = 0x2E
        unsafe next += count + 1
      }
      put(0x65)
      if whole > 1 { put(0x2B) }
      put(integer: Int64(whole - 1))
    }
  }

  /// The most characters that a JSON string of `count` bytes takes, quotes included.
  @inline(__always) static func stringRoom(_ count: Int) -> Int { count * 6 + 2 }

  /// A JSON string with its quotes; `bytes` are UTF-8.
  @inline(__always) mutating func put(string bytes: UnsafeBufferPointer<UInt8>) {
    let input = unsafe InputBytes(bytes)
    put(0x22)
    var index = 0
    while index + 8 <= input.count {
      let word = input.word(at: index)
      // Bytes over 0x7F need no escape.
      if ByteWord.stringEnds(word & 0x7F7F_7F7F_7F7F_7F7F) & ~word != 0 { break }
      unsafe assert(next + 8 <= end)
      unsafe UnsafeMutableRawPointer(next).storeBytes(of: word.littleEndian, as: UInt64.self)
      unsafe next += 8
      index += 8
    }
    while index < input.count {
      let byte = input[index]
      if byte < 0x20 || byte == 0x22 || byte == 0x5C { putEscaped(byte) } else { put(byte) }
      index += 1
    }
    put(0x22)
  }

  @inline(never) private mutating func putEscaped(_ byte: UInt8) {
    put(0x5C)
    switch byte {
    case 0x22, 0x5C: put(byte)
    case 0x0A: put(0x6E)
    case 0x0D: put(0x72)
    case 0x09: put(0x74)
    default:
      put("u00")
      put(0x30 + (byte >> 4))
      put((byte & 15) < 10 ? 0x30 + (byte & 15) : 0x57 + (byte & 15))
    }
  }
}

extension ByteBuffer {
  /// A finite number as JSON, the shortest that reads back as it.
  public mutating func append(number: Double) {
    write(room: OutputCursor.numberRoom) { $0.put(number: number) }
  }
  /// A finite number as JSON, the shortest that reads back as the same `Float`.
  public mutating func append(number: Float) {
    write(room: OutputCursor.numberRoom) { $0.put(number: number) }
  }
  public mutating func append(decimal: Int64) {
    write(room: OutputCursor.numberRoom) { $0.put(integer: decimal) }
  }
  /// RFC 3339 in UTC with three decimals, without quotes.
  public mutating func append(time: EventTime) {
    write(room: EventTime.textCount) { $0.put(time: time) }
  }
  /// A JSON string with its quotes; `bytes` are UTF-8.
  public mutating func append(jsonString bytes: UnsafeBufferPointer<UInt8>) {
    write(room: OutputCursor.stringRoom(bytes.count)) { unsafe $0.put(string: bytes) }
  }
  /// A JSON string with its quotes.
  public mutating func append(jsonString text: String) {
    var text = text
    text.withUTF8 { unsafe append(jsonString: $0) }
  }

  /// Runs `body` over room for `room` more bytes and counts what it wrote.
  @inline(__always) mutating func write(room: Int, _ body: (inout OutputCursor) -> Void) {
    var cursor = unsafe OutputCursor(reserve(room), room: room)
    body(&cursor)
    advance(cursor.written)
  }
}
