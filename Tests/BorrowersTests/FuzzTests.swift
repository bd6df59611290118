import Borrowers
import Foundation
import Testing

/// Seeded random and damaged input. `Fuzz/` holds the same decoders to libFuzzer for longer.
@Suite struct FuzzTests {
  private static let seeds: [[UInt8]] = {
    var records = RandomRecords(seed: 1)
    return (0..<60).map { _ in
      let event = records.event()
      return encoded { event.encode(.json, into: &$0) }
    }
  }()

  private static let pieces =
    [
      "{", "}", "[", "]", ":", ",", "\"", "\\", "null", "true", "false", "0", "-", "1e5", "1E+400", ".5", "01",
      "\\u00e9",
      "\\ud83d\\ude00", "\\ud83d", "\\udc00", "\\x", " ", "\n", "\t", "\u{0}", "é", "😀", "\"a\":1,", "[[[[", "{\"a\":",
      "\u{FEFF}", "/*", "'", "NaN", "Infinity", "-0", "1.0e-3", "\"type\":null,",
    ].map { Array($0.utf8) } + [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xC3], [0xF4, 0x90, 0x80, 0x80]]

  private static func damaged(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let place = bytes.isEmpty ? 0 : Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<5, using: &random) {
      case 0 where !bytes.isEmpty: bytes[place] = UInt8.random(in: 0...255, using: &random)
      case 1 where !bytes.isEmpty:
        bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...9, using: &random)))
      case 2 where !bytes.isEmpty: bytes.removeLast(bytes.count - place)
      case 3 where !bytes.isEmpty:
        let end = min(bytes.count, place + Int.random(in: 1...20, using: &random))
        bytes.insert(contentsOf: bytes[place..<end], at: Int.random(in: 0...bytes.count, using: &random))
      default: bytes.insert(contentsOf: pieces.randomElement(using: &random)!, at: place)
      }
    }
    return bytes
  }

  /// Where Foundation's parser goes its own way: it skips a byte order mark, guesses UTF-16 and UTF-32 from zero bytes, and
  /// refuses numbers that a Double cannot hold.
  private static func isComparable(_ bytes: [UInt8]) -> Bool {
    let text = String(decoding: bytes, as: UTF8.self)
    return !bytes.starts(with: [0xEF, 0xBB, 0xBF]) && !bytes.prefix(4).contains(0) && !bytes.prefix(2).contains(0xFE)
      && !bytes.prefix(2).contains(0xFF) && !text.contains(/[0-9][eE]\+?[0-9]{3}/) && !text.contains(/[0-9]{200}/)
  }

  @Test func `damaged JSON is taken or refused as Foundation does`() {
    let seed: UInt64 = 20_260_001
    print("seed \(seed)")
    var random = SeededGenerator(seed: seed)
    var decoder = EventDecoder()
    var taken = 0
    var refused = 0
    for _ in 0..<5000 {
      let bytes = Self.damaged(Self.seeds.randomElement(using: &random)!, &random)
      let code = failure { try decode(bytes, with: &decoder) }?.code
      guard Self.isComparable(bytes), code != .tooDeep, !bytes.isEmpty else { continue }
      let isJSON = (try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)) != nil
      let isTaken = code != .invalidJSON && code != .invalidUTF8
      #expect(isTaken == isJSON, "\(bytes) \(String(decoding: bytes, as: UTF8.self))")
      if isTaken { taken += 1 } else { refused += 1 }
    }
    #expect(taken > 500 && refused > 500, "\(taken) taken, \(refused) refused")
  }

  @Test func `random values in every field are taken or refused as the slow decoder does`() throws {
    let seed: UInt64 = 20_260_002
    print("seed \(seed)")
    var random = SeededGenerator(seed: seed)
    var decoder = EventDecoder()
    let names = [
      "event_id", "borrower_id", "type", "occurred_at", "platform", "amount", "loan_id", "product", "installments",
      "due_at", "score", "bureau", "deposits", "property_value", "credit_limit", "balance", "minimum_due",
      "days_past_due", "category", "page", "topic", "channel", "unknown",
    ]
    let values = [
      "null", "true", "{}", "[1]", "\"\"", "\"x\"", "0", "-0", "-0.01", "1e15", "1.0000000001e15", "-1e15", "-1e16",
      "1791720794123", "1791720794123.0", "1791720794123.5", "631151999999", "631152000000", "4102444800000", "12.25",
      "1791807200000", "1791807200001", "\"2026-10-11T12:13:14Z\"", "\"2026-10-11\"", "\"repayment\"", "\"purchase\"",
      "\"\(String(repeating: "é", count: 32))\"", "\"\(String(repeating: "é", count: 33))\"", "9007199254740993",
      "1e30",
    ]
    for _ in 0..<2000 {
      let kind = EventKind.allCases.randomElement(using: &random)!
      var fields = [
        "event_id": "\"E1\"", "borrower_id": "\"B1\"", "type": "\"\(kind.name)\"",
        "occurred_at": "\"2026-10-11T12:13:14.123Z\"", "profile": "{}",
      ]
      for name in names.dropFirst(4) where Bool.random(using: &random) {
        fields[name] = ["amount", "balance", "score"].contains(name) ? "5" : values.randomElement(using: &random)!
      }
      let name = names.randomElement(using: &random)!
      fields[name] = values.randomElement(using: &random)!
      var order = Array(fields.keys).sorted()
      order.shuffle(using: &random)
      let space = ["", " ", "\n\t"].randomElement(using: &random)!
      let text = "{\(space)" + order.map { "\"\($0)\"\(space):\(fields[$0]!)" }.joined(separator: ",\(space)") + "}"
      let bytes = Array(text.utf8)
      let error = failure { try decode(bytes, with: &decoder) }
      let expected = try SlowEventDecoder.error(bytes, at: recordTimestamp)
      #expect(error.map { "\($0.code.name) \($0.field)" } == expected, "\(text)")
    }
  }

  @Test func `random bytes never stop either decoder`() {
    var random = SeededGenerator(seed: 20_260_003)
    var decoder = EventDecoder()
    for _ in 0..<2000 {
      let bytes = (0..<Int.random(in: 0...64, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      _ = failure { try decode(bytes, with: &decoder) }
      _ = failure { try decode(bytes, contentType: "application/x-protobuf", with: &decoder) }
    }
  }

  @Test func `a truncated value is refused at every length, and the next record is taken`() throws {
    var decoder = EventDecoder()
    for value in Self.seeds.prefix(8) {
      for count in 0..<value.count {
        let code = failure { try decode(Array(value.prefix(count)), with: &decoder) }?.code
        #expect(code == .invalidJSON || code == .invalidUTF8 || (count == 0 && code == .emptyValue))
      }
      _ = try decode(value, with: &decoder)
    }
  }

  @Test func `damaged Protobuf that is taken reads back from its own encoding`() throws {
    var random = SeededGenerator(seed: 20_260_004)
    var records = RandomRecords(seed: 5)
    var decoder = EventDecoder()
    var taken = 0
    for _ in 0..<2000 {
      let event = records.event()
      var bytes = encoded { event.encode(.protobuf, into: &$0) }
      for _ in 0..<Int.random(in: 1...2, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      guard let read = try? decode(bytes, contentType: "application/x-protobuf", with: &decoder) else { continue }
      taken += 1
      let again = encoded { read.encode(.protobuf, into: &$0) }
      #expect(try decode(again, contentType: "application/x-protobuf", with: &decoder).summary == read.summary)
    }
    #expect(taken > 100)
  }
}
