import Borrowers
import Features
import Models

/// What makes a forecaster and stays.
public struct ForecastConfiguration: Equatable, Sendable {
  /// Partitions of the input: a forecast follows when each has passed its time.
  public var partitions: Int
  /// Lengths of the periods, in days.
  public var periodsDays: [Int]
  public var format: RecordFormat
  /// ISO 4217; empty: none.
  public var currency: String

  public init(partitions: Int, periodsDays: [Int], format: RecordFormat, currency: String) {
    self.partitions = partitions
    self.periodsDays = periodsDays
    self.format = format
    self.currency = currency
  }
}

/// Makes the repayment forecasts: records of the platform-daily topic in, forecasts out. Pure: no I/O, no clock.
///
/// A forecast time is ready when every partition has passed it; then the totals up to it are added, in whatever order they
/// came, and each platform gets a forecast for each period, in byte order of platform. So what is forecast follows from
/// each partition's own log and the indicators taken, not from how partitions ran beside each other.
///
///     try forecaster.take(record)
///     while forecaster.forecastNext(&outputs) {}
public struct Forecaster: Sendable {
  /// Platforms with a series of their own; further ones get no forecast.
  public static let platformsMax = 4_096

  private struct Totals: Sendable {
    var time: EventTime
    var platforms: [(name: [UInt8], changes: PlatformChanges)] = []
  }

  /// One partition of the input, as far as it is not added yet.
  private struct Source: Sendable {
    /// The newest time passed; nil before the first.
    var passed: EventTime?
    /// Of the time that is being read.
    var reading: [(name: [UInt8], changes: PlatformChanges)] = []
    /// In order of time; those before `first` are added.
    var waiting: [Totals] = []
    var first = 0

    var next: Totals? { first < waiting.count ? waiting[first] : nil }

    mutating func takeNext() {
      waiting[first].platforms = []
      first += 1
      if first > 64, first * 2 > waiting.count {
        waiting.removeFirst(first)
        first = 0
      }
    }
  }

  public let configuration: ForecastConfiguration
  public private(set) var position: ForecastPosition
  /// The time whose totals were added last.
  public private(set) var added = EventTime.distantPast
  private var sources: [Source]
  public private(set) var industry = IndustryHistory()
  private var names: [[UInt8]] = []
  private var series: [PlatformSeries] = []
  private var workspace = ForecastWorkspace()

  /// One that stands at `position`: records before it are still to be taken, their forecasts are made already.
  public init(_ configuration: ForecastConfiguration, at position: ForecastPosition = ForecastPosition()) {
    self.configuration = configuration
    self.position = position
    sources = [Source](repeating: Source(), count: max(1, configuration.partitions))
  }

  /// In byte order.
  public var platforms: [[UInt8]] { names }

  public func series(ofPlatform name: [UInt8]) -> PlatformSeries? {
    let index = place(of: name)
    return index < names.count && names[index] == name ? series[index] : nil
  }

  /// The forecast of any period of 1 to 92 days that begins within 92 days, from what is known now; nil of another one, or
  /// where nothing is known yet.
  public func forecast(
    _ model: RepaymentModel, platform: [UInt8], start: EventTime, days: Int
  ) -> RepaymentForecastRecord? {
    guard added > .distantPast, (1...92).contains(days), let series = series(ofPlatform: platform),
      start >= added - EventTime.millisecondsPerDay + 1,
      (0...92).contains(EventTime.day(start) - EventTime.day(added))
    else { return nil }
    return model.forecast(
      platform: platform, series, industry, asOf: added, start: start, days: days, currency: configuration.currency)
  }

  // MARK: Taking

  /// Takes the value of the record at `offset` of the topic. What it makes ready is left to `forecastNext`.
  public mutating func take(_ value: UnsafeBufferPointer<UInt8>, offset: Int64) throws(StateError) {
    switch try PlatformDailyRecord(unsafe Array(value)) {
    case .totals(let partition, _, let platform, let changes):
      guard sources.indices.contains(Int(partition)) else { throw .damaged }
      sources[Int(partition)].reading.append((platform, changes))
    case .passed(let partition, let time):
      guard sources.indices.contains(Int(partition)) else { throw .damaged }
      sources[Int(partition)].waiting.append(Totals(time: time, platforms: sources[Int(partition)].reading))
      sources[Int(partition)].reading = []
      sources[Int(partition)].passed = time
    case .indicator(let indicator, _): _ = set(indicator)
    }
    position.dailyOffset = max(position.dailyOffset, offset + 1)
  }

  /// Takes the indicator of a record alone, when the record is behind the position it is restored to: an indicator counts
  /// from when it was taken, which is what its transaction's position says.
  public mutating func takeIndicator(_ value: UnsafeBufferPointer<UInt8>) throws(StateError) {
    if case .indicator(let indicator, _) = try PlatformDailyRecord(unsafe Array(value)) { _ = set(indicator) }
  }

  /// Takes an indicator now, and appends its record; one that says nothing new is passed over.
  public mutating func take(_ indicator: IndustryIndicator, _ outputs: inout OutputBatch) {
    if set(indicator) { PlatformDailyRecord.indicator(indicator, precedes: position).append(to: &outputs) }
  }

  /// Takes an indicator where no topic keeps it.
  public mutating func take(_ indicator: IndustryIndicator) { _ = set(indicator) }

  private mutating func set(_ indicator: IndustryIndicator) -> Bool {
    industry.set(series: indicator.series, day: EventTime.day(indicator.date), value: indicator.value)
  }

  // MARK: Forecasting

  /// The earliest time that every partition has passed and that is not added yet.
  private var ready: EventTime? {
    var earliest = EventTime.distantFuture
    var passed = EventTime.distantFuture
    for source in sources {
      guard let own = source.passed else { return nil }
      passed = min(passed, own)
      if let next = source.next { earliest = min(earliest, next.time) }
    }
    return earliest <= passed ? earliest : nil
  }

  /// Adds the totals of the next time that is ready and makes its forecasts, unless they are made already. False when none
  /// is ready. Without a model the time passes with none.
  public mutating func forecastNext(_ model: RepaymentModel?, _ outputs: inout OutputBatch) -> Bool {
    guard let time = ready else { return false }
    add(upTo: time)
    if time > position.through {
      position.through = time
      if let model { forecast(time, model, &outputs) }
    }
    return true
  }

  /// Adds the totals of every time whose forecasts are made already.
  public mutating func catchUp() {
    while let time = ready, time <= position.through { add(upTo: time) }
  }

  private mutating func add(upTo time: EventTime) {
    let day = EventTime.day(time)
    for index in sources.indices {
      while let next = sources[index].next, next.time <= time {
        for (name, changes) in next.platforms {
          if let place = makePlace(for: name) { series[place].add(changes, asOf: day) }
        }
        sources[index].takeNext()
      }
    }
    added = time
  }

  /// The first name that does not come before it.
  private func place(of name: [UInt8]) -> Int {
    var low = 0
    var high = names.count
    while low < high {
      let middle = (low + high) / 2
      if names[middle].lexicographicallyPrecedes(name) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private mutating func makePlace(for name: [UInt8]) -> Int? {
    let index = place(of: name)
    if index < names.count, names[index] == name { return index }
    guard names.count < Self.platformsMax else { return nil }
    names.insert(name, at: index)
    series.insert(PlatformSeries(), at: index)
    return index
  }

  private mutating func forecast(_ time: EventTime, _ model: RepaymentModel, _ outputs: inout OutputBatch) {
    for index in names.indices {
      let outlook = RepaymentOutlook(series[index], industry, asOf: EventTime.day(time))
      for days in configuration.periodsDays {
        let record = model.record(
          platform: names[index], outlook, asOf: time, start: time, days: days, currency: configuration.currency,
          &workspace)
        unsafe names[index].withUnsafeBufferPointer { unsafe outputs.begin(.repaymentForecasts, key: $0) }
        record.encode(configuration.format, into: &outputs.bytes)
        outputs.end()
        outputs.forecasts.append(record)
      }
    }
  }
}

/// Working memory of forecasts; a copy begins with none.
struct ForecastWorkspace: @unchecked Sendable {
  // Made on first use by the thread that forecasts; a forecaster has one user at a time, and its copies make their own.
  private final class Memory { var workspace = ModelWorkspace() }
  private var memory: Memory?

  mutating func use<Result>(_ body: (inout ModelWorkspace) -> Result) -> Result {
    if memory == nil || !isKnownUniquelyReferenced(&memory) { memory = Memory() }
    guard let memory else { preconditionFailure("memory was made") }
    return body(&memory.workspace)
  }
}

extension RepaymentModel {
  /// The record of one forecast. `start` is at most 92 days after the outlook's day. Where it is not 00:00 UTC, the period
  /// is forecast as the mean of those that begin at the midnights before and after it, by how near they are.
  func record(
    platform: [UInt8], _ outlook: RepaymentOutlook, asOf: EventTime, start: EventTime, days: Int, currency: String,
    _ workspace: inout ForecastWorkspace
  ) -> RepaymentForecastRecord {
    let offset = min(max(EventTime.day(start) - outlook.asOf, 0), 92)
    let midnight = Int64(EventTime.day(start)) * EventTime.millisecondsPerDay
    let share = Double(start.milliseconds - midnight) / Double(EventTime.millisecondsPerDay)
    let prediction = workspace.use { workspace in
      let first = forecast(outlook, offset: offset, days: days, &workspace)
      guard share > 0, offset < 92 else { return first }
      let second = forecast(outlook, offset: offset + 1, days: days, &workspace)
      func mix(_ a: Double, _ b: Double) -> Double { a * (1 - share) + b * share }
      return RepaymentPrediction(
        expected: mix(first.expected, second.expected), lower: mix(first.lower, second.lower),
        upper: mix(first.upper, second.upper))
    }
    var record = RepaymentForecastRecord()
    record.platform = platform
    record.asOf = asOf
    record.periodStart = start
    record.periodEnd = start + Int64(days) * EventTime.millisecondsPerDay
    record.expectedRepayment = Self.cents(prediction.expected)
    record.lower = Self.cents(prediction.lower)
    record.upper = Self.cents(prediction.upper)
    record.assetScale = Self.cents(outlook.assetScale)
    record.modelVersion = Array(forecastVersion.utf8)
    record.currency = Array(currency.utf8)
    record.forecastID = record.identifier
    return record
  }

  /// The forecast of one period of whole days, from a platform's series.
  public func forecast(
    platform: [UInt8], _ series: PlatformSeries, _ industry: IndustryHistory, asOf: EventTime, start: EventTime,
    days: Int, currency: String
  ) -> RepaymentForecastRecord {
    var workspace = ForecastWorkspace()
    let outlook = RepaymentOutlook(series, industry, asOf: EventTime.day(asOf))
    return record(
      platform: platform, outlook, asOf: asOf, start: start, days: days, currency: currency, &workspace)
  }

  private static func cents(_ amount: Double) -> Double {
    abs(amount) < 1e13 ? (amount * 100).rounded(.toNearestOrEven) / 100 : amount
  }
}

extension RepaymentForecastRecord {
  /// Hashes platform, as_of and the period's start and end (as published), separated by zero bytes.
  var identifier: [UInt8] {
    var key = ByteBuffer(capacity: 256)
    key.append(platform)
    for time in [asOf, periodStart, periodEnd] {
      key.append(UInt8(0))
      key.append(time: time)
    }
    return unsafe Murmur.hash128(key.bytes).hexadecimal
  }
}
