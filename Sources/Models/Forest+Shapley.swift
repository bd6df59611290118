extension Forest {
  /// Adds scale x the exact path-dependent Shapley value of each feature (Lundberg et al., "Consistent individualized
  /// feature attribution for tree ensembles"; XGBoost's `pred_contribs`) to `contributions`.
  ///
  /// For one leaf of value v, a set S of known features gives v times the product of o_j over its path's features in S
  /// and z_j over the others: o_j is 1 when the row follows all splits on j and 0 otherwise, z_j is the share of training
  /// cover that does. Since the Shapley weight s! (n - 1 - s)! / n! is the integral of t^s (1 - t)^(n-1-s) over [0, 1],
  ///
  ///     phi_j = v (o_j - z_j) * integral of the product over k != j of (z_k (1 - t) + o_k t) dt,
  ///
  /// a polynomial that Gauss-Legendre quadrature integrates exactly. One walk of each tree carries the product at every
  /// point; each edge adds its feature's value for all leaves below it. 4 points are exact for paths of 8 features.
  ///
  /// `scratch` has `shapleyScratchCount` floats; `contributions` is indexed by feature.
  func explain(
    _ row: ModelRow, _ scratch: UnsafeMutablePointer<Float>, scale: Double,
    into contributions: UnsafeMutablePointer<Double>
  ) {
    unsafe layOut(row, scratch)
    let path = unsafe UnsafeMutableRawPointer(scratch + paddedToLanes(scratchCount))
      .assumingMemoryBound(to: Double.self)
    for index in 0..<(rowCount * 2) { unsafe path[index] = 1 }
    if depth <= 8 {
      var walk = unsafe ShapleyWalk(
        self, scratch, path, contributions, GaussLegendre.points4, GaussLegendre.weights4 * scale)
      unsafe walk.all(roots, trees)
    } else if depth <= 16 {
      var walk = unsafe ShapleyWalk(
        self, scratch, path, contributions, GaussLegendre.points8, GaussLegendre.weights8 * scale)
      unsafe walk.all(roots, trees)
    } else {
      var walk = unsafe ShapleyWalk(
        self, scratch, path, contributions, GaussLegendre.points16, GaussLegendre.weights16 * scale)
      unsafe walk.all(roots, trees)
    }
  }

  /// The row as the descent reads it, then o and z of each feature as doubles.
  var shapleyScratchCount: Int { paddedToLanes(scratchCount) + rowCount * 4 }
}

@unsafe private struct ShapleyWalk<Points: SIMD> where Points.Scalar == Double {
  let nodes: UnsafePointer<UInt64>
  let shares: UnsafePointer<Double>
  let x: UnsafePointer<Float>
  /// Whether the row follows all splits on a feature above here (1 or 0), and the share of cover that does. 1 and 1 for a
  /// feature that no split above read: its factor is 1.
  let follows: UnsafeMutablePointer<Double>
  let share: UnsafeMutablePointer<Double>
  let contributions: UnsafeMutablePointer<Double>
  let rowCount: Int
  let t: Points
  let rest: Points
  let weights: Points

  init(
    _ forest: Forest, _ x: UnsafePointer<Float>, _ path: UnsafeMutablePointer<Double>,
    _ contributions: UnsafeMutablePointer<Double>, _ points: Points, _ weights: Points
  ) {
    unsafe nodes = forest.nodes.base
    unsafe shares = forest.shares.base
    unsafe self.x = x
    unsafe follows = path
    unsafe share = path + forest.rowCount
    unsafe self.contributions = contributions
    unsafe rowCount = forest.rowCount
    unsafe t = points
    unsafe rest = 1 - points
    unsafe self.weights = weights
  }

  @inline(__always) mutating func all(_ roots: FixedArray<Int32>, _ trees: Int) {
    for tree in 0..<trees { _ = unsafe below(Int(roots.base[tree]), Points(repeating: 1)) }
  }

  /// The sum over the leaves below `index` of value x product, where `product` is that of the path to here.
  private mutating func below(_ index: Int, _ product: Points) -> Points {
    let node = unsafe nodes[index]
    let distance = Forest.distance(node)
    if distance == 0 { return product * Double(Forest.threshold(node)) }
    let slot = Forest.slot(node)
    let second = unsafe x[slot] >= Forest.threshold(node)
    let feature = unsafe slot >= rowCount ? slot - rowCount : slot
    let followedAbove = unsafe follows[feature]
    let shareAbove = unsafe share[feature]
    let factorAbove = unsafe shareAbove * rest + followedAbove * t
    let withoutFeature = product / factorAbove
    var sum = Points()
    for side in 0..<2 {
      let child = index + distance + side
      let followed = (side == 1) == second ? followedAbove : 0
      // Held above the smallest numbers, so that a long chain of rare turns stays a number to divide by.
      let childShare = unsafe max(shareAbove * shares[child], 1e-200)
      let factor = unsafe childShare * rest + followed * t
      unsafe follows[feature] = followed
      unsafe share[feature] = childShare
      let leaves = unsafe below(child, withoutFeature * factor)
      // The edge above counted these leaves with its own factor; here they have this one instead.
      let change = (followed - childShare) / factor - (followedAbove - shareAbove) / factorAbove
      unsafe contributions[feature] += (weights * leaves * change).orderedSum
      sum += leaves
    }
    unsafe follows[feature] = followedAbove
    unsafe share[feature] = shareAbove
    return sum
  }
}

extension SIMD where Scalar == Double {
  /// The sum of the lanes, first to last.
  @inline(__always) fileprivate var orderedSum: Double {
    var sum = self[0]
    for lane in 1..<scalarCount { sum += self[lane] }
    return sum
  }
}
