/// HTML or SVG text that is safe to stand in a page: what comes from data is escaped on its way in.
struct Markup: Sendable, ExpressibleByStringInterpolation, ExpressibleByStringLiteral {
  private(set) var text: String

  /// Written in the source, so taken as it is.
  init(stringLiteral value: String) { text = value }
  init(stringInterpolation: StringInterpolation) { text = stringInterpolation.text }
  /// Of data.
  init(escaping data: String) { text = Self.escaped(data) }
  private init(raw: String) { text = raw }

  /// Interpolates text escaped, numbers plainly and markup as it is.
  struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var text = ""
    init(literalCapacity: Int, interpolationCount: Int) {}
    mutating func appendLiteral(_ literal: String) { text += literal }
    mutating func appendInterpolation(_ data: String) { text += Markup.escaped(data) }
    mutating func appendInterpolation(_ number: Int) { text += String(number) }
    mutating func appendInterpolation(_ markup: Markup) { text += markup.text }
  }

  static func + (left: Markup, right: Markup) -> Markup { Markup(raw: left.text + right.text) }
  static func += (left: inout Markup, right: Markup) { left.text += right.text }

  static func joined(_ parts: [Markup], separator: String = "") -> Markup {
    Markup(raw: parts.map(\.text).joined(separator: separator))
  }

  private static func escaped(_ data: String) -> String {
    var result = ""
    for character in data.unicodeScalars {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }
}
