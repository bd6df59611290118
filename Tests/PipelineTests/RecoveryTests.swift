import Borrowers
import Scoring
import Testing

@testable import Pipeline

/// The whole loop over a broker in memory: whatever interrupts it, what is published is what an undisturbed run publishes.
@Suite(.serialized) struct RecoveryTests {
  static let partitions = 3

  static func settings() -> PipelineSettings {
    var settings = PipelineSettings()
    settings.idleAfterMilliseconds = 0
    settings.checkpointIntervalMilliseconds = 40
    settings.modelsDirectory = TestModels.directory
    // Small, so that transactions are cut between timers, and checkpoints take many slices.
    settings.limits.entriesMax = 7
    settings.limits.sliceBytesMax = 600
    return settings
  }

  static func undisturbed(seed: UInt64, events: Int) throws -> (MemoryBroker, [Int32: String]) {
    let broker = MemoryBroker(partitions: partitions)
    var world = TestEvents(seed: seed)
    world.feed(broker, events)
    let worker = try TestWorker(broker, clock: TestClock(epoch: world.time), settings())
    worker.drain()
    return (broker, worker.stateHashes())
  }

  static let topics: [OutputTopic] = [.scores, .alerts, .leads, .repaymentForecasts, .deadLetters]

  @Test func `an undisturbed run scores every event once, and decides`() throws {
    let (broker, _) = try Self.undisturbed(seed: 1, events: 600)
    let scores = broker.published(.scores).values.joined().filter { $0.contains(#""trigger":"event""#) }
    #expect(scores.count > 400)
    #expect(!broker.published(.alerts).isEmpty)
    #expect(!broker.published(.leads).isEmpty)
    #expect(broker.published(.repaymentForecasts)["default"]!.count > 40)
    #expect(!broker.published(.deadLetters).isEmpty)
    #expect(broker.published(.scores).values.joined().contains { $0.contains(#""trigger":"due_passed""#) })
  }

  /// The same records of each key, in order.
  func expectSame(_ broker: MemoryBroker, _ reference: MemoryBroker, _ seed: UInt64) {
    for topic in Self.topics {
      let (published, wanted) = (broker.published(topic), reference.published(topic))
      for key in Set(published.keys).union(wanted.keys).sorted() where published[key] != wanted[key] {
        let (left, right) = (published[key] ?? [], wanted[key] ?? [])
        let first = zip(left, right).enumerated().first { $1.0 != $1.1 }
        Issue.record(
          "seed \(seed), \(topic) of \(key): \(left.count) and \(right.count) records, first other \(first.map { "\($0)" } ?? "")"
        )
      }
    }
  }

  @Test(arguments: 0..<6 as Range<UInt64>)
  func `kills, aborts, fencing and lost answers at random points change nothing that is published`(seed: UInt64) throws
  {
    let events = 300
    let (reference, hashes) = try Self.undisturbed(seed: seed, events: events)
    let broker = MemoryBroker(partitions: Self.partitions)
    var world = TestEvents(seed: seed)
    var random = SplitMix(state: seed ^ 0xdead)
    let worker = try TestWorker(broker, clock: TestClock(epoch: 1_780_000_000_000), Self.settings())
    for _ in 0..<30 {
      world.feed(broker, events / 30)
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        switch Int.random(in: 0..<12, using: &random) {
        case 0: try worker.kill()
        case 1:
          worker.stop()
          try worker.kill()
        case 2: broker.inject(.abort)
        case 3: broker.inject(.fenced)
        case 4: broker.inject(.lostAfterCommit)
        case 5: broker.inject(.lostBeforeCommit)
        default: worker.turn()
        }
      }
    }
    worker.drain()
    expectSame(broker, reference, seed)
    #expect(worker.stateHashes() == hashes, "seed \(seed)")
  }

  @Test(arguments: 0..<4 as Range<UInt64>)
  func `partitions revoked or lost and given back change nothing that is published`(seed: UInt64) throws {
    let (reference, _) = try Self.undisturbed(seed: seed, events: 300)
    let broker = MemoryBroker(partitions: Self.partitions)
    var world = TestEvents(seed: seed)
    var random = SplitMix(state: seed ^ 0xbeef)
    let worker = try TestWorker(broker, clock: TestClock(epoch: 1_780_000_000_000), Self.settings())
    for _ in 0..<30 {
      world.feed(broker, 10)
      worker.turn(Int.random(in: 1...3, using: &random))
      let consumer = worker.worker.consumer as! MemoryConsumer
      let partition = Int32.random(in: 0..<Int32(Self.partitions), using: &random)
      guard worker.worker.state.phase(partition) != nil else { continue }
      if Int.random(in: 0..<4, using: &random) == 0 { broker.inject(.abort) }
      consumer.push(Bool.random(using: &random) ? .revoked([partition]) : .lost([partition]))
      for _ in 0..<200 where worker.worker.state.phase(partition) != nil { worker.turn() }
      consumer.push(.assigned([partition]))
    }
    worker.drain()
    expectSame(broker, reference, seed)
  }

  @Test(arguments: 0..<3 as Range<UInt64>)
  func `edited settings, other models and idle advances are in the journal, and come back with it`(seed: UInt64) throws
  {
    let broker = MemoryBroker(partitions: Self.partitions)
    var world = TestEvents(seed: seed)
    var random = SplitMix(state: seed ^ 0xcafe)
    var settings = Self.settings()
    settings.idleAfterMilliseconds = 50
    let clock = TestClock(epoch: 1_780_000_000_000)
    let worker = try TestWorker(broker, clock: clock, settings)
    for round in 0..<12 {
      world.feed(broker, 20)
      worker.turn(Int.random(in: 1...8, using: &random))
      clock.advance(milliseconds: Int64.random(in: 0...4_000_000, using: &random))
      worker.turn(3)
      if round % 3 == 1 {
        worker.settings.engine.settings.alerts.medium = Double.random(in: 0.15...0.45, using: &random)
        worker.settings.engine.settings.leads.utilizationThreshold = Double.random(in: 0.3...0.9, using: &random)
        try worker.kill()
      }
      if round % 4 == 2 {
        worker.models = worker.models === TestModels.first ? TestModels.second : TestModels.first
        try worker.kill()
      }
      worker.turn(20)  // Settings and models are taken, one after the other.
      worker.drain()
      let before = worker.stateHashes()
      let positions = worker.worker.runners.mapValues { $0.position }
      // Without idle advances, which the restart itself could cause.
      worker.settings.idleAfterMilliseconds = 0
      try worker.kill()
      worker.turn(3)
      for (partition, position) in positions {
        #expect(worker.worker.runners[partition]?.position == position, "seed \(seed), round \(round), \(partition)")
        #expect(worker.stateHashes()[partition] == before[partition], "seed \(seed), round \(round), \(partition)")
      }
      worker.settings.idleAfterMilliseconds = 50
      try worker.kill()
    }
    let entries = broker.state.withLock { $0.logs[.journal]!.joined().count }
    #expect(entries > 6 * Self.partitions)
  }

  static func midnight(_ broker: MemoryBroker) {
    let time: Int64 = 1_780_000_000_000
    for number in 0..<120 {
      let value =
        #"{"event_id":"E\#(number)","borrower_id":"B\#(number)","occurred_at":\#(time),"type":"installment_due","#
        + #""amount":10,"loan_id":"L","due_at":\#(time + 86_400_000)}"#
      broker.feed(0, key: "B\(number)", value: value, timestamp: time)
    }
    let later = time + 2 * 86_400_000
    let value = #"{"event_id":"F","borrower_id":"B7","occurred_at":\#(later),"type":"page_view","page":"home"}"#
    broker.feed(0, key: "B7", value: value, timestamp: later)
  }

  /// Each transaction holds a few of them.
  @Test func `an answer lost or a kill anywhere in a midnight of dues neither forgets nor repeats one`() throws {
    let reference = MemoryBroker(partitions: 1)
    Self.midnight(reference)
    try TestWorker(reference, clock: TestClock(epoch: 1_780_000_000_000), Self.settings()).drain()
    let commits = reference.state.withLock { $0.commits }
    let due = reference.published(.scores).values.joined().filter { $0.contains(#""trigger":"due_passed""#) }
    #expect(due.count == 120)
    #expect(commits > 30)
    for commit in 1...commits {
      for fault in [MemoryBroker.Fault.lostAfterCommit, .lostBeforeCommit] {
        let broker = MemoryBroker(partitions: 1)
        Self.midnight(broker)
        broker.state.withLock { $0.faultAt = (commit, fault) }
        try TestWorker(broker, clock: TestClock(epoch: 1_780_000_000_000), Self.settings()).drain()
        expectSame(broker, reference, UInt64(commit))
      }
    }
  }

  @Test func `a partition whose offsets are gone and whose journal is there is stopped, and not begun anew`() throws {
    let broker = MemoryBroker(partitions: 1)
    var world = TestEvents(seed: 8)
    world.feed(broker, 20)
    var settings = Self.settings()
    settings.checkpointIntervalMilliseconds = 1 << 30
    let worker = try TestWorker(broker, clock: TestClock(epoch: world.time), settings)
    worker.drain()
    broker.state.withLock { $0.committed = [:] }
    try worker.kill()
    worker.turn(4)
    #expect(worker.worker.state.phase(0) == .stopped)
    #expect(worker.worker.problems[0]?.contains("offsets are gone") == true)
  }

  @Test func `a position outside the input stops its partition with a line, and the others go on`() throws {
    let broker = MemoryBroker(partitions: 2)
    var world = TestEvents(seed: 5)
    world.feed(broker, 100)
    var settings = Self.settings()
    settings.checkpointIntervalMilliseconds = 1 << 30
    let worker = try TestWorker(broker, clock: TestClock(epoch: world.time), settings)
    worker.drain()
    broker.state.withLock { $0.logs[.input]![0].removeFirst(10) }
    try worker.kill()
    worker.turn(4)
    #expect(worker.worker.state.phase(0) == .stopped)
    #expect(worker.worker.problems[0]?.contains("retention") == true)
    #expect(worker.worker.state.phase(1) == .live)
  }

  @Test func `a clean stop commits all that was read`() throws {
    let broker = MemoryBroker(partitions: 1)
    var world = TestEvents(seed: 6)
    let worker = try TestWorker(broker, clock: TestClock(epoch: world.time), Self.settings())
    worker.turn(3)
    world.feed(broker, 5)
    worker.turn()
    worker.stop()
    let last = broker.state.withLock { $0.logs[.input]![0].last!.offset }
    #expect(broker.state.withLock { $0.committed[0]?.offset } == last + 1)
  }

  @Test func `a dead letter keeps what says how to read it, and the trace`() {
    let decoding = RecordDecoding(inputTopic: "events", partitions: 1, deadLetterBytesMax: 1 << 20)
    var outputs = OutputBatch()
    let type = Array("application/x-protobuf".utf8)
    let trace = Array("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".utf8)
    unsafe type.withUnsafeBufferPointer { type in
      unsafe trace.withUnsafeBufferPointer { trace in
        let record = unsafe LogRecord(
          partition: 0, offset: 3, timestamp: EventTime(milliseconds: 5), key: nil, value: nil, contentType: type,
          traceparent: trace)
        decoding.appendDeadLetter(record, DecodingError(.invalidProtobuf), &outputs)
      }
    }
    let bytes = unsafe String(decoding: outputs.bytes.bytes, as: UTF8.self)
    for text in ["content-type", "application/x-protobuf", "traceparent", "00f067aa0ba902b7"] {
      #expect(bytes.contains(text))
    }
  }

  @Test func `a dead letter carries the record as it came, and too large a one its digest`() throws {
    let broker = MemoryBroker(partitions: 1)
    broker.feed(0, key: "K", value: #"{"broken"#, timestamp: 77)
    broker.feed(0, key: nil, value: String(repeating: "x", count: 5_000), timestamp: 78)
    let worker = try TestWorker(broker, clock: TestClock(epoch: 100), Self.settings())
    worker.drain()
    let letters = broker.state.withLock { $0.published[.deadLetters] ?? [] }
    #expect(letters.count == 2)
    #expect(letters[0].value == Array(#"{"broken"#.utf8))
    let headers = String(decoding: letters[0].headers, as: UTF8.self)
    for text in ["lendpulse.error.code", "invalid_json", "lendpulse.source.offset", "lendpulse.source.timestamp", "77"]
    {
      #expect(headers.contains(text))
    }
    #expect(letters[1].value == nil)
    #expect(letters[1].key == nil)
    #expect(String(decoding: letters[1].headers, as: UTF8.self).contains("lendpulse.value.sha256"))
  }
}
