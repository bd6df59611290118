import COpenBLAS

/// Dense normal equations, and what is solved with them.
struct NormalEquations: Sendable {
  let columns: Int
  /// Row-major, symmetric.
  private(set) var matrix: [Double]
  private(set) var vector: [Double]

  /// X'WX and X'Wz of `rows` rows of `columns` columns, row-major.
  init(_ design: [Double], columns: Int, targets: [Double], weights: [Double]? = nil) {
    self.columns = columns
    let rows = targets.count
    precondition(design.count == rows * columns)
    var matrix = [Double](repeating: 0, count: columns * columns)
    var vector = [Double](repeating: 0, count: columns)
    var scaled = design
    var scaledTargets = targets
    if let weights {
      for row in 0..<rows {
        let root = weights[row].squareRoot()
        for column in 0..<columns { scaled[row * columns + column] *= root }
        scaledTargets[row] *= root
      }
    }
    unsafe cblas_dsyrk(
      CblasRowMajor, CblasUpper, CblasTrans, Int32(columns), Int32(rows), 1, scaled, Int32(columns), 0, &matrix,
      Int32(columns))
    unsafe cblas_dgemv(
      CblasRowMajor, CblasTrans, Int32(rows), Int32(columns), 1, scaled, Int32(columns), scaledTargets, 1, 0, &vector, 1
    )
    for row in 0..<columns { for column in 0..<row { matrix[row * columns + column] = matrix[column * columns + row] } }
    self.matrix = matrix
    self.vector = vector
  }

  /// Solves (A + diag(ridge)) x = b by Cholesky; nil where the matrix is not positive definite.
  func solve(ridge: [Double]) -> [Double]? {
    var lower = matrix
    for index in 0..<columns { lower[index * columns + index] += ridge[index] }
    guard Self.factor(&lower, columns) else { return nil }
    var solution = vector
    Self.substitute(lower, columns, &solution)
    return solution
  }

  /// In place: the lower triangle L of A = L L'.
  private static func factor(_ a: inout [Double], _ n: Int) -> Bool {
    for j in 0..<n {
      for i in j..<n {
        let dot = unsafe a.withUnsafeBufferPointer {
          unsafe cblas_ddot(Int32(j), $0.baseAddress! + i * n, 1, $0.baseAddress! + j * n, 1)
        }
        let value = a[i * n + j] - dot
        if i == j {
          guard value > 1e-300, value.isFinite else { return false }
          a[i * n + j] = value.squareRoot()
        } else {
          a[i * n + j] = value / a[j * n + j]
        }
      }
    }
    return true
  }

  private static func substitute(_ lower: [Double], _ n: Int, _ x: inout [Double]) {
    for i in 0..<n {
      var value = x[i]
      for k in 0..<i { value -= lower[i * n + k] * x[k] }
      x[i] = value / lower[i * n + i]
    }
    for i in stride(from: n - 1, through: 0, by: -1) {
      var value = x[i]
      for k in (i + 1)..<max(n, i + 1) { value -= lower[k * n + i] * x[k] }
      x[i] = value / lower[i * n + i]
    }
  }

  /// The least squares solution with no negative coefficient among `constrained` (coordinate descent, which converges
  /// since the problem is convex; at most a few columns here).
  func solveNonNegative(constrained: [Bool]) -> [Double] {
    var x = [Double](repeating: 0, count: columns)
    for _ in 0..<10_000 {
      var change = 0.0
      for j in 0..<columns {
        let diagonal = matrix[j * columns + j]
        guard diagonal > 0 else { continue }
        var gradient = vector[j]
        for k in 0..<columns { gradient -= matrix[j * columns + k] * x[k] }
        var next = x[j] + gradient / diagonal
        if constrained[j] { next = max(next, 0) }
        change = max(change, abs(next - x[j]))
        x[j] = next
      }
      if change < 1e-12 { break }
    }
    return x
  }
}
