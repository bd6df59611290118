import Foundation
import TestSupport
import Testing

/// `make demo` and `make test` on a machine where nothing is installed yet, played by stand-ins for Debian's tools.
@Suite struct PackageTests {
  static func runOnBareMachine(_ purpose: String, aptStatus: Int) async throws -> Finished {
    let tools = try TemporaryDirectory()
    let scripts = [
      "dpkg-query": "exit 1",
      "apt-get": "echo \"apt-get $*\"; exit \(aptStatus)",
      "sudo": "exec \"$@\"",
      "swift": "echo 'Swift version 6.3.1 (stand-in)'",
    ]
    for (name, body) in scripts {
      let path = try tools.write(name, "#!/bin/sh\n\(body)\n")
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    }
    let path = tools.path + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "")
    return try await run(
      Repository.root.appendingPathComponent("scripts/install-packages").path, [purpose], environment: ["PATH": path])
  }

  @Test func `missing packages are named with their reasons, and installed`() async throws {
    let result = try await Self.runOnBareMachine("build", aptStatus: 0)
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.contains("librdkafka-dev"))
    #expect(result.output.contains("trains the trees"))
    #expect(result.output.contains("apt-get install -y --no-install-recommends librdkafka-dev libxgboost-dev"))
    #expect(!result.output.contains("kcat"), "building needs no test tools")
  }

  @Test func `the lists are brought up to date where a package is not found`() async throws {
    let result = try await Self.runOnBareMachine("build", aptStatus: 1)
    #expect(result.output.contains("apt-get update"))
    #expect(result.status == 1)
  }
}
