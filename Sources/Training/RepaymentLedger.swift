import Borrowers
import Features
import History
import Models

/// What every platform of a history was repaid, drew and had falling due, day by day: the daemon's totals, made of the same
/// events by the same code.
public struct RepaymentLedger: Sendable {
  /// Of an event before the day that follows.
  private var platforms: [[UInt8]: [Int: PlatformChanges]] = [:]

  /// In byte order.
  public var names: [[UInt8]] { platforms.keys.sorted { $0.lexicographicallyPrecedes($1) } }

  public init() {}

  /// Reads all borrowers of a history, as far as their events lie before `end`.
  public init(
    _ history: EventHistory, before end: EventTime, progress: @Sendable (Double) -> Void = { _ in }
  ) throws(TrainingError) {
    let done = Counter()
    let parts = try parallelMap(EventHistory.partitionCount) { partition throws(TrainingError) in
      var ledger = RepaymentLedger()
      var state = BorrowerState()
      history.forEachBorrower(inPartition: partition) { ledger.add($0, before: end, &state) }
      progress(Double(done.increment()) / Double(EventHistory.partitionCount))
      return ledger
    }
    for part in parts { merge(part) }
  }

  private mutating func add(_ events: BorrowerEvents, before end: EventTime, _ state: inout BorrowerState) {
    state.reset()
    var name: [UInt8] = []
    for index in 0..<events.count where events[index].occurredAt < end {
      let event = events[index]
      // The history has left repeats out already, so the window only needs to be a valid one.
      let result = state.apply(
        event, watermark: event.occurredAt, dedupeWindowMilliseconds: 7 * EventTime.millisecondsPerDay)
      guard result == .accepted, let movement = state.movement(of: event) else { continue }
      name.removeAll(keepingCapacity: true)
      state.readPlatform(state.movedPlatform, into: &name)
      platforms[name, default: [:]][movement.day, default: PlatformChanges()].add(movement)
    }
  }

  private mutating func merge(_ other: RepaymentLedger) {
    for (name, days) in other.platforms {
      for (day, changes) in days { platforms[name, default: [:]][day, default: PlatformChanges()].add(changes) }
    }
  }

  /// The first day on which the platform was repaid or drew; nil where it never was.
  func firstDay(ofPlatform name: [UInt8]) -> Int? {
    platforms[name]?.filter { !$0.value.days.isEmpty }.keys.min()
  }

  /// The platform's series as of 00:00 UTC of a day; nil where the history does not know it by then.
  public func series(ofPlatform name: [UInt8], asOf day: Int) -> PlatformSeries? {
    guard let days = platforms[name], days.keys.contains(where: { $0 < day }) else { return nil }
    var series = PlatformSeries()
    for one in days.keys.sorted() where one < day { series.add(days[one]!, asOf: one + 1) }
    return series
  }

  /// Walks the platform's days: `body` gets its series as of 00:00 UTC of each day from the second to `last`.
  func walk<Failure: Error>(
    platform name: [UInt8], through last: Int, _ body: (Int, borrowing PlatformSeries) throws(Failure) -> Void
  ) throws(Failure) {
    guard let days = platforms[name], let first = days.keys.min() else { return }
    var series = PlatformSeries()
    for day in first..<max(first, last) {
      if let changes = days[day] { series.add(changes, asOf: day + 1) }
      try body(day + 1, series)
    }
  }

  /// Repaid on each day from `first` until before `end`, in money.
  func repaid(platform name: [UInt8], from first: Int, to end: Int) -> [Double] {
    var sums = [Int128](repeating: 0, count: max(0, end - first))
    for (_, changes) in platforms[name] ?? [:] {
      for one in changes.days where Int(one.day) >= first && Int(one.day) < end {
        sums[Int(one.day) - first] += one.repaid
      }
    }
    return sums.map(ExactMoney.amount)
  }
}

/// Periods to learn from and to measure on: what was known at an origin, and what came true.
struct RepaymentExamples: Sendable {
  struct Example: Sendable {
    /// Index into the platforms.
    var platform: Int
    var asOf: Int
    var offset: Int
    var days: Int
    /// A learned forecast is a multiple of it.
    var reference: Double
    /// By `RepaymentBaseline.allCases`.
    var baselines: [Double]
    var actual: Double
    /// One of the periods that are measured, not only learned from.
    var isMeasured: Bool

    /// The day behind its last.
    var end: Int { asOf + offset + days }
    var ratio: Double { min(actual / reference, RepaymentModel.ratioMax) }
  }

  /// Days from the origin, and length.
  static let measured = [(0, 1), (0, 7), (0, 14), (0, 30), (0, 92), (30, 30)]
  /// Prime to the week, so that all weekdays are measured.
  static let originStep = 5
  /// Known days before the first origin.
  static let knownMin = 14
  static let countMax = 60_000

  private(set) var examples: [Example] = []
  /// Row-major, `RepaymentFeatures.count` a row.
  private(set) var features: [Float] = []
  private(set) var platforms = 0
  /// The first and the last whole day, exclusive, of all platforms.
  private(set) var days = 0..<0
  /// Whole periods of 30 days that do not overlap, over all platforms.
  private(set) var independentPeriods = 0

  /// `end` is the day behind the last one that was observed whole.
  init(
    _ ledger: RepaymentLedger, _ industry: IndustryHistory, end: Int, seed: UInt64, progress: (Double) -> Void
  ) {
    let names = ledger.names.filter { ledger.firstDay(ofPlatform: $0).map { $0 < end } ?? false }
    platforms = names.count
    let total = names.reduce(0) { $0 + max(0, end - ledger.firstDay(ofPlatform: $1)!) }
    days = (names.compactMap { ledger.firstDay(ofPlatform: $0) }.min() ?? end)..<end
    // Each origin gives up to ten examples.
    let step = max(1, total * 10 / Self.countMax)
    for (index, name) in names.enumerated() {
      let first = ledger.firstDay(ofPlatform: name)!
      independentPeriods += (end - first) / 30
      add(name, index, first, ledger, industry, end: end, step: step, seed: seed)
      progress(Double(index + 1) / Double(names.count))
    }
  }

  private mutating func add(
    _ name: [UInt8], _ index: Int, _ first: Int, _ ledger: RepaymentLedger, _ industry: IndustryHistory, end: Int,
    step: Int, seed: UInt64
  ) {
    let repaid = ledger.repaid(platform: name, from: first, to: end)
    var sums = [0.0]
    for amount in repaid { sums.append(sums.last! + amount) }
    var row: [Float] = []
    ledger.walk(platform: name, through: end) { asOf, series in
      let isMeasured = (end - asOf) % Self.originStep == 0
      guard asOf >= first + Self.knownMin, isMeasured || (asOf - first) % step == 0 else { return }
      let outlook = RepaymentOutlook(series, industry, asOf: asOf)
      for (place, period) in periods(asOf, index, seed).enumerated() {
        let (offset, length) = period
        guard asOf + offset + length <= end else { continue }
        let measures = isMeasured && place < Self.measured.count
        guard measures || (asOf - first) % step == 0 else { continue }
        let reference = outlook.fill(&row, offset: offset, days: length)
        let start = asOf + offset - first
        features.append(contentsOf: row.prefix(RepaymentFeatures.count))
        examples.append(
          Example(
            platform: index, asOf: asOf, offset: offset, days: length, reference: reference,
            baselines: RepaymentBaseline.allCases.map { outlook.baseline($0, offset: offset, days: length) },
            actual: sums[start + length] - sums[start], isMeasured: measures))
      }
    }
  }

  /// The measured periods, then some of any place and length.
  private func periods(_ asOf: Int, _ platform: Int, _ seed: UInt64) -> [(Int, Int)] {
    var random = SeededRandom(seed: seed, stream: UInt64(platform) << 32 | UInt64(UInt32(truncatingIfNeeded: asOf)))
    return Self.measured + (0..<4).map { _ in (random.below(93), 1 + random.below(92)) }
  }

  /// What a learned model reads of examples, and the multiples of their references.
  func learning(_ selected: [Int]) -> (matrix: FeatureMatrix, targets: [Double]) {
    let width = RepaymentFeatures.count
    var values: [Float] = []
    values.reserveCapacity(selected.count * width)
    for index in selected { values.append(contentsOf: features[index * width..<(index + 1) * width]) }
    return (
      FeatureMatrix(rows: selected.count, columns: width, values: values), selected.map { examples[$0].ratio }
    )
  }
}
