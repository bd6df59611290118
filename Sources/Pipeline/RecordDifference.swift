import Borrowers
import Foundation
import Scoring

/// A record as it is published, with bytes of its own.
public struct OwnedRecord: Equatable, Sendable {
  public var key: [UInt8]?
  /// Nil: a tombstone.
  public var value: [UInt8]?
  /// In wire form.
  public var headers: [UInt8]

  public init(key: [UInt8]?, value: [UInt8]?, headers: [UInt8]) {
    self.key = key
    self.value = value
    self.headers = headers
  }

  public init(_ record: PublishedRecord) {
    self.init(
      key: unsafe record.key.map { unsafe Array($0) }, value: unsafe record.value.map { unsafe Array($0) },
      headers: unsafe Array(record.headers))
  }

  /// The names of all that differs: `key`, `header NAME`, and the fields of the value. Values are not shown: they are a
  /// borrower's.
  public func differences(from other: OwnedRecord) -> [String] {
    var names: [String] = []
    if key != other.key { names.append("key") }
    names += Self.headerDifferences(headers, other.headers)
    if value != other.value { names += Self.valueDifferences(value, other.value) }
    return names
  }

  private static func headerDifferences(_ a: [UInt8], _ b: [UInt8]) -> [String] {
    guard a != b else { return [] }
    let left = unsafe a.withUnsafeBufferPointer { unsafe RecordHeaders.all($0) }
    let right = unsafe b.withUnsafeBufferPointer { unsafe RecordHeaders.all($0) }
    guard left.map(\.name) == right.map(\.name) else { return ["headers"] }
    let different = zip(left, right).filter { $0.value != $1.value }.map { "header \($0.0.name)" }
    return different.isEmpty ? ["headers"] : different
  }

  private static func valueDifferences(_ a: [UInt8]?, _ b: [UInt8]?) -> [String] {
    guard let a, let b else { return ["value"] }
    if let left = fields(a), let right = fields(b) {
      let names = Set(left.keys).union(right.keys).sorted().filter { left[$0] != right[$0] }
      if !names.isEmpty { return names }
    } else if let left = numberedFields(a), let right = numberedFields(b) {
      let numbers = Set(left.keys).union(right.keys).sorted().filter { left[$0] != right[$0] }
      if !numbers.isEmpty { return numbers.map { "Protobuf field \($0)" } }
    }
    let equal = zip(a, b).prefix { $0 == $1 }.count
    return ["value, from byte \(equal) on"]
  }

  /// The members of a JSON object, as canonical text; nil where it is none.
  private static func fields(_ value: [UInt8]) -> [String: String]? {
    guard let object = try? JSONSerialization.jsonObject(with: Data(value)) as? [String: Any] else { return nil }
    return object.mapValues { member in
      let data = try? JSONSerialization.data(withJSONObject: [member], options: [.sortedKeys])
      return String(decoding: data ?? Data(), as: UTF8.self)
    }
  }

  /// The bytes of each field of a Protobuf message, by number; nil where it is none.
  private static func numberedFields(_ value: [UInt8]) -> [UInt64: [UInt8]]? {
    var fields: [UInt64: [UInt8]] = [:]
    var position = 0
    func varint() -> UInt64? {
      var result: UInt64 = 0
      for shift in stride(from: UInt64(0), to: 64, by: 7) {
        guard position < value.count else { return nil }
        let byte = value[position]
        position += 1
        result |= UInt64(byte & 0x7F) << shift
        if byte < 0x80 { return result }
      }
      return nil
    }
    while position < value.count {
      let start = position
      guard let tag = varint(), tag >> 3 > 0 else { return nil }
      let size: Int
      switch tag & 7 {
      case 0:
        guard varint() != nil else { return nil }
        size = 0
      case 1: size = 8
      case 2:
        guard let count = varint(), count <= UInt64(value.count) else { return nil }
        size = Int(count)
      case 5: size = 4
      default: return nil
      }
      guard value.count - position >= size else { return nil }
      position += size
      fields[tag >> 3, default: []] += value[start..<position]
    }
    return fields
  }
}

extension ReplayDifference {
  /// One line that names the record and what differs, without personal data. `published` is the record that is there,
  /// `decided` are those that the replay decides for its key, in order.
  public func describe(topicName: String, published: OwnedRecord?, decided: [OwnedRecord]) -> String {
    let hash = String(place, radix: 16)
    let name = "\(topicName)\(partition.map { "[\($0)]" } ?? "")\(offset.map { "@\($0)" } ?? "")"
    let whose = topic == .deadLetters ? "source hash" : "key hash"
    let head = "\(name), \(whose) \(String(repeating: "0", count: 16 - hash.count))\(hash)"
    guard let published else {
      return "\(head): a record that is decided (number \((ordinal ?? 0) + 1) of its key) is missing"
    }
    let candidates = ordinal.map { decided.indices.contains($0) ? [decided[$0]] : [] } ?? []
    let compared = (candidates + decided).map { published.differences(from: $0) }.filter { !$0.isEmpty }
    guard let closest = compared.min(by: { $0.count < $1.count }) else {
      return "\(head): follows from nothing in the log"
    }
    // Another decision of the same key differs in nearly everything.
    guard closest.count <= Self.fieldsMax else { return "\(head): follows from nothing in the log" }
    return "\(head): differs in \(closest.joined(separator: ", "))"
  }

  private static let fieldsMax = 3
}

/// Collects what a replay decides for the key of a difference.
public final class DecidedRecords {
  public private(set) var records: [OwnedRecord] = []
  private let difference: ReplayDifference
  private var marking: RecordMarking

  public init(of difference: ReplayDifference, format: RecordFormat) {
    self.difference = difference
    marking = RecordMarking(format: format)
  }

  public func take(_ outputs: borrowing OutputBatch) {
    for entry in outputs.entries where entry.topic == difference.topic {
      guard marking.mark(entry, outputs).place == difference.place else { continue }
      records.append(
        OwnedRecord(
          key: entry.keyCount < 0 ? nil : unsafe Array(outputs.slice(entry.keyStart, entry.keyCount)),
          value: entry.valueCount < 0 ? nil : unsafe Array(outputs.slice(entry.valueStart, entry.valueCount)),
          headers: marking.publishedHeaders(entry, outputs)))
    }
  }
}
