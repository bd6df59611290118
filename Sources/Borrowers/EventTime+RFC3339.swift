extension EventTime {
  /// The characters of a time as it is written: `2026-10-11T12:13:14.123Z`.
  public static let textCount = 24

  /// The earliest time that an event may carry: 1990-01-01T00:00:00Z.
  public static let earliest = EventTime(milliseconds: 631_152_000_000)
  /// The first time that is too late for an event: 2100-01-01T00:00:00Z.
  public static let end = EventTime(milliseconds: 4_102_444_800_000)

  /// Days since 1970-01-01 of a date of the Gregorian calendar, whose month and day are valid (Howard Hinnant,
  /// "chrono-Compatible Low-Level Date Algorithms").
  public static func days(year: Int, month: Int, day: Int) -> Int {
    let shifted = month <= 2 ? year - 1 : year
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  /// The date of the Gregorian calendar that is `days` after 1970-01-01.
  public static func date(days: Int) -> (year: Int, month: Int, day: Int) {
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }

  static func daysOfMonth(_ month: Int, year: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  /// Reads an RFC 3339 date and time with zone; nil where it is none. Fractions of a second of any length are cut to
  /// milliseconds. A leap second (:60 at 23:59 UTC on the last day of June or December) is the second after it.
  public init?(rfc3339 text: UnsafeBufferPointer<UInt8>) {
    guard let time = unsafe Self.parse(InputBytes(text)) else { return nil }
    self = time
  }

  /// Reads an RFC 3339 date and time with zone; nil where it is none.
  public init?(rfc3339 text: String) {
    var text = text
    guard let time = text.withUTF8({ unsafe EventTime(rfc3339: $0) }) else { return nil }
    self = time
  }

  /// Reads a date, `2026-10-11`: 00:00 UTC of it; nil where it is none.
  public init?(date text: UnsafeBufferPointer<UInt8>) {
    let bytes = unsafe InputBytes(text)
    guard bytes.count == 10, let days = Self.parseDate(bytes) else { return nil }
    milliseconds = Int64(days) * Self.millisecondsPerDay
  }

  /// Reads a date, `2026-10-11`: 00:00 UTC of it; nil where it is none.
  public init?(date text: String) {
    var text = text
    guard let time = text.withUTF8({ unsafe EventTime(date: $0) }) else { return nil }
    self = time
  }

  /// RFC 3339 in UTC with three decimals. Times before year 0 or after 9999 are written as the nearest within.
  public var text: String {
    var buffer = ByteBuffer()
    buffer.append(time: self)
    return unsafe String(decoding: buffer.bytes, as: UTF8.self)
  }

  /// The date in UTC: `2026-10-11`.
  public var dateText: String { String(text.prefix(10)) }

  @inline(__always)
  private static func number(_ bytes: InputBytes, _ start: Int, _ count: Int) -> Int? {
    var value = 0
    for index in start..<(start + count) {
      guard bytes[index].isDigit else { return nil }
      value = value &* 10 &+ Int(bytes[index] &- 0x30)
    }
    return value
  }

  /// The date in the first ten bytes, as days since 1970-01-01.
  @inline(__always)
  private static func parseDate(_ bytes: InputBytes) -> Int? {
    guard let year = number(bytes, 0, 4), bytes[4] == 0x2D, let month = number(bytes, 5, 2), bytes[7] == 0x2D,
      let day = number(bytes, 8, 2), month >= 1, month <= 12, day >= 1,
      day <= 28 || day <= daysOfMonth(month, year: year)
    else { return nil }
    return days(year: year, month: month, day: day)
  }

  static func parse(_ bytes: InputBytes) -> EventTime? {
    guard bytes.count >= 20, let days = parseDate(bytes), bytes[10] | 0x20 == 0x74,
      let hour = number(bytes, 11, 2), bytes[13] == 0x3A, let minute = number(bytes, 14, 2), bytes[16] == 0x3A,
      let second = number(bytes, 17, 2), hour < 24, minute < 60, second <= 60
    else { return nil }
    var index = 19
    var thousandths = 0
    if bytes[index] == 0x2E {
      index += 1
      let start = index
      while index < bytes.count && bytes[index].isDigit {
        if index < start + 3 { thousandths = thousandths * 10 + Int(bytes[index] - 0x30) }
        index += 1
      }
      let digits = index - start
      guard digits > 0 else { return nil }
      if digits < 3 { thousandths *= digits == 1 ? 100 : 10 }
    }
    guard index < bytes.count, let offset = parseOffset(bytes, at: index) else { return nil }
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset * 60
    if second == 60 {
      // The second after it begins a day, and a January or a July.
      guard seconds % 86_400 == 0 else { return nil }
      let (_, month, day) = date(days: seconds / 86_400)
      guard day == 1, month == 1 || month == 7 else { return nil }
    }
    return EventTime(milliseconds: Int64(seconds) * 1000 + Int64(thousandths))
  }

  /// The zone that ends the text, in minutes ahead of UTC.
  @inline(__always)
  private static func parseOffset(_ bytes: InputBytes, at index: Int) -> Int? {
    if bytes[index] | 0x20 == 0x7A { return index + 1 == bytes.count ? 0 : nil }
    guard bytes[index] == 0x2B || bytes[index] == 0x2D, index + 6 == bytes.count,
      let hours = number(bytes, index + 1, 2), bytes[index + 3] == 0x3A, let minutes = number(bytes, index + 4, 2),
      hours < 24, minutes < 60
    else { return nil }
    return bytes[index] == 0x2D ? -(hours * 60 + minutes) : hours * 60 + minutes
  }
}

extension OutputCursor {
  @inline(__always) mutating func put(time: EventTime) {
    // 0000-01-01T00:00:00.000Z ... 9999-12-31T23:59:59.999Z
    let milliseconds = Int(min(max(time.milliseconds, -62_167_219_200_000), 253_402_300_799_999))
    let days = milliseconds >= 0 ? milliseconds / 86_400_000 : (milliseconds - 86_399_999) / 86_400_000
    let rest = milliseconds - days * 86_400_000
    put(date: days)
    put(0x54)
    put(rest / 3_600_000, width: 2)
    put(0x3A)
    put(rest / 60_000 % 60, width: 2)
    put(0x3A)
    put(rest / 1000 % 60, width: 2)
    put(0x2E)
    put(rest % 1000, width: 3)
    put(0x5A)
  }

  @inline(__always) mutating func put(date days: Int) {
    let (year, month, day) = EventTime.date(days: days)
    put(year, width: 4)
    put(0x2D)
    put(month, width: 2)
    put(0x2D)
    put(day, width: 2)
  }
}
