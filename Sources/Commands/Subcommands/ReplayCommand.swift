import Borrowers
import Glibc
import Kafka
import Pipeline
import Scoring

extension CommandDefinition {
  static let replay = CommandDefinition(
    name: "replay",
    summary: "decides the input topic again from its beginning with its journal, and publishes nothing",
    details: """
      Reads each partition from where lendpulse began up to its committed position, with the journal's settings, models and
      idle advances, and decides by the engine of `run`. Prints a hash of the state of each partition: the same on every
      machine. With --verify every record that is still there is compared, byte for byte with its headers, the rest is
      counted, and the state as restored from its topic must have the same hash; the first difference is named and the exit
      status is 1. Refused where the beginning of input or journal is gone, and where the journal names models that are not
      there. It may run beside the daemon. Files hold JSON, one record a line, partition by partition; - is standard output.
      """,
    options: [
      OptionDefinition.config.required(), .set,
      OptionDefinition(
        name: "--until", value: "TIME",
        meaning:
          "ends each partition in front of its first event of that time (RFC 3339, a date, or milliseconds) or later"),
      OptionDefinition(name: "--verify", meaning: "compares what was published with what is decided"),
      OptionDefinition(name: "--scores", value: "FILE", meaning: "where the scores go"),
      OptionDefinition(name: "--alerts", value: "FILE", meaning: "where the alerts go"),
      OptionDefinition(name: "--leads", value: "FILE", meaning: "where the leads go"),
    ],
    examples: [
      ("lendpulse replay --config lendpulse.yaml --verify", "proves that all that was published follows from the log"),
      (
        "lendpulse replay --config lendpulse.yaml --until 2026-10-11T00:00:00Z --alerts - | jq .alert_id",
        "every alert that was decided before that day"
      ),
    ]
  ) { arguments throws(CommandFailure) in try ReplayRun(arguments).run() }

  fileprivate static let replayOutputs = ["--scores", "--alerts", "--leads"]
}

/// One replay from its configuration to its verdict.
private final class ReplayRun {
  private let arguments: ParsedArguments
  private let settings: PipelineSettings
  private let kafka: KafkaSettings
  private let until: EventTime?
  /// Standard output is the records' where a file of theirs is named `-`.
  private let isOutputTaken: Bool
  private let log: Log
  private var progress = Progress()

  init(_ arguments: ParsedArguments) throws(CommandFailure) {
    self.arguments = arguments
    until = try Self.time(arguments)
    let configuration = try Configuration.load(arguments)
    let servers = try configuration.requireKafka()
    try configuration.requireForRun()
    // A name of its own: it joins no group and holds no slot.
    settings = PipelineSettings(configuration, instanceID: "replay")
    kafka = KafkaSettings(configuration, bootstrapServers: servers)
    log = Log(level: max(configuration.log.level, .warning), format: configuration.log.format)
    var named: [String: String] = [:]
    for option in CommandDefinition.replayOutputs {
      guard let path = arguments[option] else { continue }
      if let other = named[path], path != "/dev/null" {
        throw arguments.misuse("\(other) and \(option) both name \(path == "-" ? "standard output" : path)")
      }
      named[path] = option
    }
    isOutputTaken = named["-"] != nil
  }

  private static func time(_ arguments: ParsedArguments) throws(CommandFailure) -> EventTime? {
    guard let text = arguments["--until"] else { return nil }
    let time = EventTime(rfc3339: text) ?? EventTime(date: text) ?? Int64(text).map { EventTime(milliseconds: $0) }
    guard let time, time >= .earliest, time < .end else {
      throw arguments.misuse(
        "--until must be a time of 1990 to 2099, such as 2026-10-11T12:00:00Z or 2026-10-11, not \(text)")
    }
    return time
  }

  func run() throws(CommandFailure) -> ExitStatus {
    Interruption.watch()
    defer { progress.finish() }
    do {
      return try decide()
    } catch let error as CommandFailure {
      throw error
    } catch let error as BrokerError {
      throw .broker(error, command: "replay")
    } catch {
      throw .failed("lendpulse replay: \(error)")
    }
  }

  private func decide() throws -> ExitStatus {
    let source = try KafkaBroker(settings: kafka, pipeline: settings, log: log).openReplay()
    defer { source.logs.close() }
    let replay = Replay(
      settings: settings, reader: source.logs, partitions: source.partitions,
      deadLetterBytesMax: source.deadLetterBytesMax, until: until)
    let verification = arguments.has("--verify") ? ReplayVerification(format: settings.engine.format) : nil
    var plans: [ReplayPlan]
    if let verification {
      // What is missing or ahead is told from these: positions, then what is published, then positions again.
      let before = try replay.committedOffsets(partitions: source.partitions)
      _ = try replay.plan(partitions: source.partitions)
      try verification.readPublished(source.published, while: { !Interruption.isRequested }) { count in
        progress.show { "\(count) published records read" }
      }
      plans = try replay.plan(partitions: source.partitions)
      verification.mayMissNewest = try before != replay.committedOffsets(partitions: source.partitions)
      verification.mayHoldMore = until != nil
    } else {
      plans = try replay.plan(partitions: source.partitions)
    }
    if let signal = Interruption.signal { return .interrupted(signal: signal) }
    let summaries = try decideAll(replay, plans, verification)
    if let signal = Interruption.signal { return .interrupted(signal: signal) }
    try report(summaries, partitions: source.partitions)
    guard let verification else { return .done }
    return try judge(verification, replay, source, plans, summaries)
  }

  // MARK: Deciding

  private func decideAll(_ replay: Replay, _ plans: [ReplayPlan], _ verification: ReplayVerification?) throws
    -> [ReplaySummary]
  {
    var lines = try RecordLines(arguments)
    let writesFiles = CommandDefinition.replayOutputs.contains { arguments.has($0) }
    // Files hold JSON whatever `output` says; what is compared has the format of what was published.
    let isOnePass = verification == nil || settings.engine.format == .json
    var summaries: [ReplaySummary] = []
    for plan in plans where !Interruption.isRequested {
      summaries.append(
        try runOne(replay, plan, format: verification == nil ? .json : nil) { outputs in
          verification?.take(outputs)
          if writesFiles && isOnePass { try lines.write(outputs) }
        })
      guard writesFiles, !isOnePass else { continue }
      _ = try runOne(replay, plan, format: .json) { outputs in try lines.write(outputs) }
    }
    try lines.flush()
    progress.finish()
    return summaries
  }

  private func runOne(
    _ replay: Replay, _ plan: ReplayPlan, format: RecordFormat?, _ take: (borrowing OutputBatch) throws -> Void
  ) throws -> ReplaySummary {
    try replay.run(
      plan, format: format, while: { !Interruption.isRequested },
      progress: { count in progress.show { "partition \(plan.partition): \(count) records decided" } }, take)
  }

  // MARK: Reporting

  private func say(_ line: String) throws(CommandFailure) {
    if isOutputTaken { StandardStreams.report(line) } else { try StandardStreams.print(line + "\n") }
  }

  private func report(_ summaries: [ReplaySummary], partitions: Int) throws(CommandFailure) {
    for summary in summaries {
      try say(
        "partition \(summary.partition): \(summary.inputRecords) records, \(summary.journalEntries) journal entries, "
          + "\(summary.borrowers) borrowers, up to offset \(summary.position.inputOffset), state \(summary.stateHash)")
    }
    let decided = Set(summaries.map(\.partition))
    for partition in 0..<Int32(partitions) where !decided.contains(partition) {
      try say("partition \(partition): nothing was decided yet")
    }
  }

  private func judge(
    _ verification: ReplayVerification, _ replay: Replay, _ source: ReplaySource, _ plans: [ReplayPlan],
    _ summaries: [ReplaySummary]
  ) throws -> ExitStatus {
    verification.finish()
    for count in verification.counts {
      let name = settings.name(of: count.topic)
      try say(
        "\(name): \(count.equal) records equal, \(count.gone) gone by retention or compaction"
          + (count.different == 0 ? "" : ", \(count.different) keys differ"))
    }
    if verification.mayMissNewest {
      try say("the daemon was at work: what it published since the start of this command is not compared")
    }
    var problems: [String] = []
    if let first = verification.differences.first {
      let others = verification.differences.count - 1
      problems.append(
        try describe(first, replay, source, plans) + (others == 0 ? "" : "; \(others) more keys differ"))
    }
    problems += try compareStates(replay, plans, summaries)
    guard problems.isEmpty else {
      throw CommandFailure(lines: problems.map { "lendpulse replay: \($0)" }, status: .failed)
    }
    try say("verified: every published record that is still there follows from the log")
    return .done
  }

  /// Decides again once more, for the one key.
  private func describe(
    _ difference: ReplayDifference, _ replay: Replay, _ source: ReplaySource, _ plans: [ReplayPlan]
  ) throws -> String {
    var published: OwnedRecord?
    if let partition = difference.partition, let offset = difference.offset {
      try source.published.read(
        difference.topic, partition, offset..<offset + 1, while: { !Interruption.isRequested }
      ) { published = OwnedRecord($0) }
    }
    let collector = DecidedRecords(of: difference, format: settings.engine.format)
    for plan in plans where !Interruption.isRequested {
      _ = try runOne(replay, plan, format: nil) { outputs in collector.take(outputs) }
    }
    return difference.describe(
      topicName: settings.name(of: difference.topic), published: published, decided: collector.records)
  }

  /// What a restart would begin with must be the same state.
  private func compareStates(_ replay: Replay, _ plans: [ReplayPlan], _ summaries: [ReplaySummary]) throws
    -> [String]
  {
    guard until == nil else { return [] }
    var problems: [String] = []
    for (plan, summary) in zip(plans, summaries) where summary.isWhole && !Interruption.isRequested {
      progress.show { "partition \(plan.partition): its state is restored and compared" }
      let restored = try replay.restoredState(plan)
      // A daemon that is at work has gone on meanwhile.
      guard restored.position == summary.position, restored.stateHash != summary.stateHash else { continue }
      problems.append(
        "\(settings.stateTopic)[\(plan.partition)]: the state that a restart restores has the hash \(restored.stateHash),"
          + " and what the log leads to \(summary.stateHash)")
    }
    return problems
  }
}
