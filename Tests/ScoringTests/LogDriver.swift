import Borrowers
import Features
import Models
import Scoring

/// What a broker holds of a partition: what was committed.
struct CommittedLog {
  var inputOffset = 0
  var journalOffset = 0
  var steps = 0
  var watermark = EventTime.distantPast
  /// Scores, alerts, leads, in order.
  var outputs: [Published] = []
  /// The state topic.
  var state: [(key: [UInt8], value: [UInt8]?)] = []
}

/// Drives an engine over a history as the loop does, with transactions cut anywhere, checkpoints and crashes by chance.
struct LogDriver: ~Copyable {
  let history: RandomHistory
  var random: Random
  /// In a hundred, at each place where it may happen.
  var commitChance = 0
  var crashChance = 0
  var sliceChance = 0

  private(set) var committed = CommittedLog()
  private(set) var crashes = 0
  private(set) var checkpoints = 0

  private let cap: MemoryCap?
  private var engine: PartitionEngine
  private var outputs = OutputBatch()
  private var inputOffset = 0
  private var journalOffset = 0
  private var steps = 0
  private var isMidRecord = false
  /// Of the checkpoint under way.
  private var firstSlice: (input: Int, journal: Int)?

  init(_ history: RandomHistory, seed: UInt64, cap: MemoryCap? = nil) {
    self.history = history
    self.cap = cap
    random = Random(seed: seed)
    engine = Self.makeEngine(cap)
  }

  private static func makeEngine(_ cap: MemoryCap?) -> PartitionEngine {
    var configuration = EngineConfiguration()
    configuration.memoryCap = cap
    return PartitionEngine(partition: 0, configuration: configuration, models: TinyModels.all)
  }

  var stateHash: String { engine.stateHash() }

  mutating func run() {
    while true {
      if doStep() { continue }
      if !isMidRecord, journalOffset < history.journal.count,
        history.journal[journalOffset].precedes <= Int64(inputOffset)
      {
        engine.take(history.journal[journalOffset].entry)
        journalOffset += 1
        steps = 0
        disturb()
      } else if inputOffset == history.input.count {
        commit()
        return
      } else if isMidRecord {
        applyRecord()
      } else {
        if writeSlice() { moveWatermark() }
      }
    }
  }

  /// One step if there is one.
  private mutating func doStep() -> Bool {
    let offset = isMidRecord ? inputOffset : inputOffset - 1
    guard engine.step(RecordSource(offset: Int64(offset), timestamp: .distantPast), &outputs) else { return false }
    steps += 1
    disturb()
    return true
  }

  private func timestamp(_ event: TestEvent) -> EventTime { event.timestamp ?? event.at }

  private mutating func moveWatermark() {
    let event = history.input[inputOffset]
    let before = engine.watermark
    engine.moveWatermark(occurredAt: event.at, recordTimestamp: timestamp(event))
    isMidRecord = true
    if engine.watermark > before { steps = 0 }
  }

  private mutating func applyRecord() {
    let event = history.input[inputOffset]
    let decoded = event.decoded
    let source = RecordSource(offset: Int64(inputOffset), timestamp: timestamp(event))
    _ = unsafe engine.apply(decoded, source, traceparent: UnsafeBufferPointer(start: nil, count: 0), &outputs)
    inputOffset += 1
    steps = 0
    isMidRecord = false
    disturb()
  }

  private mutating func disturb() {
    if random.chance(commitChance) { commit() }
    if random.chance(crashChance) { crash() }
  }

  private mutating func commit() {
    for (index, record) in outputs.published.enumerated() {
      if record.topic == .state {
        let entry = outputs.entries[index]
        committed.state.append(
          (
            outputs.slice(entry.keyStart, entry.keyCount),
            entry.valueCount < 0 ? nil : outputs.slice(entry.valueStart, entry.valueCount)
          ))
      } else {
        committed.outputs.append(record)
      }
    }
    outputs.removeAll()
    committed.inputOffset = inputOffset
    committed.journalOffset = journalOffset
    committed.steps = steps
    committed.watermark = engine.watermark
  }

  /// Between two records: a slice, and the partition's record behind the last one, committed with all before.
  /// False after a crash: what comes next is decided anew.
  private mutating func writeSlice() -> Bool {
    guard random.chance(sliceChance) else { return true }
    let first = firstSlice ?? (inputOffset, journalOffset)
    firstSlice = first
    let hasMore = engine.writeSlice(
      inputOffset: Int64(inputOffset), journalOffset: Int64(journalOffset), maxBytes: 1 + random.below(900), &outputs)
    if !hasMore {
      engine.writePartitionRecord(
        reapplyInputOffset: Int64(first.input), reapplyJournalOffset: Int64(first.journal),
        inputOffset: Int64(inputOffset), journalOffset: Int64(journalOffset), &outputs)
      firstSlice = nil
      checkpoints += 1
    }
    if random.chance(crashChance) {
      crash()
      return false
    }
    commit()
    if random.chance(20) { compact() }
    return true
  }

  /// Keeps the newest record of each key, where it stands.
  private mutating func compact() {
    var kept: [(key: [UInt8], value: [UInt8]?)] = []
    for (index, record) in committed.state.enumerated()
    where !committed.state[(index + 1)...].contains(where: { $0.key == record.key }) {
      kept.append(record)
    }
    committed.state = kept
  }

  // MARK: Recovery

  private mutating func crash() {
    crashes += 1
    outputs.removeAll()
    firstSlice = nil
    engine = Self.makeEngine(cap)
    for (key, value) in committed.state { restore(key, value) }
    var start = (input: 0, journal: 0)
    if let checkpoint = engine.finishRestore() {
      start = (Int(checkpoint.inputOffset), Int(checkpoint.journalOffset))
    } else {
      engine = Self.makeEngine(cap)
    }
    reapply(from: start)
  }

  private mutating func restore(_ key: [UInt8], _ value: [UInt8]?) {
    unsafe key.withUnsafeBufferPointer { key in
      do {
        guard let value else { return try unsafe engine.restore(key: key, value: nil) }
        try unsafe value.withUnsafeBufferPointer { try unsafe engine.restore(key: key, value: $0) }
      } catch { fatalError("\(error)") }
    }
  }

  private mutating func reapply(from start: (input: Int, journal: Int)) {
    outputs.isMuted = true
    inputOffset = start.input
    journalOffset = start.journal
    isMidRecord = false
    while inputOffset < committed.inputOffset {
      while journalOffset < committed.journalOffset,
        history.journal[journalOffset].precedes <= Int64(inputOffset)
      {
        retake()
        finishSteps()
      }
      moveWatermark()
      finishSteps()
      let event = history.input[inputOffset]
      let source = RecordSource(offset: Int64(inputOffset), timestamp: timestamp(event))
      let decoded = event.decoded
      _ = unsafe engine.apply(decoded, source, traceparent: UnsafeBufferPointer(start: nil, count: 0), &outputs)
      inputOffset += 1
      isMidRecord = false
    }
    while journalOffset < committed.journalOffset {
      finishSteps()
      retake()
    }
    if committed.watermark > engine.watermark {
      finishSteps()
      engine.moveWatermark(
        occurredAt: committed.watermark + EngineConfiguration().allowedLatenessMilliseconds,
        recordTimestamp: committed.watermark)
      isMidRecord = true
    }
    steps = 0
    let source = RecordSource(offset: 0, timestamp: .distantPast)
    while steps < committed.steps, engine.step(source, &outputs) { steps += 1 }
    steps = committed.steps
    precondition(outputs.isEmpty && outputs.alerts.isEmpty, "muted outputs are empty")
    outputs.isMuted = false
  }

  private mutating func retake() {
    engine.take(history.journal[journalOffset].entry, journalOffset: Int64(journalOffset))
    journalOffset += 1
  }

  private mutating func finishSteps() {
    while engine.step(RecordSource(offset: 0, timestamp: .distantPast), &outputs) {}
  }
}
