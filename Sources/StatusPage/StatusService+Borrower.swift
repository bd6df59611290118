import Borrowers
import Features
import Glibc
import Pipeline
import Scoring

// A borrower as JSON.
extension StatusService {
  static func value(_ view: BorrowerView) -> JSONText {
    .object([
      ("borrower_id", .bytes(view.borrowerID)), ("partition", .whole(view.partition)),
      ("platform", .bytes(view.platform)), ("time", .time(view.time)), ("scores", scores(view)),
      ("exposure", .real(view.exposure)), ("days_past_due", .whole(view.daysPastDue)),
      ("amount_past_due", .real(view.amountPastDue)),
      (
        "platforms",
        .list(view.platforms.map { .object([("platform", .bytes($0.name)), ("exposure", .real($0.exposure))]) })
      ),
      ("open_alert", view.openAlert.map(openAlert) ?? .null), ("open_lead", view.openLead.map(openLead) ?? .null),
      ("alert_override", override(view)), ("next_timer", timer(view)),
      ("alert_outlook", outlook(view.alertOutlook)),
      (
        "lead_conditions",
        .list(
          view.leadConditions.map {
            .object([("name", .text($0.name)), ("met", .truth($0.isMet)), ("text", .text($0.text))])
          })
      ),
      ("overdue_reasons", reasons(view.overdueReasons)), ("utilization_reasons", reasons(view.utilizationReasons)),
      ("features", features(view)), ("picture", picture(view)),
    ])
  }

  private static func scores(_ view: BorrowerView) -> JSONText {
    let held = view.score
    return .object([
      ("overdue_probability", .real(held.overdueProbability)),
      ("previous_probability", .real(view.previousProbability)),
      ("overdue_basis", .name(held.overdueBasis.name)),
      ("borrowing_probability_30d", .real(held.borrowingProbability30d)),
      ("forecast_borrowing_30d", .real(held.forecastBorrowing30d)),
      ("forecast_borrowing_30d_lower", .real(held.forecastBorrowing30dLower)),
      ("forecast_borrowing_30d_upper", .real(held.forecastBorrowing30dUpper)),
      ("predicted_utilization", .real(held.predictedUtilization)),
      ("utilization_target", .bytes(held.utilizationTarget)), ("model_version", .bytes(held.context.modelVersion)),
      ("currency", held.context.currency.isEmpty ? .null : .bytes(held.context.currency)),
    ])
  }

  private static func openAlert(_ alert: AlertRecord) -> JSONText {
    .object([
      ("alert_id", .bytes(alert.alertID)), ("severity", .name(alert.severity.name)),
      ("current_level", .name(alert.currentLevel.name)), ("raised_by", .list(alert.raisedBy.map { .text($0) })),
      ("reasons", reasons(alert.reasons)),
    ])
  }

  private static func openLead(_ lead: LeadRecord) -> JSONText {
    .object([
      ("lead_id", .bytes(lead.leadID)), ("threshold", .real(lead.threshold)),
      ("forecast_borrowing_30d", .real(lead.forecastBorrowing30d)), ("valid_until", .time(lead.validUntil)),
      ("reasons", reasons(lead.reasons)),
    ])
  }

  private static func override(_ view: BorrowerView) -> JSONText {
    guard let one = view.alertOverride else { return .null }
    return .object([
      ("action", .name(one.action.name)), ("severity", .name(one.severity.name)), ("until", .time(one.until)),
      ("control_id", .bytes(one.id)),
    ])
  }

  private static func timer(_ view: BorrowerView) -> JSONText {
    guard let timer = view.nextTimer else { return .null }
    return .object([("due", .time(timer.due)), ("kind", .name(timer.kind.name))])
  }

  private static func outlook(_ one: AlertOutlook) -> JSONText {
    .object([
      ("level", .name(one.level.name)), ("band", .name(one.band.name)), ("rules", .list(one.rules.map { .text($0) })),
      ("raise_at", .name(one.raiseAt.name)), ("raising_edge", .real(one.raisingEdge)),
      ("clear_below", .real(one.clearBelow)), ("quiet_until", one.quietUntil.map { .time($0) } ?? .null),
    ])
  }

  private static func reasons(_ reasons: [Reason]) -> JSONText {
    .list(
      reasons.map {
        .object([
          ("code", .text($0.code)), ("feature", .text($0.feature)), ("value", .real($0.value)),
          ("contribution", .real($0.contribution)), ("text", .text($0.text)),
        ])
      })
  }

  private static func features(_ view: BorrowerView) -> JSONText {
    .list(
      zip(FeatureCatalogue.all, view.features).map { feature, value in
        .object([
          ("name", .text(feature.name)), ("window", .text(feature.window)), ("unit", .text(feature.unit)),
          ("value", decimal(value)), ("meaning", .text(feature.meaning)),
        ])
      })
  }

  /// The shortest decimal that names the 32-bit number.
  private static func decimal(_ value: Float) -> JSONText {
    value.isFinite ? .real(Double("\(value)") ?? Double(value)) : .null
  }

  /// The cells that are not empty, with the day's date and the channel's name; a value is in the channel's own unit.
  private static func picture(_ view: BorrowerView) -> JSONText {
    let channels = Channel.allCases.map { JSONText.text($0.name.description) }
    let lastDay = view.time.milliseconds / EventTime.millisecondsPerDay
    var cells: [JSONText] = []
    for (index, level) in view.picture.enumerated() where level != 0 {
      let (day, channel) = (index / ModelInput.pictureChannels, index % ModelInput.pictureChannels)
      let magnitude = exp(Double(abs(level))) - 1
      let value = (level < 0 ? -magnitude : magnitude) * 100
      cells.append(.list([.whole(day), .whole(channel), .real(value.rounded() / 100)]))
    }
    let first = EventTime(
      milliseconds: (lastDay - Int64(ModelInput.pictureDays - 1)) * EventTime.millisecondsPerDay)
    return .object([
      ("first_date", .text(first.dateText)), ("days", .whole(ModelInput.pictureDays)), ("channels", .list(channels)),
      ("cells", .list(cells)),
    ])
  }
}
