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
    // Without branches: which ratios are missing differs from borrower to borrower.
    let quotient = a / b
    let bounded = quotient > ratioMax ? ratioMax : (quotient < -ratioMax ? -ratioMax : quotient)
    return b > 0 ? Float(bounded) : .nan
  }

  @inline(__always) static func ratio(_ a: Float, _ b: Float) -> Float {
    let quotient = a / b
    let bounded =
      quotient > Float(ratioMax) ? Float(ratioMax) : (quotient < -Float(ratioMax) ? -Float(ratioMax) : quotient)
    return b > 0 ? bounded : .nan
  }
}
