import Borrowers
import Features
import History

/// Borrowers as of dates: the features and picture that the daemon would have scored, and what came true. Rows of one
/// borrower stand together, in order of date.
public struct ExampleTable: Sendable {
  public private(set) var count = 0
  /// Row-major, `FeatureCatalogue.count` floats a row, NaN where missing.
  public private(set) var features: [Float] = []
  /// Of the borrower's id.
  public private(set) var borrowers: [UInt64] = []
  /// Index into `AsOfDates.dates`.
  public private(set) var dates: [Int] = []
  public private(set) var labels: [ExampleLabels] = []
  /// Owed at the date.
  public private(set) var owes: [Bool] = []
  /// Any amount open past its date at the date.
  public private(set) var isPastDue: [Bool] = []
  /// Pictures are sparse: row r's cells that are not 0 are `pictureStarts[r]..<pictureStarts[r + 1]`.
  private(set) var pictureStarts: [Int] = [0]
  private(set) var pictureCells: [UInt16] = []
  private(set) var pictureValues: [Float] = []

  public init() {}

  /// Of the overdue model: owes at the date, or draws within the horizon.
  public func isOverdueExample(_ row: Int) -> Bool { owes[row] || labels[row].hasDrawn }

  mutating func append(
    _ input: borrowing ModelInput, borrower: UInt64, date: Int, owes: Bool, isPastDue: Bool, labels: ExampleLabels
  ) {
    let features = unsafe input.features[0..<FeatureCatalogue.count]
    unsafe self.features.append(contentsOf: features)
    let cells = ModelInput.pictureDays * ModelInput.pictureChannels
    for cell in 0..<cells {
      let value = unsafe input.picture[cell]
      if value != 0 {
        pictureCells.append(UInt16(cell))
        pictureValues.append(value)
      }
    }
    pictureStarts.append(pictureCells.count)
    borrowers.append(borrower)
    dates.append(date)
    self.labels.append(labels)
    self.owes.append(owes)
    self.isPastDue.append(isPastDue)
    count += 1
  }

  mutating func append(_ other: ExampleTable) {
    features.append(contentsOf: other.features)
    borrowers.append(contentsOf: other.borrowers)
    dates.append(contentsOf: other.dates)
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
    for cell in 0..<ModelInput.pictureDays * ModelInput.pictureChannels { unsafe input.picture[cell] = 0 }
    for index in pictureStarts[row]..<pictureStarts[row + 1] {
      unsafe input.picture[Int(pictureCells[index])] = pictureValues[index]
    }
  }

  /// Examples of a whole history, made on all cores, a partition of borrowers at a time.
  public static func make(
    _ history: EventHistory, _ asOf: AsOfDates, _ settings: LabelSettings,
    progress: @Sendable (Double) -> Void = { _ in }
  ) throws(TrainingError) -> ExampleTable {
    let done = Counter()
    let parts = try parallelMap(EventHistory.partitionCount) { partition throws(TrainingError) in
      var table = ExampleTable()
      var maker = ExampleMaker(asOf, settings)
      history.forEachBorrower(inPartition: partition) { events in maker.append(events, to: &table) }
      progress(Double(done.increment()) / Double(EventHistory.partitionCount))
      return table
    }
    var table = ExampleTable()
    for part in parts { table.append(part) }
    return table
  }
}

/// Makes one borrower's examples through the feature code of the daemon.
struct ExampleMaker: ~Copyable {
  private var state = BorrowerState()
  private var input = ModelInput()
  private let asOf: AsOfDates
  private let settings: LabelSettings
  private var scratch: (id: [UInt8], platform: [UInt8], loan: [UInt8]) = ([], [], [])

  init(_ asOf: AsOfDates, _ settings: LabelSettings) {
    self.asOf = asOf
    self.settings = settings
  }

  mutating func append(_ events: BorrowerEvents, to table: inout ExampleTable) {
    guard events.count > 0, events[0].occurredAt < asOf.dates.last! else { return }
    let outcomes = BorrowerOutcomes(events, settings)
    let borrower = Murmur.hash64(events.borrowerID)
    state.reset()
    var next = 0
    for (index, date) in asOf.dates.enumerated() {
      while next < events.count, events[next].occurredAt < date {
        fireDues(before: events[next].occurredAt)
        // The history has left repeats out already, so the window only needs to be a valid one.
        _ = state.apply(
          events[next], watermark: events[next].occurredAt,
          dedupeWindowMilliseconds: 7 * EventTime.millisecondsPerDay)
        next += 1
      }
      guard next > 0 else { continue }
      fireDues(before: date)
      state.fill(&input, at: date)
      table.append(
        input, borrower: borrower, date: index, owes: state.owes(at: date), isPastDue: state.isPastDue(at: date),
        labels: outcomes.labels(
          asOf: date, horizonEnd: date + asOf.horizonMilliseconds, observedThrough: asOf.observedThrough))
    }
  }

  /// As the daemon's timers do, so that the state has seen what it would have seen.
  private mutating func fireDues(before time: EventTime) {
    while state.nextDue < time {
      _ = state.fireDue(
        triggeringEventID: &scratch.id, platform: &scratch.platform, loanID: &scratch.loan)
    }
  }
}
