import Borrowers
import Pipeline
import Scoring

// What somebody asks for while a run goes on, and whether every partition took it: once, in the topic's order.
extension FaultRun {
  /// Settings, an override or models, by an instance that is there.
  func ask() {
    guard let process = awake.randomElement(using: &random), let control = process.control else { return }
    let content: ControlRecord.Content
    switch random.integer(0...4) {
    case 0, 1:
      var settings = DecisionSettings()
      settings.alerts.medium = Double(random.integer(15...45)) / 100
      settings.leads.utilizationThreshold = Double(random.integer(3...9)) / 10
      content = .settings(settings)
    case 2:
      let used = models[random.integer(0...models.count - 1)]
      content = .models(version: used.version, digest: used.digest)
    default: content = anOverride()
    }
    _ = try? control.submit(content, by: "operator", why: "it was asked for")
  }

  private func anOverride() -> ControlRecord.Content {
    let number = random.integer(0...events.borrowers - 1)
    let actions: [AlertOverride.Action] = [.lift, .snooze, .force]
    let action = actions[random.integer(0...2)]
    let until = SimulatedClock.wall(at: scheduler.now) + Int64(random.integer(1...80_000_000))
    return .alertOverride(
      partition: Int32(number % cluster.partitions),
      AlertOverride(
        action: action, severity: action == .force ? .critical : .none, until: EventTime(milliseconds: until),
        borrowerID: Array("B\(number)".utf8), salt: (0..<16).map { _ in UInt8(random.integer(0...255)) }))
  }

  /// The journals against the control topic, and what is in force against what was asked for last.
  func compareControl(_ replay: LogReplay) {
    let records = cluster.control.committed.compactMap { record in
      record.value.flatMap { ControlRecord($0, offset: record.offset) }
    }
    for partition in 0..<Int32(cluster.partitions) {
      if let problem = Self.problem(partition, replay.entries[partition] ?? [], records) {
        report.problems.append("partition \(partition): \(problem)")
      }
      // In the middle of a record nothing is taken.
      let owner = awake.first { process in process.workers.contains { $0.isBetweenRecords(partition) } }
      guard let control = owner?.control else { continue }
      if replay.settings[partition] != control.settings {
        report.problems.append("partition \(partition): its settings are not the newest, \(control.settingsID)")
      }
      if replay.modelsDigests[partition] != control.models.digest {
        report.problems.append("partition \(partition): its models are not the newest")
      }
    }
  }

  private static func problem(_ partition: Int32, _ entries: [JournalRecord], _ records: [ControlRecord]) -> String? {
    var offsets: [Int64] = []
    /// Of entries that are a record's own, and not what is in force besides.
    var taken: [Int64] = []
    for entry in entries {
      guard case .control(let offset, let id, _) = entry.entry else { continue }
      offsets.append(offset)
      if id == "control:\(offset)" { taken.append(offset) }
    }
    guard let first = offsets.first else { return nil }
    if offsets != offsets.sorted() { return "control records were taken in another order: \(offsets)" }
    if Set(taken).count != taken.count { return "a control record was taken twice: \(taken)" }
    for record in records where record.offset > first {
      guard case .alertOverride(partition, _) = record.content else { continue }
      if !taken.contains(record.offset) { return "the override at \(record.offset) was not taken: \(taken)" }
    }
    return nil
  }
}
