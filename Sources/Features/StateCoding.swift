import Borrowers

/// Writes a state's bytes into room that was reserved for their bound.
@safe struct StateWriter {
  private let start: UnsafeMutablePointer<UInt8>
  private var position: UnsafeMutablePointer<UInt8>

  init(_ memory: UnsafeMutablePointer<UInt8>) {
    unsafe start = memory
    unsafe position = memory
  }

  var count: Int { unsafe position - start }

  @inline(__always) mutating func byte(_ value: UInt8) {
    unsafe position.pointee = value
    unsafe position += 1
  }

  @inline(__always) mutating func fixed<Value: FixedWidthInteger>(_ value: Value) {
    unsafe UnsafeMutableRawPointer(position).storeBytes(of: value.littleEndian, as: Value.self)
    unsafe position += MemoryLayout<Value>.size
  }

  /// LEB128: 7 bits a byte, the lowest first.
  @inline(__always) mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      byte(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    byte(UInt8(truncatingIfNeeded: rest))
  }

  /// Small magnitudes of both signs are short.
  @inline(__always) mutating func signed(_ value: Int64) {
    varint(UInt64(bitPattern: (value << 1) ^ (value >> 63)))
  }

  /// How many of a number's bytes matter, the others being zero: 0, 2, 3 or 4, as a code of two bits.
  @inline(__always) static func lengthCode(_ value: Float) -> UInt8 {
    let bits = value.bitPattern
    if bits == 0 { return 0 }
    if bits & 0xFFFF == 0 { return 1 }
    return bits & 0xFF == 0 ? 2 : 3
  }

  @inline(__always) mutating func float(_ value: Float, code: UInt8) {
    // The highest bytes, in memory order; what is written behind the length is overwritten or cut.
    let bits = value.bitPattern
    switch code {
    case 0: break
    case 1: fixed(UInt16(truncatingIfNeeded: bits >> 16))
    case 2:
      byte(UInt8(truncatingIfNeeded: bits >> 8))
      fixed(UInt16(truncatingIfNeeded: bits >> 16))
    default: fixed(bits)
    }
  }

  /// A number that is a whole number of hundredths as a varint, others in 8 bytes behind a 1. Exact for all.
  @inline(__always) mutating func number(_ value: Double) {
    let hundredths = (value * 100).rounded()
    if abs(hundredths) < 0x1p52, hundredths / 100 == value, value != 0 || value.sign == .plus {
      let whole = Int64(hundredths)
      varint(UInt64(bitPattern: (whole << 1) ^ (whole >> 63)) << 1)
    } else {
      byte(1)
      fixed(value.bitPattern)
    }
  }

  @inline(__always) mutating func text(_ value: borrowing ShortText) {
    byte(value.count)
    unsafe value.copyBytes(to: position)
    unsafe position += Int(value.count)
  }
}

/// Reads a state's bytes. It never leaves them: where they end too early, it reads zeros and says so.
@safe struct StateReader {
  private let start: UnsafePointer<UInt8>
  private var position: UnsafePointer<UInt8>
  private let end: UnsafePointer<UInt8>
  private(set) var isDamaged = false

  init(_ bytes: UnsafeBufferPointer<UInt8>) {
    // An empty buffer may have no address: any will do, nothing is read.
    unsafe start = bytes.baseAddress ?? UnsafePointer(bitPattern: 1)!
    unsafe position = start
    unsafe end = start + bytes.count
  }

  var count: Int { unsafe position - start }

  mutating func fail() { isDamaged = true }

  @inline(__always) mutating func byte() -> UInt8 {
    guard unsafe position < end else {
      isDamaged = true
      return 0
    }
    let value = unsafe position.pointee
    unsafe position += 1
    return value
  }

  @inline(__always) mutating func fixed<Value: FixedWidthInteger>(_ type: Value.Type) -> Value {
    guard unsafe end - position >= MemoryLayout<Value>.size else {
      isDamaged = true
      return 0
    }
    let value = unsafe UnsafeRawPointer(position).loadUnaligned(as: Value.self)
    unsafe position += MemoryLayout<Value>.size
    return Value(littleEndian: value)
  }

  @inline(__always) mutating func varint() -> UInt64 {
    let first = byte()
    if first < 0x80 { return UInt64(first) }
    var value = UInt64(first & 0x7F)
    var shift: UInt64 = 7
    while shift < 64 {
      let next = byte()
      value |= UInt64(next & 0x7F) << shift
      if next < 0x80 { return value }
      shift += 7
    }
    isDamaged = true
    return 0
  }

  @inline(__always) mutating func signed() -> Int64 {
    let value = varint()
    return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
  }

  /// A varint that is at most `bound`.
  @inline(__always) mutating func count(upTo bound: Int) -> Int {
    let value = varint()
    guard value <= UInt64(bound) else {
      isDamaged = true
      return 0
    }
    return Int(value)
  }

  @inline(__always) mutating func float(code: UInt8) -> Float {
    switch code {
    case 0: return 0
    case 1: return Float(bitPattern: UInt32(fixed(UInt16.self)) << 16)
    case 2:
      let low = UInt32(byte()) << 8
      return Float(bitPattern: UInt32(fixed(UInt16.self)) << 16 | low)
    default: return Float(bitPattern: fixed(UInt32.self))
    }
  }

  @inline(__always) mutating func number() -> Double {
    let value = varint()
    if value == 1 { return Double(bitPattern: fixed(UInt64.self)) }
    if value & 1 == 1 { isDamaged = true }
    let whole = Int64(bitPattern: value >> 2) ^ -Int64(bitPattern: value >> 1 & 1)
    return Double(whole) / 100
  }

  @inline(__always) mutating func text() -> ShortText {
    let length = Int(byte())
    guard length <= ShortText.countMax, unsafe end - position >= length else {
      isDamaged = true
      return ShortText()
    }
    let value = unsafe ShortText(UnsafeBufferPointer(start: position, count: length))
    unsafe position += length
    return value
  }
}
