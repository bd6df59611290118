import Borrowers
import Foundation
import Pipeline

extension LineIdentity {
  /// Whose a line is that is no event, and when it happened, as far as it is JSON at all. Slow: for dead letters alone.
  init(tolerant line: UnsafeBufferPointer<UInt8>) {
    self.init()
    guard let object = unsafe try? JSONSerialization.jsonObject(with: Data(line)) as? [String: Any] else { return }
    if let id = object["borrower_id"] as? String { borrowerID = Array(id.utf8) }
    if let text = object["occurred_at"] as? String {
      occurredAt = EventTime(rfc3339: text)
    } else if let number = object["occurred_at"] as? NSNumber, !(object["occurred_at"] is Bool),
      let milliseconds = Int64(exactly: number.doubleValue)
    {
      occurredAt = EventTime(milliseconds: milliseconds)
    }
    if let time = occurredAt, time < .earliest || time >= .end { occurredAt = nil }
  }
}
