import Borrowers

/// A day of the world, from 00:00 UTC.
struct CalendarDay {
  /// Days since 1970-01-01.
  let number: Int
  let year: Int
  let month: Int
  let dayOfMonth: Int

  init(number: Int) {
    self.number = number
    (year, month, dayOfMonth) = EventTime.date(days: number)
  }

  /// `YYYY-MM-DD`.
  var text: String {
    let padded = { (value: Int) in value < 10 ? "0\(value)" : "\(value)" }
    return "\(year)-\(padded(month))-\(padded(dayOfMonth))"
  }
}
