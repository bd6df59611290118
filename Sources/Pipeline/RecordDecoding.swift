import Borrowers
import Models
import Scoring

/// Decodes records into one reused event, and turns those that cannot be read into dead letters.
public struct RecordDecoding: ~Copyable {
  public var event = BorrowerEvent()
  private var decoder = EventDecoder()
  private let inputTopic: [UInt8]
  private let partitions: Int
  /// The largest record that the dead-letter topic takes, in bytes.
  private let deadLetterBytesMax: Int
  private let sha256: @Sendable ([UInt8]) -> String

  /// Room for the headers and the record's own frame beside key and value.
  private static let frameBytes = 1_024

  /// `sha256` gives the hexadecimal digest of a value that is too large for the dead-letter topic.
  public init(
    inputTopic: String, partitions: Int, deadLetterBytesMax: Int,
    sha256: @escaping @Sendable ([UInt8]) -> String = { SHA256.hex(of: $0) }
  ) {
    self.inputTopic = Array(inputTopic.utf8)
    self.partitions = partitions
    self.deadLetterBytesMax = deadLetterBytesMax
    self.sha256 = sha256
  }

  /// Fills `event`, or returns why the record cannot be taken.
  public mutating func decode(_ record: LogRecord) -> DecodingError? {
    do throws(DecodingError) {
      unsafe try decoder.decode(
        record.value, key: record.key, contentType: record.contentType, recordTimestamp: record.timestamp,
        into: &event)
      try EventDecoder.checkPlacement(
        event, hasKey: unsafe record.key != nil, partition: Int(record.partition), partitionCount: partitions)
      return nil
    } catch {
      return error
    }
  }

  // MARK: Dead letters

  /// Appends the record as it came, with the reason and where it was in headers. Too large a value is left out, with its
  /// digest in a header.
  public func appendDeadLetter(_ record: LogRecord, _ failure: DecodingError, _ outputs: inout OutputBatch) {
    let keyCount = unsafe record.key?.count ?? -1
    var valueCount = unsafe record.value?.count ?? -1
    let isTooLarge = max(0, keyCount) + max(0, valueCount) + Self.frameBytes > deadLetterBytesMax
    var entry = OutputBatch.Entry(
      topic: .deadLetters, partition: -1, keyStart: Int32(outputs.bytes.count), keyCount: Int32(keyCount),
      valueStart: 0, valueCount: 0, headersStart: 0, headersCount: 0)
    if let key = unsafe record.key { unsafe outputs.bytes.append(key) }
    entry.valueStart = Int32(outputs.bytes.count)
    if isTooLarge { valueCount = -1 } else if let value = unsafe record.value { unsafe outputs.bytes.append(value) }
    entry.valueCount = Int32(valueCount)
    entry.headersStart = Int32(outputs.bytes.count)
    if let contentType = unsafe record.contentType {
      appendHeader("content-type", unsafe Array(contentType), &outputs.bytes)
    }
    if let traceparent = unsafe record.traceparent {
      appendHeader("traceparent", unsafe Array(traceparent), &outputs.bytes)
    }
    appendHeader("lendpulse.error.code", failure.code.name.utf8Bytes, &outputs.bytes)
    appendHeader("lendpulse.error.message", Array(failure.message.utf8), &outputs.bytes)
    appendHeader("lendpulse.source.topic", inputTopic, &outputs.bytes)
    appendHeader("lendpulse.source.partition", Array("\(record.partition)".utf8), &outputs.bytes)
    appendHeader("lendpulse.source.offset", Array("\(record.offset)".utf8), &outputs.bytes)
    appendHeader("lendpulse.source.timestamp", Array("\(record.timestamp.milliseconds)".utf8), &outputs.bytes)
    if isTooLarge, let value = unsafe record.value {
      appendHeader("lendpulse.value.sha256", Array(sha256(unsafe Array(value)).utf8), &outputs.bytes)
    }
    entry.headersCount = Int32(outputs.bytes.count) - entry.headersStart
    outputs.entries.append(entry)
  }

  private func appendHeader(_ name: StaticString, _ value: [UInt8], _ bytes: inout ByteBuffer) {
    bytes.append(littleEndian: UInt16(name.utf8CodeUnitCount))
    bytes.append(name)
    bytes.append(littleEndian: UInt32(value.count))
    bytes.append(value)
  }
}

extension StaticString {
  var utf8Bytes: [UInt8] { unsafe Array(UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount)) }
}

extension DecodingError {
  /// One sentence for `lendpulse.error.message`; it holds no part of the record.
  public var message: String {
    let problem =
      switch code {
      case .emptyValue: "the record has no value"
      case .tooLarge: "the record is larger than 1 MiB"
      case .tooDeep: "the value is nested deeper than 64"
      case .invalidJSON: "the value is not valid JSON"
      case .invalidUTF8: "a string is not valid UTF-8"
      case .invalidProtobuf: "the value is not a valid Protobuf message"
      case .unsupportedContentType: "the content-type is neither application/json nor application/x-protobuf"
      case .missingField: "a required field is missing"
      case .wrongType: "a field has the wrong type"
      case .outOfRange: "a number or a length is out of range"
      case .unknownType: "the type is not known"
      case .invalidTime: "a time is neither RFC 3339 with a zone nor milliseconds"
      case .timeOutOfRange: "a time is before 1990, from 2100 on, or too far ahead of its record"
      case .keyMismatch: "the key is not the borrower_id"
      case .misplaced: "the record has no key and lies in a partition that its borrower_id does not belong to"
      }
    let name = field.description
    return name.isEmpty ? problem : "\(name): \(problem)"
  }
}
