import Borrowers
import Features

// The daily totals of platforms: sums over all borrowers of the partition, of input and journal alone.
//
// Recovery leaves them alone until the position they stand at. They are written with every slice of a checkpoint, at its
// position, so that they are never behind what any restored borrower includes: no event of theirs is skipped, and no
// tombstone's erasure is added up again.
extension PartitionEngine {
  /// Hours between forecast times, in force.
  public var forecastEveryHours: Int { totals.everyHours }

  /// An event was applied to the borrower under work.
  @inline(__always) mutating func addTotals(_ event: borrowing BorrowerEvent, offset: Int64) {
    guard offset >= totalsStand.inputOffset, let movement = state.movement(of: event) else { return }
    platformName.removeAll(keepingCapacity: true)
    state.readPlatform(state.movedPlatform, into: &platformName)
    totals.add(movement, platform: platformName)
  }

  /// The borrower under work is about to be forgotten.
  mutating func subtractExposure(offset: Int64) {
    guard offset >= totalsStand.inputOffset else { return }
    for index in 0..<state.platformCount {
      platformName.removeAll(keepingCapacity: true)
      state.readPlatform(index, into: &platformName)
      totals.add(exposure: -ExactMoney.millionths(state.exposure(ofPlatform: index)), platform: platformName)
    }
  }

  /// Passes the next forecast time that the watermark has passed: writes the totals, each platform's and then that the time
  /// is passed. False when there is none.
  mutating func passForecastTime(_ outputs: inout OutputBatch) -> Bool {
    guard totals.next < watermark else { return false }
    if !outputs.isMuted {
      let time = totals.next
      for entry in totals.entries {
        PlatformDailyRecord.totals(partition: partition, time: time, platform: entry.name, entry.changes)
          .append(to: &outputs)
      }
      PlatformDailyRecord.passed(partition: partition, time: time).append(to: &outputs)
    }
    totals.pass()
    return true
  }

  // MARK: Checkpoints

  static let totalsKey = Array("@totals".utf8)
  private static let totalsVersion: UInt8 = 1

  /// Appends the totals' record, as of a slice's position.
  mutating func writeTotals(inputOffset: Int64, journalOffset: Int64, _ outputs: inout OutputBatch) {
    unsafe Self.totalsKey.withUnsafeBufferPointer { unsafe outputs.begin(.state, partition: partition, key: $0) }
    outputs.bytes.append(Self.totalsVersion)
    outputs.bytes.append(littleEndian: inputOffset)
    outputs.bytes.append(littleEndian: journalOffset)
    totals.encode(into: &outputs.bytes)
    outputs.end()
  }

  mutating func restoreTotals(_ value: UnsafeBufferPointer<UInt8>) throws(StateError) {
    let bytes = unsafe Array(value)
    guard let version = bytes.first, version > 0 else { throw .damaged }
    guard version <= Self.totalsVersion else { throw .newerVersion(version) }
    var reader = BytesReader(bytes, at: 1)
    let inputOffset = reader.integer(Int64.self)
    let journalOffset = reader.integer(Int64.self)
    guard !reader.isDamaged, let read = PlatformTotals(bytes, at: &reader.position), reader.isAtEnd else {
      throw .damaged
    }
    totals = read
    totalsStand = RecoveryProgress.SlicePosition(inputOffset: inputOffset, journalOffset: journalOffset)
  }
}
