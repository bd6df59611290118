import Borrowers
import Scoring

/// Writes the records of a batch as lines: of each output its value, one JSON a line; a dead letter with key, value and
/// headers. Tombstones have no line; state, journal and totals are not for files.
struct RecordLines: ~Copyable {
  private var scores: FileOutput?
  private var alerts: FileOutput?
  private var leads: FileOutput?
  private var forecasts: FileOutput?
  private var deadLetters: FileOutput?

  /// Makes the files of `--scores`, `--alerts`, `--leads`, `--forecasts` and `--dead-letters`.
  init(_ arguments: ParsedArguments) throws(CommandFailure) {
    scores = try Self.open("--scores", arguments)
    alerts = try Self.open("--alerts", arguments)
    leads = try Self.open("--leads", arguments)
    forecasts = try Self.open("--forecasts", arguments)
    deadLetters = try Self.open("--dead-letters", arguments)
  }

  private static func open(_ option: String, _ arguments: ParsedArguments) throws(CommandFailure) -> FileOutput? {
    guard let path = arguments[option] else { return nil }
    return try FileOutput(path: path, command: arguments.command)
  }

  mutating func write(_ batch: borrowing OutputBatch) throws(CommandFailure) {
    for entry in batch.entries {
      switch entry.topic {
      case .scores: unsafe Self.put(entry, batch.bytes.bytes, &scores)
      case .alerts: unsafe Self.put(entry, batch.bytes.bytes, &alerts)
      case .leads: unsafe Self.put(entry, batch.bytes.bytes, &leads)
      case .repaymentForecasts: unsafe Self.put(entry, batch.bytes.bytes, &forecasts)
      case .deadLetters: unsafe Self.putDeadLetter(entry, batch.bytes.bytes, &deadLetters)
      case .state, .journal, .platformDaily: break
      }
    }
    try scores?.flushIfFull()
    try alerts?.flushIfFull()
    try leads?.flushIfFull()
    try forecasts?.flushIfFull()
    try deadLetters?.flushIfFull()
  }

  mutating func flush() throws(CommandFailure) {
    try scores?.flush()
    try alerts?.flush()
    try leads?.flush()
    try forecasts?.flush()
    try deadLetters?.flush()
  }

  private static func put(
    _ entry: OutputBatch.Entry, _ bytes: UnsafeBufferPointer<UInt8>, _ file: inout FileOutput?
  ) {
    guard entry.valueCount >= 0 else { return }
    unsafe file?.buffer.append(part(bytes, entry.valueStart, entry.valueCount))
    file?.buffer.append("\n")
  }

  private static func putDeadLetter(
    _ entry: OutputBatch.Entry, _ bytes: UnsafeBufferPointer<UInt8>, _ file: inout FileOutput?
  ) {
    guard file != nil else { return }
    let key = entry.keyCount < 0 ? nil : unsafe Array(part(bytes, entry.keyStart, entry.keyCount))
    let value = entry.valueCount < 0 ? nil : unsafe Array(part(bytes, entry.valueStart, entry.valueCount))
    let headers = unsafe DeadLetterLine.headers(part(bytes, entry.headersStart, entry.headersCount))
    file?.buffer.append(Array(DeadLetterLine(key: key, value: value, headers: headers).text.utf8))
    file?.buffer.append("\n")
  }

  private static func part(
    _ bytes: UnsafeBufferPointer<UInt8>, _ start: Int32, _ count: Int32
  ) -> UnsafeBufferPointer<UInt8> {
    unsafe UnsafeBufferPointer(rebasing: bytes[Int(start)..<Int(start) + Int(count)])
  }
}

/// `{"key","value_base64","headers"}`.
struct DeadLetterLine {
  var key: [UInt8]?
  var value: [UInt8]?
  var headers: [(name: String, value: String)]

  var text: String {
    let keyText = key.map { JSONText.quoted(String(decoding: $0, as: UTF8.self)) } ?? "null"
    let valueText = value.map { JSONText.quoted(Base64.encode($0)) } ?? "null"
    let headerTexts = headers.map { "\(JSONText.quoted($0.name)):\(JSONText.quoted($0.value))" }
    return "{\"key\":\(keyText),\"value_base64\":\(valueText),\"headers\":{\(headerTexts.joined(separator: ","))}}"
  }

  /// Reads the headers of an entry: repeated [u16 name length, name, u32 value length, value], little-endian.
  static func headers(_ bytes: UnsafeBufferPointer<UInt8>) -> [(name: String, value: String)] {
    var headers: [(name: String, value: String)] = []
    var position = 0
    func count(_ width: Int) -> Int {
      defer { position += width }
      return (0..<width).reduce(0) { unsafe $0 | Int(bytes[position + $1]) << (8 * $1) }
    }
    func text(_ count: Int) -> String {
      defer { position += count }
      return unsafe String(decoding: bytes[position..<position + count], as: UTF8.self)
    }
    while position < bytes.count {
      let name = text(count(2))
      headers.append((name, text(count(4))))
    }
    return headers
  }
}

/// RFC 4648, with padding.
enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  static func encode(_ bytes: [UInt8]) -> String {
    var result: [UInt8] = []
    result.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let left = min(3, bytes.count - start)
      var group: UInt32 = 0
      for index in 0..<3 { group = group << 8 | (index < left ? UInt32(bytes[start + index]) : 0) }
      for digit in 0..<4 {
        let isPadding = digit > left
        result.append(isPadding ? UInt8(ascii: "=") : alphabet[Int(group >> UInt32(18 - 6 * digit) & 63)])
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}
