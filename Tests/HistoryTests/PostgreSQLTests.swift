import Borrowers
import Foundation
import Testing

@testable import History

/// A real server, named by `scripts/with-postgresql`: `postgresql://user:password@127.0.0.1:port/postgres`.
private let server = ProcessInfo.processInfo.environment["LENDPULSE_TEST_POSTGRESQL"]

/// A database of one test's own.
private struct TestDatabase {
  let address: String
  private let name = "test_" + UUID().uuidString.replacingOccurrences(of: "-", with: "").lowercased()

  var source: HistorySource { .postgresql(address: address) }

  init() throws {
    let server = try #require(server)
    address = server.replacingOccurrences(of: "/postgres", with: "/\(name)", options: .backwards)
    try PostgreSQLConnection(address: server).execute("CREATE DATABASE \(name)")
  }

  func execute(_ sql: String) throws { try PostgreSQLConnection(address: address).execute(sql) }

  func remove() {
    guard let server else { return }
    _ = try? PostgreSQLConnection(address: server).execute("DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
  }
}

@Suite(.serialized, .enabled(if: server != nil, "LENDPULSE_TEST_POSTGRESQL names no server"))
struct PostgreSQLTests {
  @Test func `events come back from PostgreSQL as from their file, and a repeated import changes nothing`() throws {
    let place = try Workplace()
    let database = try TestDatabase()
    defer {
      place.remove()
      database.remove()
    }
    try checkRoundTrip(place, database.source)
  }

  @Test func `a view maps a table from elsewhere, whatever its types`() throws {
    let database = try TestDatabase()
    defer { database.remove() }
    try database.execute(
      """
      CREATE TYPE kind AS ENUM ('repayment', 'search');
      CREATE DOMAIN euro AS numeric(12, 2);
      CREATE TABLE payments (id uuid, customer bigint, what kind, paid timestamptz, amount euro);
      INSERT INTO payments VALUES
        ('00000000-0000-0000-0000-000000000001', 77, 'repayment', '2026-01-02 03:00:00.1239+03', 12.50),
        ('00000000-0000-0000-0000-000000000002', 77, 'repayment', '2026-01-01 00:00:00Z', 0.1),
        ('00000000-0000-0000-0000-000000000003', 77, 'search', 'infinity', NULL),
        ('00000000-0000-0000-0000-000000000004', 77, 'repayment', '2026-01-03 00:00:00Z', 'NaN');
      CREATE VIEW borrower_events AS
        SELECT id AS event_id, customer AS borrower_id, what AS type, paid AS occurred_at, amount FROM payments;
      """)
    let history = try EventHistory(database.source)
    #expect(
      grouped(history) == [
        #"{"event_id":"00000000-0000-0000-0000-000000000002","borrower_id":"77","type":"repayment","occurred_at":"2026-01-01T00:00:00.000Z","amount":0.1,"platform":"default"}"#,
        #"{"event_id":"00000000-0000-0000-0000-000000000001","borrower_id":"77","type":"repayment","occurred_at":"2026-01-02T00:00:00.123Z","amount":12.5,"platform":"default"}"#,
      ])
    #expect(
      Set(history.summary.firstBadLines.map { "\($0.code) \($0.field)" }) == [
        "invalidTime occurred_at", "wrongType amount",
      ])
    #expect(
      failure { _ = try EventImport.run(.standardInput, into: database.source) }?.description.contains("is a view")
        == true)
  }

  @Test func `rows by the ten thousand come through the cursor in order of arrival`() throws {
    let place = try Workplace()
    let database = try TestDatabase()
    defer {
      place.remove()
      database.remove()
    }
    let text = (0..<20_000).map { index in
      line("\(index)", "B\(index % 7)", "2026-01-01T00:00:00Z", #""type":"search""#)
    }.joined()
    let path = try place.write("events.ndjson", text)
    #expect(try EventImport.run(.ndjson(path: path), into: database.source)?.added == 20_000)
    #expect(grouped(try EventHistory(database.source)) == grouped(try EventHistory(.ndjson(path: path))))
  }

  @Test
  func `an unreachable server, a refused login, a missing table or column are told in one line without the password`()
    throws
  {
    let database = try TestDatabase()
    defer { database.remove() }
    func told(_ address: String) throws -> HistoryError {
      let error = try #require(failure { _ = try EventHistory(try HistorySource(address)) })
      #expect(!error.description.contains("sesame"))
      return error
    }
    let refused = try told(database.address.replacing(/\/\/(\w+):[^@]*@/) { "//\($0.output.1):sesame@" })
    #expect(refused.kind == .failed && refused.description.contains("password authentication failed"))
    let unreachable = try told("postgresql://me:sesame@127.0.0.1:1/db")
    #expect(
      unreachable.kind == .failed && unreachable.description.hasPrefix("postgresql://127.0.0.1:1/db: cannot be opened"))
    #expect(try told("postgresql://me:sesame%zz@127.0.0.1/db").kind == .usage)
    #expect(try told(database.address + "x").description.contains("does not exist"))
    #expect(try told(database.address).description.contains("no table or view borrower_events"))
    try database.execute("CREATE TABLE borrower_events (event_id text, borrower_id text, type text)")
    #expect(try told(database.address).description.contains("no column occurred_at"))
    try database.execute("ALTER TABLE borrower_events ADD COLUMN occurred_at timestamp")
    #expect(try told(database.address).description.contains("timestamp with time zone"))
  }

  @Test func `a server that goes away while it is read, or while events are imported, is told and leaves nothing`()
    throws
  {
    let place = try Workplace()
    let database = try TestDatabase()
    defer {
      place.remove()
      database.remove()
    }
    let path = try place.write("events.ndjson", everyEvent)
    // The backend ends itself in the middle of the work.
    try database.execute(
      """
      CREATE VIEW borrower_events AS SELECT n::text AS event_id, 'A' AS borrower_id, 'search' AS type,
        now() AS occurred_at, CASE WHEN n = 6000 THEN pg_terminate_backend(pg_backend_pid())::text END AS topic
      FROM generate_series(1, 10000) AS n
      """)
    let reading = failure { _ = try EventHistory(database.source) }
    #expect(reading?.kind == .failed && reading?.description.contains("went away") == true)

    try database.execute("DROP VIEW borrower_events")
    let one = try place.write("one.ndjson", line("1", "A", "2026-01-01T00:00:00Z", #""type":"search""#))
    _ = try EventImport.run(.ndjson(path: one), into: database.source)
    try database.execute(
      """
      CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF NEW.event_id = ''g1'' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NEW; END';
      CREATE TRIGGER leave BEFORE INSERT ON borrower_events FOR EACH ROW EXECUTE FUNCTION leave();
      """)
    let importing = failure { _ = try EventImport.run(.ndjson(path: path), into: database.source) }
    #expect(importing?.kind == .failed && importing?.description.contains("went away") == true)
    #expect(try EventHistory(database.source).summary.events == 1)
  }

  @Test func `what PostgreSQL cannot hold is refused line by line, and what it refuses is told in one line`() throws {
    let place = try Workplace()
    let database = try TestDatabase()
    defer {
      place.remove()
      database.remove()
    }
    let path = try place.write(
      "events.ndjson",
      line("1", "A", "2026-01-01T00:00:00Z", #""type":"search","topic":"a\u0000b""#)
        + line("2", "A", "2026-01-01T00:00:00Z", #""type":"search","topic":"tab\tback\\slash""#))
    let summary = try #require(try EventImport.run(.ndjson(path: path), into: database.source))
    #expect(summary.added == 1 && summary.firstBadLines.map(\.description) == ["line 1: invalid_utf8"])
    try database.execute(
      "ALTER TABLE borrower_events DROP CONSTRAINT borrower_events_borrower_id_event_id_occurred_at_key")
    let error = failure { _ = try EventImport.run(.ndjson(path: path), into: database.source) }
    #expect(error?.description.contains("needs a unique index over borrower_id, event_id, occurred_at") == true)
    try database.execute("ALTER TABLE borrower_events DROP COLUMN page")
    let missing = failure { _ = try EventImport.run(.ndjson(path: path), into: database.source) }
    #expect(missing?.description.contains("no column page") == true)
  }
}
