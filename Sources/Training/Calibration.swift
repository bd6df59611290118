/// A monotone map from scores to probabilities, learned from out-of-fold scores.
struct Isotonic: Equatable, Sendable {
  /// Ascending scores and their probabilities, strictly rising in both; linear between, constant outside.
  var scores: [Double]
  var probabilities: [Double]

  /// Pools adjacent violators (Ayer et al. 1955) over runs of at least `minimumRows` rows, and joins the pools' means by
  /// straight lines, so that scores that differ keep differing within the range met.
  /// With `weights`, a row counts as so many; `minimumRows` is then of their sum.
  init(scores: [Double], labels: [Bool], weights: [Double]? = nil, minimumRows: Int) {
    precondition(scores.count == labels.count && !scores.isEmpty && weights?.count ?? labels.count == labels.count)
    let order = scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] < scores[$1] : $0 < $1 }
    struct Pool {
      var score: Double
      var positives: Double
      var rows: Double
      var mean: Double { positives / rows }
    }
    var pools: [Pool] = []
    var current = Pool(score: 0, positives: 0, rows: 0)
    for (index, row) in order.enumerated() {
      let weight = weights?[row] ?? 1
      current.score += scores[row] * weight
      current.positives += labels[row] ? weight : 0
      current.rows += weight
      let isTied = index + 1 < order.count && scores[order[index + 1]] == scores[row]
      guard !isTied, Int(current.rows) >= minimumRows || index + 1 == order.count else { continue }
      pools.append(current)
      current = Pool(score: 0, positives: 0, rows: 0)
      while pools.count > 1, pools[pools.count - 2].mean >= pools[pools.count - 1].mean {
        let last = pools.removeLast()
        pools[pools.count - 1].score += last.score
        pools[pools.count - 1].positives += last.positives
        pools[pools.count - 1].rows += last.rows
      }
    }
    self.scores = pools.map { $0.score / $0.rows }
    // Krichevsky-Trofimov: no pool is certain of what it has not seen.
    probabilities = pools.map { ($0.positives + 0.5) / ($0.rows + 1) }
    for index in probabilities.indices.dropFirst() {
      probabilities[index] = max(probabilities[index], probabilities[index - 1])
    }
  }

  func callAsFunction(_ score: Double) -> Double {
    guard score > scores[0] else { return probabilities[0] }
    guard let upper = scores.firstIndex(where: { $0 >= score }) else { return probabilities.last! }
    let share = (score - scores[upper - 1]) / (scores[upper] - scores[upper - 1])
    return probabilities[upper - 1] + share * (probabilities[upper] - probabilities[upper - 1])
  }
}

/// p = 1 / (1 + exp(-(slope x + intercept))), fitted by Newton's method on out-of-fold scores (Platt 1999, with his
/// smoothed targets).
struct Platt: Equatable, Sendable {
  var slope: Double
  var intercept: Double

  init(scores: [Double], labels: [Bool]) {
    let positives = Double(labels.count { $0 })
    let negatives = Double(labels.count) - positives
    let high = (positives + 1) / (positives + 2)
    let low = 1 / (negatives + 2)
    var a = 0.0
    var b = logarithm((positives + 1) / (negatives + 1))
    for _ in 0..<100 {
      var gradient = (a: 0.0, b: 0.0)
      var hessian = (aa: 1e-12, ab: 0.0, bb: 1e-12)
      for (x, label) in zip(scores, labels) {
        let p = logistic(a * x + b)
        let residual = (label ? high : low) - p
        let weight = p * (1 - p)
        gradient.a += residual * x
        gradient.b += residual
        hessian.aa += weight * x * x
        hessian.ab += weight * x
        hessian.bb += weight
      }
      let determinant = hessian.aa * hessian.bb - hessian.ab * hessian.ab
      guard determinant > 0 else { break }
      let step = (
        a: (hessian.bb * gradient.a - hessian.ab * gradient.b) / determinant,
        b: (hessian.aa * gradient.b - hessian.ab * gradient.a) / determinant
      )
      a += step.a
      b += step.b
      if abs(step.a) + abs(step.b) < 1e-10 { break }
    }
    slope = a
    intercept = b
  }

  func callAsFunction(_ score: Double) -> Double { logistic(slope * score + intercept) }
}
