/// How a command ended, as the shell sees it.
enum ExitStatus: Equatable, Sendable {
  case done
  /// It failed while running.
  case failed
  /// Bad usage or configuration.
  case misused
  /// Ended by a signal, after a clean stop.
  case interrupted(signal: Int32)

  var code: Int32 {
    switch self {
    case .done: 0
    case .failed: 1
    case .misused: 2
    case .interrupted(let signal): 128 + signal
    }
  }
}

/// What ends a command early: lines for standard error, and the status.
struct CommandFailure: Error, Equatable, Sendable {
  var lines: [String]
  var status: ExitStatus

  static func failed(_ line: String) -> CommandFailure { CommandFailure(lines: [line], status: .failed) }
  static func misused(_ line: String) -> CommandFailure { CommandFailure(lines: [line], status: .misused) }
  /// Quietly: the reader of our output went away.
  static let outputClosed = CommandFailure(lines: [], status: .failed)
}
