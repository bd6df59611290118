import Features
import Foundation
import Testing

@Suite struct DocumentTests {
  private static let document: String = {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("docs/decisions.md")
    return (try? String(contentsOf: file, encoding: .utf8)) ?? ""
  }()

  @Test func `every reason code stands in the documentation with its meaning, and no other does`() {
    let rows = Self.document.split(separator: "\n").filter { $0.hasPrefix("| `") && $0.contains("` | ") }
      .map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }
    let codes = rows.filter { $0.count == 2 && $0[0].dropFirst().first?.isUppercase == true }
    let documented = Dictionary(
      codes.map { ($0[0].replacingOccurrences(of: "`", with: ""), $0[1]) }, uniquingKeysWith: { first, _ in first })
    for code in ReasonCode.allCases {
      #expect(documented[code.rawValue] == "\(code.text)", "\(code.rawValue)")
    }
    let known = Set(ReasonCode.allCases.map(\.rawValue) + ["RULE_<name>"])
    #expect(Set(documented.keys) == known)
  }

  @Test func `every feature gives a documented reason code`() {
    for feature in FeatureCatalogue.all {
      #expect(ReasonCode(rawValue: feature.reasonCode) != nil, "\(feature.name)")
    }
  }
}
