import Foundation
import Testing

@testable import Commands

@Suite struct ProgramTests {
  @Test func `usage errors are one line and status 2`() async throws {
    let typo = try await Program.run(["scroe"])
    #expect(typo.status == 2)
    #expect(typo.errors == "lendpulse: unknown command scroe; did you mean score? (lendpulse --help lists them)\n")
    #expect(try await Program.run([]).status == 2)
  }

  @Test func `help and version go to standard output`() async throws {
    let help = try await Program.run(["run", "--help"])
    #expect(help.status == 0)
    #expect(help.output.hasPrefix("Usage: lendpulse run --config FILE"))
    #expect(try await Program.run(["--version"]).output == "lendpulse \(Version.current)\n")
  }

  @Test func `check lists all mistakes of file, environment and flags`() async throws {
    let folder = TestFolder.make()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = "\(folder)/c.yaml"
    try "workers: x\nalerts:\n  rules:\n    - {name: a, when: \"days_past_due >>= 3\", severity: high}\n"
      .write(toFile: path, atomically: true, encoding: .utf8)
    let outcome = try await Program.run(
      ["check", "--config", path, "--set", "log.level=loud"], environment: ["LENDPULSE_OUTPUT": "xml"])
    #expect(outcome.status == 2)
    #expect(outcome.errorLines.count == 4)
    #expect(outcome.errorLines[0] == "\(path):1: workers: must be a whole number, not \"x\"")
    #expect(outcome.errorLines[1].hasPrefix("\(path):4: alerts.rules[0].when: at character "))
  }

  @Test func `the same world comes out of the same seed`() async throws {
    let arguments = ["simulate", "--borrowers", "5", "--days", "20", "--seed", "7"]
    let one = try await Program.run(arguments)
    #expect(one.status == 0)
    #expect(one.outputLines.count > 20)
    #expect(try await Program.run(arguments + ["--output=-"]).output == one.output)
    #expect(try await Program.run(arguments + ["--start", "soon"]).status == 2)
  }

  @Test func `a signal ends long work cleanly`() async throws {
    let outcome = try await Program.run(
      ["simulate", "--borrowers", "20000", "--days", "3650", "--seed", "1", "--output", "/dev/null"]
    ) { process in
      // A signal before the program began is the kernel's to answer.
      Program.awaitHandler(of: SIGTERM, in: process)
      process.terminate()
    }
    #expect(outcome.status == 143)
    #expect(outcome.errors.isEmpty)
  }

  @Test func `features are listed with their hash for programs`() async throws {
    let outcome = try await Program.run(["features", "--json"])
    let object = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
    #expect((object?["features"] as? [Any])?.isEmpty == false)
    #expect((object?["hash"] as? String)?.isEmpty == false)
  }

  @Test func `the registry names its champions and a damaged file`() async throws {
    let models = try SmallModels()
    defer { models.remove() }
    let list = try await Program.run(["models", "list", "--models", models.directory])
    #expect(list.status == 0)
    #expect(list.output.contains("auc 0.75"))
    #expect(try await Program.run(["models", "verify", "--models", models.directory]).status == 0)
    let folder = "\(models.directory)/overdue"
    let version = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first { $0 != "champion" })
    try "{}".write(toFile: "\(folder)/\(version)/overdue.json", atomically: true, encoding: .utf8)
    let verify = try await Program.run(["models", "verify", "--models", models.directory])
    #expect(verify.status == 1)
    #expect(verify.output.contains("overdue.json"))
    let promoted = try await Program.run(["models", "promote", "overdue", version, "--models", models.directory])
    #expect(promoted.status == 1 && promoted.errorLines.count == 1 && promoted.errors.contains("overdue.json"))
  }

  @Test func `a version is promoted or challenges by its name, and the list says so to programs too`() async throws {
    let models = try SmallModels()
    defer { models.remove() }
    func run(_ words: String...) async throws -> Program.Outcome {
      try await Program.run(["models"] + words + ["--models", models.directory])
    }
    let folder = "\(models.directory)/utilization"
    let version = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first { $0 != "champion" })
    let itself = try await run("challenge", "utilization", version)
    #expect(itself.status == 1 && itself.errors.contains("champion"))
    let promoted = try await run("promote", "utilization", version)
    #expect(promoted.status == 0 && promoted.output == "utilization: \(version) is the champion\n")
    let missing = try await run("promote", "utilization", "utilization-20200101-00000000")
    #expect(missing.status == 1 && missing.errorLines.count == 1)
    #expect(try await run("promote", "overdeu", version).errors.contains("overdue"))
    #expect(try await run("promote", "overdue").errors.contains("promote KIND VERSION"))
    #expect(try await run("list", "overdue").status == 2)
    #expect(try await run("verify", "--json").status == 2)
    let list = try JSONSerialization.jsonObject(with: Data(try await run("list", "--json").output.utf8))
    #expect(((list as? [String: Any])?["models"] as? [Any])?.count == 2)
  }
}
