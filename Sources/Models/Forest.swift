/// A forest of regression trees, evaluated without a branch.
///
/// A node is eight bytes: threshold, input slot, distance to the first child; siblings are neighbours. A row is laid out
/// as [x, -x, NaN], so that one comparison does for both default directions:
///
/// - missing goes left: the first child is the left one, and the second (right) is taken when x >= t, which NaN never is;
/// - missing goes right: the first child is the right one, and the second (left) is taken when -x >= the next number
///   above -t, which is x < t, and never true of NaN;
/// - a leaf reads the NaN, so that it never moves on: its distance is 0, its threshold the value.
///
/// So every tree of a group can take as many steps as the deepest of them. Indices are validated when a forest is made;
/// the descent does not check.
final class Forest: Sendable {
  static let treesMax = 4096
  static let nodesMax = 1 << 22
  static let depthMax = 32
  /// Trees that descend in turn, to hide the latency of each other's loads.
  static let groupSize = 8

  /// threshold bits | slot << 32 | distance << 48.
  let nodes: FixedArray<UInt64>
  /// For each node its share of its parent's cover, above 0 (1 for a root).
  let shares: FixedArray<Double>
  /// For each node whether a split above it reads the same feature.
  let splitsAgain: FixedArray<Bool>
  /// Index of each tree's root, filled up to a multiple of the group with trees of one leaf 0.
  let roots: FixedArray<Int32>
  /// Steps of each group.
  private let depths: FixedArray<Int32>
  let trees: Int
  let depth: Int
  /// Floats of a row copied: the catalogue's count padded to 16.
  let rowCount: Int
  private let base: Float
  /// The mean over the training examples, by the covers: what the contributions are measured against.
  let referenceMargin: Double

  init(_ layout: ForestLayout, rowCount: Int, base: Float) {
    precondition(rowCount % 16 == 0)
    nodes = FixedArray(layout.nodes)
    shares = FixedArray(layout.shares)
    splitsAgain = FixedArray(layout.splitsAgain)
    roots = FixedArray(layout.roots)
    depths = FixedArray(layout.groupDepths)
    trees = layout.trees
    depth = layout.depth
    referenceMargin = Double(base) + layout.mean
    self.rowCount = rowCount
    self.base = base
  }

  var scratchCount: Int { rowCount * 2 + 16 }

  /// Nodes passed in one prediction.
  var steps: Int {
    var steps = 0
    for group in 0..<depths.count { unsafe steps += Int(depths.base[group]) }
    return steps * Self.groupSize
  }

  /// Writes the row as the descent reads it.
  @inline(__always) func layOut(_ row: ModelRow, _ scratch: UnsafeMutablePointer<Float>) {
    let source = unsafe UnsafeRawPointer(row.features)
    let target = UnsafeMutableRawPointer(scratch)
    let bytes = rowCount * 4
    var offset = 0
    while offset < bytes {
      let x = unsafe source.loadUnaligned(fromByteOffset: offset, as: SIMD16<Float>.self)
      unsafe target.storeBytes(of: x, toByteOffset: offset, as: SIMD16<Float>.self)
      unsafe target.storeBytes(of: -x, toByteOffset: bytes + offset, as: SIMD16<Float>.self)
      offset += 64
    }
    unsafe scratch[rowCount * 2] = .nan
  }

  /// The base score and the leaves, added in tree order in single precision, as XGBoost does.
  func margin(_ row: ModelRow, _ scratch: UnsafeMutablePointer<Float>) -> Double {
    unsafe layOut(row, scratch)
    let x = unsafe UnsafePointer(scratch)
    var sum = base
    var group = 0
    var root = unsafe roots.base
    let nodes = unsafe self.nodes.base
    while group < depths.count {
      var p0 = unsafe nodes + Int(root[0])
      var p1 = unsafe nodes + Int(root[1])
      var p2 = unsafe nodes + Int(root[2])
      var p3 = unsafe nodes + Int(root[3])
      var p4 = unsafe nodes + Int(root[4])
      var p5 = unsafe nodes + Int(root[5])
      var p6 = unsafe nodes + Int(root[6])
      var p7 = unsafe nodes + Int(root[7])
      var steps = unsafe depths.base[group]
      while steps > 0 {
        unsafe p0 = Self.next(p0, x)
        unsafe p1 = Self.next(p1, x)
        unsafe p2 = Self.next(p2, x)
        unsafe p3 = Self.next(p3, x)
        unsafe p4 = Self.next(p4, x)
        unsafe p5 = Self.next(p5, x)
        unsafe p6 = Self.next(p6, x)
        unsafe p7 = Self.next(p7, x)
        steps &-= 1
      }
      unsafe sum += Self.threshold(p0.pointee)
      unsafe sum += Self.threshold(p1.pointee)
      unsafe sum += Self.threshold(p2.pointee)
      unsafe sum += Self.threshold(p3.pointee)
      unsafe sum += Self.threshold(p4.pointee)
      unsafe sum += Self.threshold(p5.pointee)
      unsafe sum += Self.threshold(p6.pointee)
      unsafe sum += Self.threshold(p7.pointee)
      unsafe root += Self.groupSize
      group += 1
    }
    return Double(sum)
  }

  @inline(__always) static func threshold(_ node: UInt64) -> Float {
    Float(bitPattern: UInt32(truncatingIfNeeded: node))
  }
  @inline(__always) static func slot(_ node: UInt64) -> Int { Int(truncatingIfNeeded: (node >> 32) & 0xFFFF) }
  @inline(__always) static func distance(_ node: UInt64) -> Int { Int(truncatingIfNeeded: node >> 48) }

  @inline(__always) private static func next(
    _ pointer: UnsafePointer<UInt64>, _ x: UnsafePointer<Float>
  ) -> UnsafePointer<UInt64> {
    let node = unsafe pointer.pointee
    let second = unsafe x[slot(node)] >= threshold(node)
    return unsafe pointer + (distance(node) &+ (second ? 1 : 0))
  }
}
