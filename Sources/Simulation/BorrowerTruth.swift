import Borrowers

/// What nobody can see in the events: a borrower as of 00:00 UTC of a date, and what came of it.
public struct BorrowerTruth: Equatable, Sendable {
  /// From 0.
  public var borrower: Int
  public var asOf: EventTime
  /// The hidden probability, as of the date, that a payment then due would be missed.
  public var defaultPropensity: Double
  /// Whether a payment was missed, or was unpaid for a full day after its due time, within the 30 days from `asOf`.
  public var overdue: Bool
  /// Drawn within the 30 days from `asOf`, in cents.
  public var drawnCents: Int

  /// One line of the truth file, with its line feed.
  public func appendLine(to buffer: inout ByteBuffer) {
    let day = CalendarDay(number: Int(asOf.milliseconds / EventTime.millisecondsPerDay))
    let drawn = "\(drawnCents / 100).\(drawnCents % 100 < 10 ? "0" : "")\(drawnCents % 100)"
    buffer.append(Array("{\"borrower_id\":\"".utf8))
    var id: [UInt8] = []
    World.appendBorrowerID(borrower, to: &id)
    buffer.append(id)
    let facts = "\"default_propensity\":\(defaultPropensity),\"overdue\":\(overdue),\"drawn\":\(drawn)"
    buffer.append(Array("\",\"as_of\":\"\(day.text)\",\(facts)}\n".utf8))
  }
}
