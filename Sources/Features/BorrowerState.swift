import Borrowers

/// What became of an event applied to a borrower's state.
public enum ApplyResult: Sendable {
  case accepted
  /// The event_id was seen before: nothing changed.
  case repeated
}

public enum StateError: Error, Equatable {
  /// The bytes were written by a newer version of lendpulse.
  case newerVersion(UInt8)
  case damaged
}

/// The working state of one borrower, decoded from its bytes for an event and encoded back after it. One value is
/// reused for all borrowers.
public struct BorrowerState: ~Copyable {
  public init() { fatalError("interface") }

  /// Becomes the state of a borrower never seen.
  public mutating func reset() { fatalError("interface") }
  /// Reads the state from the front of `bytes`; returns how many bytes were its own (the decision state stands behind).
  public mutating func decode(_ bytes: UnsafeBufferPointer<UInt8>) throws(StateError) -> Int { fatalError("interface") }
  public func encode(into buffer: inout ByteBuffer) { fatalError("interface") }

  /// Applies an accepted event: dedupe, tiles, recency, profile, arrears by loan, exposure by platform, dues.
  /// `watermark` is the partition's, for the dedupe window.
  public mutating func apply(
    _ event: borrowing BorrowerEvent, watermark: EventTime, dedupeWindowMilliseconds: Int64
  ) -> ApplyResult { fatalError("interface") }

  /// The latest of its events and fired timers.
  public var borrowerTime: EventTime { fatalError("interface") }

  // Due dates as timers: `next` in the order (due time, loan id).
  /// The earliest due_at that has not fired; `.distantFuture` when none.
  public var nextDue: EventTime { fatalError("interface") }
  /// Fires the earliest due: borrower time moves to it; false when the amount had been paid in time (then nothing else
  /// changes and no score follows). `triggeringEventID` and `platform` receive those of the event that set it.
  public mutating func fireDue(triggeringEventID: inout [UInt8], platform: inout [UInt8], loanID: inout [UInt8]) -> Bool
  {
    fatalError("interface")
  }
  /// The loan id of the earliest due, appended to `buffer`, for the order of timers.
  public func readNextDueLoanID(into buffer: inout [UInt8]) { fatalError("interface") }

  // Basic information and arrears, as rules and decisions read them at a time (serving: the borrower's time).
  public func daysPastDue(at now: EventTime) -> Int { fatalError("interface") }
  public func amountPastDue(at now: EventTime) -> Double { fatalError("interface") }
  /// Whether any due or missed amount is open past its date.
  public func isPastDue(at now: EventTime) -> Bool { fatalError("interface") }
  /// The sum over platforms.
  public var exposure: Double { fatalError("interface") }
  /// Exposure is over 0 or any arrears are open.
  public func owes(at now: EventTime) -> Bool { fatalError("interface") }
  public var basicInformation: BasicInformation { fatalError("interface") }

  /// Fills features and picture as of `now` (serving: the borrower's time; an example: its date).
  public func fill(_ input: inout ModelInput, at now: EventTime) { fatalError("interface") }
}

/// What manual rules may name. Numbers are NaN where unknown; texts are kept as the 32-bit hash of `Murmur.hash32`, 0
/// where unknown.
public struct BasicInformation: Sendable {
  public var birthYear = Double.nan
  public var monthlyIncome = Double.nan
  public var creditScore = Double.nan
  public var creditLimit = Double.nan
  public var deposits = Double.nan
  public var propertyValue = Double.nan
  public var region: UInt32 = 0
  public var householdRegion: UInt32 = 0
  public var education: UInt32 = 0
  public var occupation: UInt32 = 0
  public var maritalStatus: UInt32 = 0
  public var gender: UInt32 = 0
  public var marketingConsent: Bool?
  public init() {}
}
