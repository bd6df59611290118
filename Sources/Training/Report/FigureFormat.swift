import Foundation

/// How numbers are written for people.
enum FigureFormat: Sendable {
  /// Four significant digits; whole, with commas, from 1,000 on.
  case plain
  /// A share as per cent.
  case percent
  /// `950`, `12.3k`, `4.5M`.
  case compact
  case integer
  /// `5.34`.
  case twoDecimals

  func text(_ value: Double) -> String {
    guard value.isFinite else { return "–" }
    switch self {
    case .plain: return Self.plainText(value)
    case .percent: return String(format: abs(value) < 0.1 && value != 0 ? "%.2f %%" : "%.1f %%", value * 100)
    case .twoDecimals: return String(format: "%.2f", value)
    case .compact: return Self.compactText(value)
    case .integer: return Self.grouped(value)
    }
  }

  func text(_ value: Double?) -> String { value.map { text($0) } ?? "–" }

  /// As few digits as tell `step` apart.
  func tick(_ value: Double, step: Double) -> String {
    let value = abs(value) < step * 1e-9 ? 0 : value
    switch self {
    case .percent: return Self.trimmed(value * 100, decimals: Self.decimals(step * 100)) + " %"
    case .compact, .integer: return Self.compactText(value)
    case .plain, .twoDecimals:
      return abs(value) >= 10_000 ? Self.compactText(value) : Self.trimmed(value, decimals: Self.decimals(step))
    }
  }

  private static func decimals(_ step: Double) -> Int {
    guard step > 0, step < 1 else { return step < 10 && step != step.rounded() ? 1 : 0 }
    return min(Int(ceil(-log10(step) - 1e-9)), 6)
  }

  private static func plainText(_ value: Double) -> String {
    let size = abs(value)
    if size >= 1000 { return grouped(value) }
    if value == value.rounded(), size < 10_000 { return String(Int(value)) }
    if size >= 100 { return String(format: "%.1f", value) }
    if size >= 0.001 { return String(format: size >= 10 ? "%.2f" : "%.4f", value) }
    return String(format: "%.2g", value)
  }

  private static func compactText(_ value: Double) -> String {
    let size = abs(value)
    switch size {
    case 1e9...: return trimmed(value / 1e9, decimals: 1) + "G"
    case 1e6...: return trimmed(value / 1e6, decimals: 1) + "M"
    case 1e3...: return trimmed(value / 1e3, decimals: 1) + "k"
    default: return trimmed(value, decimals: size < 1 && size > 0 ? 3 : size < 100 ? 1 : 0)
    }
  }

  private static func trimmed(_ value: Double, decimals: Int) -> String {
    var text = String(format: "%.\(decimals)f", value)
    if text.contains(".") {
      while text.hasSuffix("0") { text.removeLast() }
      if text.hasSuffix(".") { text.removeLast() }
    }
    return text == "-0" ? "0" : text
  }

  /// Whole, with commas between thousands.
  private static func grouped(_ value: Double) -> String {
    guard abs(value) < 1e18 else { return String(format: "%.3g", value) }
    let digits = String(Int(abs(value).rounded()))
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return value < 0 ? "-" + text : text
  }
}
