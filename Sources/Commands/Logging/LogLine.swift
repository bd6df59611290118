import Borrowers
import Pipeline

/// Writes one event as a line of text or of JSON, without its line feed.
enum LogLine {
  /// `suppressed`: events of this name that the rate limit has held back since the last line of it.
  static func format(_ event: some LoggedEvent, at time: EventTime, suppressed: Int, as format: LogFormat) -> String {
    var fields = event.fields
    if suppressed > 0 { fields.append(("suppressed", "\(suppressed)")) }
    switch format {
    case .text:
      let level = event.level.name.description
      let padding = String(repeating: " ", count: 7 - level.count)
      let texts = fields.map { " \($0.name)=\(plain($0.value))" }
      return "\(time.text) \(level)\(padding) \(event.name)\(texts.joined())"
    case .json:
      let leading = [("time", time.text), ("level", event.level.name.description), ("event", event.name.description)]
      let all = leading + fields.map { ($0.name.description, $0.value) }
      return "{" + all.map { "\(JSONText.quoted($0.0)):\(jsonValue($0.1))" }.joined(separator: ",") + "}"
    }
  }

  /// In quotes where a reader could otherwise not tell where it ends.
  private static func plain(_ value: String) -> String {
    let isPlain =
      !value.isEmpty
      && value.unicodeScalars.allSatisfy { $0.value > 0x20 && !["\"", "=", "\\", "\u{7f}"].contains($0) }
    return isPlain ? value : JSONText.quoted(value)
  }

  /// Decimal integers as numbers, all else as strings.
  private static func jsonValue(_ value: String) -> String {
    if let number = Int64(value), String(number) == value { return value }
    return JSONText.quoted(value)
  }
}

/// Lets through a burst of each event, then one a second of it, and counts what it holds back.
struct LogRateLimit: Sendable {
  static let burst = 20.0
  static let perSecond = 1.0

  private struct Bucket {
    var tokens = LogRateLimit.burst
    var refilledAt: Int64
    var suppressed = 0
  }
  /// By event name: as many as there are events.
  private var buckets: [String: Bucket] = [:]

  /// The number held back before this one when it may pass; nil when it may not. `now` in nanoseconds.
  mutating func admit(_ name: String, now: Int64) -> Int? {
    var bucket = buckets[name] ?? Bucket(refilledAt: now)
    let elapsedSeconds = Double(max(0, now - bucket.refilledAt)) / 1e9
    bucket.tokens = min(Self.burst, bucket.tokens + elapsedSeconds * Self.perSecond)
    bucket.refilledAt = now
    defer { buckets[name] = bucket }
    guard bucket.tokens >= 1 else {
      bucket.suppressed += 1
      return nil
    }
    bucket.tokens -= 1
    defer { bucket.suppressed = 0 }
    return bucket.suppressed
  }
}
