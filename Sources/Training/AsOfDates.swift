import Borrowers
import History

/// The dates at which borrowers are looked at, and the end of what was observed.
public struct AsOfDates: Equatable, Sendable {
  /// 00:00 UTC each, ascending.
  public var dates: [EventTime]
  public var observedThrough: EventTime
  public var horizonDays: Int

  public var horizonMilliseconds: Int64 { Int64(horizonDays) * EventTime.millisecondsPerDay }

  /// Labels lie in the horizon that begins at a date, and no horizon passes `observedThrough` (default: the latest event
  /// of the history). Without named dates, they count back from it, less the horizon, by 30 days, to the first event.
  ///
  /// `isPiece`: the source is a piece of a history whose rest is elsewhere. It may hold no event, or none before a date:
  /// then it has no example there, and dates may be none at all.
  public static func resolve(
    named: [EventTime], observedThrough: EventTime?, horizonDays: Int, summary: HistorySummary, source: HistorySource,
    isPiece: Bool = false
  ) throws(TrainingError) -> AsOfDates {
    guard horizonDays >= 1, horizonDays <= 365 else {
      throw TrainingError(.usage, "--horizon-days \(horizonDays): must lie within 1 and 365")
    }
    guard isPiece || summary.events > 0 else {
      throw TrainingError(.failed, "\(source): holds no event\(badLineHint(summary))")
    }
    guard source != .standardInput || observedThrough != nil else {
      throw TrainingError(.usage, "--observed-through: is needed for events on standard input")
    }
    let end = observedThrough ?? summary.latest
    let horizon = Int64(horizonDays) * EventTime.millisecondsPerDay
    if !named.isEmpty {
      for date in named.sorted() {
        guard date.milliseconds % EventTime.millisecondsPerDay == 0 else {
          throw TrainingError(.usage, "--as-of \(date.text): must be a date (00:00 UTC)")
        }
        guard date + horizon <= end else {
          throw TrainingError(
            .usage,
            "--as-of \(date.dateText): its horizon of \(horizonDays) days ends on \((date + horizon).dateText), "
              + "after what was observed (\(end.text)); name an earlier date or --observed-through")
        }
        guard isPiece || date > summary.earliest else {
          throw TrainingError(
            .usage,
            "--as-of \(date.dateText): no event of \(source) lies before it (the first is of \(summary.earliest.text))")
        }
      }
      return AsOfDates(dates: Array(Set(named)).sorted(), observedThrough: end, horizonDays: horizonDays)
    }
    var date = EventTime(milliseconds: (end - horizon).milliseconds.floored(to: EventTime.millisecondsPerDay))
    var dates: [EventTime] = []
    while date > summary.earliest {
      dates.append(date)
      date = date - 30 * EventTime.millisecondsPerDay
    }
    guard isPiece || !dates.isEmpty else {
      throw TrainingError(
        .failed,
        "\(source): spans \(summary.earliest.dateText) to \(end.dateText), too short for a horizon of \(horizonDays) days; "
          + "a longer history or a smaller --horizon-days is needed")
    }
    return AsOfDates(dates: dates.reversed(), observedThrough: end, horizonDays: horizonDays)
  }

  static func badLineHint(_ summary: HistorySummary) -> String {
    guard let first = summary.firstBadLines.first else { return "" }
    return " (\(summary.badLines) lines are no events; \(first.description))"
  }
}

extension Int64 {
  /// The largest multiple of `step` that is not over it.
  fileprivate func floored(to step: Int64) -> Int64 {
    let rest = self % step
    return self - (rest < 0 ? rest + step : rest)
  }
}
