import Borrowers
import Foundation
import Testing

/// The Protobuf codec against `protoc`.
@Suite struct ProtobufTests {
  /// Many messages in one, so that one run of `protoc` does for all.
  private static let batch = """
    syntax = "proto3";
    import "lendpulse.proto";
    message Batch {
      repeated lendpulse.v1.BorrowerEvent events = 1;
      repeated lendpulse.v1.IndustryIndicator indicators = 2;
      repeated lendpulse.v1.Score scores = 3;
      repeated lendpulse.v1.Alert alerts = 4;
      repeated lendpulse.v1.Lead leads = 5;
      repeated lendpulse.v1.RepaymentForecast forecasts = 6;
    }
    """

  private static func run(
    _ protoc: ExternalTool, _ verb: String, _ input: Data
  ) async throws -> Data {
    let folder = FileManager.default.temporaryDirectory.appending(path: "lendpulse-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data(batch.utf8).write(to: folder.appending(path: "batch.proto"))
    let result = try await protoc.run(
      ["--\(verb)=Batch", "-I", folder.path, "-I", ExternalTool.schemas.path, "batch.proto"], input: input)
    #expect(result.status == 0, "\(result.errors.prefix(2000))")
    return result.output
  }

  /// A member of the batch, framed as Protobuf frames it.
  private static func framed(_ field: UInt8, _ message: [UInt8]) -> [UInt8] {
    var bytes = [field << 3 | 2]
    var length = message.count
    while length >= 0x80 {
      bytes.append(UInt8(length & 0x7F) | 0x80)
      length >>= 7
    }
    return bytes + [UInt8(length)] + message
  }

  /// The members of a batch, in order.
  private static func members(_ bytes: [UInt8]) -> [[UInt8]] {
    var members: [[UInt8]] = []
    var index = 0
    while index < bytes.count {
      index += 1
      var length = 0
      var shift = 0
      while true {
        length |= Int(bytes[index] & 0x7F) << shift
        shift += 7
        index += 1
        if bytes[index - 1] < 0x80 { break }
      }
      members.append(Array(bytes[index..<(index + length)]))
      index += length
    }
    return members
  }

  @Test func `what protoc encodes by names is read as the JSON of the same names`() async throws {
    guard let protoc = try await ExternalTool.protoc() else { return }
    let definitions = try ProtobufDefinitions()
    var records = RandomRecords(seed: 51)
    var text = ""
    var expected: [[String]] = []
    for _ in 0..<400 {
      let event = records.event()
      let json = encoded { event.encode(.json, into: &$0) }
      text += "events {\n\(try definitions.text("BorrowerEvent", json))}\n"
      expected.append(try decode(json).summary)
    }
    let members = Self.members(Array(try await Self.run(protoc, "encode", Data(text.utf8))))
    #expect(members.count == expected.count)
    for (member, expected) in zip(members, expected) {
      #expect(try decode(member, contentType: "application/x-protobuf").summary == expected)
    }
  }

  @Test func `what is encoded here, protoc reads as it reads its own`() async throws {
    guard let protoc = try await ExternalTool.protoc() else { return }
    let definitions = try ProtobufDefinitions()
    var records = RandomRecords(seed: 52)
    var text = ""
    var ours: [UInt8] = []
    for _ in 0..<200 {
      let event = records.event()
      text += "events {\n\(try definitions.text("BorrowerEvent", encoded { event.encode(.json, into: &$0) }))}\n"
      ours += Self.framed(1, encoded { event.encode(.protobuf, into: &$0) })
    }
    let theirs = try await Self.run(protoc, "encode", Data(text.utf8))
    let ownText = try await Self.run(protoc, "decode", Data(ours))
    let theirText = try await Self.run(protoc, "decode", theirs)
    #expect(ownText == theirText)
  }

  @Test func `published records are byte for byte what protoc encodes from their JSON`() async throws {
    guard let protoc = try await ExternalTool.protoc() else { return }
    let definitions = try ProtobufDefinitions()
    var records = RandomRecords(seed: 53)
    var text = ""
    var ours: [UInt8] = []
    func add(
      _ field: UInt8, _ name: String, _ message: String, _ encode: (RecordFormat, inout ByteBuffer) -> Void
    ) throws {
      text += "\(name) {\n\(try definitions.text(message, encoded { encode(.json, &$0) }))}\n"
      ours += Self.framed(field, encoded { encode(.protobuf, &$0) })
    }
    for _ in 0..<100 {
      let indicator = records.indicator()
      try add(2, "indicators", "IndustryIndicator") { indicator.encode($0, into: &$1) }
    }
    for _ in 0..<100 {
      let score = records.score()
      try add(3, "scores", "Score") { score.encode($0, into: &$1) }
    }
    for _ in 0..<100 {
      let alert = records.alert()
      try add(4, "alerts", "Alert") { alert.encode($0, into: &$1) }
    }
    for _ in 0..<100 {
      let lead = records.lead()
      try add(5, "leads", "Lead") { lead.encode($0, into: &$1) }
    }
    for _ in 0..<100 {
      let forecast = records.forecast()
      try add(6, "forecasts", "RepaymentForecast") { forecast.encode($0, into: &$1) }
    }
    #expect(Array(try await Self.run(protoc, "encode", Data(text.utf8))) == ours)
  }

  // MARK: - Hostile wire

  private static let event = encoded { buffer in
    var records = RandomRecords(seed: 1)
    var event = records.event()
    event.kind = .profileUpdated
    event.profile.birthYear = 1990
    event.profile.region = event.appendText("north")
    event.encode(.protobuf, into: &buffer)
  }

  private static func code(_ bytes: [UInt8]) -> DeadLetterCode? {
    failure { try decode(bytes, contentType: "application/x-protobuf") }?.code
  }

  @Test func `unknown fields of every wire type are skipped, groups included`() throws {
    let unknown: [[UInt8]] = [
      [0xA0, 0x06, 0x96, 0x01],  // 100: varint
      [0xA1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8],  // 100: 64 bits
      [0xA2, 0x06, 3, 0xFF, 0xFE, 0xFD],  // 100: bytes that are no UTF-8
      [0xA3, 0x06, 0x08, 1, 0x1B, 0x1C, 0xA4, 0x06],  // 100: a group with a field and a group
      [0xA5, 0x06, 1, 2, 3, 4],  // 100: 32 bits
      [0x08, 5],  // event_id as a varint: of another wire type
      [0xBD, 0x01, 1, 2, 3, 4],  // profile as 32 bits
    ]
    let expected = try decode(Self.event, contentType: "application/x-protobuf").summary
    for field in unknown {
      for bytes in [field + Self.event, Self.event + field] {
        #expect(try decode(bytes, contentType: "application/x-protobuf").summary == expected)
      }
    }
  }

  @Test func `the last value counts, and messages are merged`() throws {
    // borrower_id again; profile again with marketing_consent only.
    let bytes = Self.event + [0x12, 1, 0x42, 0xBA, 0x01, 2, 0x48, 1]
    let event = try decode(bytes, contentType: "application/x-protobuf")
    #expect(event.string(event.borrowerID) == "B")
    #expect(event.profile.birthYear == 1990)
    #expect(event.string(event.profile.region) == "north")
    #expect(event.profile.marketingConsent == true)
  }

  @Test func `broken wire is refused`() {
    let broken: [[UInt8]] = [
      [0x00], [0x07], [0x06], [0x0A], [0x0A, 5, 1], [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], [0xA4, 0x06], [0xA3, 0x06],
      [0xA3, 0x06, 0xAC, 0x06], [0x20, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1], [0x31, 1, 2],
      [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], [0xBA, 0x01, 2, 0x09, 1], [0xA5, 0x06, 1], [0x80], [0x03],
    ]
    for bytes in broken {
      #expect(Self.code(bytes) == .invalidProtobuf, "\(bytes)")
      #expect(Self.code(Self.event + bytes) == .invalidProtobuf, "\(bytes)")
    }
    #expect(Self.code([0x0A, 2, 0xC3, 0x28]) == .invalidUTF8)
    #expect(Self.code(Self.event + [0x18, 99]) == .unknownType)
    #expect(Self.code(Self.event + [0x18, 0]) == .missingField)
    #expect(Self.code([UInt8](repeating: 0xA3, count: 1)) == .invalidProtobuf)
    let deep = [[UInt8]](repeating: [0xA3, 0x06], count: 10_000).flatMap(\.self)
    #expect(Self.code(deep) == .tooDeep)
  }

  @Test func `NaN and infinities are out of range`() throws {
    var records = RandomRecords(seed: 3)
    var event = records.event()
    event.kind = .purchase
    event.amount = 1
    let bytes = encoded { event.encode(.protobuf, into: &$0) }
    for value in [Double.nan, .infinity, -.infinity, -1, 1.1e15] {
      let amount = (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt64($0 * 8)) }
      #expect(Self.code(bytes + [0x31] + amount) == .outOfRange)
    }
  }

  @Test func `truncated and damaged messages are taken or refused as protoc does`() async throws {
    guard let protoc = try await ExternalTool.protoc() else { return }
    var random = SeededGenerator(seed: 8)
    var cases: [[UInt8]] = []
    for _ in 0..<120 {
      var bytes = Self.event
      if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 1..<bytes.count, using: &random)) }
      for _ in 0..<Int.random(in: 0...2, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      cases.append(bytes)
    }
    let folder = FileManager.default.temporaryDirectory.appending(path: "lendpulse-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for (index, bytes) in cases.enumerated() { try Data(bytes).write(to: folder.appending(path: "\(1000 + index)")) }
    let script =
      "for f in \"$1\"/*; do \"$2\" --decode=lendpulse.v1.BorrowerEvent -I \"$3\" lendpulse.proto < \"$f\" "
      + ">/dev/null 2>&1; echo $?; done"
    let result = try await ExternalTool(path: "/bin/sh").run(
      ["-c", script, "sh", folder.path, protoc.path, ExternalTool.schemas.path])
    let statuses = String(decoding: result.output, as: UTF8.self).split(separator: "\n").map { $0 == "0" }
    #expect(statuses.count == cases.count)
    for (bytes, isAccepted) in zip(cases, statuses) {
      let code = Self.code(bytes)
      let isTaken = code != .invalidProtobuf && code != .invalidUTF8 && code != .tooDeep
      #expect(isTaken == isAccepted, "\(bytes) \(code.map { "\($0)" } ?? "taken")")
    }
    #expect(statuses.contains(true) && statuses.contains(false))
  }
}

/// The messages of `schemas/lendpulse.proto` by name, to turn JSON into Protobuf's text format.
struct ProtobufDefinitions {
  struct Field {
    var type: String
    var name: String
  }

  private var messages: [String: [Field]] = [:]

  init() throws {
    let text = try String(contentsOf: ExternalTool.schemas.appending(path: "lendpulse.proto"), encoding: .utf8)
    var message: String?
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      if words.first == "message" {
        message = words[1]
        messages[words[1]] = []
      } else if words.first == "}" {
        message = nil
      } else if let message, words.first == "optional" || words.first == "repeated" {
        messages[message]?.append(Field(type: words[1], name: words[2]))
      }
    }
  }

  /// The text format of a message, from the JSON of the same record.
  func text(_ message: String, _ json: [UInt8]) throws -> String { try text(message, JSONValue(json)) }

  private func text(_ message: String, _ value: JSONValue) throws -> String {
    guard case .object(let object) = value else { throw CocoaError(.coderInvalidValue) }
    let fields = try #require(messages[message])
    var lines = ""
    #expect(Set(object.keys).isSubset(of: fields.map(\.name)), "\(message)")
    for field in fields {
      guard let value = object[field.name], value != .null else { continue }
      for element in value.array ?? [value] {
        if case .object = element {
          lines += "\(field.name) {\n\(try text(field.type, element))}\n"
        } else {
          lines += "\(field.name): \(try text(field, element))\n"
        }
      }
    }
    return lines
  }

  private func text(_ field: Field, _ value: JSONValue) throws -> String {
    switch (field.type, value) {
    case ("string", .string(let text)):
      let octal = text.utf8.map { byte in
        let digits = String(byte, radix: 8)
        return "\\" + String(repeating: "0", count: 3 - digits.count) + digits
      }
      return "\"\(octal.joined())\""
    case ("double", .integer), ("double", .number): return "\(try #require(value.number))"
    case ("bool", .bool(let value)): return "\(value)"
    case ("int32", .integer(let value)), ("int64", .integer(let value)): return "\(value)"
    case ("int64", .string(let time)): return "\(try #require(EventTime(rfc3339: time)).milliseconds)"
    case (_, .string(let name)):
      // An enumeration: its values begin with its name in capitals.
      var prefix = ""
      for letter in field.type {
        if letter.isUppercase && !prefix.isEmpty { prefix += "_" }
        prefix += letter.uppercased()
      }
      return prefix + "_" + name.uppercased()
    default:
      throw CocoaError(.coderInvalidValue)
    }
  }
}
