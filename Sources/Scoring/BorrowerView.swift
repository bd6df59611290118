import Borrowers
import Features
import Models

/// All that is held of a borrower and what follows from it, for people: a copy, made between two records.
public struct BorrowerView: Sendable {
  public var borrowerID: [UInt8] = []
  public var partition: Int32 = 0
  /// The latest of its events and fired timers.
  public var time = EventTime.distantPast
  /// Of its newest event.
  public var platform: [UInt8] = []
  /// In the order of `FeatureCatalogue.all`; NaN where missing.
  public var features: [Float] = []
  /// Row-major [day][channel], the newest day last: log(1 + x) of `ModelInput`.
  public var picture: [Float] = []
  /// The newest as published; its context says model version and platform alone.
  public var score = ScoreRecord()
  /// NaN where there was no score before.
  public var previousProbability = Double.nan
  public var exposure = 0.0
  public var daysPastDue = 0
  public var amountPastDue = 0.0
  public var platforms: [(name: [UInt8], exposure: Double)] = []

  public var openAlert: AlertRecord?
  public var openLead: LeadRecord?
  /// Of what a person decided about its alert.
  public var alertOverride: (action: AlertOverride.Action, severity: Severity, until: EventTime, id: [UInt8])?
  /// What raises its overdue score and its predicted utilization now.
  public var overdueReasons: [Reason] = []
  public var utilizationReasons: [Reason] = []
  /// Its next timer; nil when none is set.
  public var nextTimer: (due: EventTime, kind: Trigger)?
  public var alertOutlook = AlertOutlook()
  public var leadConditions: [LeadCondition] = []

  public init() {}
}

/// What stands between a borrower and another decision on its alert.
public struct AlertOutlook: Sendable {
  /// Of model and rules now.
  public var level = Severity.none
  public var band = Severity.none
  /// The rules that fire, by name.
  public var rules: [String] = []
  public var raiseAt = Severity.none
  /// An alert is raised from here on.
  public var raisingEdge = 0.0
  /// An open one is cleared below.
  public var clearBelow = 0.0
  /// Until then no alert of the severity cleared last is raised again; nil: it is not held back.
  public var quietUntil: EventTime?
}

/// One of the conditions that a lead needs, and whether the borrower meets it.
public struct LeadCondition: Sendable {
  public var name: String
  public var isMet: Bool
  public var text: String
}

extension PartitionEngine {
  /// Nil when the borrower is not held. Called between two steps; costs about as much as scoring an event.
  public mutating func view(_ borrowerID: [UInt8]) -> BorrowerView? {
    let handle = unsafe borrowerID.withUnsafeBufferPointer { unsafe store.find($0) }
    guard let handle else { return nil }
    loadWithID(handle)
    let now = borrowerTime
    var view = BorrowerView()
    view.borrowerID = borrowerID
    view.partition = partition
    view.time = now
    view.platform = state.lastPlatform
    fillInput(now)
    unsafe view.features = Array(input.features.prefix(FeatureCatalogue.count))
    unsafe view.picture = Array(input.picture)
    view.score = heldScore()
    view.previousProbability = decision.scores.previousProbability
    view.exposure = state.exposure
    view.daysPastDue = state.daysPastDue(at: now)
    view.amountPastDue = state.amountPastDue(at: now)
    for index in 0..<state.platformCount {
      var name: [UInt8] = []
      state.readPlatform(index, into: &name)
      view.platforms.append((name, state.exposure(ofPlatform: index)))
    }
    explain(&view)
    addDecisions(now, &view)
    return view
  }

  private mutating func heldScore() -> ScoreRecord {
    var held = ScoreRecord()
    held.context.modelVersion = Array(models.version.utf8)
    held.context.currency = Array(configuration.currency.utf8)
    held.overdueProbability = decision.scores.overdueProbability
    held.overdueBasis = decision.scores.basis
    held.borrowingProbability30d = decision.scores.borrowingProbability
    held.forecastBorrowing30d = decision.scores.forecast
    held.forecastBorrowing30dLower = decision.scores.forecastLower
    held.forecastBorrowing30dUpper = decision.scores.forecastUpper
    held.predictedUtilization = decision.scores.predictedUtilization
    held.utilizationTarget = models.utilization.map { Array($0.target.utf8) } ?? []
    return held
  }

  private mutating func explain(_ view: inout BorrowerView) {
    if let overdue = models.overdue {
      contributions.removeAll(keepingCapacity: true)
      overdue.explain(input, &workspace, into: &contributions)
      Reasons.append(contributions, to: &view.overdueReasons)
    }
    if let utilization = models.utilization {
      contributions.removeAll(keepingCapacity: true)
      utilization.explain(input, &workspace, into: &contributions)
      Reasons.append(contributions, to: &view.utilizationReasons)
    }
  }

  private mutating func addDecisions(_ now: EventTime, _ view: inout BorrowerView) {
    let facts = ruleFacts(now)
    let fired = rules.rules.isEmpty ? 0 : rules.evaluate(facts)
    view.alertOutlook = alertOutlook(now, fired)
    view.leadConditions = leadConditions(now)
    if decision.hasOverride {
      view.alertOverride = (
        decision.overrideAction, decision.overrideSeverity, decision.overrideUntil, decision.overrideID
      )
    }
    let timer = nextTimer
    if timer.due != .distantFuture { view.nextTimer = (timer.due, timer.kind) }
    if decision.hasAlert {
      var alert = AlertRecord()
      decision.alertID.writeHexadecimal(into: &alert.alertID)
      alert.severity = decision.alertSeverity
      alert.currentLevel = decision.alertLevel
      alert.raisedBy = raisedBy
      Reasons.append(rules, fired: fired, facts, to: &alert.reasons)
      for reason in view.overdueReasons where alert.reasons.count < Reasons.countMax { alert.reasons.append(reason) }
      view.openAlert = alert
    }
    if decision.hasLead {
      var lead = LeadRecord()
      decision.leadID.writeHexadecimal(into: &lead.leadID)
      lead.threshold = leadPolicy.threshold
      lead.forecastBorrowing30d = HeldScores.value(decision.leadForecastHundredths, 100)
      lead.validUntil = decision.leadValidUntil
      lead.reasons = view.utilizationReasons
      view.openLead = lead
    }
  }

  private func alertOutlook(_ now: EventTime, _ fired: UInt64) -> AlertOutlook {
    let probability = decision.scores.overdueProbability
    var outlook = AlertOutlook()
    outlook.band = probability == probability ? alertPolicy.band(probability) : .none
    outlook.level = max(outlook.band, rules.level(fired))
    outlook.rules = rules.rules.indices.filter { fired & 1 << UInt64($0) != 0 }
      .map { String(decoding: rules.rules[$0].name, as: UTF8.self) }
    outlook.raiseAt = alertPolicy.raiseAt
    outlook.raisingEdge = alertPolicy.raisingEdge
    outlook.clearBelow = alertPolicy.clearBelow
    if decision.alertClearedAt != .distantPast, !decision.hasAlert {
      let end = decision.alertClearedAt + alertPolicy.cooldownMilliseconds
      if end > now { outlook.quietUntil = end }
    }
    return outlook
  }

  private func leadConditions(_ now: EventTime) -> [LeadCondition] {
    let scores = decision.scores
    func percent(_ value: Double) -> String { value == value ? Reasons.format(value, unit: "ratio") : "unknown" }
    let utilization = scores.predictedUtilization
    let probability = scores.overdueProbability
    let cooldown = decision.leadEndedAt == .distantPast ? nil : decision.leadEndedAt + leadPolicy.cooldownMilliseconds
    let consent = state.basicInformation.marketingConsent
    return [
      LeadCondition(
        name: "utilization", isMet: utilization >= leadPolicy.threshold,
        text: "Predicted utilization \(percent(utilization)), needed \(percent(leadPolicy.threshold))"),
      LeadCondition(
        name: "consent", isMet: consent == true,
        text: consent.map { $0 ? "Consents to marketing" : "Does not consent to marketing" } ?? "Consent is not known"),
      LeadCondition(
        name: "overdue_risk", isMet: probability < leadPolicy.overdueAtMost,
        text: "Overdue probability \(percent(probability)), must be under \(percent(leadPolicy.overdueAtMost))"),
      LeadCondition(
        name: "past_due", isMet: !state.isPastDue(at: now),
        text: state.isPastDue(at: now) ? "A payment is past due" : "No payment is past due"),
      LeadCondition(
        name: "cooldown", isMet: cooldown.map { now >= $0 } ?? true,
        text: cooldown.map {
          now >= $0 ? "The last lead is long enough ago" : "The last lead ended lately; again from \($0.text)"
        }
          ?? "No lead has ended yet"),
    ]
  }
}
