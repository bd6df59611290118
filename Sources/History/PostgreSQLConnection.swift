import CLibPQ
import Foundation

/// A connection to a PostgreSQL server by libpq. Messages never hold the address, which may hold a password.
@safe struct PostgreSQLConnection: ~Copyable {
  private let handle: OpaquePointer
  let source: HistorySource

  init(address: String) throws(HistoryError) {
    let source = HistorySource.postgresql(address: address)
    // libpq's own message quotes the part that it cannot read, and that part may be a password.
    let parts = unsafe PQconninfoParse(address, nil)
    guard unsafe parts != nil else {
      throw HistoryError(
        .usage, "\(source): the address cannot be read; it is like postgresql://user@host:5432/database")
    }
    unsafe PQconninfoFree(parts)
    // What stands behind the address overrides it, what stands before it is overridden: an unreachable server is an error
    // after 10 s, one that vanishes without a word after about a minute, unless the address says otherwise.
    let parameters = [
      ("connect_timeout", "10"), ("keepalives_idle", "30"), ("keepalives_interval", "10"), ("keepalives_count", "3"),
      ("tcp_user_timeout", "60000"), ("application_name", "lendpulse"), ("dbname", address),
      ("client_encoding", "UTF8"),
    ]
    var names: [UnsafePointer<CChar>?] = unsafe []
    var values: [UnsafePointer<CChar>?] = unsafe []
    for (name, value) in parameters {
      unsafe names.append(UnsafePointer(strdup(name)))
      unsafe values.append(UnsafePointer(strdup(value)))
    }
    unsafe names.append(nil)
    unsafe values.append(nil)
    let made = unsafe PQconnectdbParams(names, values, 1)
    for index in parameters.indices {
      unsafe free(UnsafeMutablePointer(mutating: names[index]))
      unsafe free(UnsafeMutablePointer(mutating: values[index]))
    }
    guard let connection = unsafe made else {
      throw HistoryError(.failed, "\(source): no memory for a connection")
    }
    guard unsafe PQstatus(connection) == CONNECTION_OK else {
      let reason = unsafe Self.oneLine(PQerrorMessage(connection))
      unsafe PQfinish(connection)
      throw HistoryError(.failed, "\(source): cannot be opened: \(reason)")
    }
    // Notices ("relation already exists, skipping") are not for the terminal.
    unsafe PQsetNoticeProcessor(connection, { _, _ in }, nil)
    unsafe handle = connection
    self.source = source
  }

  deinit { unsafe PQfinish(handle) }

  /// Runs one statement that gives no rows; how many rows it touched.
  @discardableResult
  func execute(_ sql: String) throws(HistoryError) -> Int {
    let result = unsafe PostgreSQLResult(PQexec(handle, sql))
    guard result.status == PGRES_COMMAND_OK else { throw failure(result) }
    return result.touchedRows
  }

  /// The same with one text parameter, `$1`.
  func execute(_ sql: String, parameter: [UInt8]) throws(HistoryError) -> Int {
    let text = parameter.map { CChar(bitPattern: $0) } + [0]
    let made = unsafe text.withUnsafeBufferPointer {
      var values: [UnsafePointer<CChar>?] = unsafe [$0.baseAddress]
      return unsafe PQexecParams(handle, sql, 1, nil, &values, nil, nil, 0)
    }
    let result = unsafe PostgreSQLResult(made)
    guard result.status == PGRES_COMMAND_OK else { throw failure(result) }
    return result.touchedRows
  }

  /// Runs one statement that gives rows.
  func query(_ sql: String) throws(HistoryError) -> PostgreSQLResult {
    let result = unsafe PostgreSQLResult(PQexec(handle, sql))
    guard result.status == PGRES_TUPLES_OK else { throw failure(result) }
    return result
  }

  /// Sends all of `text`, lines of COPY's text format, to the COPY statement `sql`.
  func copy(_ sql: String, _ text: UnsafeBufferPointer<UInt8>) throws(HistoryError) {
    let begun = unsafe PostgreSQLResult(PQexec(handle, sql))
    guard begun.status == PGRES_COPY_IN else { throw failure(begun) }
    let isSent = unsafe text.withMemoryRebound(to: CChar.self) {
      unsafe PQputCopyData(handle, $0.baseAddress, Int32($0.count)) == 1
    }
    let isEnded = unsafe PQputCopyEnd(handle, isSent ? nil : "not sent") == 1
    let result = unsafe PostgreSQLResult(PQgetResult(handle))
    guard isSent, isEnded, result.status == PGRES_COMMAND_OK else { throw failure(result) }
    // libpq wants to be asked until it has nothing more to say.
    while unsafe PQgetResult(handle) != nil {}
  }

  /// What went wrong, as one line.
  private func failure(_ result: borrowing PostgreSQLResult) -> HistoryError {
    guard unsafe PQstatus(handle) == CONNECTION_OK else {
      let reason = unsafe Self.oneLine(PQerrorMessage(handle))
      return HistoryError(.failed, "\(source): the database went away: \(reason)")
    }
    let reason = result.message.isEmpty ? unsafe Self.oneLine(PQerrorMessage(handle)) : result.message
    return HistoryError(.failed, "\(source): \(reason)", code: result.code)
  }

  static func oneLine(_ message: UnsafePointer<CChar>?) -> String {
    guard let message = unsafe message else { return "" }
    return unsafe String(cString: message).split(separator: "\n").map {
      $0.trimmingCharacters(in: .whitespaces)
    }.joined(separator: "; ")
  }
}

/// What a statement gave.
@safe struct PostgreSQLResult: ~Copyable {
  private let handle: OpaquePointer?

  init(_ handle: OpaquePointer?) { unsafe self.handle = handle }

  deinit { unsafe PQclear(handle) }

  var status: ExecStatusType { unsafe PQresultStatus(handle) }
  var rows: Int { Int(unsafe PQntuples(handle)) }
  var columns: Int { Int(unsafe PQnfields(handle)) }
  var touchedRows: Int { unsafe Int(String(cString: PQcmdTuples(handle))) ?? 0 }

  func columnName(_ column: Int) -> String { unsafe String(cString: PQfname(handle, Int32(column))) }
  /// The object id of the column's type; of a domain, of its base type.
  func columnType(_ column: Int) -> UInt32 { unsafe PQftype(handle, Int32(column)) }
  func isNull(_ row: Int, _ column: Int) -> Bool { unsafe PQgetisnull(handle, Int32(row), Int32(column)) == 1 }

  /// Valid as long as the result.
  func text(_ row: Int, _ column: Int) -> UnsafeBufferPointer<UInt8> {
    let start = unsafe PQgetvalue(handle, Int32(row), Int32(column))
    return unsafe UnsafeBufferPointer(
      start: UnsafeRawPointer(start)?.assumingMemoryBound(to: UInt8.self),
      count: Int(PQgetlength(handle, Int32(row), Int32(column))))
  }

  func string(_ row: Int, _ column: Int) -> String { unsafe String(decoding: text(row, column), as: UTF8.self) }

  /// SQLSTATE; empty where there is none.
  var code: String {
    unsafe PQresultErrorField(handle, 0x43).map { unsafe String(cString: $0) } ?? ""  // PG_DIAG_SQLSTATE, 'C'
  }

  /// The primary message alone: detail and context quote rows.
  var message: String {
    unsafe PQresultErrorField(handle, 0x4D).map { unsafe String(cString: $0) } ?? ""  // PG_DIAG_MESSAGE_PRIMARY, 'M'
  }
}
