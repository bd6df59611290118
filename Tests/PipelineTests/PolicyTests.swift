import Foundation
import Borrowers
import Glibc
import Scoring
import Testing

@testable import Pipeline

struct CommitPolicyTests {
  static let millisecond: Int64 = 1_000_000

  @Test func `nothing to commit is never due`() {
    let policy = CommitPolicy(intervalMilliseconds: 100)
    #expect(!policy.isDue(at: 1 << 40, inputIsDry: true, isFull: true))
  }

  @Test func `dry input commits at once, flowing input after the interval`() {
    var policy = CommitPolicy(intervalMilliseconds: 100)
    policy.noteWork(at: 0)
    #expect(policy.isDue(at: Self.millisecond, inputIsDry: true, isFull: false))
    #expect(!policy.isDue(at: 99 * Self.millisecond, inputIsDry: false, isFull: false))
    #expect(policy.isDue(at: 100 * Self.millisecond, inputIsDry: false, isFull: false))
  }

  @Test func `commits are ten milliseconds apart, unless the batch is full`() {
    var policy = CommitPolicy(intervalMilliseconds: 100)
    policy.noteWork(at: 0)
    policy.noteCut(at: 0)
    policy.noteWork(at: Self.millisecond)
    #expect(!policy.isDue(at: 9 * Self.millisecond, inputIsDry: true, isFull: false))
    #expect(policy.waitMilliseconds(at: 4 * Self.millisecond, idleMax: 100) == 6)
    #expect(policy.isDue(at: 10 * Self.millisecond, inputIsDry: true, isFull: false))
    #expect(policy.isDue(at: 2 * Self.millisecond, inputIsDry: false, isFull: true))
  }

  @Test func `without work the loop waits its longest`() {
    #expect(CommitPolicy(intervalMilliseconds: 100).waitMilliseconds(at: 0, idleMax: 70) == 70)
  }
}

struct CheckpointScheduleTests {
  @Test func `a checkpoint is due after its interval or its bytes, and never when nothing changed`() {
    let schedule = CheckpointSchedule(intervalMilliseconds: 1_000, changedBytesMax: 100, now: 0, phase: 0)
    #expect(!schedule.isDue(at: 999_999_999, changedBytes: 50))
    #expect(schedule.isDue(at: 1_000_000_000, changedBytes: 50))
    #expect(schedule.isDue(at: 1, changedBytes: 100))
    #expect(!schedule.isDue(at: 2_000_000_000, changedBytes: 0))
  }

  @Test func `the first slice fixes where re-application begins, until the last is written`() {
    var schedule = CheckpointSchedule(intervalMilliseconds: 1_000, changedBytesMax: 100, now: 0, phase: 0)
    schedule.noteSlice(at: 5, inputOffset: 10, journalOffset: 2, records: 3, bytes: 40)
    schedule.noteSlice(at: 6, inputOffset: 20, journalOffset: 4, records: 1, bytes: 10)
    #expect(schedule.isDue(at: 7, changedBytes: 0))
    let written = schedule.finish(at: 8)
    #expect(written?.inputOffset == 10)
    #expect(written?.journalOffset == 2)
    #expect(written?.records == 4)
    #expect(written?.bytes == 50)
    #expect(!schedule.isDue(at: 9, changedBytes: 50))
  }
}

struct PositionTests {
  @Test func `a position survives its metadata`() {
    let position = Position(
      inputOffset: 12, journalOffset: 3, steps: 4, watermark: EventTime(milliseconds: -(1 << 53)))
    #expect(Position(inputOffset: 12, metadata: position.metadata) == position)
    var forecasting = position
    forecasting.forecasts = ForecastPosition(dailyOffset: 44, through: EventTime(milliseconds: 1_780_000_000_000))
    #expect(Position(inputOffset: 12, metadata: forecasting.metadata) == forecasting)
  }

  @Test(arguments: ["", "v2;1;2;3", "v1;1;2", "v1;a;2;3", "v1;-1;0;0", "v1;1;2;3;4"])
  func `metadata of something else is refused`(metadata: String) {
    #expect(Position(inputOffset: 0, metadata: metadata) == nil)
  }
}

struct RecoveryPlanTests {
  func committed(_ input: Int64, journal: Int64) -> CommittedOffset {
    CommittedOffset(
      offset: input,
      metadata: Position(inputOffset: input, journalOffset: journal, steps: 0, watermark: .distantPast).metadata)
  }

  @Test func `neither position nor state begins at the earliest record`() throws {
    let plan = try RecoveryPlan(partition: 0, committed: nil, checkpoint: nil, input: 7..<20, journal: 0..<3)
    #expect(plan.position == nil)
    #expect(plan.start.inputOffset == 7)
    #expect(plan.start.journalOffset == 3)
  }

  @Test func `a checkpoint is applied again from its first slice`() throws {
    let plan = try RecoveryPlan(
      partition: 0, committed: committed(100, journal: 4), checkpoint: (60, 2), input: 0..<200, journal: 0..<5)
    #expect(plan.inputStart == 60)
    #expect(plan.journalStart == 2)
    #expect(plan.position?.inputOffset == 100)
  }

  @Test func `without a checkpoint the journal says where the partition began`() throws {
    let plan = try RecoveryPlan(
      partition: 0, committed: committed(100, journal: 4), checkpoint: nil, input: 0..<200, journal: 1..<5)
    #expect(plan.inputStart == nil)
    #expect(plan.journalStart == 1)
  }

  @Test func `input that is needed and gone stops the partition`() {
    #expect(throws: BrokerError.self) {
      try RecoveryPlan(
        partition: 0, committed: committed(100, journal: 4), checkpoint: (60, 2), input: 61..<200, journal: 0..<5)
    }
  }

  @Test func `input that is gone and not needed stops nothing`() throws {
    let plan = try RecoveryPlan(
      partition: 0, committed: committed(100, journal: 4), checkpoint: (100, 4), input: 150..<200, journal: 0..<5)
    #expect(plan.inputStart == 100)
  }

  @Test func `state without a position, a foreign offset and a log made anew each stop the partition`() {
    #expect(throws: BrokerError.self) {
      try RecoveryPlan(partition: 0, committed: nil, checkpoint: (1, 1), input: 0..<2, journal: 0..<2)
    }
    #expect(throws: BrokerError.self) {
      try RecoveryPlan(
        partition: 0, committed: CommittedOffset(offset: 1, metadata: ""), checkpoint: nil, input: 0..<2,
        journal: 0..<2)
    }
    #expect(throws: BrokerError.self) {
      try RecoveryPlan(
        partition: 0, committed: committed(100, journal: 4), checkpoint: (60, 2), input: 0..<50, journal: 0..<5)
    }
  }
}

struct InstanceSlotTests {
  @Test func `each holder has a slot of its own, and a freed one is taken again`() throws {
    var template = Array((FileManager.default.temporaryDirectory.path + "/lendpulse-slots-XXXXXX").utf8CString)
    _ = unsafe mkdtemp(&template)
    let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
      for slot in 0..<3 { _ = unsafe unlink("\(directory)/slot-\(slot)") }
      _ = unsafe rmdir(directory)
    }
    var first: InstanceSlot? = try InstanceSlot(directory: directory)
    let second = try InstanceSlot(directory: directory)
    #expect(first?.instanceID.hasSuffix("-0") == true)
    #expect(second.instanceID.hasSuffix("-1"))
    first = nil
    let third = try InstanceSlot(directory: directory)
    #expect(third.instanceID.hasSuffix("-0"))
  }

  @Test func `a directory that is not there is named with what mends it`() {
    let error = #expect(throws: InstanceSlot.SlotError.self) { try InstanceSlot(directory: "/nonexistent/lendpulse") }
    #expect(error?.description.contains("/nonexistent/lendpulse") == true)
    #expect(error?.description.contains("instance_id") == true)
  }
}
