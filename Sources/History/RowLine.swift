import Borrowers

/// Writes a row of a database as the JSON line that the event would be in a file: one decoder judges both, and a row that
/// is no event is told by the same codes. Columns come in the order of `HistoryColumn`; NULL ones are not written.
struct RowLine {
  private var isFirst = true
  private var isInProfile = false

  mutating func begin(_ line: inout ByteBuffer) {
    line.removeAll()
    line.append("{")
    isFirst = true
    isInProfile = false
  }

  mutating func end(_ line: inout ByteBuffer) {
    // An update of nothing is an event too.
    if !isInProfile { line.append(isFirst ? "\"profile\":{" : ",\"profile\":{") }
    line.append("}}")
  }

  mutating func put(text: UnsafeBufferPointer<UInt8>, _ column: HistoryColumn, into line: inout ByteBuffer) {
    putName(column, into: &line)
    unsafe line.append(jsonString: text)
  }

  /// Digits as the database gives them; what is no JSON number (`NaN`, `$5.00`) becomes a string, which the decoder refuses
  /// as of the wrong type.
  mutating func put(digits: UnsafeBufferPointer<UInt8>, _ column: HistoryColumn, into line: inout ByteBuffer) {
    guard unsafe Self.isNumber(digits) else { return unsafe put(text: digits, column, into: &line) }
    putName(column, into: &line)
    unsafe line.append(digits)
  }

  mutating func put(integer: Int64, _ column: HistoryColumn, into line: inout ByteBuffer) {
    putName(column, into: &line)
    switch column.content {
    case .text:
      line.append("\"")
      line.append(decimal: integer)
      line.append("\"")
    case .boolean where integer == 0 || integer == 1: line.append(integer == 1 ? "true" : "false")
    default: line.append(decimal: integer)
    }
  }

  mutating func put(number: Double, _ column: HistoryColumn, into line: inout ByteBuffer) {
    putName(column, into: &line)
    if number.isFinite { line.append(number: number) } else { line.append("\"infinite\"") }
  }

  mutating func put(boolean: Bool, _ column: HistoryColumn, into line: inout ByteBuffer) {
    putName(column, into: &line)
    line.append(boolean ? "true" : "false")
  }

  /// A value that no event has.
  mutating func putUnreadable(_ column: HistoryColumn, into line: inout ByteBuffer) {
    putName(column, into: &line)
    line.append("[]")
  }

  private mutating func putName(_ column: HistoryColumn, into line: inout ByteBuffer) {
    if !isFirst { line.append(",") }
    if column.isOfProfile, !isInProfile {
      line.append("\"profile\":{")
      isInProfile = true
    }
    isFirst = false
    line.append("\"")
    line.append(column.name)
    line.append("\":")
  }

  /// RFC 8259's number.
  static func isNumber(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    var index = 0
    func peek() -> UInt8 { unsafe index < bytes.count ? bytes[index] : 0 }
    func digits() -> Bool {
      let start = index
      while peek() >= 0x30, peek() <= 0x39 { index += 1 }
      return index > start
    }
    if peek() == UInt8(ascii: "-") { index += 1 }
    if peek() == UInt8(ascii: "0") { index += 1 } else if !digits() { return false }
    if peek() == UInt8(ascii: ".") {
      index += 1
      guard digits() else { return false }
    }
    if peek() | 0x20 == UInt8(ascii: "e") {
      index += 1
      if peek() == UInt8(ascii: "+") || peek() == UInt8(ascii: "-") { index += 1 }
      guard digits() else { return false }
    }
    return index == bytes.count
  }
}
