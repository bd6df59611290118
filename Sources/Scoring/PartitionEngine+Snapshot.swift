import Borrowers
import Features

// A snapshot on the local disk: the whole state at one position between two records, with what is not in the state topic
// yet. Read back, it spares a restart the reading of that topic; it is never needed.
//
// Bytes: the partition's record as of the state topic, behind its length (4); ids of borrowers erased since the last slice,
// each behind its length in one byte, behind the length of all (4); the platforms' totals behind their length (4); the
// number of borrowers (8). Then of each borrower:
// flags (1: changed since it was last written to the state topic, 2: has a timer), the id's length (1), the bytes' length
// (4), the time of its timer or an earlier one (8) where it has one, the id, the bytes. Little-endian.
extension PartitionEngine {
  /// Version of the form above.
  public static let snapshotVersion: UInt8 = 1

  /// Whether a snapshot can be taken here: no step is begun. One that is pending (a due date that had passed when it was
  /// announced) follows from the state: unlike the slices of a checkpoint, all of a snapshot stands at one position, and
  /// what comes next finds it pending as it would have. A checkpoint under way is no hindrance: what its slices wrote
  /// stands in the state topic, and the next one begins anew.
  public var canTakeSnapshot: Bool { control == nil && passed.isEmpty }

  /// Hands out the state piece by piece; `emit` takes at most a little over `pieceBytes` at a time.
  public mutating func encodeSnapshot(
    inputOffset: Int64, journalOffset: Int64, pieceBytes: Int = 1 << 20,
    _ emit: (UnsafeBufferPointer<UInt8>) throws -> Void
  ) rethrows {
    precondition(canTakeSnapshot, "a snapshot is taken where no step is begun")
    var piece = ByteBuffer(capacity: pieceBytes + (1 << 17))
    encodeSnapshotHead(inputOffset: inputOffset, journalOffset: journalOffset, &piece)
    let due = timers.earliest()
    for handle in store.handles() {
      let at = due[handle]
      id.removeAll()
      store.readID(handle, into: &id)
      bytes.removeAll()
      store.read(handle, into: &bytes)
      piece.append(UInt8((store.isChanged(handle) ? 1 : 0) | (at == nil ? 0 : 2)))
      piece.append(UInt8(id.count))
      piece.append(littleEndian: UInt32(bytes.count))
      if let at { piece.append(littleEndian: at.milliseconds) }
      unsafe piece.append(id.bytes)
      unsafe piece.append(bytes.bytes)
      if piece.count >= pieceBytes {
        try unsafe emit(piece.bytes)
        piece.removeAll()
      }
    }
    try unsafe emit(piece.bytes)
  }

  private func encodeSnapshotHead(inputOffset: Int64, journalOffset: Int64, _ piece: inout ByteBuffer) {
    let position = RecoveryProgress.SlicePosition(inputOffset: inputOffset, journalOffset: journalOffset)
    var record = ByteBuffer(capacity: 1 << 12)
    PartitionRecord(reapplyFrom: position, standsAt: position, values: values).encode(into: &record)
    piece.append(littleEndian: UInt32(record.count))
    unsafe piece.append(record.bytes)
    piece.append(littleEndian: UInt32(tombstones.count))
    unsafe piece.append(tombstones.bytes)
    var sums = ByteBuffer(capacity: 1 << 12)
    totals.encode(into: &sums)
    piece.append(littleEndian: UInt32(sums.count))
    unsafe piece.append(sums.bytes)
    piece.append(littleEndian: Int64(store.count))
  }

  /// Fills an engine that is new. The bytes are those that were written: a digest over them was compared before.
  public mutating func restoreSnapshot(_ bytes: UnsafeRawBufferPointer) throws(StateError) {
    precondition(store.count == 0, "a snapshot fills a new engine")
    var reader = unsafe SnapshotReader(bytes)
    let record = unsafe reader.bytes(reader.count())
    let erased = unsafe reader.bytes(reader.count())
    let totalsBytes = unsafe Array(reader.bytes(reader.count()))
    let count = reader.integer(Int64.self)
    var offset = 0
    guard !reader.isDamaged, let sums = PlatformTotals(totalsBytes, at: &offset) else { throw .damaged }
    let partitionRecord = try unsafe PartitionRecord(record)
    restored = partitionRecord
    var entries: [TimerQueue.Entry] = []
    var changed: [BorrowerHandle] = []
    for _ in 0..<count {
      let flags = reader.integer(UInt8.self)
      let idCount = Int(reader.integer(UInt8.self))
      let dataCount = reader.count()
      let at = flags & 2 == 0 ? 0 : reader.integer(Int64.self)
      let borrowerID = unsafe reader.bytes(idCount)
      let data = unsafe reader.bytes(dataCount)
      guard !reader.isDamaged, flags <= 3, (1...64).contains(idCount) else { throw .damaged }
      let handle = unsafe store.write(borrowerID, data)
      if flags & 2 != 0 { entries.append(.init(at: EventTime(milliseconds: at), handle: handle)) }
      if flags & 1 != 0 { changed.append(handle) }
    }
    guard reader.isAtEnd else { throw .damaged }
    timers.fill(entries)
    _ = finishRestore()
    totals = sums
    totalsStand = partitionRecord.standsAt
    for handle in changed { store.markChanged(handle) }
    unsafe tombstones.append(erased)
  }
}

/// Reads a snapshot's bytes; where they end too early it gives zeros and says so.
@safe private struct SnapshotReader {
  private let all: UnsafeRawBufferPointer
  private var position = 0
  private(set) var isDamaged = false

  init(_ all: UnsafeRawBufferPointer) { unsafe self.all = all }

  var isAtEnd: Bool { unsafe !isDamaged && position == all.count }

  @inline(__always) mutating func integer<Integer: FixedWidthInteger>(_ type: Integer.Type) -> Integer {
    guard unsafe all.count - position >= MemoryLayout<Integer>.size else {
      isDamaged = true
      return 0
    }
    defer { position += MemoryLayout<Integer>.size }
    return unsafe Integer(littleEndian: all.loadUnaligned(fromByteOffset: position, as: Integer.self))
  }

  mutating func count() -> Int { Int(integer(UInt32.self)) }

  @inline(__always) mutating func bytes(_ count: Int) -> UnsafeBufferPointer<UInt8> {
    guard unsafe all.count - position >= count, count > 0 else {
      if count != 0 { isDamaged = true }
      return unsafe UnsafeBufferPointer(start: nil, count: 0)
    }
    defer { position += count }
    let start = unsafe (all.baseAddress! + position).assumingMemoryBound(to: UInt8.self)
    return unsafe UnsafeBufferPointer(start: start, count: count)
  }
}
