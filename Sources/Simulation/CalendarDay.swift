import Borrowers

/// A day of the world, from 00:00 UTC.
struct CalendarDay {
  /// Days since 1970-01-01.
  let number: Int
  let year: Int
  let month: Int
  let dayOfMonth: Int

  /// The proleptic Gregorian date of a day number (Howard Hinnant, chrono-Compatible Low-Level Date Algorithms).
  init(number: Int) {
    let shifted = number + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    self.number = number
    dayOfMonth = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  }

  var midnight: EventTime { EventTime(milliseconds: Int64(number) * EventTime.millisecondsPerDay) }

  /// `YYYY-MM-DD`.
  var text: String {
    let padded = { (value: Int) in value < 10 ? "0\(value)" : "\(value)" }
    return "\(year)-\(padded(month))-\(padded(dayOfMonth))"
  }
}
