import Borrowers
import Features
import History

/// How examples are made of a history.
public struct ExampleOptions: Equatable, Sendable {
  public var labels = LabelSettings()
  /// States right after events, drawn for each borrower, at most so many.
  public var asOfEvents = 2
  /// More examples than these, midnights and events together, and only a sample of the borrowers is taken.
  public var maxExamples = 1_000_000
  /// Of that sample.
  public var seed: UInt64 = 1
  public init() {}
}

/// What all borrower models are trained and measured on: one history looked at in two ways.
///
/// - `table` holds borrowers at midnights, once a date. Members of a model are trained on these rows alone, and are
///   measured on them out of fold.
/// - `asServed` holds the same borrowers right after some of their events, as the daemon scores them. No member is trained
///   on these rows: they are there to *fit the calibration* (together with the midnights) and to *measure* what is served.
///   A row is to be forecast by models that did not see its borrower: put a borrower into the same fold in both tables
///   (`Folds.fold(of:)`).
///
/// Both have the same columns, so that `FeatureMatrix(set.asServed, rows:allowed:)`, `isOverdueExample(_:)`, `read(_:into:)`
/// and the pictures work alike. `asServed.times[row]` is the event's time, its label what came in the horizon after it (the
/// event itself not counted), `asServed.dates[row]` the first as-of date behind it, less than 30 days ahead. Figures of the
/// two are shown beside each other under the names `midnight` and `as_served`.
public struct ExampleSet: Sendable {
  public internal(set) var asOf: AsOfDates
  public internal(set) var options: ExampleOptions
  public internal(set) var table = ExampleTable()
  /// Empty with `asOfEvents` 0.
  public internal(set) var asServed = ExampleTable()
  public internal(set) var sample: ExampleSample

  /// Borrowers that have examples.
  public var borrowers: Int { Set(table.borrowers).count }
}

/// Which share of all examples was taken.
public struct ExampleSample: Equatable, Sendable {
  /// That the history has, midnights and events together.
  public var examplesThere = 0
  public var borrowersThere = 0
  /// Of them taken.
  public var examplesTaken = 0
  public var borrowersTaken = 0

  /// Of the borrowers.
  public var share: Double { borrowersThere == 0 ? 1 : Double(borrowersTaken) / Double(borrowersThere) }
  public var isWhole: Bool { borrowersTaken == borrowersThere }
}

extension ExampleSet {
  /// Examples of a whole history, made on all cores, a partition of borrowers at a time. Above `options.maxExamples` a
  /// seeded sample of borrowers is taken, each with all of its examples.
  public static func make(
    _ history: EventHistory, _ asOf: AsOfDates, _ options: ExampleOptions,
    progress: @Sendable (Double) -> Void = { _ in }
  ) throws(TrainingError) -> ExampleSet {
    let choice = try SampleChoice.choose(history, asOf, options)
    let done = Counter()
    var parts = try parallelMap(EventHistory.partitionCount) { partition throws(TrainingError) in
      var part = (table: ExampleTable(), asServed: ExampleTable())
      var maker = ExampleMaker(asOf, options)
      history.forEachBorrower(inPartition: partition) { events in
        guard choice.contains(Murmur.hash64(events.borrowerID)) else { return }
        maker.append(events, to: &part.table, asServed: &part.asServed)
      }
      progress(Double(done.increment()) / Double(EventHistory.partitionCount))
      return part
    }
    var set = ExampleSet(asOf: asOf, options: options, sample: choice.sample)
    set.table.reserve(
      rows: parts.reduce(0) { $0 + $1.table.count }, cells: parts.reduce(0) { $0 + $1.table.pictureCells.count })
    set.asServed.reserve(
      rows: parts.reduce(0) { $0 + $1.asServed.count }, cells: parts.reduce(0) { $0 + $1.asServed.pictureCells.count })
    // Each part is freed as soon as it is copied: a large table must not be held twice.
    for index in parts.indices {
      set.table.append(parts[index].table)
      set.asServed.append(parts[index].asServed)
      parts[index] = (ExampleTable(), ExampleTable())
    }
    set.sample.examplesTaken = set.table.count + set.asServed.count
    set.sample.borrowersTaken = set.borrowers
    if choice.isWhole {
      set.sample.examplesThere = set.sample.examplesTaken
      set.sample.borrowersThere = set.sample.borrowersTaken
    }
    return set
  }
}

/// Which borrowers are taken: those that come first in the order of a seeded hash, as long as their examples fit.
struct SampleChoice: Sendable {
  /// The last key that is taken; nil: all are.
  private(set) var last: UInt64?
  /// What is there; zeros where it was not counted, since all is taken.
  private(set) var sample = ExampleSample()
  private let seed: UInt64

  var isWhole: Bool { last == nil }

  func contains(_ borrower: UInt64) -> Bool {
    guard let last else { return true }
    return Self.key(borrower, seed) <= last
  }

  /// `counts`: of each borrower, how many examples it has.
  init(counts: [(borrower: UInt64, examples: Int)], maxExamples: Int, seed: UInt64) {
    self.seed = seed
    sample.borrowersThere = counts.count
    sample.examplesThere = counts.reduce(0) { $0 + $1.examples }
    guard sample.examplesThere > maxExamples else { return }
    let ordered = counts.map { (key: Self.key($0.borrower, seed), examples: $0.examples) }.sorted { $0.key < $1.key }
    var taken = 0
    for (index, borrower) in ordered.enumerated() {
      taken += borrower.examples
      // One borrower at least: none would be no table.
      if taken > maxExamples, index > 0 { break }
      last = borrower.key
    }
  }

  private init(wholeWithSeed seed: UInt64) { self.seed = seed }

  static func choose(
    _ history: EventHistory, _ asOf: AsOfDates, _ options: ExampleOptions
  ) throws(TrainingError) -> SampleChoice {
    // A borrower has one event at least, and no more than so many examples for each: most histories need no counting.
    let bound = history.summary.events.multipliedReportingOverflow(by: asOf.dates.count + min(options.asOfEvents, 1))
    if !bound.overflow, bound.partialValue <= options.maxExamples { return SampleChoice(wholeWithSeed: options.seed) }
    let parts = try parallelMap(EventHistory.partitionCount) { partition throws(TrainingError) in
      var counts: [(borrower: UInt64, examples: Int)] = []
      history.forEachBorrower(inPartition: partition) { events in
        let midnights = asOf.dates.count { $0 > events[0].occurredAt }
        guard midnights > 0 else { return }
        let borrower = Murmur.hash64(events.borrowerID)
        let draws = EventDraws(events, borrower: borrower, asOf, count: options.asOfEvents)
        counts.append((borrower, midnights + draws.indices.count))
      }
      return counts
    }
    return SampleChoice(counts: Array(parts.joined()), maxExamples: options.maxExamples, seed: options.seed)
  }

  /// The finalizer of SplitMix64 over the id's hash and the seed; not the order in which folds are dealt.
  private static func key(_ borrower: UInt64, _ seed: UInt64) -> UInt64 {
    var z = borrower &+ (seed &+ 0x5A) &* 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
