import Features

/// How a row of a table with numbers and categories mixed looks to an adversarial network, and back (Xu et al. 2019,
/// "Modeling Tabular Data using Conditional GAN": mode-specific normalisation).
///
/// A column has categories: missing, each value that many rows share (a spike at 0, say), and the modes of a Gaussian
/// mixture of the rest. A row's value is the category it is in and, within a mode, where: (x - mean) / (4 deviations).
/// A column with few values is categories alone. A skewed column's mixture is of its signed logarithm.
struct TableCodec: Sendable {
  enum Category: Equatable, Sendable {
    case missing
    case value(Float)
    /// Of the mixture.
    case mode(mean: Double, deviation: Double)
  }

  struct Column: Sendable {
    /// Of the matrix.
    var column: Int
    var categories: [Category]
    /// Share of the rows in each.
    var shares: [Double]
    var isLogarithmic: Bool
    /// All values met are whole numbers.
    var isWhole: Bool
    var smallest: Float
    var largest: Float
    /// Where its numbers stand in an encoded row: the place within a mode first, if there are modes, then one number a
    /// category.
    var offset = 0
    var hasModes: Bool { categories.contains { if case .mode = $0 { true } else { false } } }
    var firstCategory: Int { offset + (hasModes ? 1 : 0) }
    var width: Int { categories.count + (hasModes ? 1 : 0) }
  }

  let columns: [Column]
  /// Numbers of an encoded row.
  let width: Int
  /// Columns that are always alike: each is copied from another one.
  let copies: [(column: Int, of: Int)]
  /// Columns with one value, which is written into every row.
  let constants: [(column: Int, value: Float)]

  static let valuesMax = 12
  static let spikeShare = 0.05
  static let modesMax = 3
  /// Rows that mixtures are fitted on.
  static let fittingRows = 4_000

  /// From training rows alone. `derived` columns are not encoded: they are worked out from the others.
  init(_ matrix: FeatureMatrix, derived: Set<Int>) {
    var columns: [Column] = []
    var copies: [(column: Int, of: Int)] = []
    var constants: [(column: Int, value: Float)] = []
    var seen: [UInt64: Int] = [:]
    var offset = 0
    for index in 0..<matrix.columns where !derived.contains(index) {
      let values = (0..<matrix.rows).map { matrix[$0, index] }
      var hash: UInt64 = 0
      for value in values {
        hash = (hash ^ UInt64(value.isNaN ? 0x7FC0_0000 : value.bitPattern)) &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash >> 29
      }
      guard let first = values.first, !values.allSatisfy({ Self.isSame($0, first) }) else {
        constants.append((index, values.first ?? .nan))
        continue
      }
      if let other = seen[hash] {
        copies.append((index, other))
        continue
      }
      seen[hash] = index
      var column = Self.column(index, values)
      column.offset = offset
      offset += column.width
      columns.append(column)
    }
    self.columns = columns
    self.copies = copies
    self.constants = constants
    width = offset
  }

  /// Of columns that are known; their offsets are set here.
  init(_ columns: [Column]) {
    var offset = 0
    self.columns = columns.map { column in
      var column = column
      column.offset = offset
      offset += column.width
      return column
    }
    width = offset
    copies = []
    constants = []
  }

  private static func isSame(_ a: Float, _ b: Float) -> Bool { a == b || (a.isNaN && b.isNaN) }

  private static func column(_ index: Int, _ values: [Float]) -> Column {
    var counts: [Float: Int] = [:]
    var missing = 0
    for value in values { if value.isFinite { counts[value, default: 0] += 1 } else { missing += 1 } }
    let rows = Double(values.count)
    let distinct = counts.keys.sorted()
    var column = Column(
      column: index, categories: [], shares: [], isLogarithmic: false,
      isWhole: distinct.allSatisfy { $0 == $0.rounded() }, smallest: distinct.first ?? 0, largest: distinct.last ?? 0)
    func add(_ category: Category, _ count: Int) {
      column.categories.append(category)
      column.shares.append(Double(count) / rows)
    }
    if missing > 0 { add(.missing, missing) }
    let isCategorical = distinct.count <= valuesMax
    for value in distinct where isCategorical || Double(counts[value]!) >= spikeShare * rows {
      add(.value(value), counts[value]!)
    }
    guard !isCategorical else { return column }
    let spikes = Set(column.categories.compactMap { if case .value(let value) = $0 { value } else { Float?.none } })
    var rest = values.filter { $0.isFinite && !spikes.contains($0) }.map(Double.init)
    let restCount = rest.count
    guard restCount > 0 else { return column }
    if restCount > fittingRows {
      rest = stride(from: 0, to: fittingRows, by: 1).map { rest[$0 * restCount / fittingRows] }
    }
    let logged = rest.map(signedLogarithm)
    if abs(skewness(rest)) > 1.5, abs(skewness(logged)) < abs(skewness(rest)) {
      column.isLogarithmic = true
      rest = logged
    }
    for mode in Mixture(rest, modesMax: modesMax).modes {
      column.categories.append(.mode(mean: mode.mean, deviation: mode.deviation))
      column.shares.append(mode.share * Double(restCount) / rows)
    }
    return column
  }

  private static func signedLogarithm(_ x: Double) -> Double { x < 0 ? -logarithm(1 - x) : logarithm(1 + x) }

  private static func skewness(_ values: [Double]) -> Double {
    let n = Double(values.count)
    let mean = values.reduce(0, +) / n
    var second = 0.0
    var third = 0.0
    for value in values {
      second += (value - mean) * (value - mean) / n
      third += (value - mean) * (value - mean) * (value - mean) / n
    }
    return second > 0 ? third / (second * second.squareRoot()) : 0
  }

  // MARK: Rows

  /// Rows as the critic sees real ones: one category is 1. Which mode a value is in is drawn from how likely each is.
  func encode(_ matrix: FeatureMatrix, _ random: inout SeededRandom) -> [Float] {
    var encoded = [Float](repeating: 0, count: matrix.rows * width)
    for row in 0..<matrix.rows {
      for column in columns {
        let (category, place) = Self.locate(matrix[row, column.column], column, &random)
        encoded[row * width + column.firstCategory + category] = 1
        if column.hasModes { encoded[row * width + column.offset] = place }
      }
    }
    return encoded
  }

  private static func locate(
    _ value: Float, _ column: Column, _ random: inout SeededRandom
  ) -> (category: Int, place: Float) {
    let wanted = value.isFinite ? Category.value(value) : .missing
    if let index = column.categories.firstIndex(of: wanted) { return (index, 0) }
    let x = column.isLogarithmic ? signedLogarithm(Double(value)) : Double(value)
    var densities: [(index: Int, density: Double, place: Double)] = []
    for (index, category) in column.categories.enumerated() {
      guard case .mode(let mean, let deviation) = category else { continue }
      let z = (x - mean) / deviation
      densities.append((index, column.shares[index] / deviation * exponential(-min(z * z / 2, 600)), z / 4))
    }
    // A value that was not met in training, in a column without modes: the nearest one.
    guard !densities.isEmpty else { return (nearest(value, column), 0) }
    let total = densities.reduce(0) { $0 + $1.density }
    var drawn = random.uniform() * total
    var chosen = densities[densities.count - 1]
    for candidate in densities {
      drawn -= candidate.density
      if drawn <= 0 {
        chosen = candidate
        break
      }
    }
    return (chosen.index, Float(min(max(chosen.place, -0.99), 0.99)))
  }

  private static func nearest(_ value: Float, _ column: Column) -> Int {
    var best = (index: 0, distance: Float.infinity)
    for (index, category) in column.categories.enumerated() {
      if case .value(let other) = category, value.isFinite, abs(other - value) < best.distance {
        best = (index, abs(other - value))
      }
    }
    return best.index
  }

  /// Rows of the whole matrix from encoded ones: the category with the largest number counts; columns that are copies or
  /// constant follow. Derived columns stay missing.
  func decode(_ encoded: [Float], rows: Int, columns count: Int) -> FeatureMatrix {
    var values = [Float](repeating: .nan, count: rows * count)
    for row in 0..<rows {
      let base = row * count
      for column in columns {
        let start = row * width + column.firstCategory
        var largest = 0
        for index in 1..<max(column.categories.count, 1) where encoded[start + index] > encoded[start + largest] {
          largest = index
        }
        values[base + column.column] = Self.value(
          column, column.categories[largest], place: column.hasModes ? encoded[row * width + column.offset] : 0)
      }
      for (column, other) in copies { values[base + column] = values[base + other] }
      for (column, value) in constants { values[base + column] = value }
    }
    return FeatureMatrix(rows: rows, columns: count, values: values)
  }

  private static func value(_ column: Column, _ category: Category, place: Float) -> Float {
    switch category {
    case .missing: return .nan
    case .value(let value): return value
    case .mode(let mean, let deviation):
      let x = mean + 4 * deviation * Double(place)
      let raw = !column.isLogarithmic ? x : x < 0 ? 1 - exponential(min(-x, 80)) : exponential(min(x, 80)) - 1
      let bounded = min(max(Float(raw), column.smallest), column.largest)
      return column.isWhole ? bounded.rounded() : bounded
    }
  }
}

/// A mixture of Gaussians in one dimension, by expectation and maximisation from evenly spaced quantiles. Modes that hold
/// almost nothing are dropped.
struct Mixture: Sendable {
  struct Mode: Sendable {
    var mean: Double
    var deviation: Double
    var share: Double
  }
  private(set) var modes: [Mode]

  init(_ values: [Double], modesMax: Int, iterations: Int = 25) {
    precondition(!values.isEmpty && modesMax > 0)
    let sorted = values.sorted()
    let mean = values.reduce(0, +) / Double(values.count)
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
    let spread = max(variance.squareRoot(), 1e-6 * max(1, abs(mean)))
    let floor = spread * 0.02
    modes = (0..<modesMax).map {
      Mode(
        mean: sorted[min((2 * $0 + 1) * sorted.count / (2 * modesMax), sorted.count - 1)],
        deviation: spread / Double(modesMax), share: 1 / Double(modesMax))
    }
    for _ in 0..<iterations {
      var sums = [(weight: Double, first: Double, second: Double)](repeating: (1e-12, 0, 0), count: modes.count)
      var densities = [Double](repeating: 0, count: modes.count)
      for value in values {
        var total = 1e-300
        for (index, mode) in modes.enumerated() {
          let z = (value - mode.mean) / mode.deviation
          densities[index] = mode.share / mode.deviation * exponential(-min(z * z / 2, 600))
          total += densities[index]
        }
        for index in modes.indices {
          let weight = densities[index] / total
          let distance = value - modes[index].mean
          sums[index].weight += weight
          sums[index].first += weight * distance
          sums[index].second += weight * distance * distance
        }
      }
      for index in modes.indices {
        let shift = sums[index].first / sums[index].weight
        let variance = sums[index].second / sums[index].weight - shift * shift
        modes[index] = Mode(
          mean: modes[index].mean + shift, deviation: max(max(variance, 0).squareRoot(), floor),
          share: sums[index].weight / Double(values.count))
      }
    }
    modes.removeAll { $0.share < 0.02 }
    if modes.isEmpty { modes = [Mode(mean: mean, deviation: spread, share: 1)] }
    let total = modes.reduce(0) { $0 + $1.share }
    for index in modes.indices { modes[index].share /= total }
  }
}
