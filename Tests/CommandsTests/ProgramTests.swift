import Foundation
import Testing

@testable import Commands

@Suite struct ProgramTests {
  @Test func `usage errors are one line and status 2`() async throws {
    let typo = try await Program.run(["scroe"])
    #expect(typo.status == 2)
    #expect(typo.errors == "lendpulse: unknown command scroe; did you mean score? (lendpulse --help lists them)\n")
    let later = try await Program.run(["forecast", "--history", "x"])
    #expect(later.status == 2)
    #expect(later.errorLines.count == 1)
    #expect(later.errors.contains("not in this version"))
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

  @Test func `a signal ends long work cleanly and in time`() async throws {
    let started = ContinuousClock.now
    let outcome = try await Program.run(
      ["simulate", "--borrowers", "20000", "--days", "3650", "--seed", "1", "--output", "/dev/null"]
    ) { process in
      // The signals are blocked before anything else is done: one that comes early waits.
      process.terminate()
    }
    #expect(outcome.status == 143)
    #expect(outcome.errors.isEmpty)
    #expect(ContinuousClock.now - started < .seconds(5))
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
  }
}
