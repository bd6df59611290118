import Features
import Foundation
import Testing

@Suite struct FeatureCatalogueTests {
  @Test func `every feature has a name of its own, a meaning and a reason code`() {
    #expect(Set(FeatureCatalogue.all.map { $0.name }).count == FeatureCatalogue.count)
    for (index, feature) in FeatureCatalogue.all.enumerated() {
      #expect(!feature.meaning.isEmpty && !feature.unit.isEmpty)
      #expect(ReasonCode(rawValue: feature.reasonCode) != nil)
      #expect(feature.name.utf8.allSatisfy { $0 == 95 || (48...57).contains($0) || (97...122).contains($0) })
      #expect(FeatureCatalogue.index(of: feature.name) == index)
    }
    #expect(ReasonCode.allCases.allSatisfy { code in FeatureCatalogue.all.contains { $0.reasonCode == code.rawValue } })
  }

  @Test func `gender, marital status and household region are protected and nothing else is`() {
    let names = FeatureCatalogue.all.filter { $0.isProtected }.map { $0.name }
    #expect(Set(names) == ["gender", "marital_status", "household_region"])
  }

  @Test func `the schema of features is the table`() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let file = root.appending(path: "schemas/features.json")
    if ProcessInfo.processInfo.environment["LENDPULSE_WRITE_FEATURES"] != nil {
      try FeatureCatalogue.json().write(to: file, atomically: true, encoding: .utf8)
    }
    let text = try? String(contentsOf: file, encoding: .utf8)
    let hint = "LENDPULSE_WRITE_FEATURES=1 swift test --disable-xctest --filter FeatureCatalogueTests writes it anew"
    #expect(text == FeatureCatalogue.json(), "schemas/features.json is not the table of features: \(hint)")
    #expect(try JSONSerialization.jsonObject(with: Data(FeatureCatalogue.json().utf8)) is [String: Any])
  }

  @Test func `the table for people has a line for each feature`() {
    #expect(FeatureCatalogue.table().split(separator: "\n").count == FeatureCatalogue.count)
  }
}
