/// Sums of money that go up and down.
enum Money {
  /// To a millionth (a hundredth from 9 thousand million on): 0.3 less 0.1 less 0.2 must be nothing, or a borrower who
  /// repaid all would go on owing 5.5e-17.
  @inline(__always) static func settled(_ value: Double) -> Double {
    let magnitude = abs(value)
    if magnitude < 9e9 { return (value * 1e6).rounded(.toNearestOrEven) / 1e6 }
    if magnitude < 9e13 { return (value * 1e2).rounded(.toNearestOrEven) / 1e2 }
    return value
  }
}
