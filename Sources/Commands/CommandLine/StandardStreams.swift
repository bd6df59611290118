import Glibc

/// What a person or a pipe reads: standard output and standard error, written at once.
enum StandardStreams {
  /// Writes to standard output; fails quietly when the reader went away.
  static func print(_ text: String) throws(CommandFailure) {
    let failure = write(Array(text.utf8), to: STDOUT_FILENO)
    guard let failure else { return }
    throw failure == EPIPE
      ? .outputClosed : .failed("lendpulse: standard output cannot be written: \(FileProblem.reason(errno: failure))")
  }

  /// One line to standard output, of a view that goes on without a reader.
  static func reportOutput(_ line: String) { _ = write(Array((line + "\n").utf8), to: STDOUT_FILENO) }

  /// One line to standard error. Nobody may be there to read it: then it is lost.
  static func report(_ line: String) { _ = write(Array((line + "\n").utf8), to: STDERR_FILENO) }

  /// All of the bytes; returns the error that stopped it.
  static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32? {
    unsafe bytes.withUnsafeBytes { unsafe write($0, to: descriptor) }
  }

  static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) -> Int32? {
    var written = 0
    while written < bytes.count {
      let count = unsafe Glibc.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
      if count >= 0 {
        written += count
      } else if errno == EAGAIN {
        // Somebody made the terminal non-blocking.
        var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = unsafe poll(&waiting, 1, 1_000)
      } else if errno != EINTR {
        return errno
      }
    }
    return nil
  }

  static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }
}
