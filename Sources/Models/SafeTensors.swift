import Foundation

/// A named array of single-precision numbers, row-major.
public struct Tensor: Sendable, Equatable {
  public var name: String
  public var shape: [Int]
  public var values: [Float]

  public init(name: String, shape: [Int], values: [Float]) {
    self.name = name
    self.shape = shape
    self.values = values
  }

  public init(name: String, _ values: [Float]) {
    self.init(name: name, shape: [values.count], values: values)
  }
}

/// The safetensors format: eight bytes of header length, a JSON header of names, shapes and offsets, then the numbers,
/// all little-endian. Only `F32` is read and written: everything that serves is single precision.
/// https://huggingface.co/docs/safetensors
public struct SafeTensors: Sendable {
  public private(set) var tensors: [String: Tensor]

  static let headerBytesMax = 1 << 20

  private struct Entry: Codable {
    var dtype: String
    var shape: [Int]
    var dataOffsets: [Int]
    enum CodingKeys: String, CodingKey {
      case dtype, shape
      case dataOffsets = "data_offsets"
    }
  }

  /// `__metadata__` holds strings, every other key a tensor.
  private enum HeaderValue: Decodable {
    case tensor(Entry)
    case metadata
    init(from decoder: any Decoder) throws {
      if let entry = try? Entry(from: decoder) { self = .tensor(entry) } else { self = .metadata }
    }
  }

  /// Reads a file's bytes. Throws when a header is damaged, a tensor is not where it says, numbers are not finite, or
  /// bytes are missing or left over.
  public init(_ bytes: [UInt8], file: String) throws(ModelError) {
    func refuse(_ problem: String) -> ModelError {
      ModelError(file: file, problem: problem + "; copy the file again or train again")
    }
    guard bytes.count >= 8 else { throw refuse("too short for safetensors (\(bytes.count) bytes)") }
    let headerLength = bytes[0..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard headerLength <= UInt64(Self.headerBytesMax), 8 + Int(headerLength) <= bytes.count else {
      throw refuse("the safetensors header is longer than the file or than \(Self.headerBytesMax) bytes")
    }
    let dataStart = 8 + Int(headerLength)
    let header: [String: HeaderValue]
    do {
      header = try JSONDecoder().decode([String: HeaderValue].self, from: Data(bytes[8..<dataStart]))
    } catch {
      throw refuse("the safetensors header is not readable JSON")
    }
    var tensors: [String: Tensor] = [:]
    var used = 0
    for (name, value) in header.sorted(by: { $0.key < $1.key }) where name != "__metadata__" {
      guard case .tensor(let entry) = value else { throw refuse("tensor \(name) has no dtype, shape or data_offsets") }
      guard entry.dtype == "F32" else { throw refuse("tensor \(name) is \(entry.dtype), not F32") }
      let tensor = try Self.read(name, entry.shape, entry.dataOffsets, bytes, dataStart, refuse)
      used += tensor.values.count * 4
      tensors[name] = tensor
    }
    // Tensors inside the data that together are as long as it, and none overlapping, leave no byte unread.
    guard used == bytes.count - dataStart else {
      throw refuse("tensors cover \(used) of \(bytes.count - dataStart) bytes")
    }
    self.tensors = tensors
  }

  private static func read(
    _ name: String, _ shape: [Int], _ offsets: [Int], _ bytes: [UInt8], _ dataStart: Int,
    _ refuse: (String) -> ModelError
  ) throws(ModelError) -> Tensor {
    var count = 1
    for dimension in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      guard dimension >= 0, !overflow else { throw refuse("tensor \(name) has an impossible shape") }
      count = product
    }
    let available = bytes.count - dataStart
    guard offsets.count == 2, offsets[0] >= 0, offsets[0] <= offsets[1], offsets[1] <= available,
      count <= available / 4, offsets[1] - offsets[0] == count * 4
    else { throw refuse("tensor \(name) does not lie in the file as its shape says") }
    let values = unsafe bytes.withUnsafeBytes { raw in
      (0..<count).map { index in
        let pattern = unsafe raw.loadUnaligned(fromByteOffset: dataStart + offsets[0] + index * 4, as: UInt32.self)
        return Float(bitPattern: UInt32(littleEndian: pattern))
      }
    }
    guard values.allSatisfy(\.isFinite) else { throw refuse("tensor \(name) holds a number that is not finite") }
    return Tensor(name: name, shape: shape, values: values)
  }

  /// The values of a tensor that must be there in this shape.
  func values(_ name: String, _ shape: [Int], file: String) throws(ModelError) -> [Float] {
    guard let tensor = tensors[name] else {
      throw ModelError(file: file, problem: "has no tensor \(name) of shape \(shape); train again")
    }
    guard tensor.shape == shape else {
      throw ModelError(
        file: file, problem: "tensor \(name) has shape \(tensor.shape), the manifest wants \(shape); train again")
    }
    return tensor.values
  }

  /// The bytes of a file with these tensors, in their order. The same tensors give the same bytes.
  public static func encode(_ tensors: [Tensor]) -> [UInt8] {
    var header = "{"
    var offset = 0
    for tensor in tensors {
      precondition(tensor.values.count == tensor.shape.reduce(1, *), "a tensor's shape is not that of its values")
      precondition(tensor.name.utf8.allSatisfy { $0 > 31 && $0 < 127 && $0 != 34 && $0 != 92 }, "a plain name")
      let end = offset + tensor.values.count * 4
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      header += header.count > 1 ? "," : ""
      header += "\"\(tensor.name)\":{\"dtype\":\"F32\",\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(end)]}"
      offset = end
    }
    header += "}"
    while header.utf8.count % 8 != 0 { header += " " }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(8 + header.utf8.count + offset)
    func append<Integer: FixedWidthInteger>(_ value: Integer) {
      for shift in 0..<(Integer.bitWidth / 8) { bytes.append(UInt8(truncatingIfNeeded: value >> (shift * 8))) }
    }
    append(UInt64(header.utf8.count))
    bytes.append(contentsOf: header.utf8)
    for tensor in tensors { for value in tensor.values { append(value.bitPattern) } }
    return bytes
  }
}
