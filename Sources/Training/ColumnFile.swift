import Foundation

/// What a column's values are, as NumPy spells it.
enum ColumnType: String, Sendable {
  case float32 = "<f4"
  case float64 = "<f8"
  case unsigned16 = "<u2"
  case unsigned64 = "<u8"
  case signed64 = "<i8"
  case boolean = "|b1"
  /// Milliseconds since 1970.
  case time = "<M8[ms]"
  /// Up to 64 bytes, filled up with zeros.
  case identifier = "|S64"

  var size: Int {
    switch self {
    case .boolean: 1
    case .unsigned16: 2
    case .float32: 4
    case .float64, .unsigned64, .signed64, .time: 8
    case .identifier: 64
    }
  }
}

/// One column in NumPy's `.npy` format, version 1.0 (numpy.lib.format): a header of 128 bytes, then the values,
/// little-endian, one after the other.
enum ColumnFile {
  static let headerSize = 128

  static func header(_ type: ColumnType, count: Int) -> [UInt8] {
    let text = "{'descr': '\(type.rawValue)', 'fortran_order': False, 'shape': (\(count),), }"
    let room = headerSize - 10
    let padded = text + String(repeating: " ", count: room - 1 - text.utf8.count) + "\n"
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(room), 0] + Array(padded.utf8)
  }

  /// All values of a file that `ColumnWriter` made, as their bytes.
  static func read(_ path: String, _ type: ColumnType, count: Int) throws(TrainingError) -> [UInt8] {
    guard let file = unsafe fopen(path, "rb") else {
      throw TrainingError(.failed, "\(path): cannot be opened: \(unsafe String(cString: strerror(errno)))")
    }
    defer { unsafe fclose(file) }
    let size = headerSize + count * type.size
    var bytes = [UInt8](repeating: 0, count: size + 1)
    let found = unsafe bytes.withUnsafeMutableBytes { unsafe fread($0.baseAddress, 1, size + 1, file) }
    guard found == size, Array(bytes[0..<headerSize]) == header(type, count: count) else {
      throw TrainingError(
        .failed,
        "\(path): is not the \(count) values of \(type.rawValue) that examples.json says; make the table again")
    }
    bytes.removeLast()
    bytes.removeFirst(headerSize)
    return bytes
  }
}

/// Writes one column, piece by piece.
@safe final class ColumnWriter {
  private let path: String
  private let type: ColumnType
  private let file: UnsafeMutablePointer<FILE>
  private var bytes = 0
  private var isClosed = false

  init(_ path: String, _ type: ColumnType) throws(TrainingError) {
    self.path = path
    self.type = type
    guard let opened = unsafe fopen(path, "wb") else { throw Self.failure(path) }
    unsafe file = opened
    try put(ColumnFile.header(type, count: 0))
    bytes = 0
  }

  deinit { if !isClosed { unsafe fclose(file) } }

  func append<Value: BitwiseCopyable>(_ values: [Value]) throws(TrainingError) {
    guard !values.isEmpty else { return }
    let count = values.count * MemoryLayout<Value>.size
    let written = unsafe values.withUnsafeBytes { unsafe fwrite($0.baseAddress, 1, count, file) }
    guard written == count else { throw Self.failure(path) }
    bytes += count
  }

  /// Writes the number of values into the header.
  func finish() throws(TrainingError) {
    guard unsafe fseek(file, 0, SEEK_SET) == 0 else { throw Self.failure(path) }
    try put(ColumnFile.header(type, count: bytes / type.size))
    isClosed = true
    guard unsafe fclose(file) == 0 else { throw Self.failure(path) }
  }

  private func put(_ header: [UInt8]) throws(TrainingError) {
    guard unsafe fwrite(header, 1, header.count, file) == header.count else { throw Self.failure(path) }
  }

  static func failure(_ path: String) -> TrainingError {
    TrainingError(
      .failed,
      "\(path): cannot be written: \(unsafe String(cString: strerror(errno))); name a folder with room that can be")
  }
}
