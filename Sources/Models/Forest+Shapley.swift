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
    let memory = unsafe UnsafeMutableRawPointer(scratch + paddedToLanes(scratchCount))
    if depth <= 8 {
      var walk = unsafe ShapleyWalk(self, scratch, memory, GaussLegendre.points4)
      unsafe walk.all(self, weights: GaussLegendre.weights4 * scale, into: contributions)
    } else if depth <= 16 {
      var walk = unsafe ShapleyWalk(self, scratch, memory, GaussLegendre.points8)
      unsafe walk.all(self, weights: GaussLegendre.weights8 * scale, into: contributions)
    } else {
      var walk = unsafe ShapleyWalk(self, scratch, memory, GaussLegendre.points16)
      unsafe walk.all(self, weights: GaussLegendre.weights16 * scale, into: contributions)
    }
  }

  /// The row as the descent reads it, then o, z and the sum at every point of each feature as doubles.
  var shapleyScratchCount: Int {
    let points = depth <= 8 ? 4 : depth <= 16 ? 8 : 16
    return paddedToLanes(scratchCount) + rowCount * 2 * (2 + points)
  }
}

@unsafe private struct ShapleyWalk<Points: SIMD> where Points.Scalar == Double {
  let nodes: UnsafePointer<UInt64>
  let shares: UnsafePointer<Double>
  let splitsAgain: UnsafePointer<Bool>
  let x: UnsafePointer<Float>
  /// Whether the row follows all splits on a feature above here (1 or 0), and the share of cover that does. Read only
  /// where a split reads a feature again.
  let follows: UnsafeMutablePointer<Double>
  let share: UnsafeMutablePointer<Double>
  /// Each feature's polynomial, before it is integrated.
  let sums: UnsafeMutablePointer<Points>
  let rowCount: Int
  let t: Points
  let rest: Points
  let inverseOfRest: Points

  init(_ forest: Forest, _ x: UnsafePointer<Float>, _ memory: UnsafeMutableRawPointer, _ points: Points) {
    unsafe nodes = forest.nodes.base
    unsafe shares = forest.shares.base
    unsafe splitsAgain = forest.splitsAgain.base
    unsafe self.x = x
    unsafe rowCount = forest.rowCount
    // The sums first: they are aligned as the memory is, to 64 bytes.
    unsafe sums = memory.bindMemory(to: Points.self, capacity: rowCount)
    let path = unsafe (memory + rowCount * MemoryLayout<Points>.stride)
    unsafe follows = path.bindMemory(to: Double.self, capacity: rowCount * 2)
    unsafe share = follows + rowCount
    unsafe t = points
    unsafe rest = 1 - points
    unsafe inverseOfRest = 1 / rest
  }

  @inline(__always) mutating func all(
    _ forest: Forest, weights: Points, into contributions: UnsafeMutablePointer<Double>
  ) {
    unsafe sums.update(repeating: Points(), count: rowCount)
    let roots = unsafe forest.roots.base
    for tree in 0..<forest.trees {
      let root = unsafe Int(roots[tree])
      if unsafe Forest.distance(nodes[root]) != 0 { _ = unsafe below(root, Points(repeating: 1)) }
    }
    let sums = unsafe self.sums
    for feature in unsafe 0..<rowCount where unsafe sums[feature] != Points() {
      unsafe contributions[feature] += (weights * sums[feature]).orderedSum
    }
  }

  /// The sum over the leaves below a split of value x product, where `product` is that of the path to the split.
  private func below(_ index: Int, _ product: Points) -> Points {
    let node = unsafe nodes[index]
    let slot = Forest.slot(node)
    let first = index + Forest.distance(node)
    let turn = unsafe x[slot] >= Forest.threshold(node) ? 1 : 0
    let feature = unsafe slot >= rowCount ? slot - rowCount : slot
    let taken = first + turn
    let other = first + 1 - turn
    if unsafe splitsAgain[index] { return unsafe belowAgain(feature, taken, other, product) }
    // No split above reads the feature, so its factor is 1 so far; o is 1 on the side taken and 0 on the other, where
    // (o - z) / (z (1 - t) + o t) is -1 / (1 - t) whatever z is.
    let takenShare = unsafe shares[taken]
    let otherShare = unsafe shares[other]
    let factor = unsafe takenShare * rest + t
    unsafe follows[feature] = 1
    unsafe share[feature] = takenShare
    let followed = unsafe leaves(taken, product * factor)
    unsafe follows[feature] = 0
    unsafe share[feature] = otherShare
    let left = unsafe leaves(other, product * (otherShare * rest))
    unsafe sums[feature] += followed * ((1 - takenShare) / factor) - left * inverseOfRest
    return followed + left
  }

  @inline(__always) private func leaves(_ index: Int, _ product: Points) -> Points {
    let node = unsafe nodes[index]
    guard Forest.distance(node) != 0 else { return product * Double(Forest.threshold(node)) }
    return unsafe below(index, product)
  }

  @inline(never) private func belowAgain(_ feature: Int, _ taken: Int, _ other: Int, _ product: Points) -> Points {
    let followedAbove = unsafe follows[feature]
    let shareAbove = unsafe share[feature]
    let factorAbove = unsafe shareAbove * rest + followedAbove * t
    let changeAbove = (followedAbove - shareAbove) / factorAbove
    let withoutFeature = product / factorAbove
    var sum = Points()
    for side in 0..<2 {
      let (child, followed) = side == 0 ? (taken, followedAbove) : (other, 0)
      // Held above the smallest numbers, so that a long chain of rare turns stays a number to divide by.
      let childShare = unsafe max(shareAbove * shares[child], 1e-200)
      let factor = unsafe childShare * rest + followed * t
      unsafe follows[feature] = followed
      unsafe share[feature] = childShare
      let found = unsafe leaves(child, withoutFeature * factor)
      // The edge above counted these leaves with its own factor; here they have this one instead.
      unsafe sums[feature] += found * ((followed - childShare) / factor - changeAbove)
      sum += found
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
