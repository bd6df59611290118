import Borrowers
import Models
import Scoring
import Testing

@testable import Pipeline

/// Control records through the loop: each partition takes them once, in their order, whatever interrupts it.
@Suite(.serialized) struct ControlTests {
  private static func center(
    _ settings: PipelineSettings, _ channel: any ControlChannel, models: ModelSet = TestModels.first
  ) throws -> ControlCenter {
    let center = ControlCenter(settings: settings, models: models, channel: channel, clock: SystemClock())
    try center.start()
    return center
  }

  private static func settings(medium: Double) -> DecisionSettings {
    var settings = DecisionSettings()
    settings.alerts.medium = medium
    return settings
  }

  private static func submit(_ center: ControlCenter, _ content: ControlRecord.Content) throws {
    let record = try center.submit(content, by: "tester", why: "because")
    #expect(center.awaitRead(record, waitMilliseconds: 20_000))
  }

  // MARK: Records

  @Test(
    "a control record is read back",
    arguments: [
      ControlRecord.Content.settings(DecisionSettings()), .file(DecisionSettings()),
      .models(version: "overdue-1+demand-2", digest: "00ff"),
      .alertOverride(
        partition: 3,
        AlertOverride(
          action: .force, severity: .critical, until: EventTime(milliseconds: 1_780_000_000_123),
          borrowerID: Array("B1".utf8), salt: [0, 255, 16])),
    ])
  func records(_ content: ControlRecord.Content) throws {
    let record = ControlRecord(
      content: content, at: EventTime(milliseconds: 1_780_000_000_000), by: "ann \"x\"", why: "because\nof it")
    var read = try #require(ControlRecord(Array(record.json.utf8), offset: 9))
    #expect(read.offset == 9)
    read.offset = -1
    #expect(read == record)
    #expect(!record.json.contains("B1"))
    #expect(ControlRecord(Array(record.json.utf8.dropLast()), offset: 1) == nil)
  }

  // MARK: The start

  @Test func `the file's settings are the first record, and an edited file a later one`() throws {
    let channel = ProcessControlChannel()
    var settings = PipelineSettings()
    _ = try Self.center(settings, channel)
    #expect(try channel.end() == 1)
    let second = try Self.center(settings, channel)
    #expect(try channel.end() == 1, "the same file says nothing new")
    try Self.submit(second, .settings(Self.settings(medium: 0.4)))
    let third = try Self.center(settings, channel)
    #expect(try channel.end() == 2)
    #expect(third.settings.alerts.medium == 0.4, "the control record holds")
    settings.engine.settings.alerts.medium = 0.2
    let edited = try Self.center(settings, channel)
    #expect(try channel.end() == 3)
    #expect(edited.settings.alerts.medium == 0.2, "an edited file is a change")
    #expect(edited.settingsID.hasPrefix("file:"))
    #expect(edited.audit(before: .max, limit: 2).map(\.kind) == ["file", "settings"])
    #expect(edited.audit(before: 1, limit: 9).map(\.kind) == ["file"])
    for center in [second, third, edited] { center.stop() }
  }

  @Test func `a record that cannot be read is passed over`() throws {
    let channel = ProcessControlChannel()
    _ = try channel.append(Array("{\"schema\":\"lendpulse.control.v9\"}".utf8))
    let center = try Self.center(PipelineSettings(), channel)
    #expect(center.end == 2)
    center.stop()
  }

  // MARK: The book

  @Test func `a partition takes records in their order, and what is its own`() throws {
    var book = ControlBook(settings: DecisionSettings(), models: TestModels.first)
    func record(_ offset: Int64, _ content: ControlRecord.Content) -> ControlRecord {
      var record = ControlRecord(content: content, at: EventTime(milliseconds: 0), by: "", why: "")
      record.offset = offset
      return record
    }
    let snooze = AlertOverride(
      action: .snooze, until: EventTime(milliseconds: 5), borrowerID: Array("B".utf8), salt: [1])
    book.append(record(0, .file(DecisionSettings())))
    book.append(record(1, .settings(Self.settings(medium: 0.3))))
    book.append(record(2, .alertOverride(partition: 1, snooze)))
    book.append(record(3, .models(version: "gone", digest: "gone")))
    book.append(record(4, .settings(Self.settings(medium: 0.35))))
    var cursor: Int64? = 1
    var held = DecisionSettings()
    var taken: [String] = []
    while let next = book.next(
      &cursor, partition: 1, settings: held, modelsDigest: TestModels.first.digest)
    {
      guard case .control(_, let id, let change) = next.entry else { fatalError("an entry of control") }
      if case .settings(let settings) = change { held = settings }
      taken.append(id)
    }
    #expect(taken == ["control:1", "control:2", "control:4"])
    #expect(cursor == 5)
    // A partition that begins takes the newest settings alone.
    cursor = nil
    let first = book.next(&cursor, partition: 1, settings: nil, modelsDigest: nil)
    #expect(first?.entry == .control(offset: 4, id: "control:4", .settings(Self.settings(medium: 0.35))))
    let second = book.next(
      &cursor, partition: 1, settings: Self.settings(medium: 0.35), modelsDigest: nil)
    #expect(second?.models?.digest == TestModels.first.digest)
    // So does one whose topic was made anew.
    cursor = 77
    let anew = book.next(&cursor, partition: 1, settings: held, modelsDigest: TestModels.first.digest)
    #expect(anew == nil)
    #expect(cursor == 5)
  }

  // MARK: The loop

  private static func takenOffsets(_ broker: MemoryBroker, _ partition: Int) -> [Int64] {
    broker.state.withLock { $0.logs[.journal]![partition] }.compactMap { stored in
      let record = unsafe stored.value!.withUnsafeBufferPointer { unsafe JournalRecord($0) }
      guard case .control(let offset, _, .settings)? = record?.entry else { return nil }
      return offset
    }
  }

  @Test func `a partition that comes to an instance which has not read as far waits, and takes nothing back`() throws {
    let broker = MemoryBroker(partitions: 2)
    let channel = ProcessControlChannel()
    let settings = RecoveryTests.settings()
    let clock = TestClock(epoch: 1_780_000_000_000)
    func instance(_ channel: any ControlChannel) throws -> ControlCenter {
      let center = ControlCenter(settings: settings, models: TestModels.first, channel: channel, clock: clock)
      try center.prepare()
      return center
    }
    let (first, second) = (try instance(channel), try instance(channel))
    var world = TestEvents(seed: 4)
    world.feed(broker, 20)
    _ = try first.submit(.settings(Self.settings(medium: 0.4)), by: "tester", why: "because")
    first.look()
    try TestWorker(broker, clock: clock, settings, control: first).drain()
    #expect(Self.takenOffsets(broker, 0) == [1])

    // It has moved to another instance, which reads the record later.
    let other = try TestWorker(broker, clock: clock, settings, control: second)
    world.feed(broker, 20)
    other.drain()
    #expect(other.worker.runners.values.allSatisfy { $0.engine.settings?.alerts.medium == 0.4 })
    second.look()
    other.turn(4)
    _ = try second.submit(.settings(Self.settings(medium: 0.3)), by: "tester", why: "because")
    second.look()
    other.turn(4)
    for partition in 0..<2 { #expect(Self.takenOffsets(broker, partition) == [1, 2]) }

    // A topic that was made anew never comes to where the partitions are.
    let anew = try instance(ProcessControlChannel())
    let last = try TestWorker(broker, clock: clock, settings, control: anew)
    last.turn(4)
    #expect(last.worker.runners.values.allSatisfy { $0.engine.settings?.alerts.medium == 0.3 })
    anew.look()
    last.turn(4)
    #expect(last.worker.runners.values.allSatisfy { $0.engine.settings == settings.engine.settings })
  }

  @Test(arguments: 0..<4 as Range<UInt64>)
  func `changed settings, overrides and models are taken once each and come back, through kills and aborts`(
    seed: UInt64
  ) throws {
    let broker = MemoryBroker(partitions: 3)
    let channel = ProcessControlChannel()
    var world = TestEvents(seed: seed)
    var random = SplitMix(state: seed ^ 0xc0ffee)
    let settings = RecoveryTests.settings()
    let center = try Self.center(settings, channel)
    let worker = try TestWorker(broker, clock: TestClock(epoch: 1_780_000_000_000), settings, control: center)
    for round in 0..<24 {
      world.feed(broker, 12)
      switch Int.random(in: 0..<4, using: &random) {
      case 0:
        try Self.submit(center, .settings(Self.settings(medium: Double.random(in: 0.15...0.45, using: &random))))
      case 1:
        let number = Int.random(in: 0..<24, using: &random)
        try Self.submit(
          center,
          .alertOverride(
            partition: Int32(number % 3),
            AlertOverride(
              action: .force, severity: .critical,
              until: EventTime(milliseconds: world.time + Int64.random(in: 1...900_000_000, using: &random)),
              borrowerID: Array("B\(number)".utf8), salt: [UInt8(round)])))
      case 2:
        let next = center.models === TestModels.first ? TestModels.second : TestModels.first
        try Self.submit(center, .models(version: next.version, digest: next.digest))
      default: break
      }
      worker.turn(Int.random(in: 1...6, using: &random))
      switch Int.random(in: 0..<5, using: &random) {
      case 0: try worker.kill()
      case 1: broker.inject(.abort)
      case 2: broker.inject(.lostBeforeCommit)
      case 3: broker.inject(.fenced)
      default: break
      }
    }
    worker.turn(30)
    worker.drain()
    let before = worker.stateHashes()
    for runner in worker.worker.runners.values {
      #expect(runner.engine.settings == center.settings, "seed \(seed)")
      #expect(runner.engine.modelsDigest == center.models.digest, "seed \(seed)")
    }
    try worker.kill()
    worker.turn(4)
    #expect(worker.stateHashes() == before, "seed \(seed)")
    // Each record was taken at most once by each partition.
    let entries = broker.state.withLock { $0.logs[.journal]! }
    for partition in entries {
      var offsets: [Int64] = []
      for stored in partition {
        let record = unsafe stored.value!.withUnsafeBufferPointer { unsafe JournalRecord($0) }
        if case .control(let offset, let id, _)? = record?.entry, id == "control:\(offset)" { offsets.append(offset) }
      }
      #expect(offsets == offsets.sorted(), "seed \(seed)")
      #expect(Set(offsets).count == offsets.count, "seed \(seed)")
    }
    center.stop()
  }

  @Test func `questions are answered between two turns, and a preview counts every borrower`() throws {
    let broker = MemoryBroker(partitions: 2)
    var world = TestEvents(seed: 3)
    world.feed(broker, 200)
    let worker = try TestWorker(broker, clock: TestClock(epoch: world.time), RecoveryTests.settings())
    worker.drain()
    let borrower = Mailbox<BorrowerAnswer>()
    let other = Mailbox<BorrowerAnswer>()
    let preview = Mailbox<PreviewAnswer>()
    #expect(worker.worker.inbox.ask(.borrower(Array("B2".utf8), partition: 0, borrower)))
    #expect(worker.worker.inbox.ask(.borrower(Array("B2".utf8), partition: 7, other)))
    #expect(worker.worker.inbox.ask(.preview(Self.settings(medium: 0.3), preview)))
    worker.turn(4)
    guard case .found(let view)? = borrower.take(waitMilliseconds: 0) else {
      Issue.record("B2 is held by partition 0")
      return
    }
    #expect(view.borrowerID == Array("B2".utf8))
    guard case .elsewhere(partition: 7)? = other.take(waitMilliseconds: 0) else {
      Issue.record("partition 7 is not here")
      return
    }
    let answer = try #require(preview.take(waitMilliseconds: 0))
    #expect(answer.isComplete)
    #expect(answer.partitions == [0, 1])
    #expect(answer.counts.borrowers == worker.worker.runners.values.reduce(0) { $0 + $1.engine.borrowers })
  }
}
