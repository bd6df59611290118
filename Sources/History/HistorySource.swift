import Foundation

/// Why a history could not be read. `description` is one line that names the file and the mend.
public struct HistoryError: Error, CustomStringConvertible, Equatable, Sendable {
  public enum Kind: Sendable {
    /// What was asked for is wrong (exit status 2).
    case usage
    /// Reading failed (exit status 1).
    case failed
  }
  public var kind: Kind
  public var description: String
  /// SQLSTATE, of a database that gives one.
  var code = ""

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }

  init(_ kind: Kind, _ description: String, code: String) {
    self.init(kind, description)
    self.code = code
  }
}

/// Where past events come from.
public enum HistorySource: Equatable, Sendable, CustomStringConvertible {
  /// One JSON event a line; plain or gzip, told apart by content.
  case ndjson(path: String)
  /// The same from standard input.
  case standardInput
  case sqlite(path: String)
  case postgresql(address: String)

  /// Reads the `--history` argument: `FILE.ndjson[.gz]`, `-`, `sqlite:FILE` or `postgresql://...`.
  public init(_ argument: String) throws(HistoryError) {
    if argument.isEmpty { throw HistoryError(.usage, "--history: no file is named") }
    if argument == "-" {
      self = .standardInput
    } else if argument.hasPrefix("sqlite:") {
      self = .sqlite(path: String(argument.dropFirst("sqlite:".count)))
    } else if argument.hasPrefix("postgresql:") || argument.hasPrefix("postgres:") {
      self = .postgresql(address: argument)
    } else {
      self = .ndjson(path: argument)
    }
  }

  /// Names the source in messages; of an address only host, port and database, since the rest may hold a password.
  public var description: String {
    switch self {
    case .ndjson(let path): path
    case .standardInput: "standard input"
    case .sqlite(let path): "sqlite:\(path)"
    case .postgresql(let address): "postgresql:" + Self.place(address)
    }
  }

  /// `//host:port/database`; empty where it cannot be told for certain what is a password.
  private static func place(_ address: String) -> String {
    guard let start = address.range(of: "://")?.upperBound else { return "" }
    let rest = address[start...]
    let query = rest.firstIndex(of: "?") ?? rest.endIndex
    // A password may hold a question mark, and a query may hold a password.
    guard !rest[query...].contains("@") else { return "" }
    let host = rest[..<query].lastIndex(of: "@").map { rest.index(after: $0) } ?? rest.startIndex
    return "//" + rest[host..<query]
  }
}
