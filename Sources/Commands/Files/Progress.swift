import Glibc
import Pipeline

/// One line that is written over itself on a terminal; silent elsewhere.
struct Progress {
  private static let intervalNanoseconds: Int64 = 200_000_000
  private let isShown: Bool
  private var shownAt: Int64 = 0
  private var isOnScreen = false

  init() { isShown = StandardStreams.isTerminal(STDERR_FILENO) }

  /// Shows what `text` makes, a few times a second.
  mutating func show(_ text: () -> String) {
    guard isShown else { return }
    let now = SystemClock().monotonic
    guard now - shownAt >= Self.intervalNanoseconds else { return }
    shownAt = now
    isOnScreen = true
    _ = StandardStreams.write(Array("\r\u{1b}[2K\(text())".utf8), to: STDERR_FILENO)
  }

  /// Clears the line.
  mutating func finish() {
    guard isOnScreen else { return }
    isOnScreen = false
    _ = StandardStreams.write(Array("\r\u{1b}[2K".utf8), to: STDERR_FILENO)
  }
}
