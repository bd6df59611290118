import Borrowers
import Features

/// A record of the platform-daily topic: what a partition's platforms added up to when its watermark passed a forecast
/// time, that it passed it, or an industry indicator that was taken.
///
/// Bytes: version (1), kind (1), then by kind
/// 1. totals: partition (4), time in milliseconds (8), the platform behind its length (4), its changes;
/// 2. passed: partition (4), time (8);
/// 3. indicator: the position of forecasting that it precedes (two numbers of 8), day (4), value (8), the series behind its
///    length (4).
/// Little-endian. The key is the platform, none, or `series|date`.
enum PlatformDailyRecord: Equatable, Sendable {
  case totals(partition: Int32, time: EventTime, platform: [UInt8], PlatformChanges)
  case passed(partition: Int32, time: EventTime)
  case indicator(IndustryIndicator, precedes: ForecastPosition)

  static let version: UInt8 = 1

  func append(to outputs: inout OutputBatch) {
    unsafe key.withUnsafeBufferPointer { unsafe outputs.begin(.platformDaily, partition: 0, key: $0) }
    if case .passed = self { outputs.entries[outputs.entries.count - 1].keyCount = -1 }
    encode(into: &outputs.bytes)
    outputs.end()
  }

  private var key: [UInt8] {
    switch self {
    case .totals(_, _, let platform, _): platform
    case .passed: []
    case .indicator(let indicator, _): indicator.series + Array("|\(indicator.date.dateText)".utf8)
    }
  }

  func encode(into buffer: inout ByteBuffer) {
    buffer.append(Self.version)
    switch self {
    case .totals(let partition, let time, let platform, let changes):
      buffer.append(UInt8(1))
      buffer.append(littleEndian: partition)
      buffer.append(littleEndian: time.milliseconds)
      buffer.append(littleEndian: UInt32(platform.count))
      buffer.append(platform)
      changes.encode(into: &buffer)
    case .passed(let partition, let time):
      buffer.append(UInt8(2))
      buffer.append(littleEndian: partition)
      buffer.append(littleEndian: time.milliseconds)
    case .indicator(let indicator, let position):
      buffer.append(UInt8(3))
      buffer.append(littleEndian: position.dailyOffset)
      buffer.append(littleEndian: position.through.milliseconds)
      buffer.append(littleEndian: Int32(EventTime.day(indicator.date)))
      buffer.append(littleEndian: indicator.value.bitPattern)
      buffer.append(littleEndian: UInt32(indicator.series.count))
      buffer.append(indicator.series)
    }
  }

  init(_ bytes: [UInt8]) throws(StateError) {
    guard let version = bytes.first, version > 0 else { throw .damaged }
    guard version <= Self.version else { throw .newerVersion(version) }
    var reader = BytesReader(bytes, at: 1)
    switch reader.integer(UInt8.self) {
    case 1:
      let partition = reader.integer(Int32.self)
      let time = EventTime(milliseconds: reader.integer(Int64.self))
      let platform = reader.bytes(Int(reader.integer(UInt32.self)))
      guard !reader.isDamaged, let changes = PlatformChanges(bytes, at: &reader.position) else { throw .damaged }
      self = .totals(partition: partition, time: time, platform: platform, changes)
    case 2:
      self = .passed(
        partition: reader.integer(Int32.self), time: EventTime(milliseconds: reader.integer(Int64.self)))
    case 3:
      let position = ForecastPosition(
        dailyOffset: reader.integer(Int64.self), through: EventTime(milliseconds: reader.integer(Int64.self)))
      var indicator = IndustryIndicator()
      indicator.date = EventTime(milliseconds: Int64(reader.integer(Int32.self)) * EventTime.millisecondsPerDay)
      indicator.value = Double(bitPattern: reader.integer(UInt64.self))
      indicator.series = reader.bytes(Int(reader.integer(UInt32.self)))
      self = .indicator(indicator, precedes: position)
    default: throw .damaged
    }
    guard !reader.isDamaged, reader.isAtEnd else { throw .damaged }
  }
}

/// Where forecasting stands: all records of the platform-daily topic before `dailyOffset` are taken, and the forecasts of
/// all times up to `through` are made.
public struct ForecastPosition: Equatable, Sendable {
  public var dailyOffset: Int64
  public var through: EventTime

  public init(dailyOffset: Int64 = 0, through: EventTime = .distantPast) {
    self.dailyOffset = dailyOffset
    self.through = through
  }
}
