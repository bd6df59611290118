import Borrowers
import CSQLite

/// An open SQLite file.
@safe struct SQLiteDatabase: ~Copyable {
  private let handle: OpaquePointer
  let source: HistorySource
  /// How long another process may hold the file before that is an error.
  private static let patienceMilliseconds: Int32 = 10_000

  enum Access { case reading, writing }

  init(path: String, _ access: Access) throws(HistoryError) {
    let source = HistorySource.sqlite(path: path)
    guard !path.isEmpty else { throw HistoryError(.usage, "sqlite: names no file; write sqlite:FILE") }
    var opened: OpaquePointer?
    let flags =
      access == .reading ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
    let code = unsafe sqlite3_open_v2(path, &opened, flags | SQLITE_OPEN_NOMUTEX, nil)
    guard code == SQLITE_OK, let database = unsafe opened else {
      let reason = unsafe opened.map { unsafe String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
      unsafe sqlite3_close_v2(opened)
      throw HistoryError(access == .reading ? .usage : .failed, "\(source): cannot be opened: \(reason)")
    }
    unsafe sqlite3_busy_timeout(database, Self.patienceMilliseconds)
    unsafe handle = database
    self.source = source
  }

  deinit { unsafe sqlite3_close_v2(handle) }

  func execute(_ sql: String) throws(HistoryError) {
    guard unsafe sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw failure() }
  }

  func prepare(_ sql: String) throws(HistoryError) -> SQLiteStatement {
    var statement: OpaquePointer?
    guard unsafe sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK, let made = unsafe statement else {
      throw failure()
    }
    return unsafe SQLiteStatement(made)
  }

  /// True where there is a row.
  func step(_ statement: borrowing SQLiteStatement) throws(HistoryError) -> Bool {
    switch statement.step() {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    default: throw failure()
    }
  }

  /// Rows changed by the last statement.
  var changes: Int { Int(unsafe sqlite3_changes64(handle)) }

  /// What went wrong last, as one line.
  func failure() -> HistoryError {
    let code = unsafe sqlite3_errcode(handle)
    let mend =
      switch code {
      case SQLITE_NOTADB: "; name a database of SQLite 3"
      case SQLITE_CORRUPT: "; restore it from a copy"
      case SQLITE_BUSY, SQLITE_LOCKED: "; another process holds it"
      case SQLITE_FULL: "; the disk is full"
      case SQLITE_READONLY: "; it or its folder cannot be written"
      default: ""
      }
    let reason = unsafe String(cString: sqlite3_errmsg(handle)).split(separator: "\n").joined(separator: " ")
    return HistoryError(.failed, "\(source): \(reason)\(mend)")
  }

  /// `table` or `view`; nil where there is neither.
  func kind(of name: String) throws(HistoryError) -> String? {
    let statement = try prepare(
      "SELECT type FROM sqlite_master WHERE name = '\(name)' AND type IN ('table', 'view')")
    return try step(statement) ? statement.string(0) : nil
  }

  /// Names of its columns.
  func columns(of table: String) throws(HistoryError) -> Set<String> {
    let statement = try prepare("SELECT * FROM \(table) LIMIT 0")
    return Set((0..<statement.columnCount).map { statement.columnName($0) })
  }
}

/// A prepared statement.
@safe struct SQLiteStatement: ~Copyable {
  private let handle: OpaquePointer

  fileprivate init(_ handle: OpaquePointer) { unsafe self.handle = handle }

  deinit { unsafe sqlite3_finalize(handle) }

  fileprivate func step() -> Int32 { unsafe sqlite3_step(handle) }
  /// Whether a statement without rows went through.
  func isRun() -> Bool { step() == SQLITE_DONE }
  func reset() { unsafe sqlite3_reset(handle) }

  // MARK: Results

  var columnCount: Int { Int(unsafe sqlite3_column_count(handle)) }
  func columnName(_ index: Int) -> String { unsafe String(cString: sqlite3_column_name(handle, Int32(index))) }
  func type(_ index: Int) -> Int32 { unsafe sqlite3_column_type(handle, Int32(index)) }
  func integer(_ index: Int) -> Int64 { unsafe sqlite3_column_int64(handle, Int32(index)) }
  func number(_ index: Int) -> Double { unsafe sqlite3_column_double(handle, Int32(index)) }

  /// Valid until the next step.
  func text(_ index: Int) -> UnsafeBufferPointer<UInt8> {
    let start = unsafe sqlite3_column_text(handle, Int32(index))
    return unsafe UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, Int32(index))))
  }

  func string(_ index: Int) -> String { unsafe String(decoding: text(index), as: UTF8.self) }

  // MARK: Parameters, numbered from 1

  /// The text has to stay where it is until the statement has been stepped and reset.
  func bind(_ index: Int, text: UnsafeBufferPointer<UInt8>) {
    // Of a text of no bytes there need not be an address, and none would be NULL.
    guard text.count > 0 else { return bind(index, text: "") }
    unsafe text.withMemoryRebound(to: CChar.self) {
      _ = unsafe sqlite3_bind_text(handle, Int32(index), $0.baseAddress, Int32($0.count), nil)
    }
  }

  func bind(_ index: Int, text: StaticString) {
    let characters = unsafe UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
    _ = unsafe sqlite3_bind_text(handle, Int32(index), characters, Int32(text.utf8CodeUnitCount), nil)
  }

  func bind(_ index: Int, number: Double) { unsafe sqlite3_bind_double(handle, Int32(index), number) }
  func bind(_ index: Int, integer: Int64) { unsafe sqlite3_bind_int64(handle, Int32(index), integer) }
  func bindNull(_ index: Int) { unsafe sqlite3_bind_null(handle, Int32(index)) }
}
