import Borrowers
import Foundation

extension HistoryOptions {
  public static var systemTemporaryDirectory: String {
    ProcessInfo.processInfo.environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/tmp"
  }
}

/// Hash-partitions events by borrower, in memory up to a limit and in temporary files beyond.
struct Grouping: ~Copyable {
  private var buffers = [[UInt8]](repeating: [], count: EventHistory.partitionCount)
  private var files: [TemporaryFile] = []
  private var buffered = 0
  private let memoryLimit: Int
  private let temporaryDirectory: String
  private let shard: HistoryShard?
  private var record: [UInt8] = []

  init(options: HistoryOptions) {
    memoryLimit = options.memoryLimit
    temporaryDirectory = options.temporaryDirectory
    shard = options.shard
  }

  mutating func read<Lines: EventLines & ~Copyable>(
    _ lines: inout Lines, options: HistoryOptions, progress: (HistoryProgress) -> Void
  ) throws(HistoryError) -> HistorySummary {
    var summary = HistorySummary()
    var decoding = LineDecoding(reportedBadLines: options.reportedBadLines, shard: shard)
    var event = BorrowerEvent()
    var read = 0
    while try decoding.next(&lines, into: &event) {
      try add(event, to: &summary)
      read += 1
      if read & 0x3FFF == 0 { progress(HistoryProgress(events: read, bytes: lines.done, totalBytes: lines.total)) }
    }
    progress(HistoryProgress(events: read, bytes: lines.total, totalBytes: lines.total))
    summary.badLines = decoding.badLines
    summary.firstBadLines = decoding.firstBadLines
    summary.isSpilled = !files.isEmpty
    return summary
  }

  mutating func add(_ event: borrowing BorrowerEvent, to summary: inout HistorySummary) throws(HistoryError) {
    summary.latest = max(summary.latest, event.occurredAt)
    let id = event.borrowerID
    let hash = unsafe event.text.withUnsafeBufferPointer {
      unsafe Murmur.hash64(UnsafeBufferPointer(rebasing: $0[Int(id.start)..<Int(id.start + id.count)]))
    }
    if let shard, !shard.contains(hash: hash) { return }
    record.removeAll(keepingCapacity: true)
    StoredEvent.append(event, to: &record)
    let partition = Int(hash % UInt64(EventHistory.partitionCount))
    let before = buffers[partition].count
    StoredPartition.append(hash: hash, to: &buffers[partition])
    StoredEvent.append(varint: UInt64(record.count), to: &buffers[partition])
    buffers[partition].append(contentsOf: record)
    buffered += buffers[partition].count - before
    if buffered > memoryLimit {
      try spill()
      summary.isSpilled = true
    }
  }

  private mutating func spill() throws(HistoryError) {
    if files.isEmpty {
      for _ in buffers { files.append(try TemporaryFile(directory: temporaryDirectory)) }
    }
    for index in buffers.indices {
      try files[index].append(buffers[index])
      buffers[index].removeAll(keepingCapacity: true)
    }
    buffered = 0
  }

  consuming func finish() throws(HistoryError) -> [StoredPartition] {
    guard !files.isEmpty else { return buffers.map { .memory($0) } }
    try spill()
    return files.map { .file($0) }
  }
}

/// The events of one partition: for each, the borrower's hash, a length, a `StoredEvent`.
enum StoredPartition: Sendable {
  case memory([UInt8])
  case file(TemporaryFile)

  func read() -> [UInt8] {
    switch self {
    case .memory(let bytes): bytes
    case .file(let file): file.read()
    }
  }

  static func append(hash: UInt64, to bytes: inout [UInt8]) {
    for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: hash >> shift)) }
  }

  static func readHash(_ bytes: [UInt8], at offset: inout Int) -> UInt64 {
    var hash: UInt64 = 0
    for index in 0..<8 { hash |= UInt64(bytes[offset + index]) << (8 * UInt64(index)) }
    offset += 8
    return hash
  }
}

/// A file without a name: it is unlinked as soon as it is open, so a killed process leaves nothing behind.
final class TemporaryFile: Sendable {
  private let descriptor: Int32
  private let directory: String

  init(directory: String) throws(HistoryError) {
    self.directory = directory
    var template = Array("\(directory)/lendpulse-history-XXXXXX".utf8CString)
    descriptor = unsafe mkstemp(&template)
    guard descriptor >= 0 else {
      throw HistoryError(
        .failed,
        "\(directory): no temporary file can be made: \(unsafe String(cString: strerror(errno))); set TMPDIR to a folder with room"
      )
    }
    unsafe unlink(&template)
  }

  deinit { close(descriptor) }

  func append(_ bytes: [UInt8]) throws(HistoryError) {
    var written = 0
    while written < bytes.count {
      let count = unsafe bytes.withUnsafeBytes {
        unsafe write(descriptor, $0.baseAddress! + written, $0.count - written)
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw HistoryError(
          .failed,
          "\(directory): the history's temporary files cannot be written: \(unsafe String(cString: strerror(errno))); set TMPDIR to a folder with room"
        )
      }
      written += count
    }
  }

  /// All of it. A file of our own that cannot be read back is a broken invariant.
  func read() -> [UInt8] {
    var status = stat()
    precondition(unsafe fstat(descriptor, &status) == 0, "a temporary file is gone")
    let size = Int(status.st_size)
    return unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
      while filled < size {
        let count = unsafe pread(descriptor, buffer.baseAddress! + filled, size - filled, off_t(filled))
        if count < 0, errno == EINTR { continue }
        precondition(count > 0, "a temporary file cannot be read back")
        filled += count
      }
    }
  }
}
