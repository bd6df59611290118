import Glibc

/// The terminal while a live view is on it: the alternate screen, no cursor, no echo of keys. `restore` undoes all of it,
/// and may be called from any thread, and again.
struct Terminal: Sendable {
  private let savedInput: termios?

  /// Whether a live view makes sense: a terminal that knows control sequences.
  static func isLive(environment: [String: String]) -> Bool {
    StandardStreams.isTerminal(STDOUT_FILENO) && !["", "dumb"].contains(environment["TERM"] ?? "")
  }

  /// The convention of no-color.org: set and not empty.
  static func isColoured(environment: [String: String]) -> Bool { environment["NO_COLOR", default: ""].isEmpty }

  init() {
    var settings = termios()
    if StandardStreams.isTerminal(STDIN_FILENO), unsafe tcgetattr(STDIN_FILENO, &settings) == 0 {
      savedInput = settings
      settings.c_lflag &= ~tcflag_t(ECHO | ICANON)
      unsafe tcsetattr(STDIN_FILENO, TCSANOW, &settings)
    } else {
      savedInput = nil
    }
    Self.write("\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J")
  }

  func restore() {
    Self.write("\u{1b}[0m\u{1b}[?25h\u{1b}[?1049l")
    guard var settings = savedInput else { return }
    unsafe tcsetattr(STDIN_FILENO, TCSANOW, &settings)
  }

  /// Columns and rows now.
  static var size: (columns: Int, rows: Int) {
    var window = winsize()
    guard unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0, window.ws_row > 0 else {
      return (80, 24)
    }
    return (Int(window.ws_col), Int(window.ws_row))
  }

  /// Replaces what is shown, in one write, without a flicker.
  static func show(_ lines: [String]) {
    let body = lines.map { $0 + "\u{1b}[K" }.joined(separator: "\r\n")
    write("\u{1b}[?2026h\u{1b}[H\(body)\u{1b}[J\u{1b}[?2026l")
  }

  /// Waits for a key, at most so long; nil: none came.
  func key(waitMilliseconds: Int) -> UInt8? {
    guard savedInput != nil else {
      _ = poll(nil, 0, Int32(waitMilliseconds))
      return nil
    }
    var descriptor = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
    guard unsafe poll(&descriptor, 1, Int32(waitMilliseconds)) == 1 else { return nil }
    var byte: UInt8 = 0
    guard unsafe read(STDIN_FILENO, &byte, 1) == 1 else {
      // The terminal has gone: rest, so that this is no busy loop.
      _ = poll(nil, 0, Int32(waitMilliseconds))
      return nil
    }
    return byte
  }

  private static func write(_ text: String) { _ = StandardStreams.write(Array(text.utf8), to: STDOUT_FILENO) }
}
