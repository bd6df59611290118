/// A JSON value of settings, control records and requests: small, read seldom. Objects keep their keys in order; a repeated key is refused.
package enum JSONText: Equatable {
  case null
  case truth(Bool)
  case number(Double)
  case text(String)
  case list([JSONText])
  case object([(key: String, value: JSONText)])

  package static func == (a: JSONText, b: JSONText) -> Bool { a.canonical == b.canonical }

  /// Without spaces, keys in their order, numbers as the shortest decimal that reads back as the same.
  package var canonical: String {
    switch self {
    case .null: return "null"
    case .truth(let value): return value ? "true" : "false"
    case .number(let value):
      if value == value.rounded(), abs(value) < 0x1p53 { return String(Int64(value)) }
      return "\(value)"
    case .text(let text): return Self.quoted(text)
    case .list(let values): return "[" + values.map(\.canonical).joined(separator: ",") + "]"
    case .object(let fields):
      return "{" + fields.map { Self.quoted($0.key) + ":" + $0.value.canonical }.joined(separator: ",") + "}"
    }
  }

  /// In double quotes, escaped.
  package static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\r": quoted += "\\r"
      case "\t": quoted += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }

  /// Nil with the reason when the text is not one JSON value.
  package static func parse(_ text: String) -> Result<JSONText, SettingsError> {
    var parser = JSONTextParser(Array(text.unicodeScalars))
    do throws(SettingsError) { return .success(try parser.parse()) } catch { return .failure(error) }
  }
}

private struct JSONTextParser {
  private let scalars: [Unicode.Scalar]
  private var index = 0
  private static let depthMax = 16

  init(_ scalars: [Unicode.Scalar]) { self.scalars = scalars }

  mutating func parse() throws(SettingsError) -> JSONText {
    let value = try value(depth: 0)
    skipSpace()
    guard index == scalars.count else { throw fail("nothing should follow the value") }
    return value
  }

  private func fail(_ message: String) -> SettingsError {
    SettingsError([SettingsProblem(keyPath: "JSON", message: "at character \(index + 1): \(message)")])
  }

  private mutating func skipSpace() {
    while index < scalars.count, [" ", "\t", "\n", "\r"].contains(scalars[index]) { index += 1 }
  }

  private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    skipSpace()
    guard index < scalars.count, scalars[index] == scalar else { return false }
    index += 1
    return true
  }

  private mutating func take(word: String) -> Bool {
    let expected = Array(word.unicodeScalars)
    guard index + expected.count <= scalars.count, Array(scalars[index..<index + expected.count]) == expected else {
      return false
    }
    index += expected.count
    return true
  }

  private mutating func value(depth: Int) throws(SettingsError) -> JSONText {
    guard depth < Self.depthMax else { throw fail("nested more than \(Self.depthMax) deep") }
    if take("{") { return try object(depth) }
    if take("[") { return try list(depth) }
    guard index < scalars.count else { throw fail("a value is missing") }
    if scalars[index] == "\"" { return .text(try string()) }
    if take(word: "true") { return .truth(true) }
    if take(word: "false") { return .truth(false) }
    if take(word: "null") { return .null }
    return .number(try number())
  }

  private mutating func object(_ depth: Int) throws(SettingsError) -> JSONText {
    var fields: [(key: String, value: JSONText)] = []
    if take("}") { return .object(fields) }
    repeat {
      skipSpace()
      let key = try string()
      guard !fields.contains(where: { $0.key == key }) else { throw fail("\(key) stands there twice") }
      guard take(":") else { throw fail("`:` is missing") }
      fields.append((key, try value(depth: depth + 1)))
    } while take(",")
    guard take("}") else { throw fail("`}` is missing") }
    return .object(fields)
  }

  private mutating func list(_ depth: Int) throws(SettingsError) -> JSONText {
    var values: [JSONText] = []
    if take("]") { return .list(values) }
    repeat { values.append(try value(depth: depth + 1)) } while take(",")
    guard take("]") else { throw fail("`]` is missing") }
    return .list(values)
  }

  private mutating func number() throws(SettingsError) -> Double {
    let start = index
    while index < scalars.count, "+-.eE0123456789".unicodeScalars.contains(scalars[index]) { index += 1 }
    var text = String.UnicodeScalarView()
    text.append(contentsOf: scalars[start..<index])
    guard let value = Double(String(text)), value.isFinite else {
      index = start
      throw fail("this is no JSON value")
    }
    return value
  }

  private mutating func string() throws(SettingsError) -> String {
    guard index < scalars.count, scalars[index] == "\"" else { throw fail("a text in double quotes is missing") }
    index += 1
    var text = String.UnicodeScalarView()
    while index < scalars.count, scalars[index] != "\"" {
      guard scalars[index].value >= 0x20 else { throw fail("a control character must be escaped") }
      if scalars[index] == "\\" {
        index += 1
        text.append(try escape())
      } else {
        text.append(scalars[index])
        index += 1
      }
    }
    guard index < scalars.count else { throw fail("a text has no end") }
    index += 1
    return String(text)
  }

  private mutating func escape() throws(SettingsError) -> Unicode.Scalar {
    guard index < scalars.count else { throw fail("a text has no end") }
    let letter = scalars[index]
    index += 1
    switch letter {
    case "\"", "\\", "/": return letter
    case "b": return "\u{8}"
    case "f": return "\u{C}"
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "u":
      let high = try codeUnit()
      if let scalar = Unicode.Scalar(high) { return scalar }
      guard (0xD800..<0xDC00).contains(high), take(word: "\\u") else { throw fail("half of a surrogate pair") }
      let low = try codeUnit()
      guard (0xDC00..<0xE000).contains(low),
        let scalar = Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
      else { throw fail("half of a surrogate pair") }
      return scalar
    default: throw fail("an unknown escape")
    }
  }

  private mutating func codeUnit() throws(SettingsError) -> UInt32 {
    guard index + 4 <= scalars.count else { throw fail("a text has no end") }
    var text = String.UnicodeScalarView()
    text.append(contentsOf: scalars[index..<index + 4])
    guard let value = UInt32(String(text), radix: 16) else { throw fail("an unknown escape") }
    index += 4
    return value
  }
}
