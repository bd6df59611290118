import Borrowers

/// A record's kafka timestamp in these tests: 2026-10-11T12:13:20Z.
let recordTimestamp = EventTime(milliseconds: 1_791_720_800_000)

/// Decodes as the pipeline does; from arrays, for tests.
func decode(
  _ value: [UInt8]?, key: [UInt8]? = nil, contentType: String? = nil, at timestamp: EventTime = recordTimestamp
) throws(DecodingError) -> BorrowerEvent {
  var decoder = EventDecoder()
  return try decode(value, key: key, contentType: contentType, at: timestamp, with: &decoder)
}

func decode(
  _ value: [UInt8]?, key: [UInt8]? = nil, contentType: String? = nil, at timestamp: EventTime = recordTimestamp,
  with decoder: inout EventDecoder
) throws(DecodingError) -> BorrowerEvent {
  var event = BorrowerEvent()
  let valueBytes = ExactBytes(value)
  let keyBytes = ExactBytes(key)
  let typeBytes = ExactBytes(contentType.map { Array($0.utf8) })
  unsafe try decoder.decode(
    valueBytes.buffer, key: keyBytes.buffer, contentType: typeBytes.buffer, recordTimestamp: timestamp, into: &event)
  return event
}

func decode(_ text: String, key: String? = nil) throws(DecodingError) -> BorrowerEvent {
  try decode(Array(text.utf8), key: key.map { Array($0.utf8) })
}

/// The error of decoding; nil where it was taken.
func failure(_ body: () throws -> BorrowerEvent) -> DecodingError? {
  do {
    _ = try body()
    return nil
  } catch { return error as? DecodingError }
}

/// A copy of bytes on the heap that is not a byte longer, so that the address sanitizer sees a read past its end.
@safe final class ExactBytes {
  private let copy: UnsafeMutableBufferPointer<UInt8>?

  init(_ bytes: [UInt8]?) {
    guard let bytes else {
      unsafe copy = nil
      return
    }
    let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count)
    _ = unsafe buffer.initialize(from: bytes)
    unsafe copy = buffer
  }

  deinit { unsafe copy?.deallocate() }

  var buffer: UnsafeBufferPointer<UInt8>? { unsafe copy.map { UnsafeBufferPointer($0) } }
}
