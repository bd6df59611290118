import Features

/// From a sum to a score.
public enum Link: String, Codable, Sendable {
  case identity, logistic, exponential

  public func callAsFunction(_ x: Double) -> Double {
    switch self {
    case .identity: x
    case .logistic: 1 / (1 + Portable.exp(-x))
    case .exponential: Portable.exp(x)
    }
  }

  /// (f(x) - f(x0)) / (x - x0), and its limit where the two meet: what turns contributions to x into contributions to
  /// f(x) that still add up exactly.
  func secant(_ x: Double, _ x0: Double) -> Double {
    if self == .identity { return 1 }
    if abs(x - x0) > 1e-6 { return (self(x) - self(x0)) / (x - x0) }
    let value = self((x + x0) / 2)
    return self == .logistic ? value * (1 - value) : value
  }
}

/// A monotone map from a score to what it came to mean.
public struct Calibration: Codable, Sendable, Equatable {
  public enum Form: String, Codable, Sendable { case identity, platt, piecewise }
  /// What a piecewise map does above its last knot; below the first it is constant.
  public enum Beyond: String, Codable, Sendable { case constant, proportional }

  public var form: Form
  /// Platt: 1 / (1 + exp(-(slope x + intercept))).
  public var slope: Double?
  public var intercept: Double?
  /// Piecewise linear: knots, `x` strictly rising, `y` never falling.
  public var x: [Double]?
  public var y: [Double]?
  public var beyond: Beyond?

  public static let identity = Calibration(form: .identity)

  public static func platt(slope: Double, intercept: Double) -> Calibration {
    Calibration(form: .platt, slope: slope, intercept: intercept)
  }

  public static func piecewise(x: [Double], y: [Double], beyond: Beyond = .constant) -> Calibration {
    Calibration(form: .piecewise, x: x, y: y, beyond: beyond)
  }

  static let knotsMax = 100_000

  func validate(_ name: String, file: String) throws(ModelError) {
    func refuse(_ problem: String) -> ModelError {
      ModelError(file: file, problem: "the calibration of \(name) \(problem); train again")
    }
    switch form {
    case .identity: break
    case .platt:
      guard let slope, let intercept, slope >= 0, slope.isFinite, intercept.isFinite else {
        throw refuse("needs a finite slope >= 0 and a finite intercept")
      }
    case .piecewise:
      guard let x, let y, x.count == y.count, !x.isEmpty, x.count <= Self.knotsMax, beyond != nil else {
        throw refuse("needs as many x as y, 1 to \(Self.knotsMax), and beyond")
      }
      guard x.allSatisfy(\.isFinite), y.allSatisfy(\.isFinite), zip(x, x.dropFirst()).allSatisfy({ $0 < $1 }),
        zip(y, y.dropFirst()).allSatisfy({ $0 <= $1 })
      else { throw refuse("must have finite knots, x rising, y never falling") }
    }
  }

  /// The calibrated value. The description was validated.
  public func callAsFunction(_ value: Double) -> Double {
    switch form {
    case .identity: return value
    case .platt: return Link.logistic.callAsFunction((slope ?? 1) * value + (intercept ?? 0))
    case .piecewise:
      guard let x, let y else { return value }
      let last = x.count - 1
      if value <= x[0] { return y[0] }
      if value >= x[last] {
        return beyond == .proportional && x[last] > 0 ? y[last] * (value / x[last]) : y[last]
      }
      var low = 0
      var high = last
      while high - low > 1 {
        let middle = (low + high) / 2
        if x[middle] <= value { low = middle } else { high = middle }
      }
      return y[low] + (value - x[low]) / (x[high] - x[low]) * (y[high] - y[low])
    }
  }
}
