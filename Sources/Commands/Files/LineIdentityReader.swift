import Borrowers
import Foundation
import Pipeline

extension LineIdentity {
  /// Whose a line is that is no event, and when it happened, as far as it is JSON at all. Slow: for dead letters alone.
  init(tolerant line: UnsafeBufferPointer<UInt8>) {
    self.init()
    let data = unsafe Data(line)
    let value =
      (try? JSONSerialization.jsonObject(with: data)) ?? (try? JSONSerialization.jsonObject(with: bounded(data)))
    guard let object = value as? [String: Any] else { return }
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

/// The same JSON with 0 for every number that has an exponent: Foundation refuses a whole text for a number like 1e400.
private func bounded(_ text: Data) -> Data {
  let number = /-?(0|[1-9][0-9]*)(\.[0-9]+)?[eE][-+]?[0-9]+/
  var result = Data(capacity: text.count)
  var index = text.startIndex
  while index < text.endIndex {
    let start = index
    if text[index] == UInt8(ascii: "\"") {
      index += 1
      while index < text.endIndex, text[index] != UInt8(ascii: "\"") {
        index += text[index] == UInt8(ascii: "\\") ? 2 : 1
      }
      index = min(index + 1, text.endIndex)
      result += text[start..<index]
    } else if "-+.0123456789eE".utf8.contains(text[index]) {
      while index < text.endIndex, "-+.0123456789eE".utf8.contains(text[index]) { index += 1 }
      let token = String(decoding: text[start..<index], as: UTF8.self)
      result += token.wholeMatch(of: number) == nil ? text[start..<index] : Data("0".utf8)
    } else {
      result.append(text[index])
      index += 1
    }
  }
  return result
}
