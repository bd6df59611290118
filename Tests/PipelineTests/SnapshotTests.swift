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

  @Test(arguments: 1..<4 as Range<UInt64>)
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
