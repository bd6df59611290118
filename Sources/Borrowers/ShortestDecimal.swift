/// The shortest decimal that reads back as the same number, nearest to it where several are as short: Raffaello
/// Giulietti, "The Schubfach way to render doubles" (2020).
struct ShortestDecimal: Equatable {
  /// Without trailing zeros.
  var digits: UInt64
  /// The number is `digits` * 10^`exponent`.
  var exponent: Int

  /// `value` is finite and not negative.
  @inline(__always)
  init(_ value: Double) {
    // Amounts of money: an exact number of hundredths. Of 15 digits or fewer no two decimals read as one double, so
    // this one, without its zeros, is the shortest.
    let hundredths = value * 100
    if hundredths < 1e15 {
      let whole = UInt64(hundredths + 0.5)
      if Double(whole) / 100 == value {
        let tenths = whole / 10
        let units = whole / 100
        if units &* 100 == whole {
          self.init(digits: units, exponent: 0)
        } else if tenths &* 10 == whole {
          self.init(digits: tenths, exponent: -1)
        } else {
          self.init(digits: whole, exponent: -2)
        }
        if exponent == 0 { removeTrailingZeros() }
        return
      }
    }
    let bits = value.bitPattern
    self.init(
      significandBits: bits & ((1 << 52) - 1), exponentBits: Int(bits >> 52), fractionBits: 52, bias: 1075)
    removeTrailingZeros()
  }

  /// `value` is finite and not negative. The shortest that reads back as the same `Float`.
  init(_ value: Float) {
    let bits = UInt64(value.bitPattern)
    self.init(
      significandBits: bits & ((1 << 23) - 1), exponentBits: Int(bits >> 23), fractionBits: 23, bias: 150)
    removeTrailingZeros()
  }

  private init(digits: UInt64, exponent: Int) {
    self.digits = digits
    self.exponent = exponent
  }

  @inline(__always)
  private init(significandBits: UInt64, exponentBits: Int, fractionBits: UInt64, bias: Int) {
    let significand: UInt64
    let binaryExponent: Int
    if exponentBits != 0 {
      significand = significandBits | 1 << fractionBits
      binaryExponent = exponentBits - bias
      let fraction = -binaryExponent
      if fraction >= 0 && fraction <= Int(fractionBits) && significand & ((1 << UInt64(fraction)) &- 1) == 0 {
        self.init(digits: significand >> UInt64(fraction), exponent: 0)
        return
      }
    } else {
      significand = significandBits
      binaryExponent = 1 - bias
      if significand == 0 {
        self.init(digits: 0, exponent: 0)
        return
      }
    }
    let isOdd = significand & 1
    let lowerIsCloser = significandBits == 0 && exponentBits > 1
    let lower = 4 * significand - 2 + (lowerIsCloser ? 1 : 0)
    let upper = 4 * significand + 2
    // floor(log10(2^q)), or of 3/4 of it.
    let power = (binaryExponent * 1_262_611 - (lowerIsCloser ? 524_031 : 0)) >> 22
    let shift = UInt64(binaryExponent + ((-power * 1_741_647) >> 19) + 1)
    let scale = Scale(powerOfTen: -power)
    let scaledLower = scale.roundedToOdd(lower << shift) + isOdd
    let scaled = scale.roundedToOdd((4 * significand) << shift)
    let scaledUpper = scale.roundedToOdd(upper << shift) - isOdd
    let candidate = scaled / 4
    if candidate >= 10 {
      let tenth = candidate / 10
      let isBelowInside = scaledLower <= 40 * tenth
      let isAboveInside = 40 * tenth + 40 <= scaledUpper
      if isBelowInside != isAboveInside {
        self.init(digits: tenth + (isAboveInside ? 1 : 0), exponent: power + 1)
        return
      }
    }
    let isBelowInside = scaledLower <= 4 * candidate
    let isAboveInside = 4 * candidate + 4 <= scaledUpper
    if isBelowInside != isAboveInside {
      self.init(digits: candidate + (isAboveInside ? 1 : 0), exponent: power)
      return
    }
    let middle = 4 * candidate + 2
    let roundsUp = scaled > middle || (scaled == middle && candidate & 1 != 0)
    self.init(digits: candidate + (roundsUp ? 1 : 0), exponent: power)
  }

  /// A power of ten to multiply by, its 128 bits rounded up.
  private struct Scale {
    var high: UInt64
    var low: UInt64

    @inline(__always) init(powerOfTen power: Int) {
      let powers = PowersOfTen.shared
      high = powers.high(power)
      low = powers.low(power)
      // 5^55 still fits in 128 bits: up to there the table is exact.
      if power < 0 || power > 55 {
        let overflow: Bool
        (low, overflow) = low.addingReportingOverflow(1)
        if overflow { high += 1 }
      }
    }

    /// The integer part of the product, its lowest bit set also when a fraction was cut off.
    @inline(__always) func roundedToOdd(_ factor: UInt64) -> UInt64 {
      let lowProduct = low.multipliedFullWidth(by: factor)
      let highProduct = high.multipliedFullWidth(by: factor)
      let (fraction, overflow) = highProduct.low.addingReportingOverflow(lowProduct.high)
      return (highProduct.high + (overflow ? 1 : 0)) | (fraction > 1 ? 1 : 0)
    }
  }

  @inline(__always)
  private mutating func removeTrailingZeros() {
    if digits == 0 {
      exponent = 0
      return
    }
    while digits % 100_000_000 == 0 {
      digits /= 100_000_000
      exponent += 8
    }
    if digits % 10_000 == 0 {
      digits /= 10_000
      exponent += 4
    }
    if digits % 100 == 0 {
      digits /= 100
      exponent += 2
    }
    if digits % 10 == 0 {
      digits /= 10
      exponent += 1
    }
  }
}
