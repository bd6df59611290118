/// Lane-wise choices by integer arithmetic. The library's masks (`.<`, `replace(with:where:)`, `clamped`) go lane by lane
/// through memory, which cost ten times the arithmetic they guard.
enum Lanes {
  typealias Floats = SIMD16<Float>
  typealias Bits = SIMD16<UInt32>

  @inline(__always) static func bits(_ x: Floats) -> Bits { unsafe unsafeBitCast(x, to: Bits.self) }
  @inline(__always) static func floats(_ x: Bits) -> Floats { unsafe unsafeBitCast(x, to: Floats.self) }

  /// All ones where the highest bit is set, else zero.
  @inline(__always) static func signMask(_ x: Bits) -> Bits {
    let signed = unsafe unsafeBitCast(x, to: SIMD16<Int32>.self)
    return unsafe unsafeBitCast(signed &>> 31, to: Bits.self)
  }

  /// All ones where x is a finite number.
  @inline(__always) static func finiteMask(_ x: Floats) -> Bits {
    signMask((bits(x) & Bits(repeating: 0x7FFF_FFFF)) &- Bits(repeating: 0x7F80_0000))
  }

  /// x where the mask is all ones, else +0.
  @inline(__always) static func keep(_ x: Floats, _ mask: Bits) -> Floats { floats(bits(x) & mask) }

  @inline(__always) static func select(_ x: Floats, _ mask: Bits, else y: Floats) -> Floats {
    floats((bits(x) & mask) | (bits(y) & ~mask))
  }

  /// x, or +0 below it.
  @inline(__always) static func positive(_ x: Floats) -> Floats { floats(bits(x) & ~signMask(bits(x))) }

  /// The larger of two finite numbers: the sign of their difference is exact.
  @inline(__always) static func larger(_ x: Floats, _ y: Floats) -> Floats {
    select(y, signMask(bits(x - y)), else: x)
  }

  /// x held within +- limit (a positive number). The order of magnitudes is that of their bits.
  @inline(__always) static func clamp(_ x: Floats, _ limit: Bits) -> Floats {
    let sign = bits(x) & Bits(repeating: 0x8000_0000)
    let magnitude = bits(x) & Bits(repeating: 0x7FFF_FFFF)
    let excess = magnitude &- limit
    return floats((magnitude &- (excess & ~signMask(excess))) | sign)
  }

  /// The sum of all lanes, in one fixed order on every processor.
  @inline(__always) static func sum(_ v: Floats) -> Float {
    let eight = v.lowHalf + v.highHalf
    let four = eight.lowHalf + eight.highHalf
    let two = four.lowHalf + four.highHalf
    return two.x + two.y
  }
}
