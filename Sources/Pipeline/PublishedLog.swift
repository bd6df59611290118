import Borrowers
import Scoring

/// One published record as it stands in its topic, borrowed: its bytes are valid within the call that gives it.
@safe public struct PublishedRecord {
  public var partition: Int32
  public var offset: Int64
  public var key: UnsafeBufferPointer<UInt8>?
  /// Nil: a tombstone.
  public var value: UnsafeBufferPointer<UInt8>?
  /// All headers in their order: repeated [u16 name length, name, u32 value length, value], little-endian.
  public var headers: UnsafeBufferPointer<UInt8>

  public init(
    partition: Int32, offset: Int64, key: UnsafeBufferPointer<UInt8>?, value: UnsafeBufferPointer<UInt8>?,
    headers: UnsafeBufferPointer<UInt8>
  ) {
    self.partition = partition
    self.offset = offset
    unsafe self.key = key
    unsafe self.value = value
    unsafe self.headers = headers
  }
}

/// Reads what was published: used by one thread.
public protocol PublishedReader: AnyObject {
  /// Partitions of an output's topic; 0 where it is not there.
  func partitions(of topic: OutputTopic) throws(BrokerError) -> Int
  /// First offset that is there, and the offset behind the last.
  func bounds(of topic: OutputTopic, _ partition: Int32) throws(BrokerError) -> Range<Int64>
  /// Reads what is committed of `range`, in order; waits for open transactions in it to end.
  func read(
    _ topic: OutputTopic, _ partition: Int32, _ range: Range<Int64>, while isWanted: () -> Bool,
    _ body: (PublishedRecord) throws -> Void
  ) throws
}

extension OutputTopic {
  /// The `schema` header of its values; nil where they have none.
  public var schema: StaticString? {
    switch self {
    case .scores: "lendpulse.score.v1"
    case .alerts: "lendpulse.alert.v1"
    case .leads: "lendpulse.lead.v1"
    case .repaymentForecasts: "lendpulse.repayment-forecast.v1"
    case .deadLetters, .state, .journal, .platformDaily: nil
    }
  }
}

/// What identifies a record for the comparison: where it belongs, and a digest of all of it.
struct RecordMark: Equatable {
  /// Of the key; of a dead letter, which may have none, of the input record that it was.
  var place: UInt64
  var digest: Murmur.Hash128

  static func == (a: RecordMark, b: RecordMark) -> Bool {
    a.place == b.place && a.digest.high == b.digest.high && a.digest.low == b.digest.low
  }
}

/// Makes marks of published records and of decided ones, in the same way.
struct RecordMarking: ~Copyable {
  private var bytes = ByteBuffer(capacity: 1 << 12)
  private var headers = ByteBuffer(capacity: 512)
  private let format: RecordFormat

  init(format: RecordFormat) { self.format = format }

  mutating func mark(_ topic: OutputTopic, _ record: PublishedRecord) -> RecordMark {
    unsafe mark(topic, key: record.key, value: record.value, headers: record.headers)
  }

  /// A record of a batch, with the headers that it is published with.
  mutating func mark(_ entry: OutputBatch.Entry, _ batch: borrowing OutputBatch) -> RecordMark {
    fillHeaders(entry, batch)
    let key = unsafe entry.keyCount < 0 ? nil : batch.slice(entry.keyStart, entry.keyCount)
    let value = unsafe entry.valueCount < 0 ? nil : batch.slice(entry.valueStart, entry.valueCount)
    return unsafe mark(entry.topic, key: key, value: value, headers: headers.bytes)
  }

  /// The headers of a record of a batch as it is published.
  mutating func publishedHeaders(_ entry: OutputBatch.Entry, _ batch: borrowing OutputBatch) -> [UInt8] {
    fillHeaders(entry, batch)
    return unsafe Array(headers.bytes)
  }

  private mutating func fillHeaders(_ entry: OutputBatch.Entry, _ batch: borrowing OutputBatch) {
    headers.removeAll()
    if let schema = entry.topic.schema, entry.valueCount >= 0 {
      headers.appendHeader("content-type", format.contentType)
      headers.appendHeader("schema", schema)
    }
    unsafe headers.append(batch.slice(entry.headersStart, entry.headersCount))
  }

  private mutating func mark(
    _ topic: OutputTopic, key: UnsafeBufferPointer<UInt8>?, value: UnsafeBufferPointer<UInt8>?,
    headers: UnsafeBufferPointer<UInt8>
  ) -> RecordMark {
    let place =
      topic == .deadLetters
      ? unsafe RecordHeaders.sourceHash(headers)
      : unsafe Murmur.hash64(key ?? UnsafeBufferPointer(start: nil, count: 0))
    bytes.removeAll()
    unsafe append(key)
    unsafe append(value)
    unsafe append(headers)
    return RecordMark(place: place, digest: unsafe Murmur.hash128(bytes.bytes))
  }

  /// Behind its length, so that none of it can pass for another part.
  private mutating func append(_ part: UnsafeBufferPointer<UInt8>?) {
    bytes.append(littleEndian: Int64(unsafe part?.count ?? -1))
    if let part = unsafe part { unsafe bytes.append(part) }
  }
}

/// Headers in their wire form: repeated [u16 name length, name, u32 value length, value], little-endian.
enum RecordHeaders {
  /// Damaged bytes end the list.
  static func all(_ bytes: UnsafeBufferPointer<UInt8>) -> [(name: String, value: [UInt8])] {
    var headers: [(name: String, value: [UInt8])] = []
    var position = 0
    func count(_ width: Int) -> Int? {
      guard bytes.count - position >= width else { return nil }
      defer { position += width }
      return (0..<width).reduce(0) { unsafe $0 | Int(bytes[position + $1]) << (8 * $1) }
    }
    while let nameCount = count(2), bytes.count - position >= nameCount {
      let name = unsafe String(decoding: bytes[position..<position + nameCount], as: UTF8.self)
      position += nameCount
      guard let valueCount = count(4), bytes.count - position >= valueCount else { break }
      unsafe headers.append((name, Array(bytes[position..<position + valueCount])))
      position += valueCount
    }
    return headers
  }

  /// Of the input record that a dead letter was.
  static func sourceHash(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
    var source: [UInt8] = []
    for (name, value) in unsafe all(bytes)
    where name == "lendpulse.source.partition" || name == "lendpulse.source.offset" {
      source += value + [0]
    }
    return Murmur.hash64(source)
  }
}

extension ByteBuffer {
  mutating func appendHeader(_ name: StaticString, _ value: StaticString) {
    append(littleEndian: UInt16(name.utf8CodeUnitCount))
    append(name)
    append(littleEndian: UInt32(value.utf8CodeUnitCount))
    append(value)
  }
}

extension OutputBatch {
  /// Bytes of an entry, valid until the next mutation.
  func slice(_ start: Int32, _ count: Int32) -> UnsafeBufferPointer<UInt8> {
    unsafe UnsafeBufferPointer(rebasing: bytes.bytes[Int(start)..<Int(start + max(count, 0))])
  }
}
