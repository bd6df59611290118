// The Protobuf of published records: field numbers as in `schemas/lendpulse.proto`.

extension DecisionContext {
  fileprivate func encodeProtobuf(into buffer: inout ByteBuffer) {
    buffer.append(field: 1, string: borrowerID)
    buffer.append(field: 2, string: platform)
    buffer.append(field: 3, string: "borrower" as StaticString)
    buffer.append(field: 4, integer: Int64(horizonDays))
    buffer.append(field: 5, optional: currency)
    buffer.append(field: 6, string: modelVersion)
    buffer.append(field: 7, time: asOf)
    buffer.append(field: 8, integer: Int64(trigger.rawValue))
    buffer.append(field: 9, string: triggeringEventID)
    buffer.append(field: 10) { source in
      source.append(field: 1, string: sourceTopic)
      source.append(field: 2, integer: Int64(sourcePartition))
      source.append(field: 3, integer: sourceOffset)
    }
  }
}

extension Reason {
  fileprivate func encodeProtobuf(into buffer: inout ByteBuffer) {
    buffer.append(field: 1, string: code)
    buffer.append(field: 2, string: feature)
    if value.isFinite { buffer.append(field: 3, double: value) }
    buffer.append(field: 4, double: contribution)
    buffer.append(field: 5, string: text)
  }
}

extension ScoreRecord {
  /// The `schema` header.
  public static let schema: StaticString = "lendpulse.score.v1"

  /// Appends the record's value.
  public func encode(_ format: RecordFormat, into buffer: inout ByteBuffer) {
    if format == .json {
      encodeJSON(into: &buffer)
      return
    }
    context.encodeProtobuf(into: &buffer)
    buffer.append(field: 11, double: overdueProbability)
    if !overdueProbability.isNaN { buffer.append(field: 12, integer: Int64(overdueBasis.rawValue)) }
    buffer.append(field: 13, double: borrowingProbability30d)
    buffer.append(field: 14, double: forecastBorrowing30d)
    buffer.append(field: 15, double: forecastBorrowing30dLower)
    buffer.append(field: 16, double: forecastBorrowing30dUpper)
    buffer.append(field: 17, double: predictedUtilization)
    if !predictedUtilization.isNaN { buffer.append(field: 18, optional: utilizationTarget) }
  }
}

extension AlertRecord {
  /// The `schema` header.
  public static let schema: StaticString = "lendpulse.alert.v1"

  /// Appends the record's value.
  public func encode(_ format: RecordFormat, into buffer: inout ByteBuffer) {
    if format == .json {
      encodeJSON(into: &buffer)
      return
    }
    context.encodeProtobuf(into: &buffer)
    buffer.append(field: 11, string: alertID)
    buffer.append(field: 12, integer: Int64(status.rawValue))
    buffer.append(field: 13, integer: Int64(severity.rawValue))
    buffer.append(field: 14, integer: Int64(currentLevel.rawValue))
    buffer.append(field: 15, double: overdueProbability)
    buffer.append(field: 16, double: previousProbability)
    buffer.append(field: 17, double: exposure)
    buffer.append(field: 18, integer: Int64(daysPastDue))
    buffer.append(field: 19, double: amountPastDue)
    for name in raisedBy { buffer.append(field: 20, string: name) }
    for reason in reasons { buffer.append(field: 21) { reason.encodeProtobuf(into: &$0) } }
  }
}

extension LeadRecord {
  /// The `schema` header.
  public static let schema: StaticString = "lendpulse.lead.v1"

  /// Appends the record's value.
  public func encode(_ format: RecordFormat, into buffer: inout ByteBuffer) {
    if format == .json {
      encodeJSON(into: &buffer)
      return
    }
    context.encodeProtobuf(into: &buffer)
    buffer.append(field: 11, string: leadID)
    buffer.append(field: 12, integer: Int64(status.rawValue))
    if let withdrawnBecause { buffer.append(field: 13, integer: Int64(withdrawnBecause.rawValue)) }
    buffer.append(field: 14, double: predictedUtilization)
    buffer.append(field: 15, double: threshold)
    buffer.append(field: 16, double: forecastBorrowing30d)
    buffer.append(field: 17, double: overdueProbability)
    if !overdueProbability.isNaN { buffer.append(field: 18, integer: Int64(overdueBasis.rawValue)) }
    for reason in reasons { buffer.append(field: 19) { reason.encodeProtobuf(into: &$0) } }
    buffer.append(field: 20, time: validUntil)
  }
}

extension RepaymentForecastRecord {
  /// The `schema` header.
  public static let schema: StaticString = "lendpulse.repayment-forecast.v1"

  /// Appends the record's value.
  public func encode(_ format: RecordFormat, into buffer: inout ByteBuffer) {
    if format == .json {
      encodeJSON(into: &buffer)
      return
    }
    buffer.append(field: 1, string: forecastID)
    buffer.append(field: 2, string: platform)
    buffer.append(field: 3, time: asOf)
    buffer.append(field: 4, time: periodStart)
    buffer.append(field: 5, time: periodEnd)
    buffer.append(field: 6, double: expectedRepayment)
    buffer.append(field: 7, double: lower)
    buffer.append(field: 8, double: upper)
    buffer.append(field: 9, double: assetScale)
    buffer.append(field: 10, string: modelVersion)
    buffer.append(field: 11, optional: currency)
  }
}
