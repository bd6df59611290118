import Borrowers

/// The ids of events seen, so that a repeat changes nothing: 64-bit hashes and event times, in the order they were seen.
/// An id is held until the watermark is past its event's time and the dedupe window; at most the newest 4,096.
struct SeenEvents: ~Copyable {
  static let countMax = 4_096
  struct Entry: BitwiseCopyable {
    var hash: UInt64
    var time: Int64
  }
  private var entries = FixedList<Entry>(capacity: countMax)

  init() {}

  var count: Int { entries.count }
  mutating func removeAll() { entries.removeAll() }

  func contains(_ hash: UInt64, watermark: EventTime, window: Int64) -> Bool {
    for index in 0..<entries.count where entries[index].hash == hash {
      if !SeenEvents.isForgotten(entries[index].time, watermark, window) { return true }
    }
    return false
  }

  mutating func insert(_ hash: UInt64, at time: EventTime, watermark: EventTime, window: Int64) {
    var kept = 0
    for index in 0..<entries.count {
      let entry = entries[index]
      if SeenEvents.isForgotten(entry.time, watermark, window) { continue }
      if kept != index { entries[kept] = entry }
      kept += 1
    }
    entries.truncate(to: kept)
    if SeenEvents.isForgotten(time.milliseconds, watermark, window) { return }
    if entries.isFull { entries.removeFirst(1) }
    entries.append(Entry(hash: hash, time: time.milliseconds))
  }

  @inline(__always) private static func isForgotten(_ time: Int64, _ watermark: EventTime, _ window: Int64) -> Bool {
    watermark.milliseconds > time.addingReportingOverflow(window).partialValue
  }

  static let encodedMax = 8 + 10

  func encode(_ writer: inout StateWriter, borrowerTime: Int64) {
    writer.varint(UInt64(entries.count))
    var previous = borrowerTime
    for index in stride(from: entries.count - 1, through: 0, by: -1) {
      let entry = entries[index]
      writer.fixed(entry.hash)
      writer.signed(previous &- entry.time)
      previous = entry.time
    }
  }

  mutating func decode(_ reader: inout StateReader, borrowerTime: Int64) {
    entries.removeAll()
    let count = reader.count(upTo: SeenEvents.countMax)
    var previous = borrowerTime
    for _ in 0..<count {
      let hash = reader.fixed(UInt64.self)
      previous = previous &- reader.signed()
      if reader.isDamaged { return }
      entries.append(Entry(hash: hash, time: previous))
    }
    entries.reverse()
  }
}
