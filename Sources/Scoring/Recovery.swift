import Borrowers
import Features

// Why re-application ends in the same state.
//
// Records of the state topic are written in slices, each cut between two input records with no step pending. A
// borrower's record carries the position (I, J) of its slice: it includes all input before I, all journal before J, and
// every timer that these had passed. The partition's record carries the position R of its checkpoint's first slice, with
// watermark, settings and models as at R. Recovery applies input and journal again from R to the committed position C.
//
// - Watermark, settings and models are functions of input and journal alone: from R on they are exact at every point.
// - A borrower whose record is of a position S in R...C (of this checkpoint or of a later, unfinished one) skips input
//   before I and journal entries before J; none of its timers fires meanwhile, since the watermark is not yet past what it
//   was at S, and at S none was pending. From S on it sees the same events, watermarks, settings and models as it did.
// - A borrower whose record is older than R was not changed between its record and R (all that were marked at R are
//   written in slices of this checkpoint): it sees the same from R on.
// - A borrower without a record, first seen after R, is made again from its first event.
// - A borrower erased at E, whose tombstone was written at T > E. Before R no event of it is applied again. With E in
//   R...C its events from R to E are applied to a borrower that has forgotten what came before R: its state is wrong, its
//   outputs are muted, and nothing else depends on it (borrowers do not see each other; the watermark depends on times
//   alone). At E it goes, as it did. From E on nothing is different. A record written after its tombstone (the borrower
//   came back) includes E and skips all of it. A tombstone is written before any later record of the same borrower: all
//   tombstones stand first in a slice.
// - Steps are counted only from the record (or journal entry) at C on, past every S: exact.

/// What was restored is ahead of what is applied again: until then a borrower skips what it includes.
struct RecoveryProgress {
  private(set) var isUnderWay = false
  /// Positions of slices, a few hundred at most in a row of records.
  private var positions: [SlicePosition] = []
  private var included: [BorrowerHandle: UInt32] = [:]
  /// The highest input position of all: from there on nothing is skipped.
  private var inputMax = Int64.min

  struct SlicePosition: Equatable {
    var inputOffset: Int64
    var journalOffset: Int64
  }

  mutating func note(_ handle: BorrowerHandle, _ position: SlicePosition) {
    if positions.last != position { positions.append(position) }
    included[handle] = UInt32(positions.count - 1)
  }

  mutating func forget(_ handle: BorrowerHandle) {
    if !included.isEmpty { included[handle] = nil }
  }

  /// Reading has ended: only what is ahead of the position to apply again from matters.
  mutating func begin(from start: SlicePosition) {
    included = included.filter { _, index in
      let position = positions[Int(index)]
      return position.inputOffset > start.inputOffset || position.journalOffset > start.journalOffset
    }
    for index in included.values { inputMax = max(inputMax, positions[Int(index)].inputOffset) }
    isUnderWay = !included.isEmpty
  }

  func position(_ handle: BorrowerHandle) -> SlicePosition? { included[handle].map { positions[Int($0)] } }

  /// All journal entries before a position's journal offset come before the record at its input offset.
  func hasPassed(_ inputOffset: Int64) -> Bool { inputOffset >= inputMax }
}

/// Values of a partition besides its borrowers.
struct PartitionValues: Equatable {
  var watermark = EventTime.distantPast
  var settings: DecisionSettings?
  var modelsVersion: String?
  var modelsDigest: String?
  var controlPosition: Int64?
}

/// The partition's own record of the state topic, key `@partition`.
///
/// Bytes: version (1), the position to apply again from and the one of the last slice (four offsets of 8), the watermark
/// as at the first of them (8), flags (1: settings, 2: models, 4: control), then settings as JSON, models' version and
/// digest, each behind its length (4), the offset in the control topic (8). Little-endian. A later version may add totals,
/// as at the last slice. Version 1 had no control.
struct PartitionRecord: Equatable {
  static let version: UInt8 = 2
  static let key = Array("@partition".utf8)

  var reapplyFrom: RecoveryProgress.SlicePosition
  var standsAt: RecoveryProgress.SlicePosition
  /// As at `reapplyFrom`.
  var values: PartitionValues

  func encode(into buffer: inout ByteBuffer) {
    buffer.append(Self.version)
    buffer.append(littleEndian: reapplyFrom.inputOffset)
    buffer.append(littleEndian: reapplyFrom.journalOffset)
    buffer.append(littleEndian: standsAt.inputOffset)
    buffer.append(littleEndian: standsAt.journalOffset)
    values.encode(into: &buffer)
  }

  init(
    reapplyFrom: RecoveryProgress.SlicePosition, standsAt: RecoveryProgress.SlicePosition, values: PartitionValues
  ) {
    self.reapplyFrom = reapplyFrom
    self.standsAt = standsAt
    self.values = values
  }

  init(_ bytes: UnsafeBufferPointer<UInt8>) throws(StateError) {
    var reader = unsafe PartitionReader(bytes)
    let version = reader.byte()
    guard !reader.isDamaged, version > 0 else { throw .damaged }
    guard version <= Self.version else { throw .newerVersion(version) }
    reapplyFrom = .init(inputOffset: reader.integer(Int64.self), journalOffset: reader.integer(Int64.self))
    standsAt = .init(inputOffset: reader.integer(Int64.self), journalOffset: reader.integer(Int64.self))
    values = PartitionValues()
    values.watermark = EventTime(milliseconds: reader.integer(Int64.self))
    let flags = reader.byte()
    guard flags <= 7 else { throw .damaged }
    if flags & 1 != 0 {
      guard let settings = try? DecisionSettings(json: reader.text()) else { throw .damaged }
      values.settings = settings
    }
    if flags & 2 != 0 {
      values.modelsVersion = reader.text()
      values.modelsDigest = reader.text()
    }
    if flags & 4 != 0 { values.controlPosition = reader.integer(Int64.self) }
    guard reader.isWhole else { throw .damaged }
  }
}

extension PartitionValues {
  func encode(into buffer: inout ByteBuffer) {
    buffer.append(littleEndian: watermark.milliseconds)
    buffer.append(UInt8((settings == nil ? 0 : 1) | (modelsDigest == nil ? 0 : 2) | (controlPosition == nil ? 0 : 4)))
    if let settings { JournalEntry.append(settings.json, to: &buffer) }
    if let modelsDigest {
      JournalEntry.append(modelsVersion ?? "", to: &buffer)
      JournalEntry.append(modelsDigest, to: &buffer)
    }
    if let controlPosition { buffer.append(littleEndian: controlPosition) }
  }
}
