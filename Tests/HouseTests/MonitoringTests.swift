import Foundation
import TestSupport
import Testing

/// The files for Prometheus and Grafana, against the metrics that the daemon has.
@Suite struct MonitoringTests {
  @Test(.enabled(if: Repository.tool("promtool") != nil))
  func `Prometheus reads the alert rules`() async throws {
    let rules = Repository.root.appendingPathComponent("monitoring/lendpulse.rules.yml").path
    let checked = try await run(Repository.tool("promtool") ?? "", ["check", "rules", rules])
    #expect(checked.status == 0, "\(checked.output)\(checked.errors)")
  }

  @Test func `rules and dashboard name only metrics that there are`() throws {
    let source = try Repository.text("Sources/StatusPage/StatusService+Metrics.swift")
    let there = Set(source.matches(of: #/"((?:lendpulse|process)_[a-z_]+)"/#).map { String($0.output.1) })
    for path in ["monitoring/lendpulse.rules.yml", "monitoring/grafana-dashboard.json"] {
      let text = try Repository.text(path)
      let named = text.matches(of: #/\b((?:lendpulse|process)_[a-z_]+)/#).map { String($0.output.1) }
      #expect(named.count > 5)
      for name in named {
        let family = name.replacing(#/_(bucket|sum|count)$/#, with: "")
        #expect(there.contains(name) || there.contains(family), "\(path): \(name)")
      }
    }
    let dashboard = try JSONSerialization.jsonObject(
      with: Data(Repository.text("monitoring/grafana-dashboard.json").utf8))
    #expect(((dashboard as? [String: Any])?["panels"] as? [Any])?.count ?? 0 > 10)
  }

  @Test func `the documents name every metric`() throws {
    let source = try Repository.text("Sources/StatusPage/StatusService+Metrics.swift")
    let document = try Repository.text("docs/operations.md")
    for match in source.matches(of: #/family\("(lendpulse_[a-z_]+)"/#) {
      #expect(document.contains(match.output.1), "docs/operations.md: \(match.output.1)")
    }
  }
}
