import CRdKafka
import Pipeline

/// Makes and checks the topics. A client of its own, for as long as it lives; one thread.
@safe public final class TopicAdministration {
  public static let inputBytesMaxDefault = 1_048_588
  public static let deadLetterExtraBytes = 64 << 10

  let client: OpaquePointer
  private let context: ClientContext
  private let settings: KafkaSettings
  private let plans: [TopicPlan]
  private let inputName: String
  private let indicatorsName: String

  public init(settings: KafkaSettings, pipeline: PipelineSettings) throws(BrokerError) {
    self.settings = settings
    plans = TopicPlan.all(pipeline)
    inputName = pipeline.topics.borrowerEvents
    indicatorsName = pipeline.topics.industryIndicators
    // What goes wrong is thrown, as one line.
    context = ClientContext(log: SilentLog())
    var configuration = try ClientConfiguration(
      settings, clientID: "\(pipeline.applicationID)-administration", context: context)
    configuration.onError()
    unsafe client = try configuration.makeClient(RD_KAFKA_PRODUCER)
  }

  deinit { unsafe rd_kafka_destroy(client) }

  // MARK: What commands call

  /// Makes the topics that are missing: all, or the internal ones. Returns the names of those it made.
  public func create(internalOnly: Bool = false) throws(BrokerError) -> [String] {
    var there = try partitionCounts()
    var made: [String] = []
    let input = try inputPartitions(there, internalOnly: internalOnly)
    // The input first, by the broker's default where nothing is said: the others follow its number.
    if there[inputName] == nil, let plan = plans.first(where: { $0.name == inputName }) {
      try create([(plan, input ?? -1)], inputBytesMax: Self.inputBytesMaxDefault)
      made.append(inputName)
      there = try awaitTopic(inputName)
    }
    guard let count = there[inputName] else { throw Self.missing([inputName]) }
    let missing = plans.filter { there[$0.name] == nil && (!internalOnly || $0.isInternal) }
    if !missing.isEmpty {
      let bytesMax = try largestRecord(of: inputName)
      try create(missing.map { ($0, $0.partitions == .one ? 1 : count) }, inputBytesMax: bytesMax)
      made += missing.map(\.name)
      for plan in missing { _ = try awaitTopic(plan.name) }
    }
    return made
  }

  /// All that is wrong with the topics, one line each; empty when nothing is.
  public func check() throws(BrokerError) -> [String] {
    let there = try partitionCounts()
    var problems: [String] = []
    let inputBytesMax = there[inputName] == nil ? Self.inputBytesMaxDefault : try largestRecord(of: inputName)
    for plan in plans {
      guard let count = there[plan.name] else {
        problems.append("\(plan.name): missing; make it with `lendpulse topics create`")
        continue
      }
      if let wanted = Self.wantedPartitions(plan, input: there[inputName]), wanted != count {
        problems.append("\(plan.name): has \(count) partitions and must have \(wanted)")
      }
      if plan.name == inputName, let asked = settings.partitions, asked != count {
        problems.append(
          "\(plan.name): has \(count) partitions and not the \(asked) asked for; an application_id keeps its input's number"
        )
      }
      let configuration = try self.configuration(of: plan.name)
      problems += Self.problems(of: plan, configuration, inputBytesMax: inputBytesMax)
    }
    return problems
  }

  /// For `run`: makes the internal topics (with `createsTopics` all), and refuses what it cannot work with.
  func prepare() throws(BrokerError) -> (partitions: Int, deadLetterBytesMax: Int) {
    if !settings.isEmbedded { _ = try create(internalOnly: !settings.createsTopics) }
    let there = try partitionCounts()
    let missing = plans.map(\.name).filter { there[$0] == nil && !isOptional($0) }
    guard missing.isEmpty, let count = there[inputName] else { throw Self.missing(missing) }
    for plan in plans where plan.partitions != .free {
      guard let has = there[plan.name], let wanted = Self.wantedPartitions(plan, input: count), has != wanted else {
        continue
      }
      throw BrokerError(
        .unfitTopic,
        "\(plan.name) has \(has) partitions and \(inputName) calls for \(wanted): borrowers would be looked for in other"
          + " partitions than they are kept in; use a new application_id, or an input topic of \(has) partitions")
    }
    guard !settings.isEmbedded, let deadLetters = plans.first(where: \.isDeadLetters) else {
      return (count, Self.inputBytesMaxDefault + Self.deadLetterExtraBytes)
    }
    return (count, try largestRecord(of: deadLetters.name))
  }

  // MARK: Rules

  /// The indicators are not read yet by anything that cannot do without them.
  private func isOptional(_ name: String) -> Bool { name == indicatorsName }

  static func wantedPartitions(_ plan: TopicPlan, input: Int?) -> Int? {
    switch plan.partitions {
    case .free: nil
    case .asInput: input
    case .one: 1
    }
  }

  static func problems(of plan: TopicPlan, _ configuration: [String: String], inputBytesMax: Int) -> [String] {
    var problems: [String] = []
    let cleanup = configuration["cleanup.policy"] ?? "delete"
    if !plan.isInput, cleanup != plan.cleanup.rawValue {
      problems.append("\(plan.name): cleanup.policy is \(cleanup) and must be \(plan.cleanup.rawValue)")
    }
    if plan.mustKeepAll {
      for name in ["retention.ms", "retention.bytes"] {
        guard let value = configuration[name], value != "-1" else { continue }
        problems.append("\(plan.name): \(name) is \(value) and must be -1: it is kept for ever")
      }
    }
    let wanted = inputBytesMax + deadLetterExtraBytes
    if plan.isDeadLetters, let value = configuration["max.message.bytes"].flatMap({ Int($0) }), value < wanted {
      problems.append(
        "\(plan.name): max.message.bytes is \(value) and must be at least \(wanted), the input's and 64 KiB")
    }
    return problems
  }

  private static func missing(_ names: [String]) -> BrokerError {
    BrokerError(
      .missingTopic,
      "missing topic\(names.count == 1 ? "" : "s") \(names.joined(separator: ", "));"
        + " make \(names.count == 1 ? "it" : "them") with `lendpulse topics create` or `run --create-topics`")
  }

  private func inputPartitions(_ there: [String: Int], internalOnly: Bool) throws(BrokerError) -> Int? {
    guard there[inputName] == nil else { return there[inputName] }
    guard !internalOnly else {
      throw Self.missing(plans.filter { there[$0.name] == nil && !$0.isInternal && !isOptional($0.name) }.map(\.name))
    }
    return settings.partitions
  }

  // MARK: Asking the broker

  func largestRecord(of topic: String) throws(BrokerError) -> Int {
    try configuration(of: topic)["max.message.bytes"].flatMap { Int($0) } ?? Self.inputBytesMaxDefault
  }

  /// The partitions of every topic that is there. Waits for a broker until the start's timeout.
  func partitionCounts() throws(BrokerError) -> [String: Int] {
    let clock = SystemClock()
    let deadline = clock.monotonic + Int64(settings.startTimeoutMilliseconds) * 1_000_000
    while true {
      var answer: UnsafePointer<rd_kafka_metadata>?
      let failure = unsafe rd_kafka_metadata(client, 1, nil, &answer, 1_000)
      if failure == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata = unsafe answer {
        defer { unsafe rd_kafka_metadata_destroy(metadata) }
        var counts: [String: Int] = [:]
        for index in 0..<Int(unsafe metadata.pointee.topic_cnt) {
          let topic = unsafe metadata.pointee.topics[index]
          guard unsafe topic.err == RD_KAFKA_RESP_ERR_NO_ERROR else { continue }
          unsafe counts[String(cString: topic.topic)] = Int(topic.partition_cnt)
        }
        return counts
      }
      unsafe rd_kafka_poll(client, 0)
      if let newest = context.newest, newest.kind == .authentication {
        throw BrokerError(
          .authentication,
          "kafka.bootstrap_servers \(settings.bootstrapServers): the login was refused: \(newest.description);"
            + " see kafka.properties (security.protocol, sasl.*, ssl.*)")
      }
      guard clock.monotonic < deadline else {
        let reason = unsafe String(cString: rd_kafka_err2str(failure))
        let detail = context.newest?.description ?? reason
        throw BrokerError(
          .unreachable, "kafka.bootstrap_servers \(settings.bootstrapServers): no broker answers: \(detail)")
      }
    }
  }

  /// A new topic is not known everywhere at once.
  private func awaitTopic(_ topic: String) throws(BrokerError) -> [String: Int] {
    for _ in 0..<100 {
      let there = try partitionCounts()
      if there[topic] != nil { return there }
      unsafe rd_kafka_poll(client, 50)
    }
    throw BrokerError(.unreachable, "\(topic): was made, and the broker does not show it")
  }
}
