// Repayment forecasts of the whole input: the worker that holds input partition 0 makes them.
//
// All partitions write their totals to the platform-daily topic, each in its own transactions. The owner reads that topic
// and the industry indicators beside its input, on a thread of its own, and makes the forecasts in its loop. How far it is
// travels in the committed position of partition 0, in the transaction that publishes them: so a forecast is published
// once, whatever ends or moves the owner. A forecaster is made again from the topic's beginning up to that position.

import Borrowers
import Features
import Scoring
import Synchronization

/// What the reading thread is asked for.
final class ForecastRequest: Sendable {
  enum Work: Sendable {
    /// Make the forecaster that stands at a position.
    case open(ForecastPosition)
    /// Records of the platform-daily topic from an offset on, and what is new of the indicators.
    case read(from: Int64)
  }

  let work: Work
  private let cancelled = Atomic(false)

  init(_ work: Work) { self.work = work }

  func cancel() { cancelled.store(true, ordering: .relaxed) }
  var isWanted: Bool { !cancelled.load(ordering: .relaxed) }
}

/// A record of the platform-daily topic, copied.
struct DailyRecord: Sendable {
  var offset: Int64
  var value: [UInt8]
}

struct ForecastAnswer: Sendable {
  var request: ForecastRequest
  /// Of `open`.
  var forecaster: Forecaster?
  /// Of `read`, in order.
  var records: [DailyRecord] = []
  /// New or changed since the last answer, in order of partition and offset.
  var indicators: [IndustryIndicator] = []
  var unreadableIndicators = 0
  var error: BrokerError?
}

/// The work of the forecasts' reading thread.
final class ForecastReading: @unchecked Sendable {
  /// Records of one answer.
  static let recordsMax = 8_192
  /// Between two looks at the indicators, which are a point a day.
  static let indicatorsNanoseconds: Int64 = 2_000_000_000

  // Used by the reading thread alone (or inline by the loop's, which is then the only thread).
  private var reader: (any LogReader)?
  /// Up to there the topic of totals was read: behind its last record stands a transaction's marker, which is none.
  private var dailyEnd: Int64 = 0
  private var industryOffsets: [Int64] = []
  private var indicatorsReadAt = Int64.min / 2
  private var decoder = IndustryIndicatorDecoder()
  private let configuration: ForecastConfiguration
  private let topic: String
  private let clock: any Clock
  private let make: @Sendable () throws(BrokerError) -> any LogReader

  init(
    _ configuration: ForecastConfiguration, topic: String, clock: any Clock,
    make: @escaping @Sendable () throws(BrokerError) -> any LogReader
  ) {
    self.configuration = configuration
    self.topic = topic
    self.clock = clock
    self.make = make
  }

  func perform(_ request: ForecastRequest) -> ForecastAnswer {
    var answer = ForecastAnswer(request: request)
    guard request.isWanted else { return answer }
    do throws(BrokerError) {
      if reader == nil { reader = try make() }
      guard let reader else { preconditionFailure("no reader was made") }
      switch request.work {
      case .open(let position):
        industryOffsets = []
        dailyEnd = 0
        answer.forecaster = try open(position, reader, request)
      case .read(let offset): answer.records = try read(from: offset, reader, request)
      }
      if answer.forecaster != nil || clock.monotonic - indicatorsReadAt >= Self.indicatorsNanoseconds {
        try readIndicators(reader, request, &answer)
        indicatorsReadAt = clock.monotonic
      }
    } catch {
      answer.error = error
      // What was read goes with the answer, and is asked for again.
      dailyEnd = 0
    }
    return answer
  }

  func close() {
    reader?.close()
    reader = nil
  }

  /// Takes all that lies before the position; of what lies behind it the indicators, which are written by the owner alone, in
  /// the transaction that its position is committed with.
  private func open(
    _ position: ForecastPosition, _ reader: any LogReader, _ request: ForecastRequest
  ) throws(BrokerError) -> Forecaster {
    let bounds = try reader.bounds(.platformDaily, 0)
    guard position.dailyOffset <= bounds.upperBound, bounds.lowerBound == 0 || position.dailyOffset == 0 else {
      throw BrokerError(
        .outOfRange,
        "\(topic): it holds \(bounds.lowerBound)..<\(bounds.upperBound), forecasts stand at \(position.dailyOffset): its"
          + " beginning is gone, or it was made anew; restore it, or delete the group's offsets and the internal topics"
      )
    }
    var forecaster = Forecaster(configuration, at: position)
    try walk(bounds, reader, request) { record throws(StateError) in
      guard let value = unsafe record.value else { return }
      if record.offset < position.dailyOffset {
        unsafe try forecaster.take(value, offset: record.offset)
        forecaster.catchUp()
      } else {
        unsafe try forecaster.takeIndicator(value)
      }
    }
    return forecaster
  }

  private func read(
    from offset: Int64, _ reader: any LogReader, _ request: ForecastRequest
  ) throws(BrokerError) -> [DailyRecord] {
    let bounds = try reader.bounds(.platformDaily, 0)
    let start = max(offset, dailyEnd)
    guard start < bounds.upperBound else { return [] }
    let end = min(bounds.upperBound, start + Int64(Self.recordsMax))
    var records: [DailyRecord] = []
    try walk(start..<end, reader, request) { record throws(StateError) in
      guard let value = unsafe record.value else { return }
      records.append(DailyRecord(offset: record.offset, value: unsafe Array(value)))
    }
    guard request.isWanted else { return [] }
    dailyEnd = end
    return records
  }

  private func walk(
    _ range: Range<Int64>, _ reader: any LogReader, _ request: ForecastRequest,
    _ body: (LogRecord) throws(StateError) -> Void
  ) throws(BrokerError) {
    do {
      try reader.read(.platformDaily, 0, range, while: { request.isWanted }) { record in
        do throws(StateError) {
          try body(record)
        } catch {
          throw BrokerError(.unfitTopic, "\(topic)@\(record.offset): \(Self.describe(error))")
        }
      }
    } catch let error as BrokerError {
      throw error
    } catch {
      throw BrokerError(.fatal, "\(error)")
    }
  }

  static func describe(_ error: StateError) -> String {
    switch error {
    case .newerVersion(let version):
      "totals of the newer version \(version); run the version that wrote them, or a newer one"
    case .damaged: "damaged totals; restore the topic, or delete it and the group's offsets to begin again"
    }
  }

  /// What the indicators' topic holds beyond what was read of it. It is read from its beginning once for each forecaster:
  /// what was taken before is known by its series, day and value.
  private func readIndicators(
    _ reader: any LogReader, _ request: ForecastRequest, _ answer: inout ForecastAnswer
  ) throws(BrokerError) {
    let count = try reader.partitions(of: .industryIndicators)
    while industryOffsets.count < count { industryOffsets.append(0) }
    for partition in 0..<Int32(count) {
      let bounds = try reader.bounds(.industryIndicators, partition)
      let start = max(bounds.lowerBound, industryOffsets[Int(partition)])
      guard start < bounds.upperBound else { continue }
      do {
        try reader.read(.industryIndicators, partition, start..<bounds.upperBound, while: { request.isWanted }) {
          record in
          guard let value = unsafe record.value else { return }
          var indicator = IndustryIndicator()
          do throws(DecodingError) {
            unsafe try decoder.decode(value, contentType: record.contentType, into: &indicator)
            answer.indicators.append(indicator)
          } catch {
            answer.unreadableIndicators += 1
          }
        }
      } catch let error as BrokerError {
        throw error
      } catch {
        throw BrokerError(.fatal, "\(error)")
      }
      if request.isWanted { industryOffsets[Int(partition)] = bounds.upperBound }
    }
  }
}

/// The forecasts as their owner keeps them.
final class Forecasting {
  /// Between two looks at the topics while nothing is new.
  static let intervalNanoseconds: Int64 = 200_000_000
  /// After a failed look.
  static let pauseNanoseconds: Int64 = 1_000_000_000

  /// Nil until it is made from the topic.
  var forecaster: Forecaster?
  var request: ForecastRequest?
  var lookAt = Int64.min
  /// Read and not taken yet; those before `next` are.
  var records: [DailyRecord] = []
  var next = 0
  /// Why it cannot go on; empty otherwise.
  var problem = ""
}

extension Worker {
  /// The input partition whose holder makes the forecasts.
  static let forecastingPartition: Int32 = 0

  /// One turn of forecasting: what was read is taken, forecasts that are ready are made, and more is asked for.
  func forecast(at now: Int64) {
    guard state.phase(Self.forecastingPartition) == .live, !starting.contains(Self.forecastingPartition),
      let runner = runners[Self.forecastingPartition]
    else { return }
    if forecasting == nil { forecasting = Forecasting() }
    takeForecastAnswers(runner, at: now)
    makeForecasts(runner, at: now)
    askForForecasts(runner, at: now)
  }

  /// Its partition is given up, or its state is dropped.
  func forgetForecasts() {
    forecasting?.request?.cancel()
    forecasting = nil
    status.forecaster = nil
  }

  private func takeForecastAnswers(_ runner: PartitionRunner, at now: Int64) {
    while let answer = forecastReader?.takeAnswer() {
      guard let own = forecasting, own.request === answer.request else { continue }
      forecasting?.request = nil
      if let error = answer.error {
        forecasting?.lookAt = now + Forecasting.pauseNanoseconds
        if forecasting?.problem != error.description {
          context.log.record(.forecastsDelayed(worker: index, reason: error.description))
        }
        forecasting?.problem = error.description
        continue
      }
      forecasting?.problem = ""
      if let forecaster = answer.forecaster { forecasting?.forecaster = forecaster }
      if answer.unreadableIndicators > 0 {
        context.log.record(.indicatorsUnreadable(worker: index, count: answer.unreadableIndicators))
      }
      forecasting?.records = answer.records
      forecasting?.next = 0
      // More may be waiting.
      forecasting?.lookAt =
        answer.records.isEmpty && answer.forecaster == nil ? now + Forecasting.intervalNanoseconds : now
      takeIndicators(answer.indicators, runner, at: now)
    }
  }

  /// Their records go out with the position that they precede.
  private func takeIndicators(_ indicators: [IndustryIndicator], _ runner: PartitionRunner, at now: Int64) {
    let before = filling.outputs.entries.count
    for indicator in indicators { forecasting?.forecaster?.take(indicator, &filling.outputs) }
    guard filling.outputs.entries.count > before else { return }
    noteForecasts(runner, at: now)
  }

  private func makeForecasts(_ runner: PartitionRunner, at now: Int64) {
    guard let own = forecasting, own.forecaster != nil else { return }
    let before = own.forecaster?.position
    while !isFull {
      if own.forecaster?.forecastNext(context.models.repayment, &filling.outputs) == true { continue }
      guard own.next < own.records.count else { break }
      let record = own.records[own.next]
      own.next += 1
      do throws(StateError) {
        unsafe try record.value.withUnsafeBufferPointer { value throws(StateError) in
          unsafe try own.forecaster?.take(value, offset: record.offset)
        }
      } catch {
        own.problem = "\(settings.platformDailyTopic)@\(record.offset): \(ForecastReading.describe(error))"
        own.lookAt = .max
        own.records = []
        context.log.record(.forecastsDelayed(worker: index, reason: own.problem))
        break
      }
    }
    if own.next == own.records.count {
      own.records = []
      own.next = 0
    }
    guard let forecaster = own.forecaster, forecaster.position != before else { return }
    runner.noteForecasts(at: forecaster.position)
    status.forecaster = forecaster
    policy.noteWork(at: now)
  }

  private func noteForecasts(_ runner: PartitionRunner, at now: Int64) {
    guard let forecaster = forecasting?.forecaster else { return }
    runner.noteForecasts(at: forecaster.position)
    policy.noteWork(at: now)
  }

  private func askForForecasts(_ runner: PartitionRunner, at now: Int64) {
    guard let own = forecasting, own.request == nil, own.records.isEmpty, now >= own.lookAt else { return }
    let request =
      own.forecaster.map { ForecastRequest(.read(from: $0.position.dailyOffset)) }
      ?? ForecastRequest(.open(runner.forecastPosition ?? ForecastPosition()))
    forecasting?.request = request
    if forecastReader == nil { forecastReader = makeForecastReader() }
    forecastReader?.submit(request)
  }

  private func makeForecastReader() -> Background<ForecastRequest, ForecastAnswer> {
    let configuration = ForecastConfiguration(
      partitions: context.partitionCount, periodsDays: settings.engine.forecastPeriodsDays,
      format: settings.engine.format, currency: settings.engine.currency)
    let reading = ForecastReading(configuration, topic: settings.platformDailyTopic, clock: context.clock) {
      [broker = context.broker, index] () throws(BrokerError) in try broker.makeReader(worker: index)
    }
    return Background(
      lane: context.makeLane?(), answered: {}, finish: { reading.close() }, { reading.perform($0) })
  }
}
