import Borrowers

/// What a lead's decision looks at.
struct LeadFacts {
  /// As published; NaN when there is no utilization model.
  var utilization = Double.nan
  /// Calibrated and as published; NaN when there is no overdue model.
  var overdueProbability = Double.nan
  /// `forecast_borrowing_30d` as published; NaN when there is no demand model.
  var forecast = Double.nan
  /// `marketing_consent` is true; unknown counts as no.
  var hasConsent = false
  var isPastDue = false
  /// The borrower's time.
  var now = EventTime.distantPast
}

/// The lead that is open.
struct OpenLead {
  /// At its last publication.
  var forecast: Double
  var validUntil: EventTime
}

enum LeadAction: Equatable {
  case none
  case open(validUntil: EventTime)
  case update
  case withdraw(WithdrawalReason)
}

/// When a lead is opened, updated and withdrawn. Pure: the same facts give the same action. A score that is not there
/// (NaN) opens no lead and fails no condition of an open one.
struct LeadPolicy: Equatable {
  var threshold = 0.0
  var withdrawBelow = 0.0
  var overdueAtMost = 0.0
  var cooldownMilliseconds: Int64 = 0
  var validMilliseconds: Int64 = 0
  var updateShare = 0.0

  init(_ settings: LeadSettings) {
    threshold = settings.utilizationThreshold
    withdrawBelow = decimalDifference(settings.utilizationThreshold, settings.margin)
    overdueAtMost = settings.overdueAtMost
    cooldownMilliseconds = Int64((settings.cooldownDays * 86_400_000).rounded())
    validMilliseconds = Int64((settings.validDays * 86_400_000).rounded())
    updateShare = settings.updateShare
  }

  /// `endedAt`: when the last lead ended, nil where there was none.
  func decide(_ facts: LeadFacts, open: OpenLead?, endedAt: EventTime?) -> LeadAction {
    if let open {
      if let reason = reasonToWithdraw(facts, open) { return .withdraw(reason) }
      return hasMoved(facts.forecast, from: open.forecast) ? .update : .none
    }
    guard facts.utilization >= threshold, facts.overdueProbability < overdueAtMost, facts.hasConsent,
      !facts.isPastDue
    else { return .none }
    if let endedAt, facts.now - endedAt < cooldownMilliseconds { return .none }
    return .open(validUntil: facts.now + validMilliseconds)
  }

  /// A forecast that was not there at the last publication has moved.
  private func hasMoved(_ forecast: Double, from published: Double) -> Bool {
    if published != published { return forecast == forecast }
    return abs(forecast - published) > updateShare * abs(published)
  }

  /// Of several, the first of this order is named.
  private func reasonToWithdraw(_ facts: LeadFacts, _ open: OpenLead) -> WithdrawalReason? {
    if facts.now >= open.validUntil { return .expired }
    if !facts.hasConsent { return .consent }
    if facts.isPastDue { return .pastDue }
    if facts.overdueProbability >= overdueAtMost { return .overdueRisk }
    return facts.utilization < withdrawBelow ? .utilization : nil
  }
}
