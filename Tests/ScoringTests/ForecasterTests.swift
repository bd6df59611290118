import Borrowers
import Features
import Foundation
import Models
import Testing

@testable import Scoring

/// Forecasts from the records of several partitions.
@Suite struct ForecasterTests {
  static let configuration = ForecastConfiguration(partitions: 3, periodsDays: [7, 30], format: .json, currency: "EUR")

  /// The records that each partition writes over a random history.
  static func logs(seed: UInt64) -> [[[UInt8]]] {
    (0..<3).map { partition in
      let history = RandomHistory(seed: seed * 10 + UInt64(partition), events: 120)
      var engine = PartitionEngine(
        partition: Int32(partition), configuration: EngineConfiguration(), models: TinyModels.onlyDemand)
      var outputs = OutputBatch()
      for (index, event) in history.input.enumerated() {
        let source = RecordSource(offset: Int64(index), timestamp: event.timestamp ?? event.at)
        engine.moveWatermark(occurredAt: event.at, recordTimestamp: source.timestamp)
        while engine.step(source, &outputs) {}
        let decoded = event.decoded
        _ = unsafe engine.apply(decoded, source, traceparent: UnsafeBufferPointer(start: nil, count: 0), &outputs)
      }
      return outputs.entries.filter { $0.topic == .platformDaily }.map { outputs.slice($0.valueStart, $0.valueCount) }
    }
  }

  /// One order in which the partitions' transactions may have come.
  static func interleaved(_ logs: [[[UInt8]]], _ random: inout Random) -> [[UInt8]] {
    var left = logs.map { Array($0.reversed()) }
    var topic: [[UInt8]] = []
    while left.contains(where: { !$0.isEmpty }) {
      let partition = random.below(left.count)
      for _ in 0..<1 + random.below(9) where !left[partition].isEmpty { topic.append(left[partition].removeLast()) }
    }
    return topic
  }

  static func take(_ value: [UInt8], offset: Int, _ forecaster: inout Forecaster) throws {
    try unsafe value.withUnsafeBufferPointer { try unsafe forecaster.take($0, offset: Int64(offset)) }
  }

  static func forecasts(_ topic: [[UInt8]], _ configuration: ForecastConfiguration = configuration) throws
    -> [Published]
  {
    var forecaster = Forecaster(configuration)
    var outputs = OutputBatch()
    for (offset, value) in topic.enumerated() {
      try take(value, offset: offset, &forecaster)
      while forecaster.forecastNext(TinyModels.withRepayment.repayment, &outputs) {}
    }
    return outputs.published
  }

  @Test(arguments: 1...6 as ClosedRange<UInt64>)
  func `however partitions run beside each other, the forecasts are the same`(seed: UInt64) throws {
    let logs = Self.logs(seed: seed)
    var random = Random(seed: seed)
    let first = try Self.forecasts(Self.interleaved(logs, &random))
    #expect(first.count > 20, "seed \(seed)")
    for _ in 0..<5 { #expect(try Self.forecasts(Self.interleaved(logs, &random)) == first, "seed \(seed)") }
  }

  @Test func `nothing is forecast before every partition has passed the time`() throws {
    let logs = Self.logs(seed: 3)
    #expect(try Self.forecasts(logs[0] + logs[1]).isEmpty)
    #expect(try Self.forecasts(logs[0] + logs[1] + logs[2]).count > 20)
  }

  @Test(arguments: 1...6 as ClosedRange<UInt64>)
  func `a forecaster made again at any position goes on with the same forecasts`(seed: UInt64) throws {
    let logs = Self.logs(seed: seed)
    var random = Random(seed: seed)
    let topic = Self.interleaved(logs, &random)
    let whole = try Self.forecasts(topic)
    var forecaster = Forecaster(Self.configuration)
    var outputs = OutputBatch()
    var offset = 0
    while true {
      if random.chance(3) {
        // As after a crash: what was committed is its position, and the topic.
        let position = forecaster.position
        forecaster = Forecaster(Self.configuration, at: position)
        for index in 0..<Int(position.dailyOffset) {
          try Self.take(topic[index], offset: index, &forecaster)
          forecaster.catchUp()
        }
        #expect(forecaster.position == position)
      }
      if forecaster.forecastNext(TinyModels.withRepayment.repayment, &outputs) { continue }
      guard offset < topic.count else { break }
      try Self.take(topic[offset], offset: offset, &forecaster)
      offset += 1
    }
    #expect(outputs.published == whole, "seed \(seed)")
  }

  @Test func `times pass without forecasts while no model is there`() throws {
    let logs = Self.logs(seed: 2)
    var forecaster = Forecaster(Self.configuration)
    var outputs = OutputBatch()
    for (offset, value) in (logs[0] + logs[1] + logs[2]).enumerated() {
      try Self.take(value, offset: offset, &forecaster)
      while forecaster.forecastNext(nil, &outputs) {}
    }
    let isEmpty = outputs.isEmpty
    #expect(isEmpty)
    #expect(forecaster.position.through > .distantPast)
  }

  @Test func `a forecast says what it is of`() throws {
    let logs = Self.logs(seed: 4)
    let forecasts = try Self.forecasts(logs[0] + logs[1] + logs[2])
    #expect(Set(forecasts.map(\.key)) == ["default", "cards"])
    #expect(Set(forecasts.compactMap { $0.field("forecast_id") }).count == forecasts.count)
    for record in forecasts {
      #expect(record.topic == .repaymentForecasts)
      #expect(record.field("as_of") == record.field("period_start"))
      #expect(record.field("platform") == record.key)
      #expect(record.field("model_version") == "scheduled_paid_share")
      #expect(record.field("currency") == "EUR")
      let numbers = ["lower", "expected_repayment", "upper"].compactMap { record.field($0).flatMap(Double.init) }
      #expect(numbers.count == 3 && numbers == numbers.sorted())
    }
  }

  @Test func `an indicator is taken once, with its record, and known again`() throws {
    var forecaster = Forecaster(Self.configuration)
    var outputs = OutputBatch()
    let indicator = IndustryIndicator(series: "industry_repayment_rate", date: time(day: 3), value: 0.95)
    forecaster.take(indicator, &outputs)
    forecaster.take(indicator, &outputs)
    #expect(outputs.entries.count == 1)
    #expect(outputs.published[0].key == "industry_repayment_rate|2026-01-04")
    var again = Forecaster(Self.configuration)
    let value = outputs.slice(outputs.entries[0].valueStart, outputs.entries[0].valueCount)
    try unsafe value.withUnsafeBufferPointer { try unsafe again.takeIndicator($0) }
    #expect(again.industry == forecaster.industry)
    again.take(indicator, &outputs)
    #expect(outputs.entries.count == 1)
  }

  @Test func `damaged totals are refused, whatever is missing`() throws {
    let record = try #require(Self.logs(seed: 1)[0].first { $0[1] == 1 })
    _ = try PlatformDailyRecord(record)
    for count in 0..<record.count {
      #expect(throws: StateError.self) { _ = try PlatformDailyRecord(Array(record.prefix(count))) }
    }
    #expect(throws: StateError.newerVersion(2)) { _ = try PlatformDailyRecord([2] + record.dropFirst()) }
  }
}
