import Borrowers
import CSQLite
import Foundation

/// The rows of `borrower_events` in a SQLite file, one at a time, in order of arrival (`position`, or else by time and id).
@safe struct SQLiteEvents: EventLines, ~Copyable {
  private let database: SQLiteDatabase
  private let statement: SQLiteStatement
  private let columns: [HistoryColumn]
  private var row = RowLine()
  private(set) var done: Int64 = 0
  let total: Int64
  var unit: BadLine.Unit { .row }

  private init(
    _ database: consuming SQLiteDatabase, _ statement: consuming SQLiteStatement, _ columns: [HistoryColumn],
    total: Int64
  ) {
    self.database = database
    self.statement = statement
    self.columns = columns
    self.total = total
  }

  static func open(path: String) throws(HistoryError) -> SQLiteEvents {
    let source = HistorySource.sqlite(path: path)
    guard path.isEmpty || FileManager.default.fileExists(atPath: path) else {
      throw HistoryError(.usage, "\(source): no such file")
    }
    let database = try SQLiteDatabase(path: path, .reading)
    let kind = try database.kind(of: HistoryColumn.table)
    guard let kind else { throw HistoryColumn.noTable(source) }
    let names = try database.columns(of: HistoryColumn.table)
    let columns = try HistoryColumn.present(among: names, source: source)
    // One reading sees one state of the table, whatever others write meanwhile.
    try database.execute("BEGIN")
    let hasPosition = names.contains(HistoryColumn.position)
    var total: Int64 = 0
    if kind == "table", hasPosition {
      let last = try database.prepare("SELECT max(\(HistoryColumn.position)) FROM \(HistoryColumn.table)")
      total = try database.step(last) ? max(last.integer(0), 0) : 0
    }
    let order = hasPosition ? HistoryColumn.position : "occurred_at, event_id"
    let statement = try database.prepare(
      "SELECT \(columns.map(\.name.description).joined(separator: ", ")) FROM \(HistoryColumn.table) ORDER BY \(order)")
    return SQLiteEvents(database, statement, columns, total: total)
  }

  mutating func readLine(into line: inout ByteBuffer) throws(HistoryError) -> LineReader.Line {
    guard try database.step(statement) else {
      line.removeAll()
      return .end
    }
    row.begin(&line)
    for (index, column) in columns.enumerated() {
      switch statement.type(index) {
      case SQLITE_NULL: break
      case SQLITE_INTEGER: row.put(integer: statement.integer(index), column, into: &line)
      case SQLITE_FLOAT: row.put(number: statement.number(index), column, into: &line)
      case SQLITE_TEXT: unsafe row.put(text: statement.text(index), column, into: &line)
      default: row.putUnreadable(column, into: &line)
      }
    }
    row.end(&line)
    done += 1
    return .line
  }
}

/// Adds events to `borrower_events` in a SQLite file, in one transaction; makes the file and the table where they are not
/// there.
@safe struct SQLiteStore: EventStore, ~Copyable {
  private let database: SQLiteDatabase
  private let insert: SQLiteStatement
  private let erase: SQLiteStatement
  private var added = 0
  private let path: String
  /// Made here: of an import that fails, not even an empty file is left.
  private let isNew: Bool
  private var isCommitted = false

  private init(
    _ database: consuming SQLiteDatabase, insert: consuming SQLiteStatement, erase: consuming SQLiteStatement,
    path: String, isNew: Bool
  ) {
    self.database = database
    self.insert = insert
    self.erase = erase
    self.path = path
    self.isNew = isNew
  }

  static func open(path: String) throws(HistoryError) -> SQLiteStore {
    let source = HistorySource.sqlite(path: path)
    let isNew = !FileManager.default.fileExists(atPath: path)
    let database = try SQLiteDatabase(path: path, .writing)
    // What an erasure takes is overwritten, not only unlinked.
    try database.execute("PRAGMA secure_delete = ON; PRAGMA cache_size = -65536")
    try database.execute("BEGIN IMMEDIATE")
    switch try database.kind(of: HistoryColumn.table) {
    case nil: try database.execute(definition)
    case "view": throw HistoryColumn.isView(source)
    default: break
    }
    let names = try database.columns(of: HistoryColumn.table)
    try HistoryColumn.requireAll(names, source: source)
    let insert = try prepareInsert(database)
    let erase = try database.prepare(HistoryColumn.erasure(parameter: "?1"))
    return SQLiteStore(database, insert: insert, erase: erase, path: path, isNew: isNew)
  }

  private static func prepareInsert(_ database: borrowing SQLiteDatabase) throws(HistoryError) -> SQLiteStatement {
    let columns = HistoryColumn.allCases.map(\.name.description).joined(separator: ", ")
    let identity = HistoryColumn.identity.map(\.name.description).joined(separator: ", ")
    let places = Array(repeating: "?", count: HistoryColumn.allCases.count).joined(separator: ", ")
    do throws(HistoryError) {
      return try database.prepare(
        "INSERT INTO \(HistoryColumn.table) (\(columns)) VALUES (\(places)) ON CONFLICT (\(identity)) DO NOTHING")
    } catch {
      throw HistoryColumn.noIdentity(database.source, error)
    }
  }

  deinit {
    guard isNew, !isCommitted else { return }
    for file in [path, path + "-journal"] { try? FileManager.default.removeItem(atPath: file) }
  }

  func canHold(_ event: borrowing BorrowerEvent) -> Bool { true }

  mutating func add(_ event: borrowing BorrowerEvent) throws(HistoryError) {
    // The statement reads the texts where they lie, until it has been stepped and reset.
    let isDone = unsafe event.text.withUnsafeBufferPointer { texts in
      for (index, column) in HistoryColumn.allCases.enumerated() {
        switch event.value(column) {
        case .null: insert.bindNull(index + 1)
        case .text(let slice):
          unsafe insert.bind(
            index + 1, text: UnsafeBufferPointer(rebasing: texts[Int(slice.start)..<Int(slice.start + slice.count)]))
        case .name(let name): insert.bind(index + 1, text: name)
        case .number(let number): insert.bind(index + 1, number: number)
        case .time(let time): insert.bind(index + 1, integer: time.milliseconds)
        case .boolean(let isTrue): insert.bind(index + 1, integer: isTrue ? 1 : 0)
        }
      }
      return insert.isRun()
    }
    guard isDone else { throw database.failure() }
    added += database.changes
    insert.reset()
  }

  mutating func flush() throws(HistoryError) -> Int {
    defer { added = 0 }
    return added
  }

  mutating func erase(borrower: [UInt8]) throws(HistoryError) -> Int {
    let isDone = unsafe borrower.withUnsafeBufferPointer {
      unsafe erase.bind(1, text: $0)
      return erase.isRun()
    }
    guard isDone else { throw database.failure() }
    erase.reset()
    return database.changes
  }

  mutating func commit() throws(HistoryError) {
    try database.execute("COMMIT")
    isCommitted = true
  }
}

extension SQLiteStore {
  /// Numbers as 64-bit floats, times as milliseconds since 1970, a truth as 0 or 1. The unique index is also how a
  /// borrower is found for erasure.
  static let definition: String = {
    let columns = HistoryColumn.allCases.map { column in
      let type =
        switch column.content {
        case .text: "TEXT"
        case .number: "REAL"
        case .time, .boolean: "INTEGER"
        }
      return "\(column.name) \(type)\(HistoryColumn.required.contains(column) ? " NOT NULL" : "")"
    }
    let identity = HistoryColumn.identity.map(\.name.description).joined(separator: ", ")
    return
      "CREATE TABLE \(HistoryColumn.table) (\(HistoryColumn.position) INTEGER PRIMARY KEY, \(columns.joined(separator: ", ")), "
      + "UNIQUE (\(identity)))"
  }()
}
