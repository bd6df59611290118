import Borrowers

// How the bytes of an entry lie in a batch: key, headers, value, one after the other.
extension OutputBatch {
  /// Appends a tombstone.
  mutating func appendTombstone(
    _ topic: OutputTopic, partition: Int32 = -1, key: UnsafeBufferPointer<UInt8>,
    traceparent: UnsafeBufferPointer<UInt8> = unsafe UnsafeBufferPointer(start: nil, count: 0)
  ) {
    unsafe begin(topic, partition: partition, key: key, traceparent: traceparent)
    entries[entries.count - 1].valueCount = -1
  }

  /// Begins a record; its value is what is appended to `bytes` until `end`.
  @inline(__always) mutating func begin(
    _ topic: OutputTopic, partition: Int32 = -1, key: UnsafeBufferPointer<UInt8>,
    traceparent: UnsafeBufferPointer<UInt8> = unsafe UnsafeBufferPointer(start: nil, count: 0)
  ) {
    let keyStart = bytes.count
    unsafe bytes.append(key)
    let headersStart = bytes.count
    if traceparent.count > 0 { unsafe appendHeader("traceparent", traceparent) }
    let valueStart = bytes.count
    entries.append(
      Entry(
        topic: topic, partition: partition, keyStart: Int32(keyStart), keyCount: Int32(key.count),
        valueStart: Int32(valueStart), valueCount: 0, headersStart: Int32(headersStart),
        headersCount: Int32(valueStart - headersStart)))
  }

  @inline(__always) mutating func end() {
    entries[entries.count - 1].valueCount = Int32(bytes.count) - entries[entries.count - 1].valueStart
  }

  private mutating func appendHeader(_ name: StaticString, _ value: UnsafeBufferPointer<UInt8>) {
    bytes.append(littleEndian: UInt16(name.utf8CodeUnitCount))
    bytes.append(name)
    bytes.append(littleEndian: UInt32(value.count))
    unsafe bytes.append(value)
  }
}
