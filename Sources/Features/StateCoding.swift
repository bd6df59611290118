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

  /// A byte or none, without a branch.
  @inline(__always) mutating func byte(_ value: UInt8, if isPresent: Bool) {
    unsafe position.pointee = value
    unsafe position += isPresent ? 1 : 0
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

  /// A sum as its code of two bits and the 0, 2, 3 or 4 bytes that go with it: nothing, a whole number of hundredths, or
  /// the bits of any other number. Exact for all.
  @inline(__always) static func packed(_ value: Float) -> PackedFloat {
    let hundredths = (Double(value) * 100).rounded(.toNearestOrEven)
    let isWhole = hundredths >= 0 && hundredths < 0x1p24 && value.sign == .plus
    let whole = UInt32(isWhole ? hundredths : 0)
    if isWhole && PackedFloat.value(ofHundredths: whole) == value {
      return PackedFloat(code: whole == 0 ? 0 : (whole < 0x1_0000 ? 1 : 2), bits: whole)
    }
    return PackedFloat(code: 3, bits: value.bitPattern)
  }

  /// Its bytes; the code stands elsewhere. Room for 4 bytes is there: those past its length are overwritten.
  @inline(__always) mutating func float(_ value: PackedFloat) {
    unsafe UnsafeMutableRawPointer(position).storeBytes(of: value.bits.littleEndian, as: UInt32.self)
    unsafe position += PackedFloat.length(value.code)
  }

  /// A whole number of hundredths as a varint, NaN as a 3, others in 8 bytes behind a 1. Exact for all.
  @inline(__always) mutating func number(_ value: Double) {
    if value.isNaN { return byte(3) }
    let hundredths = (value * 100).rounded(.toNearestOrEven)
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

/// A sum of single precision as `StateWriter.packed` gives it.
struct PackedFloat {
  /// 0 nothing, 1 and 2 hundredths in 2 and 3 bytes, 3 its own bits in 4.
  var code: UInt8
  var bits: UInt32

  @inline(__always) static func length(_ code: UInt8) -> Int { code == 0 ? 0 : Int(code) + 1 }

  @inline(__always) static func value(ofHundredths whole: UInt32) -> Float { Float(Double(whole) * 0.01) }

  @inline(__always) static func value(code: UInt8, bits: UInt32) -> Float {
    let whole = bits & (code == 0 ? 0 : (code == 1 ? 0xFFFF : 0xFF_FFFF))
    return code == 3 ? Float(bitPattern: bits) : value(ofHundredths: whole)
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
    var bits: UInt32 = 0
    if unsafe end - position >= 4 {
      bits = unsafe UInt32(littleEndian: UnsafeRawPointer(position).loadUnaligned(as: UInt32.self))
      unsafe position += PackedFloat.length(code)
    } else {
      for index in 0..<PackedFloat.length(code) { bits |= UInt32(byte()) << UInt32(8 * index) }
    }
    return PackedFloat.value(code: code, bits: bits)
  }

  /// A byte or, where there is none, 0.
  @inline(__always) mutating func byte(if isPresent: Bool) -> UInt8 {
    guard unsafe position < end else {
      if isPresent { isDamaged = true }
      return 0
    }
    let value = unsafe position.pointee
    unsafe position += isPresent ? 1 : 0
    return isPresent ? value : 0
  }

  @inline(__always) mutating func number() -> Double {
    let value = varint()
    if value & 1 == 1 {
      if value == 1 { return Double(bitPattern: fixed(UInt64.self)) }
      if value != 3 { isDamaged = true }
      return .nan
    }
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
