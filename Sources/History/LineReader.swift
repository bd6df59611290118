import Borrowers
import CZlib
import Foundation

/// Lines of a plain or gzip file (concatenated members too), in bounded memory. zlib tells the two apart by content.
@safe struct LineReader: ~Copyable {
  enum Line: Equatable {
    case line
    /// Longer than `longestLine`: skipped up to its end.
    case tooLong
    case end
  }

  /// The largest record that a topic takes.
  static let longestLine = 1 << 20
  private static let blockSize = 1 << 18

  private let name: String
  private let file: gzFile
  private let block: UnsafeMutablePointer<UInt8>
  private var next = 0
  private var end = 0
  private var isAtEnd = false
  /// Bytes of the file as it lies on disk; 0 where unknown (a pipe).
  let fileSize: Int64

  init(path: String) throws(HistoryError) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else {
      throw HistoryError(.usage, "\(path): cannot be opened: \(unsafe String(cString: strerror(errno)))")
    }
    guard status.st_mode & S_IFMT != S_IFDIR else {
      throw HistoryError(.usage, "\(path): is a folder; name an .ndjson or .ndjson.gz file")
    }
    guard let file = unsafe gzopen(path, "rb") else {
      throw HistoryError(.usage, "\(path): cannot be opened: \(unsafe String(cString: strerror(errno)))")
    }
    unsafe self.init(name: path, file: file, fileSize: status.st_mode & S_IFMT == S_IFREG ? Int64(status.st_size) : 0)
  }

  /// Reads standard input, which stays open.
  init(standardInput: Void) throws(HistoryError) {
    let descriptor = dup(STDIN_FILENO)
    guard descriptor >= 0, let file = unsafe gzdopen(descriptor, "rb") else {
      if descriptor >= 0 { close(descriptor) }
      throw HistoryError(.failed, "standard input: cannot be read: \(unsafe String(cString: strerror(errno)))")
    }
    unsafe self.init(name: "standard input", file: file, fileSize: 0)
  }

  private init(name: String, file: gzFile, fileSize: Int64) {
    self.name = name
    unsafe self.file = file
    self.fileSize = fileSize
    unsafe gzbuffer(file, UInt32(Self.blockSize))
    unsafe block = UnsafeMutablePointer<UInt8>.allocate(capacity: Self.blockSize)
  }

  deinit {
    unsafe gzclose_r(file)
    unsafe block.deallocate()
  }

  /// Bytes of the file read so far, as it lies on disk.
  var offset: Int64 { Int64(unsafe gzoffset(file)) }

  /// The next line without its line feed (and carriage return), in `line`.
  mutating func readLine(into line: inout ByteBuffer) throws(HistoryError) -> Line {
    line.removeAll()
    var isTooLong = false
    while true {
      if next == end {
        try fill()
        if isAtEnd {
          if isTooLong { return .tooLong }
          return line.count == 0 ? .end : .line
        }
      }
      let rest = unsafe UnsafeBufferPointer(start: block + next, count: end - next)
      let found = unsafe memchr(rest.baseAddress!, 0x0A, rest.count)
      let length =
        unsafe found.map { unsafe UnsafeRawPointer($0) - UnsafeRawPointer(rest.baseAddress!) } ?? rest.count
      if line.count + length > Self.longestLine { isTooLong = true }
      if !isTooLong { unsafe line.append(UnsafeBufferPointer(rebasing: rest[0..<length])) }
      next += length
      if unsafe found != nil {
        next += 1
        if isTooLong {
          line.removeAll()
          return .tooLong
        }
        if line.count > 0, line[line.count - 1] == 0x0D { line.truncate(to: line.count - 1) }
        return .line
      }
    }
  }

  private mutating func fill() throws(HistoryError) {
    let count = unsafe gzread(file, block, UInt32(Self.blockSize))
    next = 0
    end = max(Int(count), 0)
    var code: Int32 = 0
    let message = unsafe gzerror(file, &code)
    // A gzip file that stops in the middle gives its data first and Z_BUF_ERROR with the last read.
    if count < 0 || (count == 0 && code == Z_BUF_ERROR) {
      let detail =
        code == Z_ERRNO
        ? unsafe String(cString: strerror(errno)) : unsafe message.map { unsafe String(cString: $0) } ?? "unknown"
      let mend = code == Z_ERRNO ? "" : "; the gzip file is damaged or cut short"
      throw HistoryError(.failed, "\(name): cannot be read: \(detail)\(mend)")
    }
    isAtEnd = count == 0
  }
}
