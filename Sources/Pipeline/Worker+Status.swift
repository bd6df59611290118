import Borrowers
import Scoring

/// What a worker counts, beyond what its engines count.
struct WorkerReport {
  var totals = PipelineTotals()
  /// Alerts and leads of committed transactions.
  var view = PipelineStatus()
  /// As it stands, where the forecasts are made here.
  var forecaster: Forecaster?
  var publishedAt = Int64.min

  mutating func noteScored(_ count: Int, nanoseconds: Int64) {
    totals.scoringLatency.add(seconds: Double(nanoseconds) / 1e9 / Double(count), count: count)
  }

  mutating func noteRestore(_ summary: RestoreSummary) {
    totals.restores += 1
    totals.restoreSeconds += Double(summary.milliseconds) / 1e3
  }

  /// An engine goes; what it counted stays.
  mutating func noteForgotten(_ runner: PartitionRunner) { Self.add(runner, to: &totals) }

  static func add(_ runner: PartitionRunner, to totals: inout PipelineTotals) {
    totals.add(runner.engine.counters)
    for code in totals.deadLetters.indices { totals.deadLetters[code] += runner.deadLetters[code] }
  }
}

extension Worker {
  func publishStatus(at now: Int64) {
    guard now >= status.publishedAt + settings.statusIntervalMilliseconds * 1_000_000 || status.publishedAt == .min
    else { return }
    status.publishedAt = now == .max ? .max / 2 : now
    var published = status.view
    published.totals = status.totals
    published.forecaster = status.forecaster
    for runner in runners.values { WorkerReport.add(runner, to: &published.totals) }
    for partition in state.ownedPartitions {
      var one = PartitionStatus(partition: partition)
      one.worker = index
      one.phase = Self.phase(state.phase(partition))
      one.problem = problems[partition] ?? ""
      if let runner = runners[partition] {
        one.offset = runner.inputOffset
        one.watermark = runner.engine.watermark
        one.borrowers = runner.engine.borrowers
        one.stateBytes = runner.engine.stateBytes
        one.controlPosition = runner.engine.controlPosition
        one.lag = consumer.knownEnd(partition).map { max(0, $0 - runner.inputOffset) }
      }
      published.partitions.append(one)
    }
    board.publish(published)
  }

  private static func phase(_ phase: WorkerState.Phase?) -> PartitionStatus.Phase {
    switch phase {
    case .restoring: .restoring
    case .live: .live
    case .revoking: .revoking
    case .stopped: .stopped
    case .waiting, nil: .waiting
    }
  }
}

extension WorkerState {
  var ownedPartitions: [Int32] { partitions.keys.sorted() }
}

extension DecisionSettings {
  /// `file:<hash>`: names settings of a file by their content in the journal.
  public var fileControlID: String {
    var bytes = ByteBuffer()
    JournalEntry.settings(self, controlID: "").encode(into: &bytes)
    return "file:" + String(decoding: unsafe Murmur.hash128(bytes.bytes).hexadecimal, as: UTF8.self)
  }
}

// What a test asks a worker, between two turns.
extension Worker {
  package var livePartitions: [Int32] { liveRunners.map(\.partition) }
  /// Whether a live partition is where a journal entry may be taken.
  package func isBetweenRecords(_ partition: Int32) -> Bool {
    state.phase(partition) == .live && runners[partition]?.isBetweenRecords == true
  }
  package func stateHash(of partition: Int32) -> String? { runners[partition]?.engine.stateHash() }
  /// In words, beside the hash.
  package func stateDetails(of partition: Int32) -> String {
    guard let engine = runners[partition] else { return "no state" }
    return
      "\(engine.engine.borrowers) borrowers, watermark \(engine.engine.watermark.milliseconds), models \(engine.engine.modelsDigest?.prefix(6) ?? "") bytes \(engine.engine.stateBytes) at \(engine.position)"
  }
  package var restoresDone: Int { Int(status.totals.restores) }
  package var failure: BrokerError? { endedWith ?? nil }

  /// Nothing is left to be decided, published or told.
  package var isQuiet: Bool {
    underWay == nil && filling.isEmpty && !policy.hasWork && starting.isEmpty
      && (unadopted.isEmpty && controlVersion == control.bookVersion || liveRunners.contains { !$0.isBetweenRecords })
  }

  package var summary: String {
    let phases = state.ownedPartitions.map { "\($0) \(state.phase($0).map { "\($0)" } ?? "")" }
    return "[\(phases.joined(separator: ", "))\(underWay == nil ? "" : ", committing")"
      + "\(problems.isEmpty ? "" : ", \(problems)")]"
  }
}
