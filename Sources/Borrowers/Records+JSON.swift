// The JSON of published records. Every field has its fixed place; what does not apply is left out.

extension OutputCursor {
  @inline(__always) mutating func put(string bytes: [UInt8]) {
    unsafe bytes.withUnsafeBufferPointer { unsafe put(string: $0) }
  }

  mutating func put(string text: String) {
    var text = text
    text.withUTF8 { unsafe put(string: $0) }
  }

  /// `key` is all that stands before the value: `,"name":`.
  @inline(__always) mutating func put(_ key: StaticString, number value: Double) {
    if value.isNaN { return }
    put(key)
    put(number: value)
  }

  /// A name that needs no escape.
  @inline(__always) mutating func put(_ key: StaticString, name: StaticString) {
    put(key)
    put(0x22)
    put(name)
    put(0x22)
  }

  @inline(__always) mutating func put(_ key: StaticString, time: EventTime) {
    put(key)
    put(0x22)
    put(time: time)
    put(0x22)
  }

  /// Nothing for an empty string.
  @inline(__always) mutating func put(_ key: StaticString, optional bytes: [UInt8]) {
    if bytes.isEmpty { return }
    put(key)
    put(string: bytes)
  }

  /// From the opening brace to the end of `source`.
  @inline(__always) mutating func put(_ context: DecisionContext) {
    put("{\"borrower_id\":")
    put(string: context.borrowerID)
    put(",\"platform\":")
    put(string: context.platform)
    put(",\"scope\":\"borrower\",\"horizon_days\":")
    put(integer: Int64(context.horizonDays))
    put(",\"currency\":", optional: context.currency)
    put(",\"model_version\":")
    put(string: context.modelVersion)
    put(",\"as_of\":", time: context.asOf)
    put(",\"trigger\":", name: context.trigger.name)
    put(",\"triggering_event_id\":")
    put(string: context.triggeringEventID)
    put(",\"source\":{\"topic\":")
    put(string: context.sourceTopic)
    put(",\"partition\":")
    put(integer: Int64(context.sourcePartition))
    put(",\"offset\":")
    put(integer: context.sourceOffset)
    put(0x7D)
  }

  mutating func put(reasons: [Reason]) {
    put(",\"reasons\":[")
    var isFirst = true
    for reason in reasons {
      put(isFirst ? "{\"code\":" : ",{\"code\":")
      isFirst = false
      put(string: reason.code)
      put(",\"feature\":")
      put(string: reason.feature)
      put(",\"value\":")
      if reason.value.isFinite { put(number: reason.value) } else { put("null") }
      put(",\"contribution\":")
      put(number: reason.contribution)
      put(",\"text\":")
      put(string: reason.text)
      put(0x7D)
    }
    put(0x5D)
  }
}

extension DecisionContext {
  /// The most bytes that its strings and numbers take, names included.
  @inline(__always) var jsonRoom: Int {
    512
      + OutputCursor.stringRoom(
        borrowerID.count + platform.count + currency.count + modelVersion.count + triggeringEventID.count
          + sourceTopic.count)
  }
}

private func room(of reasons: [Reason]) -> Int {
  reasons.reduce(32) {
    $0 + 128 + OutputCursor.stringRoom($1.code.utf8.count + $1.feature.utf8.count + $1.text.utf8.count)
  }
}

extension ScoreRecord {
  @inline(__always) func encodeJSON(into buffer: inout ByteBuffer) {
    buffer.write(room: context.jsonRoom + 768 + OutputCursor.stringRoom(utilizationTarget.count)) { cursor in
      cursor.put(context)
      cursor.put(",\"overdue_probability\":", number: overdueProbability)
      if !overdueProbability.isNaN { cursor.put(",\"overdue_basis\":", name: overdueBasis.name) }
      cursor.put(",\"borrowing_probability_30d\":", number: borrowingProbability30d)
      cursor.put(",\"forecast_borrowing_30d\":", number: forecastBorrowing30d)
      cursor.put(",\"forecast_borrowing_30d_lower\":", number: forecastBorrowing30dLower)
      cursor.put(",\"forecast_borrowing_30d_upper\":", number: forecastBorrowing30dUpper)
      cursor.put(",\"predicted_utilization\":", number: predictedUtilization)
      if !predictedUtilization.isNaN { cursor.put(",\"utilization_target\":", optional: utilizationTarget) }
      cursor.put(0x7D)
    }
  }
}

extension AlertRecord {
  func encodeJSON(into buffer: inout ByteBuffer) {
    let raisedByRoom = raisedBy.reduce(0) { $0 + 1 + OutputCursor.stringRoom($1.utf8.count) }
    let total = context.jsonRoom + 768 + OutputCursor.stringRoom(alertID.count) + raisedByRoom + room(of: reasons)
    buffer.write(room: total) { cursor in
      cursor.put(context)
      cursor.put(",\"alert_id\":")
      cursor.put(string: alertID)
      cursor.put(",\"status\":", name: status.name)
      cursor.put(",\"severity\":", name: severity.name)
      cursor.put(",\"current_level\":", name: currentLevel.name)
      cursor.put(",\"overdue_probability\":", number: overdueProbability)
      cursor.put(",\"previous_probability\":", number: previousProbability)
      cursor.put(",\"exposure\":", number: exposure)
      cursor.put(",\"days_past_due\":")
      cursor.put(integer: Int64(daysPastDue))
      cursor.put(",\"amount_past_due\":", number: amountPastDue)
      cursor.put(",\"raised_by\":[")
      for (index, name) in raisedBy.enumerated() {
        if index > 0 { cursor.put(0x2C) }
        cursor.put(string: name)
      }
      cursor.put(0x5D)
      cursor.put(reasons: reasons)
      cursor.put(0x7D)
    }
  }
}

extension LeadRecord {
  func encodeJSON(into buffer: inout ByteBuffer) {
    let total = context.jsonRoom + 768 + OutputCursor.stringRoom(leadID.count) + room(of: reasons)
    buffer.write(room: total) { cursor in
      cursor.put(context)
      cursor.put(",\"lead_id\":")
      cursor.put(string: leadID)
      cursor.put(",\"status\":", name: status.name)
      if let withdrawnBecause { cursor.put(",\"withdrawn_because\":", name: withdrawnBecause.name) }
      cursor.put(",\"predicted_utilization\":", number: predictedUtilization)
      cursor.put(",\"threshold\":", number: threshold)
      cursor.put(",\"forecast_borrowing_30d\":", number: forecastBorrowing30d)
      cursor.put(",\"overdue_probability\":", number: overdueProbability)
      if !overdueProbability.isNaN { cursor.put(",\"overdue_basis\":", name: overdueBasis.name) }
      cursor.put(reasons: reasons)
      cursor.put(",\"valid_until\":", time: validUntil)
      cursor.put(0x7D)
    }
  }
}

extension RepaymentForecastRecord {
  func encodeJSON(into buffer: inout ByteBuffer) {
    let strings = forecastID.count + platform.count + modelVersion.count + currency.count
    buffer.write(room: 768 + OutputCursor.stringRoom(strings)) { cursor in
      cursor.put("{\"forecast_id\":")
      cursor.put(string: forecastID)
      cursor.put(",\"platform\":")
      cursor.put(string: platform)
      cursor.put(",\"as_of\":", time: asOf)
      cursor.put(",\"period_start\":", time: periodStart)
      cursor.put(",\"period_end\":", time: periodEnd)
      cursor.put(",\"expected_repayment\":", number: expectedRepayment)
      cursor.put(",\"lower\":", number: lower)
      cursor.put(",\"upper\":", number: upper)
      cursor.put(",\"asset_scale\":", number: assetScale)
      cursor.put(",\"model_version\":")
      cursor.put(string: modelVersion)
      cursor.put(",\"currency\":", optional: currency)
      cursor.put(0x7D)
    }
  }
}
