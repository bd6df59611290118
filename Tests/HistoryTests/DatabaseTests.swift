import Borrowers
import Foundation
import Simulation
import Testing

@testable import History

/// Every field of every type of event, texts that need escapes, a repeat, an erasure, lines that are none.
let everyEvent: String = {
  var lines = """
    {"event_id":"p1","borrower_id":"A","type":"profile_updated","occurred_at":"2026-01-01T00:00:00.001Z","profile":{"birth_year":1980,"region":"n\\"o\\\\r\\tth\\n","household_region":"x","education":"é","occupation":"","marital_status":"m","gender":"f","monthly_income":1234.5,"marketing_consent":false}}
    {"event_id":"p2","borrower_id":"A","type":"profile_updated","occurred_at":1767312000000,"profile":{}}
    {"event_id":"c1","borrower_id":"A","type":"credit_score_updated","occurred_at":"2026-01-03T00:00:00Z","score":700.25,"bureau":"b"}
    {"event_id":"a1","borrower_id":"A","type":"assets_updated","occurred_at":"2026-01-04T00:00:00Z","deposits":0.1,"property_value":1e15}
    {"event_id":"l1","borrower_id":"A","type":"limit_changed","occurred_at":"2026-01-05T00:00:00Z","credit_limit":5000}
    {"event_id":"q1","borrower_id":"A","type":"loan_applied","occurred_at":"2026-01-06T00:00:00Z","amount":0.30000000000000004,"product":"p"}
    {"event_id":"d1","borrower_id":"A","type":"drawdown","occurred_at":"2026-01-07T00:00:00Z","amount":100,"loan_id":"L","installments":3,"product":"p","platform":"cash"}
    {"event_id":"i1","borrower_id":"A","type":"installment_due","occurred_at":"2026-01-08T00:00:00Z","amount":35,"loan_id":"L","due_at":"2026-02-08T00:00:00Z"}
    {"event_id":"s1","borrower_id":"A","type":"statement_issued","occurred_at":"2026-01-09T00:00:00Z","balance":-5.5,"minimum_due":2,"due_at":"2026-02-09T00:00:00Z"}
    {"event_id":"r1","borrower_id":"A","type":"repayment","occurred_at":"2026-01-10T00:00:00Z","amount":35,"loan_id":"L"}
    {"event_id":"m1","borrower_id":"A","type":"payment_missed","occurred_at":"2026-01-11T00:00:00Z","days_past_due":2,"loan_id":"L","amount":7}
    {"event_id":"u1","borrower_id":"A","type":"purchase","occurred_at":"2026-01-12T00:00:00Z","amount":9,"category":"food"}
    {"event_id":"v1","borrower_id":"A","type":"page_view","occurred_at":"2026-01-13T00:00:00Z","page":"\\\\N"}
    {"event_id":"h1","borrower_id":"A","type":"search","occurred_at":"2026-01-14T00:00:00Z","topic":"t"}
    {"event_id":"n1","borrower_id":"A","type":"session_started","occurred_at":"2026-01-15T00:00:00Z","channel":"app"}
    {"event_id":"w1","borrower_id":"A","type":"wealth_transaction","occurred_at":"2026-01-16T00:00:00Z","amount":-12}
    {"event_id":"b1","borrower_id":"A","type":"bank_transaction","occurred_at":"2026-01-17T00:00:00Z","amount":-0.01}
    {"event_id":"b1","borrower_id":"A","type":"bank_transaction","occurred_at":"2026-01-17T00:00:00Z","amount":-0.01}
    {"event_id":"b1","borrower_id":"A","type":"bank_transaction","occurred_at":"2026-01-30T00:00:00Z","amount":5}
    not an event
    {"event_id":"e1","borrower_id":"B","type":"search","occurred_at":"2026-01-01T00:00:00Z"}
    {"event_id":"e2","borrower_id":"B","type":"borrower_erased","occurred_at":"2026-01-02T00:00:00Z"}
    {"event_id":"e1","borrower_id":"B","type":"search","occurred_at":"2026-01-03T00:00:00Z"}
    {"event_id":"e3","borrower_id":"B","type":"repayment","occurred_at":"2026-01-04T00:00:00Z","amount":-1}
    {"event_id":"g2","borrower_id":"C","type":"search","occurred_at":"2026-01-04T00:00:00Z"}
    {"event_id":"g1","borrower_id":"C","type":"search","occurred_at":"2026-01-04T00:00:00Z"}

    """
  // And a hundred borrowers of a simulated world.
  var world = World(seed: 7, borrowers: 100, days: 40)
  var event = BorrowerEvent()
  var buffer = ByteBuffer()
  while world.next(into: &event) {
    event.encode(.json, into: &buffer)
    buffer.append("\n")
  }
  lines += unsafe String(decoding: buffer.bytes, as: UTF8.self)
  return lines
}()

/// All of a history, borrower by borrower, each event as it would be written.
func grouped(_ history: EventHistory) -> [String] {
  var told: [String] = []
  var buffer = ByteBuffer()
  history.forEachBorrower { events in
    for index in 0..<events.count {
      buffer.removeAll()
      events[index].encode(.json, into: &buffer)
      told.append(unsafe String(decoding: buffer.bytes, as: UTF8.self))
    }
  }
  return told
}

/// The stored forms of one history give the same events.
func checkRoundTrip(_ place: Workplace, _ target: HistorySource) throws {
  let path = try place.write("events.ndjson", everyEvent)
  let file = try EventHistory(.ndjson(path: path))
  let first = try #require(try EventImport.run(.ndjson(path: path), into: target))
  #expect(first.events > file.summary.events && first.repeats == 1 && first.badLines == 2)
  #expect(first.firstBadLines.map(\.description) == ["line 20: invalid_json", "line 24: out_of_range (amount)"])
  #expect(first.erased > 0)
  let stored = try EventHistory(target)
  #expect(grouped(stored) == grouped(file))
  #expect(stored.summary.earliest == file.summary.earliest && stored.summary.latest == file.summary.latest)
  #expect(stored.summary.badLines == 0 && stored.summary.events == file.summary.events)

  // Once more: nothing changes, what an erasure took aside, which comes and goes.
  let again = try #require(try EventImport.run(.ndjson(path: path), into: target))
  #expect(again.added == again.erased && again.erased == first.erased)
  #expect(grouped(try EventHistory(target)) == grouped(file))
}

func failure(_ body: () throws -> Void) -> HistoryError? {
  let error = #expect(throws: HistoryError.self) { try body() }
  #expect(error?.description.contains("\n") == false)
  return error
}

@Suite struct SQLiteTests {
  let place: Workplace
  let source: HistorySource
  let path: String

  init() throws {
    place = try Workplace()
    path = place.folder.appendingPathComponent("history.db").path
    source = .sqlite(path: path)
  }

  private func execute(_ sql: String) throws { try SQLiteDatabase(path: path, .writing).execute(sql) }

  @Test func `events come back from SQLite as from their file, and a repeated import changes nothing`() throws {
    defer { place.remove() }
    try checkRoundTrip(place, source)
  }

  @Test func `a view maps a table from elsewhere, and only its columns count`() throws {
    defer { place.remove() }
    try execute(
      """
      CREATE TABLE payments (id INTEGER, customer INTEGER, paid TEXT, cents INTEGER);
      INSERT INTO payments VALUES (1, 77, '2026-01-02T00:00:00Z', 1250), (2, 77, '2026-01-01T00:00:00Z', 10),
        (3, 8, 'yesterday', 5), (4, 8, '2026-01-01T00:00:00Z', NULL);
      CREATE VIEW borrower_events AS SELECT id AS event_id, customer AS borrower_id, 'repayment' AS type,
        paid AS occurred_at, cents / 100.0 AS amount FROM payments;
      """)
    let history = try EventHistory(source)
    #expect(
      grouped(history) == [
        #"{"event_id":"2","borrower_id":"77","type":"repayment","occurred_at":"2026-01-01T00:00:00.000Z","amount":0.1,"platform":"default"}"#,
        #"{"event_id":"1","borrower_id":"77","type":"repayment","occurred_at":"2026-01-02T00:00:00.000Z","amount":12.5,"platform":"default"}"#,
      ])
    #expect(
      Set(history.summary.firstBadLines.map(\.description)) == [
        "row 2: missing_field (amount)", "row 4: invalid_time (occurred_at)",
      ])
    #expect(
      failure { _ = try EventImport.run(.standardInput, into: source) }?.description.contains("is a view") == true)
  }

  @Test func `what is wrong with a SQLite history is told in one line`() throws {
    defer { place.remove() }
    #expect(failure { _ = try EventHistory(source) }?.description.contains("no such file") == true)
    #expect(!FileManager.default.fileExists(atPath: path))
    try execute("CREATE TABLE other (a)")
    #expect(failure { _ = try EventHistory(source) }?.description.contains("no table or view borrower_events") == true)
    try execute("CREATE TABLE borrower_events (event_id, borrower_id, amount)")
    let error = failure { _ = try EventHistory(source) }
    #expect(error?.kind == .usage && error?.description.contains("type, occurred_at") == true)
    #expect(
      failure { _ = try EventImport.run(.standardInput, into: source) }?.description.contains("has no column") == true)

    let text = try place.write("text.db", String(repeating: "no database\n", count: 200))
    #expect(failure { _ = try EventHistory(.sqlite(path: text)) }?.description.contains("not a database") == true)
    #expect(failure { _ = try EventHistory(.sqlite(path: "")) }?.kind == .usage)
  }

  @Test func `an import that fails leaves nothing behind, and one that is refused changes nothing`() throws {
    defer { place.remove() }
    let events = try place.write("events.ndjson", everyEvent)
    #expect(failure { _ = try EventImport.run(.ndjson(path: events + "x"), into: source) } != nil)
    // A gzip file that is cut short is noticed at its end, when most of it is in the table.
    let whole = try gzip(place.write("long.ndjson", String(repeating: everyEvent, count: 3)))
    let cut = place.folder.appendingPathComponent("cut.ndjson.gz")
    try whole.prefix(whole.count / 2).write(to: cut)
    #expect(failure { _ = try EventImport.run(.ndjson(path: cut.path), into: source) } != nil)
    #expect(!FileManager.default.fileExists(atPath: path))
    let outside = HistorySource.sqlite(path: events + "/history.db")
    #expect(failure { _ = try EventImport.run(.ndjson(path: events), into: outside) }?.kind == .failed)
    #expect(failure { _ = try EventImport.run(.ndjson(path: events), into: .ndjson(path: events)) }?.kind == .usage)

    _ = try EventImport.run(.ndjson(path: events), into: source)
    let before = grouped(try EventHistory(source))
    #expect(failure { _ = try EventImport.run(.ndjson(path: cut.path), into: source) } != nil)
    #expect(grouped(try EventHistory(source)) == before)
  }

  @Test func `an erasure takes a borrower's earlier events out of the file, not only out of what is learned`() throws {
    defer { place.remove() }
    let secret = "secret-" + UUID().uuidString
    let first = try place.write(
      "first.ndjson", line("1", "A", "2026-01-01T00:00:00Z", "\"type\":\"search\",\"topic\":\"\(secret)\""))
    let second = try place.write("second.ndjson", line("2", "A", "2026-01-02T00:00:00Z", #""type":"borrower_erased""#))
    func holdsSecret() throws -> Bool {
      try Data(contentsOf: URL(fileURLWithPath: path)).range(of: Data(secret.utf8)) != nil
    }
    _ = try EventImport.run(.ndjson(path: first), into: source)
    #expect(try holdsSecret())
    #expect(try EventImport.run(.ndjson(path: second), into: source)?.erased == 1)
    #expect(try !holdsSecret())
  }
}

@Test func `shards share out the borrowers of a history, whether counted from 0 or from 1`() throws {
  let place = try Workplace()
  defer { place.remove() }
  let path = try place.write("events.ndjson", everyEvent)
  let whole = try EventHistory(.ndjson(path: path))
  var events = 0
  var badLines = 0
  var borrowers: [String] = []
  for number in 1...3 {
    var options = HistoryOptions()
    options.shard = HistoryShard("\(number)/3")
    let part = try EventHistory(.ndjson(path: path), options: options)
    #expect(part.summary.latest == whole.summary.latest)
    events += part.summary.events
    badLines += part.summary.badLines
    part.forEachBorrower { borrowers.append(String(decoding: $0.borrowerID, as: UTF8.self)) }
  }
  #expect(events == whole.summary.events && badLines == whole.summary.badLines)
  var all: [String] = []
  whole.forEachBorrower { all.append(String(decoding: $0.borrowerID, as: UTF8.self)) }
  #expect(borrowers.sorted() == all.sorted())
  #expect(HistoryShard("0/3") == HistoryShard("3/3"))
  for wrong in ["4/3", "-1/3", "1/0", "1", "a/b", "1/2/3"] { #expect(HistoryShard(wrong) == nil) }
}
