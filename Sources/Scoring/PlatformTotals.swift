import Borrowers
import Features

/// What a partition has added up for its platforms since it last passed a forecast time, and when the next one is.
///
/// Forecast times are UTC multiples of `everyHours`. The first is the first one after the partition's first event; when the
/// watermark has passed one, the totals go to the platform-daily topic and begin again from nothing. So a late event is in
/// the totals of the next time, under its own day.
struct PlatformTotals: Equatable, Sendable {
  /// Platforms between two forecast times; what further ones move is not counted.
  static let platformsMax = 4_096

  struct Entry: Equatable, Sendable {
    var name: [UInt8]
    var changes = PlatformChanges()
  }

  private(set) var everyHours = 24
  /// The time passed last; before the first, that of the first event; `.distantPast` before that.
  private(set) var passed = EventTime.distantPast
  /// The next forecast time; `.distantFuture` before the first event.
  private(set) var next = EventTime.distantFuture
  /// In byte order of name.
  private(set) var entries: [Entry] = []
  /// Where the last movement went.
  private var last = 0

  init() {}

  /// An event of the partition is applied: the first one says where forecast times begin.
  @inline(__always) mutating func note(_ occurredAt: EventTime) {
    guard passed == .distantPast else { return }
    passed = occurredAt
    setNext()
  }

  mutating func setInterval(hours: Int) {
    everyHours = min(max(hours, 1), 8_784)
    setNext()
  }

  private mutating func setNext() {
    guard passed > .distantPast else {
      next = .distantFuture
      return
    }
    let interval = Int64(everyHours) * EventTime.millisecondsPerHour
    let rest = passed.milliseconds % interval
    next = passed + (interval - (rest < 0 ? rest + interval : rest))
  }

  mutating func add(_ movement: PlatformMovement, platform: [UInt8]) {
    if let index = place(platform) { entries[index].changes.add(movement) }
  }

  /// A borrower is forgotten, and what it owed with it.
  mutating func add(exposure: Int128, platform: [UInt8]) {
    if exposure != 0, let index = place(platform) { entries[index].changes.add(exposure: exposure) }
  }

  private mutating func place(_ platform: [UInt8]) -> Int? {
    if last < entries.count, entries[last].name == platform { return last }
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].name.lexicographicallyPrecedes(platform) { low = middle + 1 } else { high = middle }
    }
    if low == entries.count || entries[low].name != platform {
      guard entries.count < Self.platformsMax else { return nil }
      entries.insert(Entry(name: platform), at: low)
    }
    last = low
    return low
  }

  /// The next forecast time is passed: its totals are handed over.
  mutating func pass() {
    passed = next
    setNext()
    entries.removeAll(keepingCapacity: true)
    last = 0
  }

  static func == (a: PlatformTotals, b: PlatformTotals) -> Bool {
    a.everyHours == b.everyHours && a.passed == b.passed && a.entries == b.entries
  }

  // MARK: Coding

  /// Hours (4), the time passed (8), then each platform: its name behind its length (4), its changes. Little-endian.
  func encode(into buffer: inout ByteBuffer) {
    buffer.append(littleEndian: UInt32(everyHours))
    buffer.append(littleEndian: passed.milliseconds)
    buffer.append(littleEndian: UInt32(entries.count))
    for entry in entries {
      buffer.append(littleEndian: UInt32(entry.name.count))
      buffer.append(entry.name)
      entry.changes.encode(into: &buffer)
    }
  }

  /// Reads what `encode` wrote up to the end of the bytes.
  init?(_ bytes: [UInt8], at offset: inout Int) {
    var reader = BytesReader(bytes, at: offset)
    everyHours = Int(reader.integer(UInt32.self))
    passed = EventTime(milliseconds: reader.integer(Int64.self))
    let count = Int(reader.integer(UInt32.self))
    guard !reader.isDamaged, everyHours >= 1, everyHours <= 8_784, count <= Self.platformsMax else { return nil }
    for _ in 0..<count {
      let name = reader.bytes(Int(reader.integer(UInt32.self)))
      guard !reader.isDamaged, let changes = PlatformChanges(bytes, at: &reader.position) else { return nil }
      entries.append(Entry(name: name, changes: changes))
    }
    offset = reader.position
    setNext()
  }
}

/// Reads little-endian numbers and runs of bytes; where they end too early, it reads zeros and says so.
struct BytesReader {
  private let source: [UInt8]
  var position: Int
  private(set) var isDamaged = false

  init(_ source: [UInt8], at position: Int = 0) {
    self.source = source
    self.position = position
  }

  var isAtEnd: Bool { position == source.count }

  mutating func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) -> Integer {
    let size = MemoryLayout<Integer>.size
    guard source.count - position >= size else {
      isDamaged = true
      return 0
    }
    var value: Integer = 0
    for index in 0..<size { value |= Integer(truncatingIfNeeded: source[position + index]) << Integer(8 * index) }
    position += size
    return value
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    guard count >= 0, count <= source.count - position else {
      isDamaged = true
      return []
    }
    defer { position += count }
    return Array(source[position..<position + count])
  }
}
