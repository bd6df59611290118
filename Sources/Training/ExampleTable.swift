import Borrowers
import Features
import History

/// Borrowers at times: the features and picture that the daemon would have scored, and what came true. Rows of one
/// borrower stand together, in order of time. `ExampleSet` says which times: midnights, or right after events.
public struct ExampleTable: Sendable {
  public private(set) var count = 0
  /// Row-major, `FeatureCatalogue.count` floats a row, NaN where missing.
  public private(set) var features: [Float] = []
  /// Of the borrower's id.
  public private(set) var borrowers: [UInt64] = []
  /// Index into `AsOfDates.dates`; of a row taken right after an event, the first date behind it.
  public private(set) var dates: [Int] = []
  /// When the state was taken; the label's horizon begins here.
  public private(set) var times: [EventTime] = []
  public private(set) var labels: [ExampleLabels] = []
  /// Owed at the time.
  public private(set) var owes: [Bool] = []
  /// Any amount open past its due date at the time.
  public private(set) var isPastDue: [Bool] = []
  /// Pictures are sparse: row r's cells that are not 0 are `pictureStarts[r]..<pictureStarts[r + 1]`.
  private(set) var pictureStarts: [Int] = [0]
  private(set) var pictureCells: [UInt16] = []
  private(set) var pictureValues: [Float] = []

  public init() {}

  /// Columns that were made elsewhere; rows in the order that this type promises, `pictureStarts` one longer than they.
  init(
    features: [Float], borrowers: [UInt64], dates: [Int], times: [EventTime], labels: [ExampleLabels], owes: [Bool],
    isPastDue: [Bool], pictureStarts: [Int], pictureCells: [UInt16], pictureValues: [Float]
  ) {
    count = borrowers.count
    precondition(features.count == count * FeatureCatalogue.count && pictureStarts.count == count + 1)
    self.features = features
    self.borrowers = borrowers
    self.dates = dates
    self.times = times
    self.labels = labels
    self.owes = owes
    self.isPastDue = isPastDue
    self.pictureStarts = pictureStarts
    self.pictureCells = pictureCells
    self.pictureValues = pictureValues
  }

  /// Of the overdue model: owes at the time, or draws within the horizon.
  public func isOverdueExample(_ row: Int) -> Bool { owes[row] || labels[row].hasDrawn }

  mutating func append(
    _ input: borrowing ModelInput, borrower: UInt64, date: Int, time: EventTime, owes: Bool, isPastDue: Bool,
    labels: ExampleLabels
  ) {
    let features = unsafe input.features[0..<FeatureCatalogue.count]
    unsafe self.features.append(contentsOf: features)
    let shaded = unsafe input.shadedCells
    for index in shaded.indices {
      let cell = unsafe shaded[index]
      let value = unsafe input.picture[Int(cell)]
      if value != 0 {
        pictureCells.append(cell)
        pictureValues.append(value)
      }
    }
    pictureStarts.append(pictureCells.count)
    borrowers.append(borrower)
    dates.append(date)
    times.append(time)
    self.labels.append(labels)
    self.owes.append(owes)
    self.isPastDue.append(isPastDue)
    count += 1
  }

  /// Room for so many rows and cells of pictures, so that a large table does not grow by copies of itself.
  mutating func reserve(rows: Int, cells: Int) {
    features.reserveCapacity(rows * FeatureCatalogue.count)
    borrowers.reserveCapacity(rows)
    dates.reserveCapacity(rows)
    times.reserveCapacity(rows)
    labels.reserveCapacity(rows)
    owes.reserveCapacity(rows)
    isPastDue.reserveCapacity(rows)
    pictureStarts.reserveCapacity(rows + 1)
    pictureCells.reserveCapacity(cells)
    pictureValues.reserveCapacity(cells)
  }

  mutating func append(_ other: ExampleTable) {
    features.append(contentsOf: other.features)
    borrowers.append(contentsOf: other.borrowers)
    dates.append(contentsOf: other.dates)
    times.append(contentsOf: other.times)
    labels.append(contentsOf: other.labels)
    owes.append(contentsOf: other.owes)
    isPastDue.append(contentsOf: other.isPastDue)
    let shift = pictureCells.count
    pictureStarts.append(contentsOf: other.pictureStarts.dropFirst().map { $0 + shift })
    pictureCells.append(contentsOf: other.pictureCells)
    pictureValues.append(contentsOf: other.pictureValues)
    count += other.count
  }

  /// Where a row's cells stand in `pictureCells` and `pictureValues`.
  func pictureRange(_ row: Int) -> Range<Int> { pictureStarts[row]..<pictureStarts[row + 1] }

  /// Writes a row into a model's input, as the daemon fills it.
  public func read(_ row: Int, into input: borrowing ModelInput) {
    let width = FeatureCatalogue.count
    for column in 0..<width { unsafe input.features[column] = features[row * width + column] }
    input.clearPicture()
    for index in pictureRange(row) { input.shade(pictureCells[index], pictureValues[index]) }
  }
}
