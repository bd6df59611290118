import Foundation
import TestSupport
import Testing

/// What the built program says of itself, against what the repository says of it.
@Suite struct ContractTests {
  @Test func `schemas/features.json is what the program's table of features says`() async throws {
    let result = try await run(Repository.binary, ["features", "--json"])
    #expect(result.status == 0, "\(result.errors)")
    let isCurrent = result.output == (try Repository.text("schemas/features.json"))
    #expect(isCurrent, "write it anew: lendpulse features --json > schemas/features.json")
  }

  @Test(.enabled(if: Repository.tool("python3") != nil))
  func `the table of docs/features.md is current`() async throws {
    let script = Repository.root.appendingPathComponent("scripts/feature-table").path
    let result = try await run(script, ["--check"])
    #expect(result.status == 0, "\(result.errors)")
  }

  @Test func `nothing is wrong with the example configuration`() async throws {
    let example = Repository.root.appendingPathComponent("examples/lendpulse.yaml").path
    let result = try await run(Repository.binary, ["check", "--config", example])
    #expect(result.status == 0, "\(result.errors)")
  }

  @Test func `every lendpulse command that the documents name is one that the program has`() async throws {
    let help = try await run(Repository.binary, ["--help"])
    let names = Set(help.output.matches(of: #/(?m)^  ([a-z]+)  /#).map { String($0.output.1) })
    #expect(names.isSuperset(of: ["run", "score", "simulate", "topics", "check", "features", "models"]))
    for path in Repository.files() where path.hasSuffix(".md") {
      for match in try Repository.text(path).matches(of: #/(?m)(?:`|^ +|sudo )lendpulse ([a-z]+)/#) {
        #expect(names.contains(String(match.output.1)), "\(path): lendpulse \(match.output.1)")
      }
    }
  }
}

/// Python's jsonschema, where it is installed.
enum Validator {
  /// One that has the validator.
  static let python: String? = [Repository.tool("python3"), "/usr/bin/python3"].compactMap { $0 }.first { path in
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = ["-c", "import jsonschema"]
    process.standardError = FileHandle.nullDevice
    guard (try? process.runToEnd()) != nil else { return false }
    return process.terminationStatus == 0
  }

  /// Validates every so many lines of a file, and that there are any.
  static let program = """
    import json, sys, jsonschema
    schema = json.load(open(sys.argv[1]))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    lines = open(sys.argv[2]).read().splitlines()
    assert lines, "nothing was written"
    for line in lines[:: int(sys.argv[3])]:
        error = next(iter(validator.iter_errors(json.loads(line))), None)
        if error:
            sys.exit(f"{error.json_path}: {error.message}: {line}")
    """

  static func validate(_ file: String, by schema: String, every step: Int) async throws {
    let schemaPath = Repository.root.appendingPathComponent("schemas/\(schema).schema.json").path
    let result = try await run(try #require(python), ["-c", program, schemaPath, file, "\(step)"], within: 120)
    #expect(result.status == 0, "\(schema): \(result.errors.suffix(2_000))")
  }
}

/// All that is written conforms to its schema, by an independent validator.
@Suite(.enabled(if: Validator.python != nil)) struct PublishedRecordTests {
  @Test func `simulated events, and the scores, alerts and leads made of them, conform to their schemas`() async throws
  {
    let directory = try TemporaryDirectory()
    let events = directory.file("events.ndjson")
    let simulated = try await run(
      Repository.binary, ["simulate", "--borrowers", "120", "--days", "100", "--seed", "31", "--output", events])
    try #require(simulated.status == 0, "\(simulated.errors)")
    try await Validator.validate(events, by: "borrower-event", every: 7)

    let models = Repository.root.appendingPathComponent("demo/models").path
    let kinds = [("scores", "score"), ("alerts", "alert"), ("leads", "lead")]
    let outputs = kinds.flatMap { ["--\($0.0)", directory.file("\($0.0).ndjson")] }
    let scored = try await run(
      Repository.binary, ["score", "--input", events, "--models", models] + outputs, within: 300)
    try #require(scored.status == 0, "\(scored.errors)")
    for (file, schema) in kinds {
      try await Validator.validate(directory.file("\(file).ndjson"), by: schema, every: schema == "score" ? 11 : 1)
    }
  }
}
