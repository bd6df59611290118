/// A stretch of an event's `text`: where one of its strings stands.
public struct TextSlice: Equatable, Sendable {
  public var start: UInt32
  public var count: UInt32

  @inlinable public init(start: UInt32, count: UInt32) {
    self.start = start
    self.count = count
  }
  public static let absent = TextSlice(start: .max, count: 0)
  @inlinable public var isPresent: Bool { start != .max }
}

/// One decoded borrower event. One value is reused for every record: decoding overwrites all of it and allocates
/// nothing once `text` has grown to its working size. Missing numbers are NaN, missing times `.distantPast`, missing
/// strings `.absent`. Money is in the platform's currency.
public struct BorrowerEvent: Sendable {
  /// The strings of this event, unescaped UTF-8, one after the other.
  public var text: [UInt8] = []

  public var kind = EventKind.pageView
  /// Event time. 1990 <= occurredAt < 2100.
  public var occurredAt = EventTime.distantPast
  /// 1...64 bytes.
  public var eventID = TextSlice.absent
  /// 1...64 bytes.
  public var borrowerID = TextSlice.absent
  /// Present after decoding: `default` where the record names none.
  public var platform = TextSlice.absent
  public var loanID = TextSlice.absent
  /// product, category, page, topic, channel or bureau, by kind.
  public var detail = TextSlice.absent

  /// `amount`; of `statement_issued` the `balance`, of `limit_changed` the `credit_limit`, of `credit_score_updated` the
  /// `score`. Negative only for a wealth or bank transaction and a statement's balance.
  public var amount = Double.nan
  public var minimumDue = Double.nan
  public var installments = Double.nan
  public var daysPastDue = Double.nan
  public var deposits = Double.nan
  public var propertyValue = Double.nan
  public var dueAt = EventTime.distantPast

  /// Of `profile_updated`.
  public var profile = ProfileUpdate()

  public init() {}
}

/// The fields of a `profile_updated`; any subset may be present.
public struct ProfileUpdate: Sendable {
  public var birthYear = Double.nan
  public var monthlyIncome = Double.nan
  public var region = TextSlice.absent
  public var householdRegion = TextSlice.absent
  public var education = TextSlice.absent
  public var occupation = TextSlice.absent
  public var maritalStatus = TextSlice.absent
  public var gender = TextSlice.absent
  public var marketingConsent: Bool?

  public init() {}
}
