import Glibc

/// The lines of a file or of standard input, read in large pieces. Memory is bounded by the longest line.
@safe struct LineInput: ~Copyable {
  /// A longer line is no line of events: reading it ends with an error.
  static let lineBytesMax = 256 << 20
  private static let pieceBytes = 1 << 20

  /// The path, or `-`.
  let name: String
  private let descriptor: Int32
  private var buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 2 * pieceBytes)
  /// What is read and not yet given out: `buffer[start..<end]`; up to `searched` it holds no line feed.
  private var start = 0
  private var searched = 0
  private var end = 0
  private var isAtEnd = false
  /// Bytes given out, line feeds included, and the size of a regular file, for progress.
  private(set) var bytesRead: Int64 = 0
  let bytesTotal: Int64?

  /// `-` is standard input.
  init(path: String, command: String) throws(CommandFailure) {
    name = path
    if path == "-" {
      descriptor = STDIN_FILENO
    } else {
      descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else {
        throw .failed("lendpulse \(command): \(path): cannot be read: \(FileProblem.reason(errno: errno))")
      }
    }
    var information = stat()
    let isRegular = unsafe fstat(descriptor, &information) == 0 && information.st_mode & S_IFMT == S_IFREG
    bytesTotal = isRegular ? Int64(information.st_size) : nil
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL)
  }

  deinit {
    unsafe buffer.deallocate()
    if descriptor != STDIN_FILENO { close(descriptor) }
  }

  /// Whether another file is this one.
  func isSameFile(as path: String) -> Bool {
    var own = stat()
    var other = stat()
    guard unsafe fstat(descriptor, &own) == 0, unsafe stat(path, &other) == 0 else { return false }
    return own.st_mode & S_IFMT == S_IFREG && own.st_dev == other.st_dev && own.st_ino == other.st_ino
  }

  /// The next line without its line feed, valid until the next call; nil behind the last. A last line need not end in a
  /// line feed.
  mutating func next() throws(CommandFailure) -> UnsafeBufferPointer<UInt8>? {
    while true {
      if let lineFeed = find() {
        defer {
          start = lineFeed + 1
          searched = start
        }
        bytesRead += Int64(lineFeed + 1 - start)
        return unsafe UnsafeBufferPointer(rebasing: buffer[start..<lineFeed])
      }
      searched = end
      if isAtEnd {
        guard start < end else { return nil }
        defer { start = end }
        bytesRead += Int64(end - start)
        return unsafe UnsafeBufferPointer(rebasing: buffer[start..<end])
      }
      try fill()
    }
  }

  private func find() -> Int? {
    guard searched < end, let base = unsafe buffer.baseAddress,
      let found = unsafe memchr(base + searched, 0x0a, end - searched)
    else { return nil }
    return unsafe found.assumingMemoryBound(to: UInt8.self) - base
  }

  private mutating func fill() throws(CommandFailure) {
    makeRoom()
    guard end - start < Self.lineBytesMax else {
      throw .failed("\(name): a line is longer than \(Self.lineBytesMax >> 20) MiB; one event stands on a line")
    }
    while true {
      let count = unsafe read(descriptor, buffer.baseAddress! + end, min(Self.pieceBytes, buffer.count - end))
      if count >= 0 {
        end += count
        isAtEnd = count == 0
        return
      }
      guard errno == EINTR else { throw .failed("\(name): cannot be read: \(FileProblem.reason(errno: errno))") }
      if Interruption.isRequested { return }
    }
  }

  /// Moves what is left to the front, and grows the buffer for a line that fills it.
  private mutating func makeRoom() {
    guard unsafe buffer.count - end < Self.pieceBytes else { return }
    let left = end - start
    if unsafe left + Self.pieceBytes > buffer.count {
      let larger = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 2 * (left + Self.pieceBytes))
      unsafe larger.baseAddress!.update(from: buffer.baseAddress! + start, count: left)
      unsafe buffer.deallocate()
      unsafe buffer = larger
    } else {
      unsafe memmove(buffer.baseAddress!, buffer.baseAddress! + start, left)
    }
    searched -= start
    start = 0
    end = left
  }
}
