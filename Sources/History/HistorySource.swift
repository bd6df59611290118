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

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
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

  /// Names the source in messages; an address is cut to its scheme, since it may hold a password.
  public var description: String {
    switch self {
    case .ndjson(let path): path
    case .standardInput: "standard input"
    case .sqlite(let path): "sqlite:\(path)"
    case .postgresql: "postgresql:"
    }
  }
}
