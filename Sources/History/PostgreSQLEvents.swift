import Borrowers
import CLibPQ

/// The rows of `borrower_events` in a PostgreSQL database, through a cursor: some thousand are here at a time. They come in
/// order of arrival (`position`, or else by time and id), from one snapshot of the table.
@safe struct PostgreSQLEvents: EventLines, ~Copyable {
  private static let rowsAtOnce = 4096

  private let connection: PostgreSQLConnection
  private let columns: [HistoryColumn]
  private var rows: PostgreSQLResult
  private var next = 0
  private var row = RowLine()
  private(set) var done: Int64 = 0
  let total: Int64
  var unit: BadLine.Unit { .row }

  private init(
    _ connection: consuming PostgreSQLConnection, _ columns: [HistoryColumn], total: Int64,
    first rows: consuming PostgreSQLResult
  ) {
    self.connection = connection
    self.columns = columns
    self.total = total
    self.rows = rows
  }

  static func open(address: String) throws(HistoryError) -> PostgreSQLEvents {
    let connection = try PostgreSQLConnection(address: address)
    try connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    let shape = try PostgreSQLTable(connection)
    guard let kind = shape.kind else { throw HistoryColumn.noTable(connection.source) }
    let columns = try HistoryColumn.present(among: Set(shape.types.keys), source: connection.source)
    // All rows will be read: the plan that gives the first ones soonest is not the one wanted. Floats in full.
    try connection.execute("SET LOCAL cursor_tuple_fraction = 1.0")
    try connection.execute("SET LOCAL extra_float_digits = 3")
    let hasPosition = shape.types[HistoryColumn.position] != nil
    var total: Int64 = 0
    if hasPosition, kind == "r" {
      let last = try connection.query("SELECT max(\(HistoryColumn.position)) FROM \(HistoryColumn.table)")
      total = max(Int64(last.string(0, 0)) ?? 0, 0)
    }
    var expressions: [String] = []
    for column in columns {
      expressions.append(try shape.expression(column, source: connection.source))
    }
    try connection.execute(
      """
      DECLARE lendpulse_events NO SCROLL CURSOR FOR SELECT \(expressions.joined(separator: ", ")) \
      FROM \(HistoryColumn.table) ORDER BY \(hasPosition ? HistoryColumn.position : "occurred_at, event_id")
      """)
    let rows = try fetch(connection)
    return PostgreSQLEvents(connection, columns, total: total, first: rows)
  }

  private static func fetch(_ connection: borrowing PostgreSQLConnection) throws(HistoryError) -> PostgreSQLResult {
    try connection.query("FETCH FORWARD \(rowsAtOnce) FROM lendpulse_events")
  }

  mutating func readLine(into line: inout ByteBuffer) throws(HistoryError) -> LineReader.Line {
    if next == rows.rows, next > 0 {
      rows = try Self.fetch(connection)
      next = 0
    }
    guard next < rows.rows else {
      line.removeAll()
      return .end
    }
    row.begin(&line)
    for (index, column) in columns.enumerated() where !rows.isNull(next, index) {
      let text = unsafe rows.text(next, index)
      switch column.content {
      case .text: unsafe row.put(text: text, column, into: &line)
      case .number: unsafe row.put(digits: text, column, into: &line)
      case .time: unsafe row.put(digits: text, column, into: &line)
      case .boolean: unsafe row.put(boolean: text.first == UInt8(ascii: "t"), column, into: &line)
      }
    }
    row.end(&line)
    next += 1
    done += 1
    return .line
  }
}

/// What `borrower_events` is in a PostgreSQL database.
private struct PostgreSQLTable {
  /// `r` a table, `p` a partitioned one, `v` a view, `m` a materialised one, `f` a foreign table; nil: there is none.
  var kind: String?
  /// The type of each column, by object id.
  var types: [String: UInt32] = [:]

  init(_ connection: borrowing PostgreSQLConnection) throws(HistoryError) {
    let found = try connection.query("SELECT relkind FROM pg_class WHERE oid = to_regclass('\(HistoryColumn.table)')")
    guard found.rows == 1 else { return }
    kind = found.string(0, 0)
    let shape = try connection.query("SELECT * FROM \(HistoryColumn.table) LIMIT 0")
    for column in 0..<shape.columns { types[shape.columnName(column)] = shape.columnType(column) }
  }

  /// How a column is asked for, so that its text is that of an event's field. Whatever has a text may be a text; a number
  /// must be one; a time has a zone, or is a text or an integer as in an event.
  func expression(_ column: HistoryColumn, source: HistorySource) throws(HistoryError) -> String {
    let name = column.name.description
    let type = types[name] ?? 0
    switch column.content {
    case .text: return "\(name)::text"
    case .number:
      guard PostgreSQLType.numbers.contains(type) else { throw wrongType(column, "a number", source) }
      return "\(name)::text"
    case .time:
      if type == PostgreSQLType.timestampWithZone {
        // Cut to milliseconds; of an infinite one the text, which is no time.
        return "CASE WHEN isfinite(\(name)) THEN round(extract(epoch FROM date_trunc('milliseconds', \(name))) "
          + "* 1000)::bigint::text ELSE \(name)::text END"
      }
      guard PostgreSQLType.texts.contains(type) || PostgreSQLType.integers.contains(type) else {
        throw wrongType(column, "a timestamp with time zone", source)
      }
      return "\(name)::text"
    case .boolean:
      guard type == PostgreSQLType.boolean else { throw wrongType(column, "boolean", source) }
      return "\(name)::text"
    }
  }

  private func wrongType(_ column: HistoryColumn, _ wanted: String, _ source: HistorySource) -> HistoryError {
    HistoryError(
      .usage, "\(source): column \(column.name) of \(HistoryColumn.table) must be \(wanted); convert it in a view")
  }
}

/// Object ids of built-in types; they never change (pg_type.dat).
private enum PostgreSQLType {
  static let boolean: UInt32 = 16
  /// bigint, smallint, integer.
  static let integers: Set<UInt32> = [20, 21, 23]
  /// And real, double precision, numeric.
  static let numbers: Set<UInt32> = [20, 21, 23, 700, 701, 1700]
  /// text, char(n), varchar.
  static let texts: Set<UInt32> = [25, 1042, 1043]
  static let timestampWithZone: UInt32 = 1184
}

/// Adds events to `borrower_events` in a PostgreSQL database, in one transaction: by COPY into a temporary table some
/// thousand at a time, and from there what is not there yet. Makes the table where it is not there.
@safe struct PostgreSQLStore: EventStore, ~Copyable {
  private let connection: PostgreSQLConnection
  private var waiting = ByteBuffer(capacity: 1 << 20)
  private var count = 0
  private static let columns = HistoryColumn.allCases.map(\.name.description).joined(separator: ", ")
  private static let bytesAtOnce = 8 << 20
  private var added = 0

  init(address: String) throws(HistoryError) {
    let connection = try PostgreSQLConnection(address: address)
    try connection.execute("BEGIN")
    var shape = try PostgreSQLTable(connection)
    if shape.kind == nil {
      try connection.execute(Self.definition)
      shape = try PostgreSQLTable(connection)
    }
    if shape.kind == "v" || shape.kind == "m" { throw HistoryColumn.isView(connection.source) }
    try HistoryColumn.requireAll(Set(shape.types.keys), source: connection.source)
    try connection.execute(
      "CREATE TEMPORARY TABLE lendpulse_import (line integer, \(Self.columnDefinitions)) ON COMMIT DROP")
    self.connection = connection
  }

  /// PostgreSQL's texts hold any character but U+0000.
  func canHold(_ event: borrowing BorrowerEvent) -> Bool { !event.text.contains(0) }

  mutating func add(_ event: borrowing BorrowerEvent) throws(HistoryError) {
    waiting.append(decimal: Int64(count))
    for column in HistoryColumn.allCases {
      waiting.append("\t")
      switch event.value(column) {
      case .null: waiting.append("\\N")
      case .text(let slice): unsafe event.withBytes(of: slice) { unsafe waiting.append(copyText: $0) }
      case .name(let name): waiting.append(name)
      case .number(let number): waiting.append(number: number)
      case .time(let time): waiting.append(time: time)
      case .boolean(let isTrue): waiting.append(isTrue ? "t" : "f")
      }
    }
    waiting.append("\n")
    count += 1
    if waiting.count >= Self.bytesAtOnce { try send() }
  }

  private mutating func send() throws(HistoryError) {
    guard count > 0 else { return }
    unsafe try connection.copy("COPY lendpulse_import (line, \(Self.columns)) FROM STDIN", waiting.bytes)
    waiting.removeAll()
    count = 0
    let identity = HistoryColumn.identity.map(\.name.description).joined(separator: ", ")
    do throws(HistoryError) {
      // In order of arrival, which is what positions are given out in.
      added += try connection.execute(
        """
        INSERT INTO \(HistoryColumn.table) (\(Self.columns)) SELECT \(Self.columns) FROM lendpulse_import ORDER BY line \
        ON CONFLICT (\(identity)) DO NOTHING
        """)
    } catch {
      // 42P10: ON CONFLICT finds no unique index to go by.
      throw error.code == "42P10" ? HistoryColumn.noIdentity(connection.source, error) : error
    }
    try connection.execute("TRUNCATE lendpulse_import")
  }

  mutating func flush() throws(HistoryError) -> Int {
    try send()
    defer { added = 0 }
    return added
  }

  mutating func erase(borrower: [UInt8]) throws(HistoryError) -> Int {
    try connection.execute(HistoryColumn.erasure(parameter: "$1"), parameter: borrower)
  }

  mutating func commit() throws(HistoryError) { try connection.execute("COMMIT") }

  private static let columnDefinitions = HistoryColumn.allCases.map { column in
    let type =
      switch column.content {
      case .text: "text"
      case .number: "double precision"
      case .time: "timestamp with time zone"
      case .boolean: "boolean"
      }
    return "\(column.name) \(type)\(HistoryColumn.required.contains(column) ? " NOT NULL" : "")"
  }.joined(separator: ", ")

  private static let definition: String = {
    let identity = HistoryColumn.identity.map(\.name.description).joined(separator: ", ")
    return
      "CREATE TABLE \(HistoryColumn.table) (\(HistoryColumn.position) bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
      + "\(columnDefinitions), UNIQUE (\(identity)))"
  }()
}

extension ByteBuffer {
  /// A value in COPY's text format: the characters that end a value or a line are escaped.
  fileprivate mutating func append(copyText bytes: UnsafeBufferPointer<UInt8>) {
    for index in 0..<bytes.count {
      switch unsafe bytes[index] {
      case 0x5C: append("\\\\")
      case 0x09: append("\\t")
      case 0x0A: append("\\n")
      case 0x0D: append("\\r")
      case let byte: append(byte)
      }
    }
  }
}
