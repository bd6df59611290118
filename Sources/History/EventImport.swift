import Borrowers

/// What an import did.
public struct ImportSummary: Equatable, Sendable {
  /// Lines that are events.
  public var events = 0
  /// Of them, those that were not there yet.
  public var added = 0
  /// Stored events that an erasure took.
  public var erased = 0
  public var badLines = 0
  public var firstBadLines: [BadLine] = []
  public var repeats: Int { events - added }
  public init() {}
}

/// A database that takes events. Nothing is there for others to see before `commit`; a store that is dropped before it
/// leaves the database as it was.
protocol EventStore: ~Copyable {
  /// Whether the database can hold the event's texts.
  func canHold(_ event: borrowing BorrowerEvent) -> Bool
  /// Events may be held back for a while; an event that is there already changes nothing.
  mutating func add(_ event: borrowing BorrowerEvent) throws(HistoryError)
  /// How many were new.
  mutating func flush() throws(HistoryError) -> Int
  /// Takes away what a borrower's last erasure covers; how many events that were.
  mutating func erase(borrower: [UInt8]) throws(HistoryError) -> Int
  mutating func commit() throws(HistoryError)
}

/// Loads events into a history database.
public enum EventImport {
  /// Reads all of `input` (a file or standard input) into `target` (a database), in one transaction: whole or not at all.
  /// An event whose borrower_id, event_id and occurred_at are there already changes nothing. Of a borrower that is erased,
  /// what came before goes from the table too. `isStopped` is asked now and then: true ends it, with nil and nothing added.
  public static func run(
    _ input: HistorySource, into target: HistorySource, reportedBadLines: Int = 5, isStopped: () -> Bool = { false },
    progress: (HistoryProgress) -> Void = { _ in }
  ) throws(HistoryError) -> ImportSummary? {
    var lines: LineReader
    switch input {
    case .ndjson(let path): lines = try LineReader(path: path)
    case .standardInput: lines = try LineReader(standardInput: ())
    case .sqlite, .postgresql:
      throw HistoryError(.usage, "--input \(input): must be an .ndjson or .ndjson.gz file, or - for standard input")
    }
    switch target {
    case .sqlite(let path):
      var store = try SQLiteStore.open(path: path)
      return try load(&lines, into: &store, reportedBadLines, isStopped, progress)
    case .postgresql(let address):
      var store = try PostgreSQLStore(address: address)
      return try load(&lines, into: &store, reportedBadLines, isStopped, progress)
    case .ndjson, .standardInput:
      throw HistoryError(
        .usage, "--history \(target): is no database to import into; name sqlite:FILE or a postgresql:// address")
    }
  }

  private static func load<Store: EventStore & ~Copyable>(
    _ lines: inout LineReader, into store: inout Store, _ reportedBadLines: Int,
    _ isStopped: () -> Bool, _ progress: (HistoryProgress) -> Void
  ) throws(HistoryError) -> ImportSummary? {
    var summary = ImportSummary()
    var decoding = LineDecoding(reportedBadLines: reportedBadLines, shard: nil)
    var event = BorrowerEvent()
    var erased: Set<[UInt8]> = []
    while try decoding.next(&lines, into: &event) {
      guard store.canHold(event) else {
        decoding.refuse(DecodingError(.invalidUTF8))
        continue
      }
      summary.events += 1
      try store.add(event)
      if event.kind == .borrowerErased {
        erased.insert(unsafe event.withBytes(of: event.borrowerID) { unsafe Array($0) })
      }
      if summary.events & 0x3FFF == 0 {
        if isStopped() { return nil }
        summary.added += try store.flush()
        progress(HistoryProgress(events: summary.events, bytes: lines.done, totalBytes: lines.total))
      }
    }
    summary.added += try store.flush()
    for borrower in erased.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      summary.erased += try store.erase(borrower: borrower)
    }
    try store.commit()
    summary.badLines = decoding.badLines
    summary.firstBadLines = decoding.firstBadLines
    return summary
  }
}

/// Decodes lines and keeps account of those that are no events.
struct LineDecoding: ~Copyable {
  private(set) var badLines = 0
  private(set) var firstBadLines: [BadLine] = []
  /// Of the line read last, from 1.
  private(set) var number = 0
  private var unit = BadLine.Unit.line
  private var line = ByteBuffer(capacity: 1 << 12)
  private var decoder = EventDecoder()
  private let reportedBadLines: Int
  private let shard: HistoryShard?

  init(reportedBadLines: Int, shard: HistoryShard?) {
    self.reportedBadLines = reportedBadLines
    self.shard = shard
  }

  /// The next event; false behind the last.
  mutating func next<Lines: EventLines & ~Copyable>(
    _ lines: inout Lines, into event: inout BorrowerEvent
  ) throws(HistoryError) -> Bool {
    unit = lines.unit
    while true {
      let result = try lines.readLine(into: &line)
      if result == .end { return false }
      number += 1
      if result == .line, line.isBlank { continue }
      do throws(DecodingError) {
        if result == .tooLong { throw DecodingError(.tooLarge) }
        // A line is its own record: nothing is ahead of it.
        try unsafe decoder.decode(
          line.bytes, key: nil, contentType: nil, recordTimestamp: .distantFuture, into: &event)
        return true
      } catch {
        refuse(error)
      }
    }
  }

  /// Counts the line read last as no event.
  mutating func refuse(_ error: DecodingError) {
    if let shard, !shard.contains(line: number) { return }
    badLines += 1
    guard firstBadLines.count < reportedBadLines else { return }
    firstBadLines.append(BadLine(unit: unit, number: number, code: error.code, field: error.field.description))
  }
}

extension ByteBuffer {
  fileprivate var isBlank: Bool {
    for index in 0..<count where self[index] != 0x20 && self[index] != 0x09 { return false }
    return true
  }
}

extension HistoryColumn {
  /// A table that events are to be added to has all columns.
  static func requireAll(_ names: Set<String>, source: HistorySource) throws(HistoryError) {
    let wanted = allCases.map(\.name.description) + [position]
    let missing = wanted.filter { !names.contains($0) }
    guard missing.isEmpty else {
      throw HistoryError(
        .usage,
        "\(source): \(table) has no column \(missing.joined(separator: ", ")); import into a table that lendpulse made")
    }
  }

  static func isView(_ source: HistorySource) -> HistoryError {
    HistoryError(
      .usage,
      "\(source): \(table) is a view, which only reads; add events to the tables behind it, or import into another database"
    )
  }

  static func noIdentity(_ source: HistorySource, _ error: HistoryError) -> HistoryError {
    HistoryError(
      error.kind,
      "\(error.description); \(table) needs a unique index over \(identity.map(\.name.description).joined(separator: ", "))"
    )
  }

  /// Deletes what a borrower's last erasure covers: earlier times, and of the same time what had arrived before.
  static func erasure(parameter: String) -> String {
    """
    DELETE FROM \(table) WHERE borrower_id = \(parameter) AND (occurred_at, position) < (
      SELECT occurred_at, position FROM \(table) WHERE borrower_id = \(parameter) AND type = 'borrower_erased'
      ORDER BY occurred_at DESC, position DESC LIMIT 1)
    """
  }
}
