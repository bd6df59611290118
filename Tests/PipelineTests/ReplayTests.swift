import Borrowers
import Foundation
import Scoring
import Testing

@testable import Pipeline

/// A replay over what a disturbed run left in a broker in memory.
@Suite(.serialized) struct ReplayTests {
  /// A run with kills, aborts, fencing, lost answers, edited settings, other models and idle advances in it.
  static func disturbed(seed: UInt64) throws -> (
    broker: MemoryBroker, hashes: [Int32: String], settings: PipelineSettings
  ) {
    let broker = MemoryBroker(partitions: 3)
    var world = TestEvents(seed: seed)
    var random = SplitMix(state: seed ^ 0x5eed)
    var settings = RecoveryTests.settings()
    settings.idleAfterMilliseconds = 50
    let clock = TestClock(epoch: 1_780_000_000_000)
    let worker = try TestWorker(broker, clock: clock, settings)
    for round in 0..<24 {
      world.feed(broker, 14)
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        switch Int.random(in: 0..<16, using: &random) {
        case 0: try worker.kill()
        case 1: broker.inject(.abort)
        case 2: broker.inject(.fenced)
        case 3: broker.inject(.lostAfterCommit)
        case 4: broker.inject(.lostBeforeCommit)
        case 5: clock.advance(milliseconds: Int64.random(in: 0...4_000_000, using: &random))
        case 6:
          worker.settings.engine.settings.alerts.medium = Double.random(in: 0.15...0.45, using: &random)
          worker.settings.engine.settings.leads.utilizationThreshold = Double.random(in: 0.3...0.9, using: &random)
          try worker.kill()
        case 7:
          worker.models = worker.models === TestModels.first ? TestModels.second : TestModels.first
          try worker.kill()
        default: worker.turn(Int.random(in: 1...4, using: &random))
        }
      }
      // It may end in the middle of a thousand timers, or of the steps of a threshold.
      if round % 6 != 5 { worker.turn(2) } else { worker.drain() }
    }
    if seed % 2 == 0 { worker.drain() }
    worker.stop()
    try worker.kill()
    worker.worker.settleRestores()
    return (broker, worker.stateHashes(), settings)
  }

  static func makeReplay(_ reader: some LogReader, _ settings: PipelineSettings, until: EventTime? = nil) -> Replay {
    Replay(settings: settings, reader: reader, partitions: 3, deadLetterBytesMax: 4_096, until: until)
  }

  @Test(arguments: 0..<10 as Range<UInt64>)
  func `all that a disturbed run published follows from input and journal, and so does its state`(seed: UInt64) throws {
    let (broker, hashes, settings) = try Self.disturbed(seed: seed)
    let replay = Self.makeReplay(JournalFromItsStart(broker), settings)
    let verification = ReplayVerification(format: .json)
    let published = MemoryPublished(broker)
    try verification.readPublished(published)
    let plans = try replay.plan(partitions: 3)
    #expect(plans.count == 3)
    for plan in plans {
      let summary = try replay.run(plan) { verification.take($0) }
      #expect(summary.isWhole)
      #expect(summary.stateHash == hashes[plan.partition], "seed \(seed), partition \(plan.partition)")
      #expect(summary.position == plan.position, "seed \(seed), partition \(plan.partition)")
      let restored = try replay.restoredState(plan)
      #expect(restored.stateHash == summary.stateHash, "seed \(seed), partition \(plan.partition)")
      #expect(restored.position == summary.position, "seed \(seed), partition \(plan.partition)")
    }
    verification.finish()
    #expect(verification.differences.isEmpty, "seed \(seed): \(verification.differences.first.map { "\($0)" } ?? "")")
    let equal = verification.counts.map(\.equal).reduce(0, +)
    #expect(equal == ReplayVerification.topics.map { published.records($0).count }.reduce(0, +))
    #expect(equal > 200)
    #expect(verification.counts.allSatisfy { $0.gone == 0 })
  }

  @Test(arguments: 0..<6 as Range<UInt64>)
  func `a single altered byte is found, in its record and field`(seed: UInt64) throws {
    let (broker, _, settings) = try Self.disturbed(seed: 2)
    let replay = Self.makeReplay(JournalFromItsStart(broker), settings)
    let plans = try replay.plan(partitions: 3)
    var random = SplitMix(state: seed)
    for topic in ReplayVerification.topics {
      let published = MemoryPublished(broker)
      let index = Int.random(in: 0..<published.records(topic).count, using: &random)
      var record = published.records(topic)[index]
      let field: String?
      switch Int.random(in: 0..<3, using: &random) {
      case 0 where record.key != nil:
        record.key![0] ^= 1
        field = topic == .deadLetters ? "key" : nil
      case 1:
        record.headers[record.headers.count - 1] ^= 1
        field = "header"
      default:
        guard var value = record.value else { continue }
        let position = Int.random(in: 0..<value.count, using: &random)
        value[position] ^= 1
        record.value = value
        field = ""
      }
      published.alter(topic, index, record)
      let verification = ReplayVerification(format: .json)
      try verification.readPublished(published)
      for plan in plans { _ = try replay.run(plan) { verification.take($0) } }
      verification.finish()
      let first = try #require(verification.differences.first, "seed \(seed), \(topic)")
      #expect(
        first.topic == topic && first.partition == 0 && first.offset == Int64(index), "seed \(seed), \(topic): \(first)"
      )
      let collector = DecidedRecords(of: first, format: .json)
      for plan in plans { _ = try replay.run(plan) { collector.take($0) } }
      let line = first.describe(topicName: "copy", published: record, decided: collector.records)
      #expect(line.hasPrefix("copy[0]@\(index), "), "\(line)")
      // An altered key or source stands alone: nothing was decided for it.
      if let field, topic != .deadLetters || field != "header" {
        #expect(line.contains("differs in \(field)"), "seed \(seed), \(topic): \(line)")
      }
    }
  }

  @Test func `a record that was lost, repeated or exchanged is found`() throws {
    let (broker, _, settings) = try Self.disturbed(seed: 4)
    let replay = Self.makeReplay(JournalFromItsStart(broker), settings)
    let plans = try replay.plan(partitions: 3)
    for topic in [OutputTopic.alerts, .leads, .deadLetters] {
      for change in 0..<3 {
        let published = MemoryPublished(broker)
        let records = published.records(topic)
        switch change {
        case 0: published.replace(topic, Array(records.dropLast()))
        case 1: published.replace(topic, records + [records[records.count / 2]])
        default:
          guard let key = records.first?.key,
            let other = records.indices.first(where: { $0 > 0 && records[$0].key == key })
          else { continue }
          var exchanged = records
          exchanged.swapAt(0, other)
          published.replace(topic, exchanged)
        }
        let verification = ReplayVerification(format: .json)
        try verification.readPublished(published)
        for plan in plans { _ = try replay.run(plan) { verification.take($0) } }
        verification.finish()
        #expect(!verification.differences.isEmpty, "\(topic), change \(change)")
      }
    }
  }

  @Test func `a compacted topic and a beginning deleted by retention verify, and the rest is counted`() throws {
    let (broker, _, settings) = try Self.disturbed(seed: 6)
    let replay = Self.makeReplay(JournalFromItsStart(broker), settings)
    let published = MemoryPublished(broker)
    let scores = published.records(.scores)
    let newest = scores.indices.filter { index in !scores[(index + 1)...].contains { $0.key == scores[index].key } }
    published.replace(.scores, newest.map { scores[$0] })
    let alerts = published.records(.alerts)
    published.replace(.alerts, Array(alerts.dropFirst(alerts.count / 3)), start: Int64(alerts.count / 3))
    let verification = ReplayVerification(format: .json)
    try verification.readPublished(published)
    for plan in try replay.plan(partitions: 3) { _ = try replay.run(plan) { verification.take($0) } }
    verification.finish()
    #expect(verification.differences.isEmpty, "\(verification.differences)")
    #expect(verification.counts[0].equal == newest.count)
    #expect(verification.counts[0].gone == scores.count - newest.count)
    #expect(verification.counts[1].gone == alerts.count / 3)
  }

  @Test func `an end in time decides a beginning of the same records`() throws {
    let (broker, _, settings) = try Self.disturbed(seed: 8)
    let whole = try decide(Self.makeReplay(JournalFromItsStart(broker), settings))
    let times = broker.state.withLock { $0.logs[.input]!.joined().map(\.timestamp) }.sorted()
    let until = EventTime(milliseconds: times[times.count / 2])
    let part = try decide(Self.makeReplay(JournalFromItsStart(broker), settings, until: until))
    for partition in whole.indices {
      #expect(part[partition].count < whole[partition].count)
      #expect(part[partition] == Array(whole[partition].prefix(part[partition].count)))
    }
    #expect(part.joined().contains { $0.contains("\"trigger\":\"event\"") })
  }

  private func decide(_ replay: Replay) throws -> [[String]] {
    try replay.plan(partitions: 3).map { plan in
      var values: [String] = []
      _ = try replay.run(plan) { batch in
        for entry in batch.entries {
          values.append(unsafe String(decoding: batch.slice(entry.valueStart, entry.valueCount), as: UTF8.self))
        }
      }
      return values
    }
  }

  @Test func `a replay without its beginning or its models is refused with a line that names it`() throws {
    let (broker, _, settings) = try Self.disturbed(seed: 10)
    func refusal(_ change: (MemoryBroker, inout PipelineSettings, JournalFromItsStart) -> Void) throws -> String {
      var changed = settings
      let reader = JournalFromItsStart(broker)
      change(broker, &changed, reader)
      let error = #expect(throws: BrokerError.self) {
        try Self.makeReplay(reader, changed).plan(partitions: 3)
      }
      return error?.description ?? ""
    }
    #expect(
      try refusal { _, _, reader in reader.journalStart = 1 }.contains("lendpulse-journal[0]: its beginning is gone"))
    let without = TestModels.directory + "-none"
    #expect(try refusal { _, settings, _ in settings.modelsDirectory = without }.contains(without))
    let line = try refusal { broker, _, _ in broker.state.withLock { _ = $0.logs[.input]![1].removeFirst() } }
    #expect(line.contains("borrower-events[1]: its beginning is gone"), "\(line)")
  }
}

extension Worker {
  /// Until every partition is restored.
  fileprivate func settleRestores() {
    for _ in 0..<100 where runners.count < context.partitionCount {
      takeNotices()
      takeAnswers(waitMilliseconds: 0)
      acceptAssigned()
    }
  }
}

/// A log whose first entries were aborted begins at 0 all the same.
final class JournalFromItsStart: LogReader {
  private let reader: MemoryReader
  var journalStart: Int64 = 0

  init(_ broker: MemoryBroker) { reader = MemoryReader(broker) }

  func committed(_ partition: Int32) throws(BrokerError) -> CommittedOffset? { try reader.committed(partition) }
  func bounds(_ log: SourceLog, _ partition: Int32) throws(BrokerError) -> Range<Int64> {
    let bounds = try reader.bounds(log, partition)
    return log == .journal ? journalStart..<bounds.upperBound : bounds
  }
  func read(
    _ log: SourceLog, _ partition: Int32, _ range: Range<Int64>, while isWanted: () -> Bool,
    _ body: (LogRecord) throws -> Void
  ) throws { try reader.read(log, partition, range, while: isWanted, body) }
  func partitions(of log: SourceLog) throws(BrokerError) -> Int { try reader.partitions(of: log) }
  func close() {}
}

/// What was published, in topics of one partition, for a test to damage.
final class MemoryPublished: PublishedReader {
  private var topics: [OutputTopic: (start: Int64, records: [OwnedRecord])] = [:]

  init(_ broker: MemoryBroker) {
    for topic in ReplayVerification.topics {
      let stored = broker.state.withLock { $0.published[topic] ?? [] }
      topics[topic] = (
        0,
        stored.map { record in
          var headers = ByteBuffer()
          if let schema = topic.schema, record.value != nil {
            headers.appendHeader("content-type", "application/json")
            headers.appendHeader("schema", schema)
          }
          headers.append(record.headers)
          return OwnedRecord(key: record.key, value: record.value, headers: unsafe Array(headers.bytes))
        }
      )
    }
  }

  func records(_ topic: OutputTopic) -> [OwnedRecord] { topics[topic]?.records ?? [] }
  func alter(_ topic: OutputTopic, _ index: Int, _ record: OwnedRecord) { topics[topic]?.records[index] = record }
  func replace(_ topic: OutputTopic, _ records: [OwnedRecord], start: Int64 = 0) { topics[topic] = (start, records) }

  func partitions(of topic: OutputTopic) throws(BrokerError) -> Int { 1 }
  func bounds(of topic: OutputTopic, _ partition: Int32) throws(BrokerError) -> Range<Int64> {
    let (start, records) = topics[topic] ?? (0, [])
    return start..<start + Int64(records.count)
  }
  func read(
    _ topic: OutputTopic, _ partition: Int32, _ range: Range<Int64>, while isWanted: () -> Bool,
    _ body: (PublishedRecord) throws -> Void
  ) throws {
    let (start, records) = topics[topic] ?? (0, [])
    for (index, record) in records.enumerated() where range.contains(start + Int64(index)) {
      try unsafe record.headers.withUnsafeBufferPointer { headers in
        func withOptional(_ bytes: [UInt8]?, _ body: (UnsafeBufferPointer<UInt8>?) throws -> Void) rethrows {
          guard let bytes else { return try body(nil) }
          try unsafe bytes.withUnsafeBufferPointer { unsafe try body($0) }
        }
        try unsafe withOptional(record.key) { key in
          try unsafe withOptional(record.value) { value in
            try unsafe body(
              PublishedRecord(
                partition: partition, offset: start + Int64(index), key: key, value: value, headers: headers))
          }
        }
      }
    }
  }
}
