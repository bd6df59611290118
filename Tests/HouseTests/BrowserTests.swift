import Foundation
import TestSupport
import Testing

/// The page that the demo serves, in headless Chromium.
@Suite(
  .serialized,
  .enabled(if: ["chromium", "chromedriver", "python3"].allSatisfy { Repository.tool($0) != nil })
) struct BrowserTests {
  @Test func `a person finds alerts, a borrower and a preview on a phone and on a desk`() async throws {
    let port = try FreePort().port
    let demo = try ChildProcess(Repository.binary, ["demo", "--port", "\(port)", "--seconds", "240"])
    try await demo.wait(forLines: 1, within: 60)
    let script = Repository.root.appendingPathComponent("Tests/Browser/page.py").path
    let result = try await run(
      Repository.tool("python3") ?? "python3", [script, "http://127.0.0.1:\(port)/"], within: 200)
    demo.send(SIGTERM)
    #expect(result.status == 0, "\(result.output)\(result.errors.suffix(3_000))")
    _ = try await demo.wait(within: 15)
  }
}
