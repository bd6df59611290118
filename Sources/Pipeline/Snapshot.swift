import Borrowers
import Features
import Glibc
import Scoring

/// Snapshots of partitions on the local disk, so that a restart on the same machine need not read the state topic. Written
/// at a clean stop; deleted as soon as one was read, and when it is too old to be: nothing of a borrower stays behind that
/// an erasure would not reach.
///
/// A file: `LPSN`, version (1), then frames: the length of the bytes (4), their Murmur3 hash (16), the bytes. The first
/// frame is the head: milliseconds since 1970 when it was written (8), the input offset (8), the position's metadata; the
/// others are the engine's. A frame of length 0 ends it.
struct SnapshotStore: Sendable {
  let directory: String
  let applicationID: String
  /// One that was written longer ago is refused: an erased borrower could be in it whose tombstone is gone.
  let ageMaxMilliseconds: Int64

  private static let magic = Array("LPSN".utf8)
  private static let suffix = ".snapshot"

  private var prefix: String { "\(applicationID)-" }
  private func path(_ partition: Int32) -> String { "\(directory)/\(prefix)\(partition)\(Self.suffix)" }

  // MARK: Writing

  /// Writes the partition's state as at the runner's position; what fails leaves no file.
  func write(_ runner: PartitionRunner, wall: Int64) -> Bool {
    let temporary = path(runner.partition) + ".part"
    guard let file = SnapshotFile(creating: temporary) else { return false }
    var head = ByteBuffer()
    head.append(littleEndian: wall)
    head.append(littleEndian: runner.inputOffset)
    head.append(Array(runner.position.metadata.utf8))
    var isWritten = file.write(Self.magic + [PartitionEngine.snapshotVersion])
    isWritten = unsafe isWritten && file.writeFrame(head.bytes)
    unsafe runner.engine.encodeSnapshot(inputOffset: runner.inputOffset, journalOffset: runner.journalOffset) { piece in
      isWritten = unsafe isWritten && file.writeFrame(piece)
    }
    isWritten = unsafe isWritten && file.writeFrame(UnsafeBufferPointer(start: nil, count: 0))
    guard isWritten, unsafe rename(temporary, path(runner.partition)) == 0 else {
      unsafe unlink(temporary)
      return false
    }
    return true
  }

  // MARK: Reading

  /// Fills a new engine and deletes the file. Nil where there is none that can be used: the engine is then to be made anew.
  func take(_ partition: Int32, wall: Int64, into engine: inout PartitionEngine) -> Position? {
    defer { unsafe unlink(path(partition)) }
    guard let mapped = MappedFile(path(partition)), let body = unsafe Self.body(mapped.bytes),
      let head = unsafe Self.head(mapped.bytes), (0...ageMaxMilliseconds).contains(wall - head.writtenAt)
    else { return nil }
    do {
      try unsafe body.withUnsafeBytes { bytes in try unsafe engine.restoreSnapshot(bytes) }
    } catch {
      return nil
    }
    return head.position
  }

  /// Deletes what is too old or was not finished, of every application.
  func sweep(wall: Int64) {
    guard let folder = unsafe opendir(directory) else { return }
    defer { unsafe closedir(folder) }
    var doomed: [String] = []
    while let entry = unsafe readdir(folder) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
      }
      if name.hasSuffix(Self.suffix + ".part") { doomed.append("\(directory)/\(name)") }
      guard name.hasSuffix(Self.suffix) else { continue }
      var status = stat()
      guard unsafe stat("\(directory)/\(name)", &status) == 0 else { continue }
      if wall - Int64(status.st_mtim.tv_sec) * 1_000 > ageMaxMilliseconds { doomed.append("\(directory)/\(name)") }
    }
    for path in doomed { unsafe unlink(path) }
  }

  private struct Head {
    var writtenAt: Int64
    var position: Position
  }

  private static func head(_ file: UnsafeRawBufferPointer) -> Head? {
    guard let frame = unsafe frame(file, at: magic.count + 1), frame.count > 16 else { return nil }
    func integer(_ offset: Int) -> Int64 {
      unsafe Int64(littleEndian: frame.loadUnaligned(fromByteOffset: offset, as: Int64.self))
    }
    let metadata = unsafe String(decoding: frame[16...], as: UTF8.self)
    guard let position = Position(inputOffset: integer(8), metadata: metadata) else { return nil }
    return Head(writtenAt: integer(0), position: position)
  }

  /// The engine's bytes, in one piece; nil where any of the file is not as it was written.
  private static func body(_ file: UnsafeRawBufferPointer) -> [UInt8]? {
    guard file.count > magic.count + 1, unsafe file.prefix(magic.count).elementsEqual(magic),
      unsafe file[magic.count] == PartitionEngine.snapshotVersion
    else { return nil }
    var position = magic.count + 1
    var isHead = true
    var body: [UInt8] = []
    body.reserveCapacity(file.count)
    while let frame = unsafe frame(file, at: position) {
      if unsafe frame.isEmpty { return body }
      if !isHead { unsafe body.append(contentsOf: frame) }
      isHead = false
      position += 20 + frame.count
    }
    return nil
  }

  /// Nil where it is not whole or its hash is another.
  private static func frame(_ file: UnsafeRawBufferPointer, at position: Int) -> UnsafeRawBufferPointer? {
    guard file.count - position >= 20 else { return nil }
    let count = unsafe Int(UInt32(littleEndian: file.loadUnaligned(fromByteOffset: position, as: UInt32.self)))
    let start = position + 20
    guard file.count - start >= count else { return nil }
    let frame = unsafe UnsafeRawBufferPointer(rebasing: file[start..<start + count])
    let hash = unsafe Murmur.hash128(frame.assumingMemoryBound(to: UInt8.self))
    let high = unsafe UInt64(littleEndian: file.loadUnaligned(fromByteOffset: position + 4, as: UInt64.self))
    let low = unsafe UInt64(littleEndian: file.loadUnaligned(fromByteOffset: position + 12, as: UInt64.self))
    return hash.high == high && hash.low == low ? unsafe frame : nil
  }
}

/// A file being written, closed with its last reference.
private final class SnapshotFile {
  private let descriptor: Int32

  init?(creating path: String) {
    descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return nil }
  }

  deinit { close(descriptor) }

  func write(_ bytes: [UInt8]) -> Bool { unsafe bytes.withUnsafeBytes { unsafe write($0) } }

  func writeFrame(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
    var head = ByteBuffer()
    let hash = unsafe Murmur.hash128(bytes)
    head.append(littleEndian: UInt32(bytes.count))
    head.append(littleEndian: hash.high)
    head.append(littleEndian: hash.low)
    return unsafe write(UnsafeRawBufferPointer(head.bytes)) && write(UnsafeRawBufferPointer(bytes))
  }

  private func write(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var written = 0
    while written < bytes.count {
      let count = unsafe Glibc.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return false }
      written += count
    }
    return true
  }
}

/// A whole file, mapped for reading.
@safe private final class MappedFile {
  let bytes: UnsafeRawBufferPointer

  init?(_ path: String) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_size > 0,
      let start = unsafe mmap(nil, Int(status.st_size), PROT_READ, MAP_PRIVATE | MAP_POPULATE, descriptor, 0),
      unsafe start != MAP_FAILED
    else { return nil }
    unsafe bytes = UnsafeRawBufferPointer(start: start, count: Int(status.st_size))
  }

  deinit { unsafe munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }
}
