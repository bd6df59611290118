import Borrowers

/// Up to 64 bytes of text in place: an event's id, a loan's key, a platform's name. What is longer is held as its first 48
/// bytes and the 16 hexadecimal digits of its 64-bit hash.
@safe struct ShortText: BitwiseCopyable {
  static let countMax = 64
  /// Bytes in memory order; zeros behind `count`.
  private var words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
  private(set) var count: UInt8 = 0

  init() {}

  init(_ bytes: UnsafeBufferPointer<UInt8>) {
    guard bytes.count > 0 else { return }
    guard bytes.count > ShortText.countMax else {
      count = UInt8(bytes.count)
      unsafe withUnsafeMutableBytes(of: &words) { unsafe $0.copyMemory(from: UnsafeRawBufferPointer(bytes)) }
      return
    }
    count = UInt8(ShortText.countMax)
    let hash = unsafe Murmur.hash64(bytes)
    unsafe withUnsafeMutableBytes(of: &words) { target in
      unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[..<48]))
      for digit in 0..<16 {
        let nibble = UInt8(truncatingIfNeeded: hash >> UInt64(60 - 4 * digit)) & 15
        unsafe target[48 + digit] = nibble < 10 ? 48 + nibble : 87 + nibble
      }
    }
  }

  /// Copies the `count` bytes.
  @inline(__always) func copyBytes(to target: UnsafeMutablePointer<UInt8>) {
    unsafe withUnsafeBytes(of: words) {
      unsafe UnsafeMutableRawPointer(target).copyMemory(from: $0.baseAddress!, byteCount: Int(count))
    }
  }

  func append(to target: inout [UInt8]) {
    unsafe withUnsafeBytes(of: words) { unsafe target.append(contentsOf: $0.prefix(Int(count))) }
  }

  @inline(__always) static func == (a: ShortText, b: ShortText) -> Bool {
    a.count == b.count && a.words.0 == b.words.0 && a.words.1 == b.words.1 && a.words.2 == b.words.2
      && a.words.3 == b.words.3 && a.words.4 == b.words.4 && a.words.5 == b.words.5 && a.words.6 == b.words.6
      && a.words.7 == b.words.7
  }

  /// Byte order.
  static func < (a: ShortText, b: ShortText) -> Bool {
    if a.words.0 != b.words.0 { return a.words.0.bigEndian < b.words.0.bigEndian }
    if a.words.1 != b.words.1 { return a.words.1.bigEndian < b.words.1.bigEndian }
    if a.words.2 != b.words.2 { return a.words.2.bigEndian < b.words.2.bigEndian }
    if a.words.3 != b.words.3 { return a.words.3.bigEndian < b.words.3.bigEndian }
    if a.words.4 != b.words.4 { return a.words.4.bigEndian < b.words.4.bigEndian }
    if a.words.5 != b.words.5 { return a.words.5.bigEndian < b.words.5.bigEndian }
    if a.words.6 != b.words.6 { return a.words.6.bigEndian < b.words.6.bigEndian }
    if a.words.7 != b.words.7 { return a.words.7.bigEndian < b.words.7.bigEndian }
    return a.count < b.count
  }
}
