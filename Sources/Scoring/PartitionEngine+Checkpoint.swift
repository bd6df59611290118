import Borrowers
import Features

// Checkpoints. Slices are cut on record boundaries only (never between two steps of one record), so a borrower's record
// includes all input before `inputOffset` and all journal before `journalOffset`.
extension PartitionEngine {
  /// Of a borrower's record: version (1), input and journal offset (8 each, little-endian), then its bytes.
  static let recordVersion: UInt8 = 1
  private static let recordHeader = 17
  private static let at = UInt8(ascii: "@")

  /// Bytes of borrowers changed since they were last written, and of tombstones to write.
  public var changedBytes: Int { store.changedBytes + tombstones.count }

  var values: PartitionValues {
    PartitionValues(
      watermark: watermark, settings: settings, modelsVersion: modelsVersion, modelsDigest: modelsDigest,
      controlPosition: controlPosition)
  }

  /// Appends state records (key borrower_id, or a tombstone for an erased one) of up to `maxBytes`, or of one borrower if
  /// it is larger; false when all that had changed at the checkpoint's first slice is written. What changes meanwhile may
  /// be left to the next checkpoint, so that a checkpoint has an end under any load.
  public mutating func writeSlice(
    inputOffset: Int64, journalOffset: Int64, maxBytes: Int, _ outputs: inout OutputBatch
  ) -> Bool {
    precondition(!hasPendingSteps, "slices are cut where no step is pending")
    if checkpointStart == nil {
      checkpointStart = values
      store.startChangedRound()
    }
    defer { writeTotals(inputOffset: inputOffset, journalOffset: journalOffset, &outputs) }
    let start = outputs.bytes.count
    // Before any later record of the same borrowers.
    guard writeTombstones(start, maxBytes, &outputs) else { return true }
    while outputs.bytes.count - start < maxBytes {
      guard let handle = store.takeChanged() else { return false }
      id.removeAll()
      store.readID(handle, into: &id)
      unsafe beginStateRecord(id.bytes, &outputs)
      outputs.bytes.append(Self.recordVersion)
      outputs.bytes.append(littleEndian: inputOffset)
      outputs.bytes.append(littleEndian: journalOffset)
      store.read(handle, into: &outputs.bytes)
      outputs.end()
    }
    return true
  }

  /// False when the slice is full before all are written.
  private mutating func writeTombstones(_ start: Int, _ maxBytes: Int, _ outputs: inout OutputBatch) -> Bool {
    var index = 0
    while index < tombstones.count {
      guard outputs.bytes.count - start < maxBytes else {
        var left = ByteBuffer(capacity: tombstones.count - index)
        unsafe left.append(UnsafeBufferPointer(rebasing: tombstones.bytes[index...]))
        tombstones = left
        return false
      }
      let end = index + 1 + Int(tombstones[index])
      unsafe beginStateRecord(UnsafeBufferPointer(rebasing: tombstones.bytes[index + 1..<end]), &outputs)
      outputs.entries[outputs.entries.count - 1].valueCount = -1
      index = end
    }
    tombstones.removeAll()
    return true
  }

  /// A borrower_id that begins with `@` gets another one in front: `@partition` is the partition's own key.
  private func beginStateRecord(_ borrowerID: UnsafeBufferPointer<UInt8>, _ outputs: inout OutputBatch) {
    guard unsafe borrowerID.first == Self.at else {
      unsafe outputs.begin(.state, partition: partition, key: borrowerID)
      return
    }
    var key = ByteBuffer(capacity: 80)
    key.append(Self.at)
    unsafe key.append(borrowerID)
    unsafe outputs.begin(.state, partition: partition, key: key.bytes)
  }

  /// Appends the partition's own record (key `@partition`): the position to re-apply from (that of the checkpoint's first
  /// slice), the position it stands at (that of its last), and watermark, settings and models as at the first.
  public mutating func writePartitionRecord(
    reapplyInputOffset: Int64, reapplyJournalOffset: Int64, inputOffset: Int64, journalOffset: Int64,
    _ outputs: inout OutputBatch
  ) {
    let record = PartitionRecord(
      reapplyFrom: .init(inputOffset: reapplyInputOffset, journalOffset: reapplyJournalOffset),
      standsAt: .init(inputOffset: inputOffset, journalOffset: journalOffset), values: checkpointStart ?? values)
    checkpointStart = nil
    unsafe PartitionRecord.key.withUnsafeBufferPointer { key in
      unsafe outputs.begin(.state, partition: partition, key: key)
    }
    record.encode(into: &outputs.bytes)
    outputs.end()
  }

  // MARK: Restoring

  /// Takes a record of the state topic, in log order; a nil value is a tombstone.
  public mutating func restore(key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>?) throws(StateError) {
    var borrowerID = unsafe key
    if unsafe key.first == Self.at {
      guard key.count > 1, unsafe key[1] == Self.at else {
        return unsafe try restorePartition(key, value)
      }
      unsafe borrowerID = UnsafeBufferPointer(rebasing: key[1...])
    }
    guard borrowerID.count >= 1, borrowerID.count <= 64 else { throw .damaged }
    guard let value = unsafe value else { return unsafe restoreTombstone(borrowerID) }
    var reader = unsafe PartitionReader(UnsafeBufferPointer(rebasing: value.prefix(Self.recordHeader)))
    let version = reader.byte()
    guard !reader.isDamaged, version > 0 else { throw .damaged }
    guard version <= Self.recordVersion else { throw .newerVersion(version) }
    let position = RecoveryProgress.SlicePosition(
      inputOffset: reader.integer(Int64.self), journalOffset: reader.integer(Int64.self))
    guard reader.isWhole else { throw .damaged }
    // Decoded once, so that bytes in memory are known to be good, and for the timer.
    let held = unsafe UnsafeBufferPointer(rebasing: value[Self.recordHeader...])
    let own = try unsafe state.decode(held)
    try unsafe decision.decode(UnsafeBufferPointer(rebasing: held[own...]))
    let handle = unsafe store.write(borrowerID, held)
    timers.noteAdded(handle)
    recovery.note(handle, position)
    id.removeAll()
    unsafe id.append(borrowerID)
    let timer = nextTimer
    if timer.due != .distantFuture { timers.push(handle, at: fireTime(timer)) }
  }

  private mutating func restoreTombstone(_ borrowerID: UnsafeBufferPointer<UInt8>) {
    guard let handle = unsafe store.find(borrowerID) else { return }
    store.remove(handle)
    timers.noteRemoved(handle)
    recovery.forget(handle)
  }

  private mutating func restorePartition(_ key: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>?)
    throws(StateError)
  {
    // Keys that begin with `@` are ours; one that is not known was written by a newer version.
    if unsafe key.elementsEqual(Self.totalsKey), let value = unsafe value { return unsafe try restoreTotals(value) }
    guard unsafe key.elementsEqual(PartitionRecord.key), let value = unsafe value else { throw .damaged }
    restored = try unsafe PartitionRecord(value)
  }

  /// Ends the reading of state: where to re-apply from; nil when there is no partition's record. Until the position it
  /// stood at, borrowers skip what they include.
  public mutating func finishRestore() -> (inputOffset: Int64, journalOffset: Int64)? {
    // What was read stands in the state topic.
    while store.takeChanged() != nil {}
    guard let record = restored else { return nil }
    restored = nil
    if let held = record.values.settings { enforce(held) }
    watermark = record.values.watermark
    modelsVersion = record.values.modelsVersion
    modelsDigest = record.values.modelsDigest
    controlPosition = record.values.controlPosition
    recovery.begin(from: record.reapplyFrom)
    return (record.reapplyFrom.inputOffset, record.reapplyFrom.journalOffset)
  }

  /// Whether the state of the borrower is ahead of this input record.
  mutating func isIncluded(_ handle: BorrowerHandle?, inputOffset: Int64) -> Bool {
    guard !recovery.hasPassed(inputOffset) else {
      recovery = RecoveryProgress()
      return false
    }
    guard let handle, let position = recovery.position(handle) else { return false }
    return inputOffset < position.inputOffset
  }

  /// Whether the state of the borrower is ahead of this journal entry.
  func isIncluded(_ handle: BorrowerHandle, journalOffset: Int64?) -> Bool {
    guard let position = recovery.position(handle) else { return false }
    guard let journalOffset else {
      preconditionFailure("an entry taken again while borrowers are ahead is taken with its journal offset")
    }
    return journalOffset < position.journalOffset
  }

  // MARK: Digest

  /// A digest of all state, the same on every machine and after every restart: over the borrowers in byte order of id,
  /// then the partition's values. 32 hexadecimal digits.
  public func stateHash() -> String {
    var digests = ByteBuffer(capacity: 1 << 12)
    var one = ByteBuffer(capacity: 1 << 12)
    func close() {
      let hash = unsafe Murmur.hash128(one.bytes)
      digests.append(littleEndian: hash.high)
      digests.append(littleEndian: hash.low)
      one.removeAll()
    }
    for handle in store.sortedHandles() {
      store.readID(handle, into: &one)
      one.append(UInt8(0))
      store.read(handle, into: &one)
      close()
    }
    values.encode(into: &one)
    totals.encode(into: &one)
    close()
    let hash = unsafe Murmur.hash128(digests.bytes)
    return String(decoding: hash.hexadecimal, as: UTF8.self)
  }
}
