import Borrowers

/// The compact form in which events wait to be grouped by borrower: little-endian, only the fields that are present.
/// It never outlives the process, so it has no version.
enum StoredEvent {
  static func append(_ event: borrowing BorrowerEvent, to bytes: inout [UInt8]) {
    bytes.append(event.kind.rawValue)
    append(UInt64(bitPattern: event.occurredAt.milliseconds), to: &bytes)
    let numbers = (
      event.amount, event.minimumDue, event.installments, event.daysPastDue, event.deposits, event.propertyValue,
      event.profile.birthYear, event.profile.monthlyIncome
    )
    var present: UInt16 = 0
    let first = bytes.count
    bytes.append(0)
    bytes.append(0)
    appendNumber(numbers.0, 0, &present, to: &bytes)
    appendNumber(numbers.1, 1, &present, to: &bytes)
    appendNumber(numbers.2, 2, &present, to: &bytes)
    appendNumber(numbers.3, 3, &present, to: &bytes)
    appendNumber(numbers.4, 4, &present, to: &bytes)
    appendNumber(numbers.5, 5, &present, to: &bytes)
    appendNumber(numbers.6, 6, &present, to: &bytes)
    appendNumber(numbers.7, 7, &present, to: &bytes)
    if event.dueAt != .distantPast {
      present |= 1 << 8
      append(UInt64(bitPattern: event.dueAt.milliseconds), to: &bytes)
    }
    if let consent = event.profile.marketingConsent { present |= consent ? 3 << 9 : 1 << 9 }
    bytes[first] = UInt8(truncatingIfNeeded: present)
    bytes[first + 1] = UInt8(truncatingIfNeeded: present >> 8)

    append(varint: UInt64(event.text.count), to: &bytes)
    bytes.append(contentsOf: event.text)
    append(event.eventID, to: &bytes)
    append(event.borrowerID, to: &bytes)
    append(event.platform, to: &bytes)
    append(event.loanID, to: &bytes)
    append(event.detail, to: &bytes)
    guard event.kind == .profileUpdated else { return }
    append(event.profile.region, to: &bytes)
    append(event.profile.householdRegion, to: &bytes)
    append(event.profile.education, to: &bytes)
    append(event.profile.occupation, to: &bytes)
    append(event.profile.maritalStatus, to: &bytes)
    append(event.profile.gender, to: &bytes)
  }

  /// Reads the event that starts at `offset`, which moves behind it. The bytes are our own: damage is a broken
  /// invariant and stops.
  static func read(_ bytes: [UInt8], at offset: inout Int, into event: inout BorrowerEvent) {
    event.kind = EventKind(rawValue: bytes[offset])!
    offset += 1
    event.occurredAt = EventTime(milliseconds: Int64(bitPattern: read64(bytes, &offset)))
    let present = UInt16(bytes[offset]) | UInt16(bytes[offset + 1]) << 8
    offset += 2
    event.amount = readNumber(bytes, &offset, 0, present)
    event.minimumDue = readNumber(bytes, &offset, 1, present)
    event.installments = readNumber(bytes, &offset, 2, present)
    event.daysPastDue = readNumber(bytes, &offset, 3, present)
    event.deposits = readNumber(bytes, &offset, 4, present)
    event.propertyValue = readNumber(bytes, &offset, 5, present)
    event.profile = ProfileUpdate()
    event.profile.birthYear = readNumber(bytes, &offset, 6, present)
    event.profile.monthlyIncome = readNumber(bytes, &offset, 7, present)
    event.dueAt =
      present & (1 << 8) != 0
      ? EventTime(milliseconds: Int64(bitPattern: read64(bytes, &offset))) : .distantPast
    event.profile.marketingConsent = present & (1 << 9) != 0 ? present & (1 << 10) != 0 : nil

    let count = Int(readVarint(bytes, &offset))
    event.text.removeAll(keepingCapacity: true)
    event.text.append(contentsOf: bytes[offset..<offset + count])
    offset += count
    event.eventID = readSlice(bytes, &offset)
    event.borrowerID = readSlice(bytes, &offset)
    event.platform = readSlice(bytes, &offset)
    event.loanID = readSlice(bytes, &offset)
    event.detail = readSlice(bytes, &offset)
    guard event.kind == .profileUpdated else { return }
    event.profile.region = readSlice(bytes, &offset)
    event.profile.householdRegion = readSlice(bytes, &offset)
    event.profile.education = readSlice(bytes, &offset)
    event.profile.occupation = readSlice(bytes, &offset)
    event.profile.maritalStatus = readSlice(bytes, &offset)
    event.profile.gender = readSlice(bytes, &offset)
  }

  private static func append(_ value: UInt64, to bytes: inout [UInt8]) {
    for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  private static func read64(_ bytes: [UInt8], _ offset: inout Int) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<8 { value |= UInt64(bytes[offset + index]) << (8 * UInt64(index)) }
    offset += 8
    return value
  }

  private static func appendNumber(_ number: Double, _ bit: UInt16, _ present: inout UInt16, to bytes: inout [UInt8]) {
    guard !number.isNaN else { return }
    present |= 1 << bit
    append(number.bitPattern, to: &bytes)
  }

  private static func readNumber(_ bytes: [UInt8], _ offset: inout Int, _ bit: UInt16, _ present: UInt16) -> Double {
    present & (1 << bit) != 0 ? Double(bitPattern: read64(bytes, &offset)) : .nan
  }

  static func append(varint value: UInt64, to bytes: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  static func readVarint(_ bytes: [UInt8], _ offset: inout Int) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let byte = bytes[offset]
      offset += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
  }

  /// 0 where absent, else the start + 1 and the count.
  private static func append(_ slice: TextSlice, to bytes: inout [UInt8]) {
    guard slice.isPresent else {
      bytes.append(0)
      return
    }
    append(varint: UInt64(slice.start) + 1, to: &bytes)
    append(varint: UInt64(slice.count), to: &bytes)
  }

  private static func readSlice(_ bytes: [UInt8], _ offset: inout Int) -> TextSlice {
    let start = readVarint(bytes, &offset)
    guard start > 0 else { return .absent }
    return TextSlice(start: UInt32(start - 1), count: UInt32(readVarint(bytes, &offset)))
  }
}
