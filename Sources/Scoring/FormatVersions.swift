import Features

/// Every version of every form in which something is kept between runs, oldest first. What is read: all of them. What is
/// written: the last. A newer one is refused with a line that names it. A version once written never changes; its fixture
/// stands in `Tests/Fixtures`.
public enum FormatVersions {
  public struct Version: Equatable, Sendable {
    public var number: UInt8
    /// The first version of lendpulse that writes it.
    public var since: String
    public var what: String
  }

  /// The features part of a borrower's bytes.
  public static let features = [
    Version(number: 1, since: "0.1.0", what: "tiles, arrears, platforms, profile, statements, ids seen")
  ]
  /// The decision part of a borrower's bytes.
  public static let decisions = [
    Version(number: 1, since: "0.1.0", what: "scores held, open alert and lead, cooldowns"),
    Version(
      number: 2, since: "0.1.0", what: "a person's word on the alert; version 1 is still written where there is none"),
  ]
  /// A borrower's record of the state topic: what stands before its bytes.
  public static let borrowerRecord = [Version(number: 1, since: "0.1.0", what: "input and journal offset")]
  /// The partition's record of the state topic.
  public static let partitionRecord = [
    Version(number: 1, since: "0.1.0", what: "two positions, watermark, settings, models"),
    Version(number: 2, since: "0.1.0", what: "the offset in the control topic"),
  ]
  /// An entry of the journal.
  public static let journalEntry = [
    Version(number: 1, since: "0.1.0", what: "idle advances, settings, models, forecast intervals, control records")
  ]
}
