/// Decimal text to the nearest `Double`, ties to even.
enum DecimalParser {
  /// Powers of ten that a `Double` holds exactly.
  private static let exactPowers: [Double] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
    1e20, 1e21, 1e22,
  ]

  /// `mantissa` * 10^`exponent`, rounded once. Infinite when it is too large.
  @inline(__always)
  static func double(mantissa: UInt64, exponent: Int, isNegative: Bool) -> Double {
    var magnitude: Double
    if mantissa <= 1 << 53 && exponent >= -22 && exponent <= 22 {
      // Both are exact, so the one operation rounds correctly (Clinger, 1990).
      magnitude = Double(mantissa)
      if exponent < 0 {
        magnitude /= exactPowers[-exponent]
      } else if exponent > 0 {
        magnitude *= exactPowers[exponent]
      }
    } else {
      magnitude = eiselLemire(mantissa: mantissa, exponent: exponent)
    }
    return isNegative ? -magnitude : magnitude
  }

  /// The algorithm of Eisel and Lemire; that it needs no fallback is proved by Mushtak and Lemire, "Fast number parsing
  /// without fallback" (2023).
  @inline(never)
  static func eiselLemire(mantissa: UInt64, exponent: Int) -> Double {
    if mantissa == 0 || exponent < -342 { return 0 }
    if exponent > 308 { return .infinity }
    let leadingZeros = mantissa.leadingZeroBitCount
    let normalized = mantissa << UInt64(leadingZeros)
    let (high, low) = product(normalized, powerOfTen: exponent)
    let upperBit = Int(high >> 63)
    let shift = UInt64(upperBit + 64 - 52 - 3)
    var fraction = high >> shift
    // floor(log2(10^q)) + 63, by a fraction that is exact in this range.
    var binaryExponent = ((217_706 * exponent) >> 16) + 63 + upperBit - leadingZeros + 1023
    if binaryExponent <= 0 {
      let extra = 1 - binaryExponent
      if extra >= 64 { return 0 }
      fraction >>= UInt64(extra)
      fraction += fraction & 1
      fraction >>= 1
      // A carry into the hidden bit makes it the least normal number, whose bits are just these.
      return Double(bitPattern: fraction)
    }
    if low <= 1 && exponent >= -4 && exponent <= 23 && fraction & 3 == 1 && fraction << shift == high {
      fraction &= ~1  // Exactly between two: to even.
    }
    fraction += fraction & 1
    fraction >>= 1
    if fraction >= 2 << 52 {
      fraction = 1 << 52
      binaryExponent += 1
    }
    if binaryExponent >= 0x7FF { return .infinity }
    return Double(bitPattern: UInt64(binaryExponent) << 52 | (fraction & ((1 << 52) - 1)))
  }

  /// The leading 128 bits of `normalized` * 10^`exponent`, exact as far as rounding needs.
  private static func product(_ normalized: UInt64, powerOfTen exponent: Int) -> (UInt64, UInt64) {
    let powers = PowersOfTen.shared
    var tableHigh = powers.high(exponent)
    var tableLow = powers.low(exponent)
    // The proof wants these rounded up.
    if exponent < 0 && exponent >= -27 {
      let overflow: Bool
      (tableLow, overflow) = tableLow.addingReportingOverflow(1)
      if overflow { tableHigh += 1 }
    }
    var (high, low) = normalized.multipliedFullWidth(by: tableHigh)
    if high & 0x1FF == 0x1FF {
      let second = normalized.multipliedFullWidth(by: tableLow)
      let overflow: Bool
      (low, overflow) = low.addingReportingOverflow(second.high)
      if overflow { high += 1 }
    }
    return (high, low)
  }

  /// A number of any length whose syntax has been checked: digits of `bytes` in `start..<end` with at most one point,
  /// an optional sign before and none of the exponent, which is given apart.
  @inline(never)
  static func double(
    longDigits bytes: InputBytes, start: Int, end: Int, exponent givenExponent: Int, isNegative: Bool
  ) -> Double {
    var mantissa: UInt64 = 0
    var digits = 0
    var exponent = givenExponent
    var isBehindPoint = false
    var isCut = false
    for index in start..<end {
      let byte = bytes[index]
      guard byte.isDigit else {
        isBehindPoint = isBehindPoint || byte == 0x2E
        continue
      }
      if digits < 19 {
        mantissa = mantissa * 10 + UInt64(byte - 0x30)
        if mantissa > 0 { digits += 1 }
        if isBehindPoint { exponent -= 1 }
      } else {
        isCut = isCut || byte != 0x30
        if !isBehindPoint { exponent += 1 }
      }
    }
    let lower = eiselLemire(mantissa: mantissa, exponent: exponent)
    var magnitude = lower
    if isCut && lower != eiselLemire(mantissa: mantissa + 1, exponent: exponent) {
      magnitude = nearest(
        to: bytes, start: start, end: end, exponent: givenExponent, candidate: min(lower, .greatestFiniteMagnitude))
    }
    return isNegative ? -magnitude : magnitude
  }

  /// `candidate` or the next larger double, whichever is nearer to the decimal, which lies between them: by comparing
  /// exact integers with the middle.
  private static func nearest(
    to bytes: InputBytes, start: Int, end: Int, exponent givenExponent: Int, candidate: Double
  ) -> Double {
    // No middle of two doubles has more than 768 significant digits: what follows only matters by not being zero.
    let digitsMax = 800
    var decimal = LargeInteger(0)
    var digits = 0
    var exponent = givenExponent
    var isBehindPoint = false
    var isCut = false
    for index in start..<end {
      let byte = bytes[index]
      guard byte.isDigit else {
        isBehindPoint = isBehindPoint || byte == 0x2E
        continue
      }
      if digits < digitsMax {
        decimal.multiply(by: 10, adding: UInt64(byte - 0x30))
        if !decimal.words.isEmpty { digits += 1 }
        if isBehindPoint { exponent -= 1 }
      } else {
        isCut = isCut || byte != 0x30
        if !isBehindPoint { exponent += 1 }
      }
    }
    let bits = candidate.bitPattern
    let exponentBits = Int(bits >> 52)
    let significand = exponentBits == 0 ? bits : (bits & ((1 << 52) - 1)) | 1 << 52
    var middle = LargeInteger(significand * 2 + 1)
    let middleExponent = max(exponentBits, 1) - 1075 - 1
    if exponent >= 0 { decimal.multiply(byPowerOfTen: exponent) } else { middle.multiply(byPowerOfTen: -exponent) }
    if middleExponent >= 0 { middle.shiftLeft(by: middleExponent) } else { decimal.shiftLeft(by: -middleExponent) }
    let order = decimal.compared(with: middle)
    let isAbove = order > 0 || (order == 0 && (isCut || significand & 1 == 1))
    return isAbove ? Double(bitPattern: bits + 1) : candidate
  }
}
