/// The thresholds at which a report counts alerts and leads; those of the configuration, unless said otherwise.
public struct DecisionThresholds: Encodable, Equatable, Sendable {
  /// The lowest overdue probability that raises an alert: `alerts.bands.<alerts.raise_at>`.
  public var alert = 0.25
  /// `leads.utilization_threshold`
  public var leadUtilization = 0.6
  /// `leads.overdue_at_most`
  public var leadOverdueAtMost = 0.25

  public init() {}

  enum CodingKeys: String, CodingKey {
    case alert
    case leadUtilization = "lead_utilization"
    case leadOverdueAtMost = "lead_overdue_at_most"
  }
}
