/// Features are finite or missing (NaN), whatever the amounts.
enum Saturating {
  static let moneyMax = 1e30
  static let ratioMax = 1e6

  /// NaN stays NaN.
  @inline(__always) static func float(_ value: Double) -> Float {
    Float(value > moneyMax ? moneyMax : (value < -moneyMax ? -moneyMax : value))
  }

  /// `a / b` within plus or minus a million; NaN where `b` is not over 0 or either is missing.
  @inline(__always) static func ratio(_ a: Double, _ b: Double) -> Float {
    guard b > 0 else { return .nan }
    let quotient = a / b
    return Float(quotient > ratioMax ? ratioMax : (quotient < -ratioMax ? -ratioMax : quotient))
  }

  @inline(__always) static func ratio(_ a: Float, _ b: Float) -> Float {
    guard b > 0 else { return .nan }
    let quotient = a / b
    return quotient > Float(ratioMax) ? Float(ratioMax) : (quotient < -Float(ratioMax) ? -Float(ratioMax) : quotient)
  }
}
