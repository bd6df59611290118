import Foundation

/// Why a training or an evaluation ended without a result. `description` is one line that names the culprit and the mend.
public struct TrainingError: Error, CustomStringConvertible, Sendable {
  public enum Kind: Sendable {
    /// Bad usage (exit status 2).
    case usage
    /// Failed while running (exit status 1).
    case failed
  }
  public var kind: Kind
  public var description: String
  /// The exit status that the command line promises.
  public var exitStatus: Int32 { kind == .usage ? 2 : 1 }

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }
}

/// libm's natural logarithm: training's results are the same on one kind of machine only, so it may.
@inline(__always) func logarithm(_ x: Double) -> Double { log(x) }
@inline(__always) func exponential(_ x: Double) -> Double { exp(x) }
@inline(__always) func logistic(_ x: Double) -> Double { 1 / (1 + exponential(-x)) }
