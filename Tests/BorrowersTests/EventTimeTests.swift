import Borrowers
import Foundation
import Testing

@Suite struct EventTimeTests {
  @Test(arguments: [
    ("2026-10-11T12:13:14.123Z", 1_791_720_794_123), ("2026-10-11t12:13:14.123z", 1_791_720_794_123),
    ("2026-10-11T14:13:14.123+02:00", 1_791_720_794_123), ("2026-10-11T06:43:14.1239-05:30", 1_791_720_794_123),
    ("2026-10-11T12:13:14Z", 1_791_720_794_000), ("2026-10-11T12:13:14.1Z", 1_791_720_794_100),
    ("2026-10-11T12:13:14.12Z", 1_791_720_794_120), ("2026-10-11T12:13:14.123999999999Z", 1_791_720_794_123),
    ("1970-01-01T00:00:00Z", 0), ("1969-12-31T23:59:59.999Z", -1), ("2016-12-31T23:59:60Z", 1_483_228_800_000),
    ("2015-07-01T01:59:60+02:00", 1_435_708_800_000), ("2000-02-29T00:00:00-00:00", 951_782_400_000),
  ]) func `RFC 3339 reads as milliseconds`(text: String, milliseconds: Int64) {
    #expect(EventTime(rfc3339: text)?.milliseconds == milliseconds)
  }

  @Test(arguments: [
    "", "2026-10-11", "2026-10-11T12:13:14", "2026-10-11 12:13:14Z", "2026-13-11T12:13:14Z", "2026-02-29T00:00:00Z",
    "1900-02-29T00:00:00Z", "2026-00-11T12:13:14Z", "2026-10-00T12:13:14Z", "2026-10-32T12:13:14Z",
    "2026-10-11T24:00:00Z", "2026-10-11T12:60:14Z", "2026-10-11T12:13:61Z", "2026-10-11T12:13:60Z",
    "2026-10-11T12:13:14.Z", "2026-10-11T12:13:14,5Z", "2026-10-11T12:13:14+2:00", "2026-10-11T12:13:14+24:00",
    "2026-10-11T12:13:14+02:60", "2026-10-11T12:13:14Z ", " 2026-10-11T12:13:14Z", "+026-10-11T12:13:14Z",
    "2026-10-11T12:13:14+0200", "２026-10-11T12:13:14Z", "2026-10-11T12:13:14ZZ", "2026-10-11T12:13:14.123",
  ]) func `what is no RFC 3339 time is refused`(text: String) {
    #expect(EventTime(rfc3339: text) == nil)
  }

  @Test func `random times are written and read as Foundation does`() throws {
    var random = SeededGenerator(seed: 31)
    let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
    for _ in 0..<3000 {
      // From 1590 on: before October 1582 Foundation's calendar is the Julian one.
      let time = EventTime(
        milliseconds: Int64.random(in: -12_000_000_000_000...240_000_000_000_000, using: &random))
      // Foundation cuts binary fractions: a tenth of a millisecond keeps it on the right side.
      let date = Date(timeIntervalSince1970: Double(time.milliseconds) / 1000 + 0.0001)
      #expect(time.text == date.formatted(style))
      #expect(EventTime(rfc3339: time.text) == time)
      #expect(EventTime(date: time.dateText) == EventTime(rfc3339: time.dateText + "T00:00:00Z"))
    }
  }

  @Test func `times outside four-digit years are written as the nearest within`() {
    #expect(EventTime.distantPast.text == "0000-01-01T00:00:00.000Z")
    #expect(EventTime.distantFuture.text == "9999-12-31T23:59:59.999Z")
  }

  @Test func `every day of four centuries is its own date`() {
    var days = EventTime.days(year: 1800, month: 1, day: 1)
    let last = EventTime.days(year: 2200, month: 1, day: 1)
    var before = (year: 1799, month: 12, day: 31)
    while days < last {
      let date = EventTime.date(days: days)
      #expect(EventTime.days(year: date.year, month: date.month, day: date.day) == days)
      #expect((before.year, before.month, before.day) < (date.year, date.month, date.day))
      before = date
      days += 1
    }
    #expect(last - EventTime.days(year: 1800, month: 1, day: 1) == 146_097)
  }
}
