import Pipeline

/// What a topic of the contract must be.
public struct TopicPlan: Sendable {
  public enum Partitions: Equatable, Sendable {
    /// As asked for, or the broker's default.
    case free
    /// As many as the input.
    case asInput
    case one
  }

  public enum Cleanup: String, Sendable {
    case delete, compact
  }

  public var name: String
  public var partitions: Partitions
  public var cleanup: Cleanup
  /// Made by `run` itself, without `--create-topics`.
  public var isInternal: Bool
  /// Whether its records may be deleted when they are old: that is the lender's choice for what others read.
  public var mustKeepAll: Bool
  public var isDeadLetters = false
  /// Written by the lender: only its number of partitions matters to us.
  public var isInput = false
  /// Settings beside cleanup and retention when it is made.
  public var extra: [(name: String, value: String)] = []

  func partitions(input: Int) -> Int { partitions == .one ? 1 : input }

  /// All topics, in a fixed order.
  public static func all(_ settings: PipelineSettings) -> [TopicPlan] {
    let names = settings.topics
    return [
      TopicPlan(
        name: names.borrowerEvents, partitions: .free, cleanup: .delete, isInternal: false, mustKeepAll: false,
        isInput: true),
      TopicPlan(
        name: names.industryIndicators, partitions: .free, cleanup: .compact, isInternal: false, mustKeepAll: false,
        isInput: true),
      TopicPlan(name: names.alerts, partitions: .free, cleanup: .delete, isInternal: false, mustKeepAll: false),
      TopicPlan(name: names.leads, partitions: .free, cleanup: .delete, isInternal: false, mustKeepAll: false),
      TopicPlan(name: names.scores, partitions: .free, cleanup: .compact, isInternal: false, mustKeepAll: false),
      TopicPlan(
        name: names.repaymentForecasts, partitions: .free, cleanup: .delete, isInternal: false, mustKeepAll: false),
      TopicPlan(
        name: names.deadLetters, partitions: .free, cleanup: .delete, isInternal: false, mustKeepAll: false,
        isDeadLetters: true),
      // Checkpoints replace each other quickly: compacted as soon as a fifth is stale, in segments that close in time.
      TopicPlan(
        name: settings.stateTopic, partitions: .asInput, cleanup: .compact, isInternal: true, mustKeepAll: false,
        extra: [
          ("min.cleanable.dirty.ratio", "0.2"), ("segment.ms", "600000"), ("segment.bytes", "134217728"),
          ("max.compaction.lag.ms", "3600000"),
        ]),
      TopicPlan(
        name: settings.controlTopic, partitions: .one, cleanup: .delete, isInternal: true, mustKeepAll: true),
      TopicPlan(
        name: settings.journalTopic, partitions: .asInput, cleanup: .delete, isInternal: true, mustKeepAll: true),
      TopicPlan(
        name: settings.platformDailyTopic, partitions: .one, cleanup: .delete, isInternal: true, mustKeepAll: true),
    ]
  }

  /// The settings it is made with. `inputBytesMax` is the input's largest record.
  func configuration(inputBytesMax: Int) -> [(name: String, value: String)] {
    var all: [(name: String, value: String)] = [("cleanup.policy", cleanup.rawValue)]
    if cleanup == .delete {
      all.append(("retention.ms", "-1"))
      all.append(("retention.bytes", "-1"))
    }
    if isDeadLetters {
      all.append(("max.message.bytes", String(inputBytesMax + TopicAdministration.deadLetterExtraBytes)))
    }
    return all + extra
  }
}
