import Borrowers

/// What must hold of every input, whatever its bytes.
public enum DecoderProperty {
  /// Decodes `value` as an event and as an indicator. What is taken is written in both formats and must be read back as
  /// it was; what is refused must name its code. Stops the process where that is not so.
  public static func check(_ value: UnsafeBufferPointer<UInt8>, _ format: RecordFormat) {
    unsafe checkEvent(value, format)
    unsafe checkIndicator(value, format)
  }

  private static func decode(
    _ value: UnsafeBufferPointer<UInt8>, _ format: RecordFormat
  ) throws(DecodingError) -> BorrowerEvent {
    var decoder = EventDecoder()
    var event = BorrowerEvent()
    let type = unsafe UnsafeBufferPointer(
      start: format.contentType.utf8Start, count: format.contentType.utf8CodeUnitCount)
    unsafe try decoder.decode(
      value, key: nil, contentType: type, recordTimestamp: .distantFuture, into: &event)
    return event
  }

  private static func checkEvent(_ value: UnsafeBufferPointer<UInt8>, _ format: RecordFormat) {
    guard let event = unsafe try? decode(value, format) else { return }
    precondition(event.eventID.count >= 1 && event.eventID.count <= 64)
    precondition(event.borrowerID.count >= 1 && event.borrowerID.count <= 64)
    precondition(event.occurredAt >= .earliest && event.occurredAt < .end)
    for format in [RecordFormat.json, .protobuf] {
      var buffer = ByteBuffer()
      event.encode(format, into: &buffer)
      // Escapes may make a value of almost a mebibyte longer than the limit.
      guard buffer.count <= EventDecoder.valueBytesMax else { continue }
      guard let read = unsafe try? decode(buffer.bytes, format) else {
        preconditionFailure("what was taken is refused when written again")
      }
      precondition(isSame(event, read), "what was taken is another event when written again")
    }
  }

  private static func checkIndicator(_ value: UnsafeBufferPointer<UInt8>, _ format: RecordFormat) {
    var decoder = IndustryIndicatorDecoder()
    var indicator = IndustryIndicator()
    let type = unsafe UnsafeBufferPointer(
      start: format.contentType.utf8Start, count: format.contentType.utf8CodeUnitCount)
    guard unsafe (try? decoder.decode(value, contentType: type, into: &indicator)) != nil else { return }
    var buffer = ByteBuffer()
    indicator.encode(.json, into: &buffer)
    var read = IndustryIndicator()
    guard unsafe (try? decoder.decode(buffer.bytes, contentType: nil, into: &read)) != nil, read == indicator else {
      preconditionFailure("what was taken is another indicator when written again")
    }
  }

  private static func isSame(_ a: BorrowerEvent, _ b: BorrowerEvent) -> Bool {
    func strings(_ event: BorrowerEvent) -> [String?] {
      let profile = event.profile
      let slices = [
        event.eventID, event.borrowerID, event.platform, event.loanID, event.detail, profile.region,
        profile.householdRegion, profile.education, profile.occupation, profile.maritalStatus, profile.gender,
      ]
      return slices.map { event.string($0) }
    }
    func numbers(_ event: BorrowerEvent) -> [UInt64] {
      [
        event.amount, event.minimumDue, event.installments, event.daysPastDue, event.deposits, event.propertyValue,
        event.profile.birthYear, event.profile.monthlyIncome,
      ].map(\.bitPattern)
    }
    return a.kind == b.kind && a.occurredAt == b.occurredAt && a.dueAt == b.dueAt && strings(a) == strings(b)
      && numbers(a) == numbers(b) && a.profile.marketingConsent == b.profile.marketingConsent
  }
}
