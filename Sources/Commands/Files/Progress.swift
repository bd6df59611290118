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

/// How long a phase of long work will still take, from how long its share has taken so far.
struct RemainingTime {
  private var phase = ""
  private var startedAt: Int64 = 0
  private var firstShare = 0.0

  /// Nil until enough has passed to tell. `now` is in nanoseconds.
  mutating func estimate(phase: String, share: Double?, now: Int64 = SystemClock().monotonic) -> String? {
    if phase != self.phase {
      self.phase = phase
      startedAt = now
      firstShare = share ?? 0
    }
    guard let share, share < 1, share - firstShare >= 0.02, now - startedAt >= 2_000_000_000 else { return nil }
    let seconds = Double(now - startedAt) * 1e-9 / (share - firstShare) * (1 - share)
    return Self.text(seconds)
  }

  /// `35 s`, `4 min`, `1 h 20 min`: no more exact than an estimate is.
  static func text(_ seconds: Double) -> String {
    switch seconds {
    case ..<1: return "1 s"
    case ..<90: return "\(Int(seconds.rounded())) s"
    case ..<5400: return "\(Int((seconds / 60).rounded())) min"
    default:
      let minutes = Int((seconds / 60).rounded())
      return "\(minutes / 60) h \(minutes % 60) min"
    }
  }
}
