import Borrowers
import Glibc

/// A file or standard output, written in large pieces.
struct FileOutput: ~Copyable {
  private static let pieceBytes = 1 << 18

  /// The path, or `-`.
  let name: String
  private let descriptor: Int32
  /// What is not written yet.
  var buffer = ByteBuffer(capacity: 2 * pieceBytes)

  /// Makes the file, or empties it; `-` is standard output.
  init(path: String, command: String) throws(CommandFailure) {
    name = path
    if path == "-" {
      descriptor = STDOUT_FILENO
    } else {
      descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
      guard descriptor >= 0 else {
        throw .failed("lendpulse \(command): \(path): cannot be written: \(FileProblem.reason(errno: errno))")
      }
    }
  }

  deinit { if descriptor != STDOUT_FILENO { close(descriptor) } }

  /// Writes when enough is waiting.
  mutating func flushIfFull() throws(CommandFailure) { if buffer.count >= Self.pieceBytes { try flush() } }

  mutating func flush() throws(CommandFailure) {
    let failure = unsafe StandardStreams.write(UnsafeRawBufferPointer(buffer.bytes), to: descriptor)
    buffer.removeAll()
    guard let failure else { return }
    if failure == EPIPE && descriptor == STDOUT_FILENO { throw .outputClosed }
    throw .failed("\(name == "-" ? "standard output" : name): cannot be written: \(FileProblem.reason(errno: failure))")
  }
}
