import Borrowers
import Features
import Models

extension PartitionEngine {
  /// Decides alert and lead of the borrower under work from the scores held, as of its time.
  mutating func decide(_ now: EventTime, _ traceparent: UnsafeBufferPointer<UInt8>, _ outputs: inout OutputBatch) {
    unsafe decideAlert(now, traceparent, &outputs)
    unsafe decideLead(now, traceparent, &outputs)
  }

  /// An erased borrower's open alert is cleared and its lead withdrawn; the reasons would be its data: none.
  mutating func closeForErasure(
    _ now: EventTime, _ traceparent: UnsafeBufferPointer<UInt8>, _ outputs: inout OutputBatch
  ) {
    if decision.hasAlert {
      unsafe publishAlert(.cleared, now, reasons: [], traceparent, &outputs)
    }
    if decision.hasLead {
      unsafe publishLead(.withdrawn, because: .erased, now, reasons: [], traceparent, &outputs)
    }
  }

  // MARK: Alerts

  func ruleFacts(_ now: EventTime) -> RuleFacts {
    RuleFacts(
      information: state.basicInformation, daysPastDue: state.daysPastDue(at: now),
      amountPastDue: state.amountPastDue(at: now), exposure: state.exposure, now: now)
  }

  private mutating func decideAlert(
    _ now: EventTime, _ traceparent: UnsafeBufferPointer<UInt8>, _ outputs: inout OutputBatch
  ) {
    let probability = decision.scores.overdueProbability
    // Without an overdue model there are no alerts, of rules neither.
    guard probability == probability else { return }
    let fired = rules.rules.isEmpty ? 0 : rules.evaluate(ruleFacts(now))
    let facts = AlertFacts(
      probability: probability, ruleLevel: rules.level(fired), override: overrideFact(now), now: now)
    let open = decision.hasAlert ? OpenAlert(severity: decision.alertSeverity, level: decision.alertLevel) : nil
    let cleared =
      decision.alertClearedAt == .distantPast
      ? nil : ClearedAlert(at: decision.alertClearedAt, severity: decision.clearedSeverity)
    let action = alertPolicy.decide(facts, open: open, cleared: cleared)
    let status: AlertStatus
    switch action {
    case .none: return
    case .hold(let level):
      decision.alertLevel = level
      return
    case .raise(let level):
      decision.hasAlert = true
      decision.alertID = identifier()
      decision.alertSeverity = level
      decision.alertLevel = level
      keepCauses(probability, fired)
      status = .raised
    case .escalate(let level):
      decision.alertSeverity = level
      decision.alertLevel = level
      keepCauses(probability, fired)
      status = .escalated
    case .ease(let level):
      decision.alertLevel = level
      status = .eased
    case .clear(let level):
      decision.alertLevel = level
      status = .cleared
    }
    if !outputs.isMuted {
      let reasons = alertReasons(now, fired)
      unsafe publishAlert(status, now, reasons: reasons, traceparent, &outputs)
    }
    if status == .cleared {
      decision.alertClearedAt = now
      decision.clearedSeverity = decision.alertSeverity
      decision.closeAlert()
    }
  }

  /// One that has ended is none, though its timer may not have fired yet.
  func overrideFact(_ now: EventTime) -> OverrideFact {
    guard now < decision.overrideUntil else { return .none }
    return switch decision.overrideAction {
    case .lift: .none
    case .snooze: .snoozed
    case .force: .forced(decision.overrideSeverity)
    }
  }

  /// What reaches `raise_at` when the alert is raised or escalated: the model's band, rules.
  private mutating func keepCauses(_ probability: Double, _ fired: UInt64) {
    decision.alertRaisedByModel = alertPolicy.band(probability) >= alertPolicy.raiseAt
    decision.alertRaisedByOverride = decision.overrideAction == .force
    decision.alertRules.removeAll(keepingCapacity: true)
    for (index, rule) in rules.rules.enumerated()
    where fired & 1 << UInt64(index) != 0 && rule.severity >= alertPolicy.raiseAt {
      decision.alertRules.append(UInt8(rule.name.count))
      decision.alertRules.append(contentsOf: rule.name)
    }
  }

  private mutating func alertReasons(_ now: EventTime, _ fired: UInt64) -> [Reason] {
    var reasons: [Reason] = []
    Reasons.append(rules, fired: fired, ruleFacts(now), to: &reasons)
    if let overdue = models.overdue {
      fillInput(now)
      contributions.removeAll(keepingCapacity: true)
      overdue.explain(input, &workspace, into: &contributions)
      Reasons.append(contributions, to: &reasons)
    }
    return reasons
  }

  private mutating func publishAlert(
    _ status: AlertStatus, _ now: EventTime, reasons: [Reason], _ traceparent: UnsafeBufferPointer<UInt8>,
    _ outputs: inout OutputBatch
  ) {
    guard !outputs.isMuted else { return }
    var alert = AlertRecord()
    alert.context = score.context
    decision.alertID.writeHexadecimal(into: &alert.alertID)
    alert.status = status
    alert.severity = decision.alertSeverity
    alert.currentLevel = decision.alertLevel
    alert.overdueProbability = decision.scores.overdueProbability
    alert.previousProbability = decision.scores.previousProbability
    alert.exposure = state.exposure
    alert.daysPastDue = state.daysPastDue(at: now)
    alert.amountPastDue = state.amountPastDue(at: now)
    alert.raisedBy = raisedBy
    alert.reasons = reasons
    unsafe outputs.begin(.alerts, key: id.bytes, traceparent: traceparent)
    alert.encode(configuration.format, into: &outputs.bytes)
    outputs.end()
    outputs.alerts.append(alert)
    counters.alerts[Int(status.rawValue)][Int(alert.severity.rawValue)] += 1
  }

  var raisedBy: [String] {
    var causes = decision.alertRaisedByModel ? ["model"] : []
    var index = 0
    let names = decision.alertRules
    while index < names.count {
      let end = index + 1 + Int(names[index])
      causes.append("rule:" + String(decoding: names[index + 1..<end], as: UTF8.self))
      index = end
    }
    return decision.alertRaisedByOverride ? causes + ["override"] : causes
  }

  // MARK: Leads

  private mutating func decideLead(
    _ now: EventTime, _ traceparent: UnsafeBufferPointer<UInt8>, _ outputs: inout OutputBatch
  ) {
    let scores = decision.scores
    // Most borrowers: nothing is open and nothing opens. Their arrears need not be added up.
    if !decision.hasLead && !(scores.predictedUtilization >= leadPolicy.threshold) { return }
    let facts = LeadFacts(
      utilization: scores.predictedUtilization, overdueProbability: scores.overdueProbability,
      forecast: scores.forecast, hasConsent: state.basicInformation.marketingConsent == true,
      isPastDue: state.isPastDue(at: now), now: now)
    let open =
      decision.hasLead
      ? OpenLead(
        forecast: HeldScores.value(decision.leadForecastHundredths, 100), validUntil: decision.leadValidUntil) : nil
    let endedAt = decision.leadEndedAt == .distantPast ? nil : decision.leadEndedAt
    switch leadPolicy.decide(facts, open: open, endedAt: endedAt) {
    case .none: return
    case .open(let validUntil):
      decision.hasLead = true
      decision.leadID = identifier()
      decision.leadForecastHundredths = scores.forecastHundredths
      decision.leadValidUntil = validUntil
      decision.leadEventID.removeAll(keepingCapacity: true)
      decision.leadEventID.append(contentsOf: score.context.triggeringEventID)
      decision.leadPlatform.removeAll(keepingCapacity: true)
      decision.leadPlatform.append(contentsOf: score.context.platform)
      unsafe explainAndPublishLead(.opened, because: nil, now, traceparent, &outputs)
    case .update:
      decision.leadForecastHundredths = scores.forecastHundredths
      unsafe explainAndPublishLead(.updated, because: nil, now, traceparent, &outputs)
    case .withdraw(let reason):
      unsafe explainAndPublishLead(.withdrawn, because: reason, now, traceparent, &outputs)
      decision.leadEndedAt = now
      decision.closeLead()
    }
  }

  private mutating func explainAndPublishLead(
    _ status: LeadStatus, because reason: WithdrawalReason?, _ now: EventTime,
    _ traceparent: UnsafeBufferPointer<UInt8>, _ outputs: inout OutputBatch
  ) {
    guard !outputs.isMuted else { return }
    var reasons: [Reason] = []
    if let utilization = models.utilization {
      fillInput(now)
      contributions.removeAll(keepingCapacity: true)
      utilization.explain(input, &workspace, into: &contributions)
      Reasons.append(contributions, to: &reasons)
    }
    unsafe publishLead(status, because: reason, now, reasons: reasons, traceparent, &outputs)
  }

  private mutating func publishLead(
    _ status: LeadStatus, because reason: WithdrawalReason?, _ now: EventTime, reasons: [Reason],
    _ traceparent: UnsafeBufferPointer<UInt8>, _ outputs: inout OutputBatch
  ) {
    guard !outputs.isMuted else { return }
    var lead = LeadRecord()
    lead.context = score.context
    decision.leadID.writeHexadecimal(into: &lead.leadID)
    lead.status = status
    lead.withdrawnBecause = reason
    lead.predictedUtilization = decision.scores.predictedUtilization
    lead.threshold = leadPolicy.threshold
    lead.forecastBorrowing30d = decision.scores.forecast
    lead.overdueProbability = decision.scores.overdueProbability
    lead.overdueBasis = decision.scores.basis
    lead.reasons = reasons
    lead.validUntil = decision.leadValidUntil
    unsafe outputs.begin(.leads, key: id.bytes, traceparent: traceparent)
    lead.encode(configuration.format, into: &outputs.bytes)
    outputs.end()
    outputs.leads.append(lead)
    counters.leads[Int(status.rawValue)] += 1
  }

  /// Hashes borrower, trigger, triggering_event_id and as_of (as published), separated by zero bytes.
  private func identifier() -> Identifier {
    var key = ByteBuffer(capacity: 256)
    unsafe key.append(id.bytes)
    key.append(UInt8(0))
    key.append(score.context.trigger.name)
    key.append(UInt8(0))
    key.append(score.context.triggeringEventID)
    key.append(UInt8(0))
    key.append(time: score.context.asOf)
    let hash = unsafe Murmur.hash128(key.bytes)
    return Identifier(high: hash.high, low: hash.low)
  }
}
