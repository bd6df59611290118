/// The leading 128 bits of 10^q, cut (not rounded): what exact conversion between decimal and binary needs (Lemire,
/// "Number parsing at a gigabyte per second", 2021; Giulietti, "The Schubfach way to render doubles", 2020). Computed
/// once, from exact integers, instead of being typed in.
@safe struct PowersOfTen: Sendable {
  static let range = -342...324
  static let shared = PowersOfTen()

  /// Two numbers for each power, the higher half first. Never freed.
  private nonisolated(unsafe) let entries: UnsafePointer<UInt64>

  private init() {
    let table = UnsafeMutablePointer<UInt64>.allocate(capacity: Self.range.count * 2)
    func set(_ power: Int, _ value: (UInt64, UInt64)) {
      unsafe table[(power - Self.range.lowerBound) * 2] = value.0
      unsafe table[(power - Self.range.lowerBound) * 2 + 1] = value.1
    }
    // 10^q and 5^q have the same leading bits.
    var power = LargeInteger(1)
    for exponent in 0...Self.range.upperBound {
      set(exponent, power.leadingBits)
      power.multiply(by: 5)
    }
    // Cutting commutes with dividing again: floor(floor(x / 5) / 5) = floor(x / 25). 5^342 has 795 bits, so 1,024 leave
    // more than the 128 that are kept.
    var reciprocal = LargeInteger(1)
    reciprocal.shiftLeft(by: 1024)
    for exponent in stride(from: -1, through: Self.range.lowerBound, by: -1) {
      reciprocal.divide(by: 5)
      set(exponent, reciprocal.leadingBits)
    }
    unsafe entries = UnsafePointer(table)
  }

  @inline(__always) func high(_ power: Int) -> UInt64 {
    assert(Self.range.contains(power))
    return unsafe entries[(power - Self.range.lowerBound) * 2]
  }

  @inline(__always) func low(_ power: Int) -> UInt64 {
    assert(Self.range.contains(power))
    return unsafe entries[(power - Self.range.lowerBound) * 2 + 1]
  }
}

/// A natural number of any size, least significant word first, without leading zero words. For tables and for the rare
/// decimal that lies next to the middle of two doubles.
struct LargeInteger {
  private(set) var words: [UInt64]

  init(_ value: UInt64) { words = value == 0 ? [] : [value] }

  mutating func multiply(by factor: UInt64, adding addend: UInt64 = 0) {
    var carry = addend
    for index in words.indices {
      let product = words[index].multipliedFullWidth(by: factor)
      let (low, overflow) = product.low.addingReportingOverflow(carry)
      words[index] = low
      carry = product.high + (overflow ? 1 : 0)
    }
    if carry > 0 { words.append(carry) }
  }

  mutating func multiply(byPowerOfTen exponent: Int) {
    for _ in 0..<(exponent / 19) { multiply(by: 10_000_000_000_000_000_000) }
    for _ in 0..<(exponent % 19) { multiply(by: 10) }
  }

  mutating func divide(by divisor: UInt64) {
    var remainder: UInt64 = 0
    for index in words.indices.reversed() {
      (words[index], remainder) = divisor.dividingFullWidth((remainder, words[index]))
    }
    while words.last == 0 { words.removeLast() }
  }

  mutating func shiftLeft(by bits: Int) {
    guard !words.isEmpty else { return }
    let rest = bits % 64
    if rest > 0 { multiply(by: 1 << UInt64(rest)) }
    words.insert(contentsOf: repeatElement(0, count: bits / 64), at: 0)
  }

  /// The 128 bits from the highest one that is set, zeros behind where there are fewer.
  var leadingBits: (UInt64, UInt64) {
    func word(_ fromTop: Int) -> UInt64 { fromTop < words.count ? words[words.count - 1 - fromTop] : 0 }
    let shift = UInt64(word(0).leadingZeroBitCount)
    if shift == 0 { return (word(0), word(1)) }
    return (word(0) << shift | word(1) >> (64 - shift), word(1) << shift | word(2) >> (64 - shift))
  }

  /// Below, equal to or above `other`: negative, zero or positive.
  func compared(with other: LargeInteger) -> Int {
    if words.count != other.words.count { return words.count < other.words.count ? -1 : 1 }
    for index in words.indices.reversed() where words[index] != other.words[index] {
      return words[index] < other.words[index] ? -1 : 1
    }
    return 0
  }
}
