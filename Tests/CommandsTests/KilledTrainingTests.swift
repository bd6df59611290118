import Foundation
import Models
import Testing

#if DEBUG
  private let isReleaseBuild = false
#else
  private let isReleaseBuild = true
#endif

/// A training may be killed at any moment: what served before serves afterwards, and nothing is half there.
@Suite(.serialized, .enabled(if: isReleaseBuild, "training is tested in release builds"))
struct KilledTrainingTests {
  private static func names(_ folder: String) -> Set<String> {
    Set((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
  }

  @Test(arguments: ["at once", "when something is written", "when the version is there", "when the alias is written"])
  func `a killed training leaves the old model serving`(_ moment: String) async throws {
    let models = try SmallModels()
    defer { models.remove() }
    let place = TestFolder.make()
    defer { try? FileManager.default.removeItem(atPath: place) }
    let history = "\(place)/history.ndjson"
    let simulated = try await Program.run(
      ["simulate", "--borrowers", "150", "--days", "120", "--seed", "4", "--output", history])
    #expect(simulated.status == 0)
    let folder = "\(models.directory)/utilization"
    let alias = "\(folder)/champion"
    let before = Self.names(folder)
    let serving = try String(contentsOfFile: alias, encoding: .utf8)
    let outcome = try await Program.run([
      "train", "utilization", "--history", history, "--models", models.directory, "--report", "\(place)/report",
    ]) { process in
      func hasCome() -> Bool {
        let new = Self.names(folder).subtracting(before)
        switch moment {
        case "at once": return true
        case "when something is written": return !new.isEmpty
        case "when the version is there": return new.contains { $0.hasPrefix("utilization-") }
        default:
          return new.contains { $0.hasPrefix(".champion") }
            || (try? String(contentsOfFile: alias, encoding: .utf8)) != serving
        }
      }
      while process.isRunning, !hasCome() { sched_yield() }
      kill(process.processIdentifier, SIGKILL)
    }
    // It may have been done before the signal came; then the new version serves, whole.
    let now = try String(contentsOfFile: alias, encoding: .utf8)
    let version = try #require(try ModelSet.load(directory: models.directory).utilization?.version)
    #expect(now == version + "\n")
    if outcome.status != 0 {
      let isWhole = now == serving || Self.names(folder).contains(version)
      #expect(outcome.status == -9 && isWhole)
    }
    if moment == "at once" { #expect(now == serving) }
    let verified = try await Program.run(["models", "verify", "--models", models.directory])
    #expect(verified.status == 0, "\(verified.output)")
    // The next training puts away what the killed one left.
    let again = try await Program.run(
      ["train", "utilization", "--history", history, "--models", models.directory, "--seed", "2"])
    #expect(again.status == 0, "\(again.errors)")
    #expect(Self.names(folder).allSatisfy { !$0.hasPrefix(".") })
  }
}
