/// One point of an industry series, such as the industry's repayment rate of a day.
public struct IndustryIndicator: Equatable, Sendable {
  /// 1...64 bytes.
  public var series: [UInt8] = []
  /// 00:00 UTC of the day. 1990 <= date < 2100.
  public var date = EventTime.distantPast
  /// Of a magnitude of at most 1e15.
  public var value = Double.nan

  public init() {}

  public init(series: String, date: EventTime, value: Double) {
    self.series = Array(series.utf8)
    self.date = date
    self.value = value
  }

  /// Appends the indicator as a record's value.
  public func encode(_ format: RecordFormat, into buffer: inout ByteBuffer) {
    switch format {
    case .json:
      buffer.append("{\"series\":")
      unsafe series.withUnsafeBufferPointer { unsafe buffer.append(jsonString: $0) }
      buffer.append(",\"date\":\"")
      buffer.write(room: 10) { $0.put(date: Int(date.milliseconds / EventTime.millisecondsPerDay)) }
      buffer.append("\",\"value\":")
      buffer.append(number: value)
      buffer.append("}")
    case .protobuf:
      buffer.append(field: 1, string: series)
      buffer.append(field: 2, string: date.dateText)
      buffer.append(field: 3, double: value)
    }
  }
}

/// Decodes industry indicators; the rules of `EventDecoder` hold.
public struct IndustryIndicatorDecoder: ~Copyable {
  private enum Field: Int {
    case series, date, value
  }

  private enum Layout: ProtobufLayout {
    static func field(_ number: UInt32) -> (index: Int, type: ProtobufFieldType)? {
      switch number {
      case 1: (Field.series.rawValue, .string)
      case 2: (Field.date.rawValue, .string)
      case 3: (Field.value.rawValue, .double)
      default: nil
      }
    }
    static func nestedField(_ number: UInt32) -> (index: Int, type: ProtobufFieldType)? { nil }
  }

  private static let names = FieldNames(table: NameTable(["series", "date", "value"]), nestedTable: NameTable([]))

  private var scanner = JSONScanner()
  private var reader = FieldReader()

  public init() {}

  /// Decodes a record into `indicator`; after an error its content is not specified.
  ///
  /// - Parameters:
  ///   - value: nil is a tombstone.
  ///   - contentType: the header's value, nil where the record has none: then the value is JSON.
  /// - Throws: what the record's dead letter says.
  public mutating func decode(
    _ value: UnsafeBufferPointer<UInt8>?, contentType: UnsafeBufferPointer<UInt8>?,
    into indicator: inout IndustryIndicator
  ) throws(DecodingError) {
    let format = unsafe try RecordFormat(contentType: contentType)
    guard let value = unsafe value, value.count > 0 else { throw DecodingError(.emptyValue) }
    guard value.count <= EventDecoder.valueBytesMax else { throw DecodingError(.tooLarge) }
    let bytes = unsafe InputBytes(value)
    do throws(DeadLetterCode) {
      switch format {
      case .json: try scanner.scan(bytes, Self.names, into: &reader.values)
      case .protobuf: try ProtobufReader.scan(bytes, Layout.self, into: &reader.values)
      }
    } catch {
      throw DecodingError(error)
    }
    reader.text.removeAll()
    let series = try reader.identifier(bytes, Field.series.rawValue, "series")
    let date = try reader.requiredString(bytes, Field.date.rawValue, "date")
    let text = unsafe reader.text.bytes
    indicator.series.removeAll(keepingCapacity: true)
    unsafe indicator.series.append(contentsOf: text[..<Int(series.count)])
    guard
      let time = unsafe EventTime(
        date: UnsafeBufferPointer(rebasing: text[Int(date.start)..<Int(date.start + date.count)]))
    else { throw DecodingError(.invalidTime, field: "date") }
    guard time >= .earliest && time < .end else { throw DecodingError(.timeOutOfRange, field: "date") }
    indicator.date = time
    indicator.value = try reader.requiredNumber(Field.value.rawValue, "value", from: -FieldReader.magnitudeMax)
  }
}
