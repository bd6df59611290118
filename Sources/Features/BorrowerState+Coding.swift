import Borrowers

// The bytes, version 1, little-endian; variable-length numbers are LEB128 (zigzag where signed), amounts as
// `StateWriter.number`. In order: version; borrower time; kinds seen (16 bits) and the minutes since each; minutes since
// first seen; channels with older events (16 bits), the count and sum of each; nights, weekends; days missed last; tiles of days, hours
// and months; profile; statements; platforms; open amounts; ids seen.
extension BorrowerState {
  public static let version: UInt8 = 1

  /// The most bytes that `encode` may write for the state as it is.
  private var encodedMax: Int {
    256 + Channel.allCases.count * 16 + (days.tiles.count + hours.tiles.count + months.tiles.count)
      * TileList.encodedMax
      + ProfileState.encodedMax + StatementHistory.encodedMax + platforms.count * PlatformBook.encodedMax
      + arrears.amounts.count * Arrears.encodedMax + seen.count * SeenEvents.encodedMax
  }

  /// Appends the state's bytes.
  public func encode(into buffer: inout ByteBuffer) {
    var writer = unsafe StateWriter(buffer.reserve(encodedMax))
    let now = time.milliseconds
    writer.byte(BorrowerState.version)
    writer.signed(now)
    encodeCounts(&writer)
    let today = Periods.day(time)
    days.encode(&writer, from: max(0, today - Periods.daysBack))
    hours.encode(&writer, from: max(0, Periods.hour(time) - Periods.hoursBack))
    months.encode(&writer, from: BorrowerState.firstMonth(today: today))
    profile.encode(&writer)
    statements.encode(&writer, borrowerTime: now)
    platforms.encode(&writer, borrowerTime: now)
    arrears.encode(&writer, borrowerTime: now)
    seen.encode(&writer, borrowerTime: now)
    buffer.advance(writer.count)
  }

  private func encodeCounts(_ writer: inout StateWriter) {
    let minute = UInt32(max(0, time.milliseconds) / 60_000)
    var kindsSeen: UInt16 = 0
    for kind in 1...16 where lastMinutes[kind] != 0 { kindsSeen |= 1 << UInt16(kind - 1) }
    writer.fixed(kindsSeen)
    for kind in 1...16 where lastMinutes[kind] != 0 { writer.varint(UInt64(minute - min(minute, lastMinutes[kind]))) }
    writer.varint(UInt64(minute - min(minute, firstMinute)))
    var used: UInt16 = 0
    for channel in 0..<totals.count where totals[channel].count != 0 { used |= 1 << UInt16(channel) }
    writer.fixed(used)
    for channel in 0..<totals.count where totals[channel].count != 0 {
      // The code of the sum stands with the count.
      let sum = StateWriter.packed(totals[channel].sum)
      writer.varint(UInt64(totals[channel].count) << 2 | UInt64(sum.code))
      writer.float(sum)
    }
    writer.varint(UInt64(nightCount))
    writer.varint(UInt64(weekendCount))
    writer.varint(UInt64(lastMissedDays))
  }

  /// Reads the state from the front of `bytes`; returns how many bytes were its own (the decision state stands behind).
  public mutating func decode(_ bytes: UnsafeBufferPointer<UInt8>) throws(StateError) -> Int {
    var reader = unsafe StateReader(bytes)
    let version = reader.byte()
    if reader.isDamaged || version == 0 { throw .damaged }
    if version > BorrowerState.version { throw .newerVersion(version) }
    let now = reader.signed()
    if now.magnitude > 1 << 53 { throw .damaged }
    time = EventTime(milliseconds: now)
    decodeCounts(&reader)
    let today = Periods.day(time)
    days.decode(&reader, from: max(0, today - Periods.daysBack))
    hours.decode(&reader, from: max(0, Periods.hour(time) - Periods.hoursBack))
    months.decode(&reader, from: BorrowerState.firstMonth(today: today))
    profile.decode(&reader, lastMinutes: lastMinutes)
    statements.decode(&reader, borrowerTime: now)
    platforms.decode(&reader, borrowerTime: now)
    arrears.decode(&reader, borrowerTime: now, platforms: platforms)
    seen.decode(&reader, borrowerTime: now)
    // A tile past borrower time would break the bound on how many there may be.
    let isAhead =
      (!days.tiles.isEmpty && days.tiles[days.tiles.count - 1].period > today)
      || (!hours.tiles.isEmpty && hours.tiles[hours.tiles.count - 1].period > Periods.hour(time))
      || (!months.tiles.isEmpty && months.tiles[months.tiles.count - 1].period > Periods.month(day: today))
    if reader.isDamaged || isAhead {
      reset()
      throw .damaged
    }
    return reader.count
  }

  private mutating func decodeCounts(_ reader: inout StateReader) {
    let minute = UInt32(max(0, time.milliseconds) / 60_000)
    let kindsSeen = reader.fixed(UInt16.self)
    lastMinutes[0] = 0
    lastMinutes[17] = 0
    for kind in 1...16 {
      let isSeen = kindsSeen & 1 << UInt16(kind - 1) != 0
      lastMinutes[kind] = isSeen ? minute - UInt32(reader.count(upTo: Int(minute))) : 0
    }
    firstMinute = minute - UInt32(reader.count(upTo: Int(minute)))
    let used = reader.fixed(UInt16.self)
    for channel in 0..<totals.count {
      guard used & 1 << UInt16(channel) != 0 else {
        totals[channel] = ChannelTotal()
        continue
      }
      let head = reader.count(upTo: Int(UInt32.max) << 2 | 3)
      totals[channel] = ChannelTotal(count: UInt32(head >> 2), sum: reader.float(code: UInt8(head & 3)))
    }
    nightCount = UInt32(reader.count(upTo: Int(UInt32.max)))
    weekendCount = UInt32(reader.count(upTo: Int(UInt32.max)))
    lastMissedDays = Int32(reader.count(upTo: Arrears.daysMax))
  }
}
