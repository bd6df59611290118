import Foundation
import Scoring
import Testing

@testable import Pipeline

/// What a clean stop leaves on the local disk, and what a start makes of it.
@Suite(.serialized) struct SnapshotTests {
  struct Left {
    var broker: MemoryBroker
    var world: TestEvents
    var worker: TestWorker
    var hashes: [Int32: String]
    var directory: String
    func path(_ partition: Int) -> String { "\(directory)/lendpulse-\(partition).snapshot" }
  }

  /// A run with checkpoints that ended by a clean stop.
  static func stopped(seed: UInt64) throws -> Left {
    let directory = NSTemporaryDirectory() + "lendpulse-snapshots-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let broker = MemoryBroker(partitions: 3)
    var world = TestEvents(seed: seed)
    world.feed(broker, 300)
    var settings = RecoveryTests.settings()
    settings.stateDirectory = directory
    settings.checkpointIntervalMilliseconds = 300
    let worker = try TestWorker(broker, clock: TestClock(epoch: world.time), settings)
    worker.drain()
    // Undone by the next checkpoint only.
    world.feed(broker, 40)
    worker.drain()
    let hashes = worker.stateHashes()
    worker.stop()
    return Left(broker: broker, world: world, worker: worker, hashes: hashes, directory: directory)
  }

  static func restart(_ left: Left) throws {
    try left.worker.kill()
    left.worker.turn(3)
  }

  @Test(arguments: 1..<25 as Range<UInt64>)
  func `a start after a clean stop needs no state topic, and goes on as if it had never stopped`(seed: UInt64) throws {
    var left = try Self.stopped(seed: seed)
    defer { try? FileManager.default.removeItem(atPath: left.directory) }
    for partition in 0..<3 { #expect(FileManager.default.fileExists(atPath: left.path(partition))) }
    let state = left.broker.state.withLock { state in
      defer { state.logs[.state] = Array(repeating: [], count: 3) }
      return state.logs[.state]!
    }
    try Self.restart(left)
    #expect(left.worker.stateHashes() == left.hashes, "seed \(seed)")
    for partition in 0..<3 { #expect(!FileManager.default.fileExists(atPath: left.path(partition))) }

    // What was not in the state topic yet is still written there by the next checkpoint.
    left.broker.state.withLock { $0.logs[.state] = state }
    left.world.feed(left.broker, 60)
    left.worker.drain()
    left.worker.turn(60)
    left.worker.settings.stateDirectory = nil
    let hashes = left.worker.stateHashes()
    try Self.restart(left)
    #expect(left.worker.stateHashes() == hashes, "seed \(seed)")

    let reference = MemoryBroker(partitions: 3)
    var world = TestEvents(seed: seed)
    world.feed(reference, 400)
    let undisturbed = try TestWorker(reference, clock: TestClock(epoch: world.time), RecoveryTests.settings())
    undisturbed.drain()
    #expect(undisturbed.stateHashes() == hashes, "seed \(seed)")
    RecoveryTests().expectSame(left.broker, reference, seed)
  }

  @Test func `a clean stop under load leaves a snapshot of every partition`() throws {
    let left = try Self.stopped(seed: 5)
    defer { try? FileManager.default.removeItem(atPath: left.directory) }
    var world = left.world
    try left.worker.kill()
    left.worker.turn(3)
    // With the clock at rest the second lot is not committed yet when the stop comes, and more comes all the while.
    for _ in 0..<2 {
      world.feed(left.broker, 9)
      _ = left.worker.worker.turn(isStopRequested: false)
    }
    repeat { world.feed(left.broker, 9) } while left.worker.worker.turn(isStopRequested: true)
    for partition in 0..<3 { #expect(FileManager.default.fileExists(atPath: left.path(partition))) }
    left.broker.state.withLock { $0.logs[.state] = Array(repeating: [], count: 3) }
    try left.worker.kill()
    left.worker.drain()
    let reference = MemoryBroker(partitions: 3)
    var same = TestEvents(seed: 5)
    same.feed(reference, world.count)
    let undisturbed = try TestWorker(reference, clock: TestClock(epoch: same.time), RecoveryTests.settings())
    undisturbed.drain()
    #expect(left.worker.stateHashes() == undisturbed.stateHashes())
    RecoveryTests().expectSame(left.broker, reference, 5)
  }

  @Test func `a due date that had passed when it was announced is kept pending by a snapshot`() throws {
    let directory = NSTemporaryDirectory() + "lendpulse-snapshots-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let time: Int64 = 1_780_000_000_000
    func feed(_ broker: MemoryBroker, _ lines: [(type: String, at: Int64)]) {
      for line in lines {
        let value = #"{"event_id":"\#(line.at)","borrower_id":"B","occurred_at":\#(line.at),\#(line.type)}"#
        broker.feed(0, key: "B", value: value, timestamp: line.at)
      }
    }
    let due = #""type":"installment_due","amount":10,"loan_id":"L","due_at":\#(time - 90_000_000)"#
    let view = #""type":"page_view","page":"home""#
    var settings = RecoveryTests.settings()
    let reference = MemoryBroker(partitions: 1)
    feed(reference, [(view, time), (due, time + 1), (view, time + 2)])
    try TestWorker(reference, clock: TestClock(epoch: time), settings).drain()

    settings.stateDirectory = directory
    let broker = MemoryBroker(partitions: 1)
    feed(broker, [(view, time), (due, time + 1)])
    let worker = try TestWorker(broker, clock: TestClock(epoch: time), settings)
    worker.drain()
    #expect(worker.worker.runners[0]?.engine.hasPendingSteps == true)
    worker.stop()
    #expect(FileManager.default.fileExists(atPath: "\(directory)/lendpulse-0.snapshot"))
    try worker.kill()
    worker.turn(3)
    #expect(worker.worker.runners[0]?.engine.hasPendingSteps == true)
    feed(broker, [(view, time + 2)])
    worker.drain()
    RecoveryTests().expectSame(broker, reference, 0)
    #expect(broker.published(.scores)["B"]?.contains { $0.contains(#""trigger":"due_passed""#) } == true)
  }

  @Test func `a snapshot ahead of the committed position is deleted, and the state topic read`() throws {
    let left = try Self.stopped(seed: 2)
    defer { try? FileManager.default.removeItem(atPath: left.directory) }
    let ahead = try (0..<3).map { try Data(contentsOf: URL(fileURLWithPath: left.path($0))) }
    // The same input from its beginning under another group: what was committed there is behind the snapshots.
    let broker = MemoryBroker(partitions: 3)
    var world = TestEvents(seed: 2)
    world.feed(broker, 100)
    let worker = try TestWorker(broker, clock: TestClock(epoch: world.time), left.worker.settings)
    worker.drain()
    let hashes = worker.stateHashes()
    for (partition, data) in ahead.enumerated() { try data.write(to: URL(fileURLWithPath: left.path(partition))) }
    try worker.kill()
    worker.turn(3)
    #expect(worker.stateHashes() == hashes)
    for partition in 0..<3 { #expect(!FileManager.default.fileExists(atPath: left.path(partition))) }
  }

  @Test func `a snapshot behind the committed position is brought up to it by the log`() throws {
    var left = try Self.stopped(seed: 1)
    defer { try? FileManager.default.removeItem(atPath: left.directory) }
    let kept = try (0..<3).map { try Data(contentsOf: URL(fileURLWithPath: left.path($0))) }
    // Another machine has it meanwhile.
    left.worker.settings.stateDirectory = nil
    try left.worker.kill()
    left.world.feed(left.broker, 50)
    left.worker.drain()
    let hashes = left.worker.stateHashes()
    left.worker.stop()
    for (partition, data) in kept.enumerated() { try data.write(to: URL(fileURLWithPath: left.path(partition))) }
    left.worker.settings.stateDirectory = left.directory
    left.broker.state.withLock { $0.logs[.state] = Array(repeating: [], count: 3) }
    try Self.restart(left)
    #expect(left.worker.stateHashes() == hashes)
  }

  @Test(arguments: 0..<3 as Range<Int>)
  func `a snapshot that is damaged, cut or too old is not used`(fault: Int) throws {
    let left = try Self.stopped(seed: 7)
    defer { try? FileManager.default.removeItem(atPath: left.directory) }
    for partition in 0..<3 {
      let url = URL(fileURLWithPath: left.path(partition))
      var data = try Data(contentsOf: url)
      switch fault {
      case 0: data[data.count / 2] ^= 4
      case 1: data.removeLast(20)
      default: left.worker.clock.advance(milliseconds: 43_200_001)
      }
      try data.write(to: url)
    }
    // The state topic stands in for it.
    try Self.restart(left)
    #expect(left.worker.stateHashes() == left.hashes)
    for partition in 0..<3 { #expect(!FileManager.default.fileExists(atPath: left.path(partition))) }
  }

  @Test func `old and unfinished snapshots are swept away`() throws {
    let left = try Self.stopped(seed: 3)
    defer { try? FileManager.default.removeItem(atPath: left.directory) }
    let part = left.path(0) + ".part"
    try Data([1]).write(to: URL(fileURLWithPath: part))
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSince1970: 1_000_000)], ofItemAtPath: left.path(1))
    let store = SnapshotStore(directory: left.directory, applicationID: "lendpulse", ageMaxMilliseconds: 43_200_000)
    store.sweep(wall: Int64(Date.now.timeIntervalSince1970 * 1_000))
    #expect(!FileManager.default.fileExists(atPath: part))
    #expect(!FileManager.default.fileExists(atPath: left.path(1)))
    #expect(FileManager.default.fileExists(atPath: left.path(2)))
  }
}
