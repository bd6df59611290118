/// A point in time: milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
public struct EventTime: Comparable, Hashable, Sendable {
  public var milliseconds: Int64

  @inlinable public init(milliseconds: Int64) { self.milliseconds = milliseconds }

  /// Earlier than every time an event can carry; a partition's watermark before its first event.
  public static let distantPast = EventTime(milliseconds: -(1 << 53))
  /// Later than every time an event can carry; "no timer is set".
  public static let distantFuture = EventTime(milliseconds: 1 << 53)

  public static let millisecondsPerHour: Int64 = 3_600_000
  public static let millisecondsPerDay: Int64 = 86_400_000

  @inlinable public static func < (a: EventTime, b: EventTime) -> Bool { a.milliseconds < b.milliseconds }
  @inlinable public static func + (a: EventTime, milliseconds: Int64) -> EventTime {
    EventTime(milliseconds: a.milliseconds + milliseconds)
  }
  @inlinable public static func - (a: EventTime, milliseconds: Int64) -> EventTime {
    EventTime(milliseconds: a.milliseconds - milliseconds)
  }
  /// The milliseconds from `b` to `a`.
  @inlinable public static func - (a: EventTime, b: EventTime) -> Int64 { a.milliseconds - b.milliseconds }
}
