import Borrowers
import Features
import Models
import Scoring

/// The engine over the lines of a file, without Kafka. Each line takes one offset of the partition that Kafka's default
/// partitioner gives its borrower_id (partition 0 without one), and its event time is its record's timestamp: so scores,
/// alerts, leads and repayment forecasts of each key are, byte for byte and in order, those of `run` over the same lines in a
/// topic.
///
///     scoring.score(line)
///     ... write scoring.outputs.entries ...
///     scoring.removeOutputs()
///
/// Pure: no I/O and no clock. Used by one thread.
@safe public struct LineScoring: ~Copyable {
  /// What is kept of a line in its dead letter; of a longer one the digest alone.
  public static let deadLetterBytesMax = 16 << 20

  private var partitions: [LinePartition]
  private var forecaster: Forecaster
  private let repayment: RepaymentModel?
  private var decoding: RecordDecoding
  /// What to make of a line that is no event: where it belongs, and when it happened.
  private let identify: @Sendable (UnsafeBufferPointer<UInt8>) -> LineIdentity

  /// The records that the lines scored since the last `removeOutputs` led to.
  public private(set) var outputs = OutputBatch()
  public private(set) var lines: UInt64 = 0
  /// By `DeadLetterCode.rawValue`.
  public private(set) var deadLetters: [UInt64]

  /// The settings in force are those of `configuration`; the indicators are taken before the first line.
  public init(
    partitions count: Int, configuration: EngineConfiguration, models: ModelSet, indicators: [IndustryIndicator] = [],
    identify: @escaping @Sendable (UnsafeBufferPointer<UInt8>) -> LineIdentity
  ) {
    precondition(count >= 1)
    repayment = models.repayment
    forecaster = Forecaster(
      ForecastConfiguration(
        partitions: count, periodsDays: configuration.forecastPeriodsDays, format: configuration.format,
        currency: configuration.currency))
    for indicator in indicators { forecaster.take(indicator) }
    partitions = (0..<count).map { LinePartition(Int32($0), configuration, models) }
    // The place of a line follows from its borrower: every line is where it belongs, as in a topic of one partition.
    decoding = RecordDecoding(
      inputTopic: configuration.inputTopic, partitions: 1, deadLetterBytesMax: Self.deadLetterBytesMax)
    unsafe self.identify = identify
    deadLetters = [UInt64](repeating: 0, count: Int(DeadLetterCode.allCases.map(\.rawValue).max() ?? 0) + 1)
  }

  /// Scores one line, given without its line feed.
  public mutating func score(_ line: UnsafeBufferPointer<UInt8>) {
    lines += 1
    // The time is known only when it is decoded; no line is ahead of its own time.
    let unplaced = unsafe LogRecord(partition: 0, offset: 0, timestamp: .distantFuture, key: nil, value: line)
    if let failure = decoding.decode(unplaced) {
      unsafe bury(line, failure)
      return
    }
    let partition = partitions[placeOfEvent]
    let timestamp = decoding.event.occurredAt
    let source = RecordSource(offset: partition.takeOffset(), timestamp: timestamp)
    partition.engine.moveWatermark(occurredAt: timestamp, recordTimestamp: timestamp)
    let before = outputs.entries.count
    while partition.engine.step(source, &outputs) {}
    if outputs.entries.count > before { forecast(from: before) }
    let none = unsafe UnsafeBufferPointer<UInt8>(start: nil, count: 0)
    _ = unsafe partition.engine.apply(decoding.event, source, traceparent: none, &outputs)
  }

  /// Takes the totals among the records from an index on, and makes the forecasts that are ready then.
  private mutating func forecast(from first: Int) {
    for index in first..<outputs.entries.count where outputs.entries[index].topic == .platformDaily {
      let entry = outputs.entries[index]
      let start = Int(entry.valueStart)
      do throws(StateError) {
        unsafe try forecaster.take(
          UnsafeBufferPointer(rebasing: outputs.bytes.bytes[start..<start + Int(entry.valueCount)]),
          offset: forecaster.position.dailyOffset)
      } catch {
        preconditionFailure("totals just written cannot be read")
      }
    }
    while forecaster.forecastNext(repayment, &outputs) {}
  }

  /// Forgets the records that were written.
  public mutating func removeOutputs() { outputs.removeAll() }

  public var borrowers: Int { partitions.reduce(0) { $0 + $1.engine.borrowers } }

  /// Sums over the partitions.
  public var totals: PipelineTotals {
    var totals = PipelineTotals()
    for partition in partitions { totals.add(partition.engine.counters) }
    for code in deadLetters.indices { totals.deadLetters[code] = deadLetters[code] }
    return totals
  }

  private var placeOfEvent: Int {
    guard partitions.count > 1 else { return 0 }
    return unsafe decoding.event.withBytes(of: decoding.event.borrowerID) {
      unsafe Murmur.partition(of: $0, count: partitions.count)
    }
  }

  private mutating func bury(_ line: UnsafeBufferPointer<UInt8>, _ failure: DecodingError) {
    // What is no JSON has no borrower, though a lenient reader may find one.
    let isReadable = failure.code != .invalidJSON && failure.code != .invalidUTF8
    let identity = isReadable ? unsafe identify(line) : LineIdentity()
    let place = identity.borrowerID.map { id in
      unsafe id.withUnsafeBufferPointer { unsafe Murmur.partition(of: $0, count: partitions.count) }
    }
    let partition = partitions[place ?? 0]
    let record = unsafe LogRecord(
      partition: partition.number, offset: partition.takeOffset(),
      timestamp: identity.occurredAt ?? EventTime(milliseconds: 0), key: nil, value: line)
    decoding.appendDeadLetter(record, failure, &outputs)
    deadLetters[Int(failure.code.rawValue)] += 1
  }
}

/// What can be told of a line that is no event.
public struct LineIdentity: Equatable, Sendable {
  /// Nil where it has none.
  public var borrowerID: [UInt8]?
  /// Nil where it is unreadable.
  public var occurredAt: EventTime?

  public init(borrowerID: [UInt8]? = nil, occurredAt: EventTime? = nil) {
    self.borrowerID = borrowerID
    self.occurredAt = occurredAt
  }
}

/// A class, since an engine cannot be copied and an array holds only what can be.
private final class LinePartition {
  let number: Int32
  var engine: PartitionEngine
  private var nextOffset: Int64 = 0

  init(_ number: Int32, _ configuration: EngineConfiguration, _ models: ModelSet) {
    self.number = number
    engine = PartitionEngine(partition: number, configuration: configuration, models: models)
    // As `run` does at the start of a partition's journal.
    engine.take(.settings(configuration.settings, controlID: "file:"))
    engine.take(.models(version: models.version, digest: models.digest))
    engine.take(.forecastInterval(hours: configuration.forecastEveryHours))
  }

  func takeOffset() -> Int64 {
    defer { nextOffset += 1 }
    return nextOffset
  }
}
