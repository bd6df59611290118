import Features

/// Rows of features, row-major; NaN where missing.
struct FeatureMatrix: Sendable {
  let rows: Int
  let columns: Int
  private(set) var values: [Float]

  init(rows: Int, columns: Int, values: [Float]) {
    precondition(values.count == rows * columns)
    self.rows = rows
    self.columns = columns
    self.values = values
  }

  /// The features of `rows` of a table; columns that are not `allowed` are missing throughout, so that a model keeps the
  /// catalogue's numbering and can learn nothing from them.
  init(_ table: ExampleTable, rows: [Int], allowed: [Bool]) {
    let width = allowed.count
    self.rows = rows.count
    columns = width
    var values = [Float]()
    values.reserveCapacity(rows.count * width)
    for row in rows {
      let base = row * width
      for column in 0..<width { values.append(allowed[column] ? table.features[base + column] : .nan) }
    }
    self.values = values
  }

  func selecting(_ selected: [Int]) -> FeatureMatrix {
    var gathered = [Float]()
    gathered.reserveCapacity(selected.count * columns)
    for row in selected { gathered.append(contentsOf: values[row * columns..<(row + 1) * columns]) }
    return FeatureMatrix(rows: selected.count, columns: columns, values: gathered)
  }

  @inline(__always) subscript(row: Int, column: Int) -> Float {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }

  /// These rows, then those of another matrix with the same columns.
  func appending(_ other: FeatureMatrix) -> FeatureMatrix {
    precondition(columns == other.columns)
    return FeatureMatrix(rows: rows + other.rows, columns: columns, values: values + other.values)
  }

  mutating func fill(column: Int, with value: Float) {
    for row in 0..<rows { values[row * columns + column] = value }
  }
}

extension FeatureCatalogue {
  /// Which columns a model may learn from.
  static func allowed(includeProtected: Bool) -> [Bool] { all.map { includeProtected || !$0.isProtected } }
}

/// Rows split for cross-validation so that a borrower is in one fold only. Borrowers are dealt out in the order of a
/// seeded hash: folds differ by one borrower at most, and the order of rows does not matter.
struct Folds: Sendable {
  let count: Int
  /// The fold of each row.
  let foldOfRow: [Int]
  private let foldOfBorrower: [UInt64: Int]
  private let seed: UInt64

  init(borrowers: [UInt64], count: Int, seed: UInt64) {
    self.count = count
    self.seed = seed
    var foldOfBorrower: [UInt64: Int] = [:]
    for (rank, borrower) in Self.ordered(Array(Set(borrowers)), seed: seed).enumerated() {
      foldOfBorrower[borrower] = rank % count
    }
    foldOfRow = borrowers.map { foldOfBorrower[$0]! }
    self.foldOfBorrower = foldOfBorrower
  }

  /// The fold whose models did not see this borrower, for rows of another table; a borrower of no row here was seen by
  /// none and gets a seeded one.
  func fold(of borrower: UInt64) -> Int {
    foldOfBorrower[borrower] ?? Int(Self.mixed(borrower ^ seed &* 0x9E37_79B9_7F4A_7C15) % UInt64(count))
  }

  func training(_ fold: Int) -> [Int] { foldOfRow.indices.filter { foldOfRow[$0] != fold } }
  func validation(_ fold: Int) -> [Int] { foldOfRow.indices.filter { foldOfRow[$0] == fold } }

  static func ordered(_ borrowers: [UInt64], seed: UInt64) -> [UInt64] {
    borrowers.map { (key: mixed($0 ^ seed &* 0x9E37_79B9_7F4A_7C15), borrower: $0) }
      .sorted { $0.key != $1.key ? $0.key < $1.key : $0.borrower < $1.borrower }
      .map(\.borrower)
  }

  /// The finalizer of SplitMix64.
  private static func mixed(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
