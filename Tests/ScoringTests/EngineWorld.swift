import Borrowers
import Features
import Models
import Scoring

/// A time of the tests' calendar: day 0 is 2026-01-01.
func time(day: Double) -> EventTime {
  EventTime(milliseconds: 1_767_225_600_000 + Int64((day * 86_400_000).rounded()))
}

/// An event by its fields.
struct TestEvent {
  var kind: EventKind
  var borrower = "B1"
  var id: String
  var at: EventTime
  var platform = "default"
  var loan: String?
  var amount = Double.nan
  var daysPastDue = Double.nan
  var dueAt = EventTime.distantPast
  var consent: Bool?
  var region: String?
  /// The record's Kafka timestamp; nil: its event time.
  var timestamp: EventTime?

  init(
    _ kind: EventKind, _ id: String, day: Double, borrower: String = "B1", platform: String = "default",
    loan: String? = nil, amount: Double = .nan, daysPastDue: Double = .nan, dueDay: Double? = nil,
    consent: Bool? = nil
  ) {
    self.kind = kind
    self.id = id
    at = time(day: day)
    self.borrower = borrower
    self.platform = platform
    self.loan = loan
    self.amount = amount
    self.daysPastDue = daysPastDue
    if let dueDay { dueAt = time(day: dueDay) }
    self.consent = consent
  }

  var decoded: BorrowerEvent {
    var event = BorrowerEvent()
    event.kind = kind
    event.occurredAt = at
    event.eventID = event.appendText(id)
    event.borrowerID = event.appendText(borrower)
    event.platform = event.appendText(platform)
    if let loan { event.loanID = event.appendText(loan) }
    event.amount = amount
    event.daysPastDue = daysPastDue
    event.dueAt = dueAt
    event.profile.marketingConsent = consent
    if let region { event.profile.region = event.appendText(region) }
    return event
  }
}

/// A published record, read back.
struct Published: Equatable {
  var topic: OutputTopic
  var key: String
  /// Nil: a tombstone.
  var value: String?
  var headers: [UInt8]

  /// A field's JSON text, by a search that is good for flat records.
  func field(_ name: String) -> String? {
    guard let value, let range = value.range(of: "\"\(name)\":") else { return nil }
    var depth = 0
    var isText = false
    var text = ""
    for character in value[range.upperBound...] {
      if !isText && depth == 0 && (character == "," || character == "}") { break }
      if character == "\"" { isText.toggle() }
      if !isText && "[{".contains(character) { depth += 1 }
      if !isText && "]}".contains(character) { depth -= 1 }
      text.append(character)
    }
    return text.hasPrefix("\"") ? String(text.dropFirst().dropLast()) : text
  }
}

extension OutputBatch {
  var published: [Published] {
    entries.map { entry in
      Published(
        topic: entry.topic, key: String(decoding: slice(entry.keyStart, entry.keyCount), as: UTF8.self),
        value: entry.valueCount < 0 ? nil : String(decoding: slice(entry.valueStart, entry.valueCount), as: UTF8.self),
        headers: slice(entry.headersStart, entry.headersCount))
    }
  }

  func slice(_ start: Int32, _ count: Int32) -> [UInt8] {
    unsafe Array(bytes.bytes[Int(start)..<Int(start + max(count, 0))])
  }
}

/// An engine with what feeds it, as the loop does.
struct EngineWorld: ~Copyable {
  var engine: PartitionEngine
  var outputs = OutputBatch()
  var offset: Int64 = 0

  init(_ models: ModelSet = TinyModels.all, settings: DecisionSettings = DecisionSettings()) {
    var configuration = EngineConfiguration()
    configuration.settings = settings
    engine = PartitionEngine(partition: 0, configuration: configuration, models: models)
    engine.take(.settings(settings, controlID: "file:1"))
    engine.take(.models(version: models.version, digest: models.digest))
  }

  /// What was published for others: the totals of forecast times are left out.
  private var published: [Published] { outputs.published.filter { $0.topic != .platformDaily } }

  /// Applies events one after the other and returns what they published.
  mutating func apply(_ events: TestEvent...) -> [Published] {
    outputs.removeAll()
    for event in events { applyOne(event) }
    return published
  }

  @discardableResult mutating func applyOne(_ event: TestEvent, trace: String = "") -> ApplyResult {
    let source = RecordSource(offset: offset, timestamp: event.timestamp ?? event.at)
    engine.moveWatermark(occurredAt: event.at, recordTimestamp: source.timestamp)
    while engine.step(source, &outputs) {}
    let decoded = event.decoded
    let result = unsafe Array(trace.utf8).withUnsafeBufferPointer { trace in
      unsafe engine.apply(decoded, source, traceparent: trace, &outputs)
    }
    offset += 1
    return result
  }

  mutating func take(_ entry: JournalEntry) -> [Published] {
    outputs.removeAll()
    engine.take(entry)
    while engine.step(RecordSource(offset: offset - 1, timestamp: engine.watermark), &outputs) {}
    return published
  }

  /// Moves the watermark to just behind a day and fires what it passes, jitter included.
  mutating func idle(toDay day: Double) -> [Published] {
    take(.idleAdvance(watermark: time(day: day) + 600_001))
  }
}
