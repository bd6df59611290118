import Borrowers

/// What decided besides the input, in the order it was taken; written to the partition's journal in the transaction that
/// publishes its effects, with the input offset it precedes.
public enum JournalEntry: Equatable, Sendable {
  /// The wall clock moved an idle partition's watermark on.
  case idleAdvance(watermark: EventTime)
  /// Settings in force from here: of the file at the start (`controlID` begins with `file:`), or a control record.
  case settings(DecisionSettings, controlID: String)
  /// The models in force from here.
  case models(version: String, digest: String)
  /// Forecast times are UTC multiples of so many hours from here.
  case forecastInterval(hours: Int)
  /// A control record, by its offset in the control topic; `id` is what `triggering_event_id` says of what it decides.
  /// Every control record before the offset was taken, or does not concern the partition.
  case control(offset: Int64, id: String, ControlChange)

  /// The models that are in force from it on; nil where they stay.
  public var models: (version: String, digest: String)? {
    switch self {
    case .models(let version, let digest), .control(_, _, .models(let version, let digest)): (version, digest)
    default: nil
    }
  }

  /// Of the bytes: version (1), kind (1), and by kind the watermark in milliseconds (8), or texts, each behind its length
  /// in four bytes, or hours (4); of a control record its offset (8), its id and the change (`ControlChange`).
  /// Little-endian.
  static let version: UInt8 = 1

  public func encode(into buffer: inout ByteBuffer) {
    buffer.append(Self.version)
    switch self {
    case .idleAdvance(let watermark):
      buffer.append(1)
      buffer.append(littleEndian: watermark.milliseconds)
    case .settings(let settings, let controlID):
      buffer.append(2)
      Self.append(controlID, to: &buffer)
      Self.append(settings.json, to: &buffer)
    case .models(let version, let digest):
      buffer.append(3)
      Self.append(version, to: &buffer)
      Self.append(digest, to: &buffer)
    case .forecastInterval(let hours):
      buffer.append(4)
      buffer.append(littleEndian: UInt32(hours))
    case .control(let offset, let id, let change):
      buffer.append(5)
      buffer.append(littleEndian: offset)
      Self.append(id, to: &buffer)
      change.encode(into: &buffer)
    }
  }

  /// Nil when the bytes are damaged or of a newer version.
  public static func decode(_ bytes: UnsafeBufferPointer<UInt8>) -> JournalEntry? {
    var reader = unsafe PartitionReader(bytes)
    guard reader.byte() == version else { return nil }
    let entry: JournalEntry
    switch reader.byte() {
    case 1: entry = .idleAdvance(watermark: EventTime(milliseconds: reader.integer(Int64.self)))
    case 2:
      let controlID = reader.text()
      guard let settings = try? DecisionSettings(json: reader.text()) else { return nil }
      entry = .settings(settings, controlID: controlID)
    case 3:
      let version = reader.text()
      entry = .models(version: version, digest: reader.text())
    case 4: entry = .forecastInterval(hours: Int(reader.integer(UInt32.self)))
    case 5:
      let offset = reader.integer(Int64.self)
      let id = reader.text()
      guard offset >= 0, offset < .max, let change = ControlChange(&reader) else { return nil }
      entry = .control(offset: offset, id: id, change)
    default: return nil
    }
    return reader.isWhole ? entry : nil
  }

  static func append(_ text: String, to buffer: inout ByteBuffer) { append(Array(text.utf8), to: &buffer) }

  static func append(_ bytes: [UInt8], to buffer: inout ByteBuffer) {
    buffer.append(littleEndian: UInt32(bytes.count))
    buffer.append(bytes)
  }
}

/// Reads journal entries and partition records: seldom, so by plain arrays.
struct PartitionReader {
  private let bytes: [UInt8]
  private var position = 0
  private(set) var isDamaged = false

  init(_ bytes: UnsafeBufferPointer<UInt8>) { unsafe self.bytes = Array(bytes) }

  /// All was read, and nothing was missing.
  var isWhole: Bool { !isDamaged && position == bytes.count }

  mutating func byte() -> UInt8 { integer(UInt8.self) }

  mutating func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) -> Integer {
    let size = MemoryLayout<Integer>.size
    guard bytes.count - position >= size else {
      isDamaged = true
      return 0
    }
    var value: Integer = 0
    for index in 0..<size { value |= Integer(truncatingIfNeeded: bytes[position + index]) << Integer(8 * index) }
    position += size
    return value
  }

  mutating func text() -> String { String(decoding: run(), as: UTF8.self) }

  /// Bytes behind their length in four.
  mutating func run() -> [UInt8] {
    let count = Int(integer(UInt32.self))
    guard count <= bytes.count - position else {
      isDamaged = true
      return []
    }
    defer { position += count }
    return Array(bytes[position..<position + count])
  }
}
