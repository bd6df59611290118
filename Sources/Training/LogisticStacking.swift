/// Weights of log-odds, none negative, and an intercept, by Newton's method.
enum LogisticStacking {
  static func fit(_ columns: [[Double]], _ labels: [Bool]) -> (weights: [Double], intercept: Double) {
    var active = Array(columns.indices)
    while true {
      let beta = newton(active.map { columns[$0] }, labels)
      // The most negative one is left out, and the rest fitted again.
      let worst = active.indices.min { beta[$0 + 1] < beta[$1 + 1] }!
      if beta[worst + 1] < 0, active.count > 1 {
        active.remove(at: worst)
        continue
      }
      var weights = [Double](repeating: 0, count: columns.count)
      for (position, column) in active.enumerated() { weights[column] = max(beta[position + 1], 1e-3) }
      return (weights, beta[0])
    }
  }

  private static func newton(_ columns: [[Double]], _ labels: [Bool]) -> [Double] {
    let width = columns.count + 1
    var design: [Double] = []
    for row in labels.indices { design += [1] + columns.map { $0[row] } }
    var beta = [Double](repeating: 0, count: width)
    for _ in 0..<50 {
      var weights: [Double] = []
      var targets: [Double] = []
      for row in labels.indices {
        var z = 0.0
        for column in 0..<width { z += beta[column] * design[row * width + column] }
        let p = logistic(z)
        let weight = max(p * (1 - p), 1e-6)
        weights.append(weight)
        targets.append(z + ((labels[row] ? 1 : 0) - p) / weight)
      }
      let normal = NormalEquations(design, columns: width, targets: targets, weights: weights)
      // A light ridge keeps two members that agree from running apart.
      guard let next = normal.solve(ridge: [1e-9] + columns.map { _ in 1e-3 * Double(labels.count) / 100 }) else {
        break
      }
      let change = zip(next, beta).map { abs($0 - $1) }.max()!
      beta = next
      if change < 1e-9 { break }
    }
    return beta
  }
}
