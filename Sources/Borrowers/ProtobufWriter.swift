extension ByteBuffer {
  mutating func append(varint value: UInt64) {
    var rest = value
    let start = unsafe reserve(10)
    var written = 0
    while rest >= 0x80 {
      unsafe start[written] = UInt8(truncatingIfNeeded: rest) | 0x80
      rest >>= 7
      written += 1
    }
    unsafe start[written] = UInt8(truncatingIfNeeded: rest)
    advance(written + 1)
  }

  mutating func append(field number: UInt64, integer value: Int64) {
    append(varint: number << 3)
    append(varint: UInt64(bitPattern: value))
  }

  /// Nothing for `.distantPast`.
  mutating func append(field number: UInt64, time: EventTime) {
    if time != .distantPast { append(field: number, integer: time.milliseconds) }
  }

  /// Nothing for a NaN, which stands for a missing number.
  mutating func append(field number: UInt64, double value: Double) {
    if value.isNaN { return }
    append(varint: number << 3 | 1)
    append(littleEndian: value.bitPattern)
  }

  mutating func append(field number: UInt64, string bytes: UnsafeBufferPointer<UInt8>) {
    append(varint: number << 3 | 2)
    append(varint: UInt64(bytes.count))
    unsafe append(bytes)
  }

  mutating func append(field number: UInt64, string bytes: [UInt8]) {
    unsafe bytes.withUnsafeBufferPointer { unsafe append(field: number, string: $0) }
  }

  mutating func append(field number: UInt64, string: String) {
    var string = string
    string.withUTF8 { unsafe append(field: number, string: $0) }
  }

  mutating func append(field number: UInt64, string: StaticString) {
    unsafe append(
      field: number, string: UnsafeBufferPointer(start: string.utf8Start, count: string.utf8CodeUnitCount))
  }

  /// Nothing for an empty string, which stands for one that is not configured.
  mutating func append(field number: UInt64, optional bytes: [UInt8]) {
    if !bytes.isEmpty { append(field: number, string: bytes) }
  }

  /// A message that `body` writes.
  mutating func append(field number: UInt64, message body: (inout ByteBuffer) -> Void) {
    append(varint: number << 3 | 2)
    let start = count
    body(&self)
    let length = count - start
    // The length comes before what it counts: the message moves on by the length's own bytes.
    var prefix = 1
    while length >> (7 * prefix) > 0 { prefix += 1 }
    _ = unsafe reserve(prefix)
    shift(from: start, by: prefix)
    truncate(to: start)
    append(varint: UInt64(length))
    advance(length)
  }

  private mutating func shift(from start: Int, by distance: Int) {
    let length = count - start
    let end = unsafe reserve(distance)
    let first = unsafe end - length
    unsafe (first + distance).update(from: first, count: length)
  }
}
