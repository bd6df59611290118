extension BorrowerEvent {
  /// The bytes of one of this event's strings; none where it is absent.
  @inlinable public func withBytes<Result>(
    of slice: TextSlice, _ body: (UnsafeBufferPointer<UInt8>) -> Result
  ) -> Result {
    unsafe text.withUnsafeBufferPointer { all in
      guard slice.isPresent else { return unsafe body(UnsafeBufferPointer(start: nil, count: 0)) }
      precondition(Int(slice.start) + Int(slice.count) <= all.count)
      return unsafe body(UnsafeBufferPointer(rebasing: all[Int(slice.start)..<Int(slice.start + slice.count)]))
    }
  }

  /// One of this event's strings; nil where it is absent.
  public func string(_ slice: TextSlice) -> String? {
    guard slice.isPresent else { return nil }
    return unsafe withBytes(of: slice) { unsafe String(decoding: $0, as: UTF8.self) }
  }

  /// Adds a string to `text` and returns where it stands.
  public mutating func appendText(_ string: String) -> TextSlice {
    let start = text.count
    text.append(contentsOf: string.utf8)
    return TextSlice(start: UInt32(start), count: UInt32(text.count - start))
  }

  /// Adds UTF-8 to `text` and returns where it stands.
  public mutating func appendText(_ bytes: UnsafeBufferPointer<UInt8>) -> TextSlice {
    let start = text.count
    unsafe text.append(contentsOf: bytes)
    return TextSlice(start: UInt32(start), count: UInt32(text.count - start))
  }

  /// Makes every field that depends on the type missing.
  mutating func removeFields() {
    loanID = .absent
    detail = .absent
    amount = .nan
    minimumDue = .nan
    installments = .nan
    daysPastDue = .nan
    deposits = .nan
    propertyValue = .nan
    dueAt = .distantPast
    profile = ProfileUpdate()
  }
}

extension EventDecoder {
  /// Checks that a record without key lies where Kafka's default partitioner puts its borrower; with a key it may lie
  /// anywhere.
  public static func checkPlacement(
    _ event: borrowing BorrowerEvent, hasKey: Bool, partition: Int, partitionCount: Int
  ) throws(DecodingError) {
    if hasKey { return }
    let right = unsafe event.withBytes(of: event.borrowerID) { unsafe Murmur.partition(of: $0, count: partitionCount) }
    guard right == partition else { throw DecodingError(.misplaced) }
  }
}
