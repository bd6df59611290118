import Foundation
import TestSupport
import Testing

/// The systemd unit, judged by systemd's own tools where they are installed.
@Suite(.enabled(if: Repository.tool("systemd-analyze") != nil)) struct UnitTests {
  /// The unit as installed, with the binary that was built.
  static func unit() throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory()
    let text = try Repository.text("systemd/lendpulse.service")
      .replacingOccurrences(of: "/usr/bin/lendpulse", with: Repository.binary)
    _ = try directory.write("lendpulse.service", text)
    return directory
  }

  @Test func `the unit is one that systemd takes`() async throws {
    let directory = try Self.unit()
    let analyze = try #require(Repository.tool("systemd-analyze"))
    let result = try await run(analyze, ["verify", "--man=no", directory.file("lendpulse.service")])
    #expect(result.status == 0, "\(result.output)\(result.errors)")
    #expect(!result.errors.contains("lendpulse.service:"), "\(result.errors)")
  }

  @Test func `the unit leaves little exposed`() async throws {
    let directory = try Self.unit()
    let analyze = try #require(Repository.tool("systemd-analyze"))
    let path = directory.file("lendpulse.service")
    // Tenths: 2.0 of 10 at most. What is left is the network, which the service is for.
    let result = try await run(analyze, ["security", "--no-pager", "--offline=true", "--threshold=20", path])
    #expect(result.status == 0, "\(result.output.suffix(200))\(result.errors)")
  }
}
