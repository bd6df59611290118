import Borrowers

/// What one channel saw in one hour, day or 30-day period.
struct Tile: BitwiseCopyable {
  /// The period's number since 1970 in the upper 28 bits, the channel in the lower 4: sorted so, tiles are in the order of
  /// time and then of channel.
  var key: UInt32
  var count: UInt32
  /// Added up in log order.
  var sum: Float
  /// The largest value; of a tile of one event its sum.
  var largest: Float

  @inline(__always) var period: Int { Int(key >> 4) }
  @inline(__always) var channel: Int { Int(key & 15) }
}

/// The periods that tiles cover.
enum Periods {
  /// Ages in periods that are kept besides the current one.
  static let hoursBack = 48
  static let daysBack = 90
  /// Of 30 days each. They take over a day's tile when it leaves the 90 days.
  static let monthsBack = 13
  static let daysPerMonth = 30

  /// Never negative: no event is before 1990, and a damaged time must not trap.
  @inline(__always) static func hour(_ time: EventTime) -> Int {
    Int(min(max(time.milliseconds, 0) / EventTime.millisecondsPerHour, 1 << 27))
  }
  @inline(__always) static func day(_ time: EventTime) -> Int {
    Int(min(max(time.milliseconds, 0) / EventTime.millisecondsPerDay, 1 << 27))
  }
  @inline(__always) static func month(day: Int) -> Int { day / daysPerMonth }
}

/// Sparse tiles of one period length, sorted by key.
struct TileList: ~Copyable {
  var tiles: FixedList<Tile>
  private let keepsLargest: Bool

  /// `periods`: how many periods there may be at once.
  init(periods: Int, keepsLargest: Bool) {
    tiles = FixedList(capacity: periods * Channel.allCases.count)
    self.keepsLargest = keepsLargest
  }

  /// Adds to a tile. Most events are of the newest period, so the search begins at the end.
  @inline(__always) mutating func add(period: Int, channel: Int, count: UInt32, sum: Float, largest: Float) {
    let key = UInt32(period) << 4 | UInt32(channel)
    var index = tiles.count
    while index > 0 && tiles[index - 1].key > key { index -= 1 }
    if index > 0 && tiles[index - 1].key == key {
      var tile = tiles[index - 1]
      let total = tile.count.addingReportingOverflow(count)
      tile.count = total.overflow ? .max : total.partialValue
      tile.sum += sum
      tile.largest = max(tile.largest, largest)
      tiles[index - 1] = tile
    } else {
      tiles.insert(Tile(key: key, count: count, sum: sum, largest: largest), at: index)
    }
  }

  /// How many tiles are of periods before `first`.
  @inline(__always) func countBefore(_ first: Int) -> Int {
    var index = 0
    while index < tiles.count && tiles[index].period < first { index += 1 }
    return index
  }

  // One tile: a byte (channel; 16: of the same period as the one before; 32: one event; 64 and 128: the code of the sum),
  // then the periods since the tile before (a byte: none covers more than 91), the number of events, the sum, and the
  // largest value where they are needed.
  static let encodedMax = 1 + 1 + 5 + 4 + 4

  func encode(_ target: inout StateWriter, from origin: Int) {
    // A copy stays in registers.
    var writer = target
    writer.varint(UInt64(tiles.count))
    var previous = origin
    for index in 0..<tiles.count {
      let tile = tiles[index]
      let isSame = tile.period == previous
      let sum = StateWriter.packed(tile.sum)
      let isSingle = tile.count == 1
      writer.byte(UInt8(tile.channel) | (isSame ? 16 : 0) | (isSingle ? 32 : 0) | sum.code << 6)
      writer.byte(UInt8(tile.period - previous), if: !isSame)
      previous = tile.period
      if !isSingle { writer.varint(UInt64(tile.count)) }
      writer.float(sum)
      if keepsLargest && !isSingle && sum.code != 0 { writer.fixed(tile.largest.bitPattern) }
    }
    target = writer
  }

  mutating func decode(_ source: inout StateReader, from origin: Int) {
    // A copy stays in registers.
    var reader = source
    defer { source = reader }
    tiles.removeAll()
    let count = reader.count(upTo: tiles.capacity)
    var period = origin
    var before: Int64 = -1
    for _ in 0..<count {
      let head = reader.byte()
      period += Int(reader.byte(if: head & 16 == 0))
      let isSingle = head & 32 != 0
      let events = isSingle ? 1 : UInt32(truncatingIfNeeded: reader.count(upTo: Int(UInt32.max)))
      let code = head >> 6
      let sum = reader.float(code: code)
      let hasLargest = keepsLargest && !isSingle && code != 0
      let largest = hasLargest ? Float(bitPattern: reader.fixed(UInt32.self)) : sum
      let key = UInt32(truncatingIfNeeded: period) << 4 | UInt32(head & 15)
      if Int64(key) <= before || period >= 1 << 28 || sum.isNaN || largest.isNaN { reader.fail() }
      before = Int64(key)
      if reader.isDamaged { return }
      tiles.append(Tile(key: key, count: events, sum: sum, largest: largest))
    }
  }
}
