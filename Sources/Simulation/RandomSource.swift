// Randomness and the two functions of arithmetic that the world needs, the same on every machine: no libm, whose
// last bits differ from one CPU to the next.

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): eight bytes of state, so that
/// each borrower has a source of its own and lives the same life however many others there are.
struct RandomSource {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// A bijection of 64 bits whose outputs look independent for related inputs.
  static func mix(_ value: UInt64) -> UInt64 {
    var z = value &+ 0x9e37_79b9_7f4a_7c15
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  mutating func next() -> UInt64 {
    let value = RandomSource.mix(state)
    state = state &+ 0x9e37_79b9_7f4a_7c15
    return value
  }

  /// Within 0..<1.
  mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  mutating func uniform(_ low: Double, _ high: Double) -> Double { low + (high - low) * uniform() }

  /// Within `range`.
  mutating func integer(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int(next().multipliedFullWidth(by: UInt64(range.count)).high)
  }

  mutating func happens(_ probability: Double) -> Bool { uniform() < probability }

  /// Mean 0, standard deviation 1: the sum of four uniforms (Irwin-Hall), within ±3.47.
  mutating func gaussian() -> Double {
    let bits = next()
    let sum =
      Double(bits & 0xffff) + Double(bits >> 16 & 0xffff) + Double(bits >> 32 & 0xffff) + Double(bits >> 48)
    return (sum * 0x1p-16 - 2) * 1.732_050_807_568_877_2
  }
}

/// e to the power `x` for |x| <= 700, to about ten digits: a power of two times a Taylor polynomial.
func exponential(_ x: Double) -> Double {
  let x = min(max(x, -700), 700)
  let power = (x * 1.442_695_040_888_963_4).rounded()
  let r = x - power * 0.693_147_180_559_945_3
  var sum = 1.0
  for divisor in stride(from: 11.0, through: 1.0, by: -1.0) { sum = 1 + sum * r / divisor }
  return sum * Double(sign: .plus, exponent: Int(power), significand: 1)
}

/// 1 / (1 + e^-x).
func logistic(_ x: Double) -> Double { 1 / (1 + exponential(-x)) }
