/// exp and log that give the same bits on every processor: libm picks its kernels by the processor, these are a fixed
/// order of IEEE 754 operations with explicit fused multiply-adds. Everything that decides uses them. Within two units in
/// the last place of the exact value.
public enum Portable {
  /// The natural logarithm. NaN below zero, -infinity at zero.
  ///
  /// x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); with s = f / (2 + f), log(1 + f) = 2 atanh(s), summed as
  /// f - (f^2/2 - s (f^2/2 + R)) so that the leading term is exact; R is the rest of the series 2/3 s^2 + 2/5 s^4 + ...
  @inlinable public static func log(_ x: Double) -> Double {
    guard x > 0, x < .infinity else { return x == 0 ? -.infinity : (x == .infinity ? x : .nan) }
    var bits = x.bitPattern
    var k: Int64 = 0
    if x < 0x1p-1022 {
      bits = (x * 0x1p54).bitPattern
      k = -54
    }
    // The mantissa of sqrt(1/2) is subtracted so that the exponent changes there and not at a power of two.
    let shifted = bits &- 0x3FE6_A09E_667F_3BCD
    k &+= Int64(bitPattern: shifted) >> 52
    let f = Double(bitPattern: (shifted & 0x000F_FFFF_FFFF_FFFF) &+ 0x3FE6_A09E_667F_3BCD) - 1
    let s = f / (2 + f)
    let z = s * s
    var r = 2.0 / 23
    r = (2.0 / 21).addingProduct(r, z)
    r = (2.0 / 19).addingProduct(r, z)
    r = (2.0 / 17).addingProduct(r, z)
    r = (2.0 / 15).addingProduct(r, z)
    r = (2.0 / 13).addingProduct(r, z)
    r = (2.0 / 11).addingProduct(r, z)
    r = (2.0 / 9).addingProduct(r, z)
    r = (2.0 / 7).addingProduct(r, z)
    r = (2.0 / 5).addingProduct(r, z)
    r = (2.0 / 3).addingProduct(r, z)
    let half = 0.5 * f * f
    let tail = s * (half + r * z)
    let exponent = Double(k)
    // ln 2 in two parts; the first has trailing zeros, so that its product with k is exact.
    return exponent * 6.93147180369123816490e-01
      - ((half - (tail + exponent * 1.90821492927058770002e-10)) - f)
  }

  /// e to the power x; infinity above 709.78, zero below -745.13.
  ///
  /// x = k ln 2 + r with |r| <= ln 2 / 2; the Taylor series of e^r to the 13th power leaves less than 2^-57.
  @inlinable public static func exp(_ x: Double) -> Double {
    if x > 709.782712893384 { return .infinity }
    if x < -745.1332191019412 { return 0 }
    guard x == x else { return .nan }
    let k = (x * 1.4426950408889634).rounded(.toNearestOrEven)
    let r = x.addingProduct(-k, 6.93147180369123816490e-01).addingProduct(-k, 1.90821492927058770002e-10)
    var p = 1.0 / 6_227_020_800
    p = (1.0 / 479_001_600).addingProduct(p, r)
    p = (1.0 / 39_916_800).addingProduct(p, r)
    p = (1.0 / 3_628_800).addingProduct(p, r)
    p = (1.0 / 362_880).addingProduct(p, r)
    p = (1.0 / 40_320).addingProduct(p, r)
    p = (1.0 / 5_040).addingProduct(p, r)
    p = (1.0 / 720).addingProduct(p, r)
    p = (1.0 / 120).addingProduct(p, r)
    p = (1.0 / 24).addingProduct(p, r)
    p = (1.0 / 6).addingProduct(p, r)
    p = 0.5.addingProduct(p, r)
    let e = 1 + r.addingProduct(p, r * r)
    // Two steps: 2^k alone leaves the range of normal numbers at both ends.
    let first = Int64(k) / 2
    let second = Int64(k) - first
    return e * Double(bitPattern: UInt64(first + 1023) << 52) * Double(bitPattern: UInt64(second + 1023) << 52)
  }

  /// The natural logarithm in single precision, by the same reduction.
  @inlinable public static func log(_ x: Float) -> Float {
    guard x > 0, x < .infinity else { return x == 0 ? -.infinity : (x == .infinity ? x : .nan) }
    var bits = x.bitPattern
    var k: Int32 = 0
    if x < 0x1p-126 {
      bits = (x * 0x1p25).bitPattern
      k = -25
    }
    let shifted = bits &- 0x3F35_04F3
    k &+= Int32(bitPattern: shifted) >> 23
    let f = Float(bitPattern: (shifted & 0x007F_FFFF) &+ 0x3F35_04F3) - 1
    let s = f / (2 + f)
    let z = s * s
    var r: Float = 2.0 / 11
    r = (2.0 / 9 as Float).addingProduct(r, z)
    r = (2.0 / 7 as Float).addingProduct(r, z)
    r = (2.0 / 5 as Float).addingProduct(r, z)
    r = (2.0 / 3 as Float).addingProduct(r, z)
    let half = 0.5 * f * f
    let tail = s * (half + r * z)
    let exponent = Float(k)
    return exponent * 6.9313812256e-01 - ((half - (tail + exponent * 9.0580006145e-06)) - f)
  }

  /// The natural logarithm of 16 finite numbers of at least 1: the bits of `log` of each.
  @inlinable public static func logAtLeastOne(_ x: SIMD16<Float>) -> SIMD16<Float> {
    let shifted = unsafe unsafeBitCast(x, to: SIMD16<UInt32>.self) &- 0x3F35_04F3
    // 12582912 + k has k in its lowest bits: an exact conversion of a small k.
    let exponent = unsafe unsafeBitCast((shifted &>> 23) &+ 0x4B40_0000, to: SIMD16<Float>.self) - 12_582_912
    let mantissa = (shifted & 0x007F_FFFF) &+ 0x3F35_04F3
    let f = unsafe unsafeBitCast(mantissa, to: SIMD16<Float>.self) - 1
    let s = f / (f + 2)
    let z = s * s
    var r = SIMD16<Float>(repeating: 2.0 / 11)
    r = SIMD16(repeating: 2.0 / 9).addingProduct(r, z)
    r = SIMD16(repeating: 2.0 / 7).addingProduct(r, z)
    r = SIMD16(repeating: 2.0 / 5).addingProduct(r, z)
    r = SIMD16(repeating: 2.0 / 3).addingProduct(r, z)
    let half = 0.5 * f * f
    let tail = s * (half + r * z)
    return exponent * 6.9313812256e-01 - ((half - (tail + exponent * 9.0580006145e-06)) - f)
  }

  /// e to the power x in single precision; infinity above 88.72, zero below -103.97.
  @inlinable public static func exp(_ x: Float) -> Float {
    if x > 88.72284 { return .infinity }
    if x < -103.97208 { return 0 }
    guard x == x else { return .nan }
    let k = (x * 1.44269504).rounded(.toNearestOrEven)
    let r = x.addingProduct(-k, 6.9313812256e-01).addingProduct(-k, 9.0580006145e-06)
    var p: Float = 1.0 / 5_040
    p = (1.0 / 720 as Float).addingProduct(p, r)
    p = (1.0 / 120 as Float).addingProduct(p, r)
    p = (1.0 / 24 as Float).addingProduct(p, r)
    p = (1.0 / 6 as Float).addingProduct(p, r)
    p = (0.5 as Float).addingProduct(p, r)
    let e = 1 + r.addingProduct(p, r * r)
    let first = Int32(k) / 2
    let second = Int32(k) - first
    return e * Float(bitPattern: UInt32(first + 127) << 23) * Float(bitPattern: UInt32(second + 127) << 23)
  }
}
