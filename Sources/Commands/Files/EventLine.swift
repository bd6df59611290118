import Borrowers

/// A borrower event as one line of JSON, as the lender's systems would write it.
enum EventLine {
  /// Appends the event without a line feed.
  static func append(_ event: borrowing BorrowerEvent, to buffer: inout ByteBuffer) {
    put("{\"event_id\":", event.eventID, event, &buffer)
    put(",\"borrower_id\":", event.borrowerID, event, &buffer)
    buffer.append(",\"type\":\"")
    buffer.append(event.kind.name)
    buffer.append("\",\"occurred_at\":\"")
    buffer.append(time: event.occurredAt)
    buffer.append("\"")
    put(",\"platform\":", event.platform, event, &buffer)
    put(",\"loan_id\":", event.loanID, event, &buffer)
    put(amountName(of: event.kind), event.amount, &buffer)
    put(",\"minimum_due\":", event.minimumDue, &buffer)
    put(",\"installments\":", event.installments, &buffer)
    put(",\"days_past_due\":", event.daysPastDue, &buffer)
    put(",\"deposits\":", event.deposits, &buffer)
    put(",\"property_value\":", event.propertyValue, &buffer)
    if event.dueAt != .distantPast {
      buffer.append(",\"due_at\":\"")
      buffer.append(time: event.dueAt)
      buffer.append("\"")
    }
    put(detailName(of: event.kind), event.detail, event, &buffer)
    if event.kind == .profileUpdated { putProfile(event, &buffer) }
    buffer.append("}")
  }

  private static func putProfile(_ event: borrowing BorrowerEvent, _ buffer: inout ByteBuffer) {
    let profile = event.profile
    buffer.append(",\"profile\":{")
    let start = buffer.count
    put(",\"birth_year\":", profile.birthYear, &buffer)
    put(",\"monthly_income\":", profile.monthlyIncome, &buffer)
    put(",\"region\":", profile.region, event, &buffer)
    put(",\"household_region\":", profile.householdRegion, event, &buffer)
    put(",\"education\":", profile.education, event, &buffer)
    put(",\"occupation\":", profile.occupation, event, &buffer)
    put(",\"marital_status\":", profile.maritalStatus, event, &buffer)
    put(",\"gender\":", profile.gender, event, &buffer)
    if let consent = profile.marketingConsent {
      buffer.append(consent ? ",\"marketing_consent\":true" : ",\"marketing_consent\":false")
    }
    buffer.removeComma(at: start)
    buffer.append("}")
  }

  private static func amountName(of kind: EventKind) -> StaticString {
    switch kind {
    case .creditScoreUpdated: ",\"score\":"
    case .limitChanged: ",\"credit_limit\":"
    case .statementIssued: ",\"balance\":"
    default: ",\"amount\":"
    }
  }

  private static func detailName(of kind: EventKind) -> StaticString {
    switch kind {
    case .creditScoreUpdated: ",\"bureau\":"
    case .purchase: ",\"category\":"
    case .pageView: ",\"page\":"
    case .search: ",\"topic\":"
    case .sessionStarted: ",\"channel\":"
    default: ",\"product\":"
    }
  }

  private static func put(
    _ name: StaticString, _ slice: TextSlice, _ event: borrowing BorrowerEvent, _ buffer: inout ByteBuffer
  ) {
    guard slice.isPresent else { return }
    buffer.append(name)
    unsafe event.text.withUnsafeBufferPointer { text in
      let range = Int(slice.start)..<Int(slice.start) + Int(slice.count)
      unsafe buffer.append(jsonString: UnsafeBufferPointer(rebasing: text[range]))
    }
  }

  private static func put(_ name: StaticString, _ number: Double, _ buffer: inout ByteBuffer) {
    guard !number.isNaN else { return }
    buffer.append(name)
    buffer.append(number: number)
  }
}

extension ByteBuffer {
  /// Takes away the comma before an object's first field.
  fileprivate mutating func removeComma(at start: Int) {
    guard count > start else { return }
    let rest = unsafe Array(bytes[(start + 1)...])
    truncate(to: start)
    append(rest)
  }
}
