extension BorrowerEvent {
  /// Appends the event as a record's value. Only the fields of its type are written; numbers that are NaN, times that are
  /// `.distantPast` and strings that are absent are left out.
  public func encode(_ format: RecordFormat, into buffer: inout ByteBuffer) {
    switch format {
    case .json:
      buffer.append("{\"event_id\":")
      append(eventID, to: &buffer)
      buffer.append(",\"borrower_id\":")
      append(borrowerID, to: &buffer)
      buffer.append(",\"type\":\"")
      buffer.append(kind.name)
      buffer.append("\",\"occurred_at\":\"")
      buffer.append(time: occurredAt)
      buffer.append("\"")
      encodeFields(JSONFields.self, into: &buffer)
      JSONFields.put(.platform, self, platform, into: &buffer)
      buffer.append("}")
    case .protobuf:
      ProtobufFields.put(.eventID, self, eventID, into: &buffer)
      ProtobufFields.put(.borrowerID, self, borrowerID, into: &buffer)
      buffer.append(field: EventField.type.protobufNumber, integer: Int64(kind.rawValue))
      buffer.append(field: EventField.occurredAt.protobufNumber, integer: occurredAt.milliseconds)
      encodeFields(ProtobufFields.self, into: &buffer)
      ProtobufFields.put(.platform, self, platform, into: &buffer)
    }
  }

  fileprivate func append(_ slice: TextSlice, to buffer: inout ByteBuffer) {
    unsafe withBytes(of: slice) { unsafe buffer.append(jsonString: $0) }
  }

  private func encodeFields<Format: EventFieldFormat>(_: Format.Type, into buffer: inout ByteBuffer) {
    func number(_ field: EventField, _ value: Double) {
      if !value.isNaN { Format.put(field, value, into: &buffer) }
    }
    func string(_ field: EventField, _ slice: TextSlice) { Format.put(field, self, slice, into: &buffer) }
    func time(_ field: EventField, _ time: EventTime) {
      if time != .distantPast { Format.put(field, time, into: &buffer) }
    }
    switch kind {
    case .profileUpdated: Format.putProfile(self, into: &buffer)
    case .creditScoreUpdated:
      number(.score, amount)
      string(.bureau, detail)
    case .assetsUpdated:
      number(.deposits, deposits)
      number(.propertyValue, propertyValue)
    case .limitChanged: number(.creditLimit, amount)
    case .loanApplied:
      number(.amount, amount)
      string(.product, detail)
    case .drawdown:
      number(.amount, amount)
      string(.loanID, loanID)
      number(.installments, installments)
      string(.product, detail)
    case .installmentDue:
      number(.amount, amount)
      string(.loanID, loanID)
      time(.dueAt, dueAt)
    case .statementIssued:
      number(.balance, amount)
      number(.minimumDue, minimumDue)
      time(.dueAt, dueAt)
    case .repayment:
      number(.amount, amount)
      string(.loanID, loanID)
    case .paymentMissed:
      number(.daysPastDue, daysPastDue)
      string(.loanID, loanID)
      number(.amount, amount)
    case .purchase:
      number(.amount, amount)
      string(.category, detail)
    case .pageView: string(.page, detail)
    case .search: string(.topic, detail)
    case .sessionStarted: string(.channel, detail)
    case .wealthTransaction, .bankTransaction: number(.amount, amount)
    case .borrowerErased: break
    }
  }

  /// Calls `number`, `string` and `bool` for the fields of the profile that are present, in the schema's order.
  fileprivate func forEachProfileField(
    number: (EventField, Double) -> Void, string: (EventField, TextSlice) -> Void, bool: (EventField, Bool) -> Void
  ) {
    if !profile.birthYear.isNaN { number(.birthYear, profile.birthYear) }
    let strings: [(EventField, TextSlice)] = [
      (.region, profile.region), (.householdRegion, profile.householdRegion), (.education, profile.education),
      (.occupation, profile.occupation), (.maritalStatus, profile.maritalStatus), (.gender, profile.gender),
    ]
    for (field, slice) in strings where slice.isPresent { string(field, slice) }
    if !profile.monthlyIncome.isNaN { number(.monthlyIncome, profile.monthlyIncome) }
    if let consent = profile.marketingConsent { bool(.marketingConsent, consent) }
  }
}

/// How one field of an event is written.
private protocol EventFieldFormat {
  static func put(_ field: EventField, _ value: Double, into buffer: inout ByteBuffer)
  static func put(_ field: EventField, _ time: EventTime, into buffer: inout ByteBuffer)
  /// Nothing where the string is absent.
  static func put(_ field: EventField, _ event: BorrowerEvent, _ slice: TextSlice, into buffer: inout ByteBuffer)
  static func putProfile(_ event: BorrowerEvent, into buffer: inout ByteBuffer)
}

private enum JSONFields: EventFieldFormat {
  private static func putName(_ field: EventField, into buffer: inout ByteBuffer) {
    buffer.append(",\"")
    buffer.append(field.name)
    buffer.append("\":")
  }

  static func put(_ field: EventField, _ value: Double, into buffer: inout ByteBuffer) {
    putName(field, into: &buffer)
    buffer.append(number: value)
  }

  static func put(_ field: EventField, _ time: EventTime, into buffer: inout ByteBuffer) {
    putName(field, into: &buffer)
    buffer.append("\"")
    buffer.append(time: time)
    buffer.append("\"")
  }

  static func put(_ field: EventField, _ event: BorrowerEvent, _ slice: TextSlice, into buffer: inout ByteBuffer) {
    if !slice.isPresent { return }
    putName(field, into: &buffer)
    event.append(slice, to: &buffer)
  }

  static func putProfile(_ event: BorrowerEvent, into buffer: inout ByteBuffer) {
    putName(.profile, into: &buffer)
    buffer.append("{")
    let start = buffer.count
    func putInnerName(_ field: EventField) {
      if buffer.count > start { buffer.append(",") }
      buffer.append("\"")
      buffer.append(field.name)
      buffer.append("\":")
    }
    event.forEachProfileField(
      number: { field, value in
        putInnerName(field)
        buffer.append(number: value)
      },
      string: { field, slice in
        putInnerName(field)
        event.append(slice, to: &buffer)
      },
      bool: { field, value in
        putInnerName(field)
        buffer.append(value ? "true" : "false")
      })
    buffer.append("}")
  }
}

private enum ProtobufFields: EventFieldFormat {
  static func put(_ field: EventField, _ value: Double, into buffer: inout ByteBuffer) {
    buffer.append(field: field.protobufNumber, double: value)
  }

  static func put(_ field: EventField, _ time: EventTime, into buffer: inout ByteBuffer) {
    buffer.append(field: field.protobufNumber, integer: time.milliseconds)
  }

  static func put(_ field: EventField, _ event: BorrowerEvent, _ slice: TextSlice, into buffer: inout ByteBuffer) {
    if !slice.isPresent { return }
    unsafe event.withBytes(of: slice) { unsafe buffer.append(field: field.protobufNumber, string: $0) }
  }

  static func putProfile(_ event: BorrowerEvent, into buffer: inout ByteBuffer) {
    buffer.append(field: EventField.profile.protobufNumber) { profile in
      event.forEachProfileField(
        number: { put($0, $1, into: &profile) }, string: { put($0, event, $1, into: &profile) },
        bool: { profile.append(field: $0.protobufNumber, integer: $1 ? 1 : 0) })
    }
  }
}

extension EventField {
  /// The field's number in its Protobuf message.
  fileprivate var protobufNumber: UInt64 { Self.protobufNumbers[rawValue] }

  private static let protobufNumbers: [UInt64] = {
    var numbers = [UInt64](repeating: 0, count: allCases.count)
    for number: UInt32 in 1...64 {
      if let field = ProtobufEvent.field(number) { numbers[field.index] = UInt64(number) }
      if let field = ProtobufEvent.nestedField(number) { numbers[field.index] = UInt64(number) }
    }
    precondition(!numbers.contains(0), "every field of an event has a number in Protobuf")
    return numbers
  }()
}
