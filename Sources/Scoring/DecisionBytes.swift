import Borrowers

/// Writes a decision state's bytes into room that was reserved for their bound.
@safe struct DecisionWriter {
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

  @inline(__always) mutating func fixed(_ value: UInt64) {
    unsafe UnsafeMutableRawPointer(position).storeBytes(of: value.littleEndian, as: UInt64.self)
    unsafe position += 8
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

  /// Length and bytes; at most 64 Ki.
  mutating func text(_ bytes: [UInt8]) {
    varint(UInt64(bytes.count))
    for value in bytes { byte(value) }
  }
}

/// Reads a decision state's bytes. It never leaves them: where they end too early it reads zeros and says so.
@safe struct DecisionReader {
  private var position: UnsafePointer<UInt8>
  private let end: UnsafePointer<UInt8>
  private(set) var isDamaged = false

  init(_ bytes: UnsafeBufferPointer<UInt8>) {
    // An empty buffer may have no address: any will do, nothing is read.
    unsafe position = bytes.baseAddress ?? UnsafePointer(bitPattern: 1)!
    unsafe end = position + bytes.count
  }

  var isAtEnd: Bool { unsafe position == end }

  @inline(__always) mutating func byte() -> UInt8 {
    guard unsafe position < end else {
      isDamaged = true
      return 0
    }
    let value = unsafe position.pointee
    unsafe position += 1
    return value
  }

  @inline(__always) mutating func fixed() -> UInt64 {
    guard unsafe end - position >= 8 else {
      isDamaged = true
      return 0
    }
    let value = unsafe UnsafeRawPointer(position).loadUnaligned(as: UInt64.self)
    unsafe position += 8
    return UInt64(littleEndian: value)
  }

  @inline(__always) mutating func varint() -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
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

  mutating func text(into target: inout [UInt8]) {
    target.removeAll(keepingCapacity: true)
    let count = varint()
    guard count <= UInt64(unsafe end - position) else {
      isDamaged = true
      return
    }
    unsafe target.append(contentsOf: UnsafeBufferPointer(start: position, count: Int(count)))
    unsafe position += Int(count)
  }
}
