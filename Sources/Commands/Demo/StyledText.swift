/// How a piece of text looks on a terminal.
enum TextStyle: Sendable {
  case plain, bold, dim, heading
  case critical, high, medium, low
  case good, accent

  /// SGR parameters; nil: none.
  var parameters: String? {
    switch self {
    case .plain: nil
    case .bold: "1"
    case .dim: "2"
    case .heading: "1;36"
    case .critical: "1;97;41"
    case .high: "1;31"
    case .medium: "33"
    case .low: "34"
    case .good: "32"
    case .accent: "36"
    }
  }
}

/// A line made of styled pieces, whose width is known: every character of the view takes one column.
struct StyledLine: Sendable {
  private(set) var pieces: [(text: String, style: TextStyle)] = []
  private(set) var width = 0

  init() {}

  mutating func append(_ text: String, _ style: TextStyle = .plain) {
    pieces.append((text, style))
    width += text.count
  }

  func appending(_ text: String, _ style: TextStyle = .plain) -> StyledLine {
    var line = self
    line.append(text, style)
    return line
  }

  /// Spaces up to a column.
  mutating func pad(to column: Int) { if width < column { append(String(repeating: " ", count: column - width)) } }

  /// `text` at the right edge of `columns`, where there is room for it.
  mutating func appendRight(_ text: String, _ style: TextStyle, columns: Int) {
    guard width + text.count + 1 <= columns else { return }
    pad(to: columns - text.count)
    append(text, style)
  }

  /// The line for a terminal, cut to `columns`.
  func render(columns: Int, isColoured: Bool) -> String {
    var result = ""
    var left = columns
    for piece in pieces where left > 0 {
      var text = piece.text
      if text.count > left { text = left > 1 ? text.prefix(left - 1) + "…" : String(text.prefix(left)) }
      left -= text.count
      guard isColoured, let parameters = piece.style.parameters else {
        result += text
        continue
      }
      result += "\u{1b}[\(parameters)m\(text)\u{1b}[0m"
    }
    return result
  }
}

/// Small pictures made of characters.
enum Picture {
  private static let levels = Array("▁▂▃▄▅▆▇█")

  /// The newest `width` values as bars, against the largest of them.
  static func sparkline(_ values: [Double], width: Int) -> String {
    let shown = values.suffix(max(0, width))
    let largest = max(shown.max() ?? 0, 1e-9)
    return String(shown.map { levels[min(levels.count - 1, Int($0 / largest * Double(levels.count - 1) + 0.5))] })
  }

  /// A bar filled up to a share of 0...1.
  static func bar(_ share: Double, width: Int) -> String {
    let filled = share.isNaN ? 0 : Int((min(max(share, 0), 1) * Double(width)).rounded())
    return String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
  }

  /// `12,345`.
  static func grouped(_ number: some BinaryInteger) -> String {
    let digits = Array(String(number.magnitude))
    var result = number < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { result += "," }
      result.append(digit)
    }
    return result
  }

  static func percent(_ share: Double) -> String {
    share.isNaN ? "  – " : pad(String(Int((min(max(share, 0), 9.99) * 100).rounded())), 3) + "%"
  }

  /// Right-aligned.
  static func pad(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }

  /// Left-aligned, cut to the width.
  static func fit(_ text: String, _ width: Int) -> String {
    text.count > width ? text.prefix(width - 1) + "…" : text + String(repeating: " ", count: width - text.count)
  }

  /// `1:02:03` or `02:03`.
  static func clock(_ seconds: Double) -> String {
    let total = Int(seconds)
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let hours = total / 3_600
    return (hours > 0 ? "\(hours):" : "") + two(total / 60 % 60) + ":" + two(total % 60)
  }
}
