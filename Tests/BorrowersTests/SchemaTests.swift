import Borrowers
import Foundation
import Testing

/// What is published and the samples, against the JSON Schemas, by Python's `jsonschema`.
@Suite struct SchemaTests {
  /// Reads lines of [schema, text, whether it should be valid] and prints those for which that is wrong.
  private static let program = """
    import json, sys, os
    from jsonschema import Draft202012Validator
    folder, validators = sys.argv[1], {}
    for name in os.listdir(folder):
        if name.endswith('.schema.json'):
            schema = json.load(open(os.path.join(folder, name), encoding='utf-8'))
            Draft202012Validator.check_schema(schema)
            validators[name[:-len('.schema.json')]] = Draft202012Validator(schema)
    checked = 0
    for line in open(0, encoding='utf-8'):
        name, text, valid = json.loads(line)
        errors = [e.message for e in validators[name].iter_errors(json.loads(text))]
        checked += 1
        if bool(errors) == valid:
            print(name, text, errors)
    print('checked', checked)
    """

  private static func check(_ lines: [(schema: String, text: String, isValid: Bool)]) async throws {
    guard let python = try await ExternalTool.python() else { return }
    var input = Data()
    for line in lines {
      input += try JSONSerialization.data(withJSONObject: [line.schema, line.text, line.isValid] as [Any])
      input.append(0x0A)
    }
    let result = try await python.run(["-c", program, ExternalTool.schemas.path], input: input)
    #expect(result.errors == "")
    #expect(String(decoding: result.output, as: UTF8.self) == "checked \(lines.count)\n")
  }

  private static func samples(_ folder: String, _ ending: String = ".json") throws -> [(name: String, value: [UInt8])] {
    let url = ExternalTool.schemas.appending(path: folder)
    return try FileManager.default.contentsOfDirectory(atPath: url.path).filter { $0.hasSuffix(ending) }.sorted()
      .map { ($0, Array(try Data(contentsOf: url.appending(path: $0)))) }
  }

  @Test func `every sample conforms to its schema`() async throws {
    let samples = try Self.samples("examples")
    #expect(samples.count >= 24)
    try await Self.check(
      samples.map { (String($0.name.prefix { $0 != "." }), String(decoding: $0.value, as: UTF8.self), true) })
  }

  @Test func `every sample of an event is accepted, and all types have one`() throws {
    var kinds = Set<UInt8>()
    for sample in try Self.samples("examples") where sample.name.hasPrefix("borrower-event.") {
      kinds.insert(try decode(sample.value).kind.rawValue)
    }
    #expect(kinds.count == EventKind.allCases.count)
    var decoder = IndustryIndicatorDecoder()
    var indicator = IndustryIndicator()
    let sample = try #require(Self.samples("examples").first { $0.name == "industry-indicator.json" })
    let value = ExactBytes(sample.value)
    unsafe try decoder.decode(value.buffer, contentType: nil, into: &indicator)
    #expect(indicator.value == 0.953)
  }

  @Test func `every invalid sample gets the dead letter that its name says`() throws {
    let samples = try Self.samples("examples/invalid")
    #expect(samples.count >= 25)
    for sample in samples {
      let expected = sample.name.split(separator: ".")[1]
      #expect(failure { try decode(sample.value) }?.code.name.description == String(expected), "\(sample.name)")
    }
  }

  @Test func `invalid samples that are JSON do not conform either`() async throws {
    let others = ["invalid_json", "invalid_utf8", "empty_value", "too_deep"]
    let samples = try Self.samples("examples/invalid").filter {
      !others.contains(String($0.name.split(separator: ".")[1]))
    }
    try await Self.check(samples.map { ("borrower-event", String(decoding: $0.value, as: UTF8.self), false) })
  }

  @Test func `all that is published conforms to its schema`() async throws {
    let seed: UInt64 = 77
    print("seed \(seed)")
    var records = RandomRecords(seed: seed)
    var lines: [(String, String, Bool)] = []
    func add(_ schema: String, _ value: [UInt8]) {
      lines.append((schema, String(decoding: value, as: UTF8.self), true))
    }
    for _ in 0..<150 {
      let (score, alert, lead) = (records.score(), records.alert(), records.lead())
      let (forecast, event, indicator) = (records.forecast(), records.event(), records.indicator())
      add("score", encoded { score.encode(.json, into: &$0) })
      add("alert", encoded { alert.encode(.json, into: &$0) })
      add("lead", encoded { lead.encode(.json, into: &$0) })
      add("repayment-forecast", encoded { forecast.encode(.json, into: &$0) })
      add("borrower-event", encoded { event.encode(.json, into: &$0) })
      add("industry-indicator", encoded { indicator.encode(.json, into: &$0) })
    }
    try await Self.check(lines)
  }

  @Test func `every Protobuf sample says what its JSON sample says`() throws {
    let samples = try Self.samples("examples", ".binpb")
    #expect(samples.count >= 20)
    let json = Dictionary(uniqueKeysWithValues: try Self.samples("examples").map { ($0.name, $0.value) })
    for sample in samples where sample.name.hasPrefix("borrower-event.") {
      let twin = try #require(json[sample.name.replacing(".binpb", with: ".json")])
      let event = try decode(sample.value, contentType: "application/x-protobuf")
      #expect(event.summary == (try decode(twin).summary), "\(sample.name)")
    }
  }

  @Test func `every invalid Protobuf sample gets the dead letter that its name says`() throws {
    for sample in try Self.samples("examples/invalid", ".binpb") {
      let expected = sample.name.split(separator: ".")[1]
      let error = failure { try decode(sample.value, contentType: "application/x-protobuf") }
      #expect(error?.code.name.description == String(expected), "\(sample.name)")
    }
  }

  @Test func `protoc reads every Protobuf sample without an unknown field`() async throws {
    guard let protoc = try await ExternalTool.protoc() else { return }
    let messages = [
      "borrower-event": "BorrowerEvent", "industry-indicator": "IndustryIndicator", "score": "Score",
      "alert": "Alert", "lead": "Lead", "repayment-forecast": "RepaymentForecast",
    ]
    for sample in try Self.samples("examples", ".binpb") {
      let message = try #require(messages[String(sample.name.prefix { $0 != "." })])
      let result = try await protoc.run(
        ["--decode=lendpulse.v1.\(message)", "-I", ExternalTool.schemas.path, "lendpulse.proto"],
        input: Data(sample.value))
      #expect(result.status == 0, "\(sample.name): \(result.errors)")
      // An unknown field is printed by its number.
      let lines = String(decoding: result.output, as: UTF8.self).split(separator: "\n")
      #expect(!lines.isEmpty && !lines.contains { $0.drop { $0 == " " }.first?.isNumber ?? false }, "\(sample.name)")
    }
  }

  @Test func `the schema of dead letters' headers names every code, and the event's every type`() throws {
    func list(_ file: String, _ property: String) throws -> [String]? {
      let data = try Data(contentsOf: ExternalTool.schemas.appending(path: file))
      let schema = try JSONSerialization.jsonObject(with: data) as? [String: Any]
      let properties = schema?["properties"] as? [String: [String: Any]]
      return properties?[property]?["enum"] as? [String]
    }
    #expect(
      try list("dead-letter-headers.schema.json", "lendpulse.error.code")
        == DeadLetterCode.allCases.map(\.name.description))
    #expect(try list("borrower-event.schema.json", "type") == EventKind.allCases.map(\.name.description))
  }
}
