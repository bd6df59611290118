import Borrowers
import Features
import Testing

@testable import Scoring

/// The disk of one engine: an engine made anew after a crash has an empty one.
private final class DictionaryDisk: BorrowerDisk {
  private var held: [UInt32: [UInt8]] = [:]

  func exchange(removing removed: [UInt32], adding added: [UInt32], bytes: (Int) -> [UInt8]) -> Bool {
    for number in removed { held[number] = nil }
    for (index, number) in added.enumerated() { held[number] = bytes(index) }
    return true
  }

  func read(_ number: UInt32, into buffer: inout ByteBuffer) { buffer.append(held[number]!) }
}

@Suite struct MemoryCapTests {
  /// Under it every borrower moves out after every event.
  static var tiny: MemoryCap { MemoryCap(budget: MemoryBudget(maxBytes: 1)) { DictionaryDisk() } }

  @Test func `a tiny cap changes no output and no state, with crashes and without`() {
    for seed in 1...20 as ClosedRange<UInt64> {
      let history = RandomHistory(seed: seed, events: 160)
      var free = LogDriver(history, seed: 0)
      free.run()
      var capped = LogDriver(history, seed: seed, cap: Self.tiny)
      if seed % 2 == 0 { (capped.commitChance, capped.crashChance, capped.sliceChance) = (20, 3, 40) }
      capped.run()
      #expect(capped.committed.outputs == free.committed.outputs, "seed \(seed)")
      #expect(capped.stateHash == free.stateHash, "seed \(seed)")
    }
  }

  @Test func `borrowers move out under it, and come back with their next event`() {
    var configuration = EngineConfiguration()
    configuration.memoryCap = Self.tiny
    var engine = PartitionEngine(partition: 0, configuration: configuration, models: TinyModels.all)
    var outputs = OutputBatch()
    for number in 0..<40 {
      let event = TestEvent(.drawdown, "e\(number)", day: Double(number), borrower: "B\(number % 4)", amount: 10)
      _ = unsafe engine.apply(
        event.decoded, RecordSource(offset: Int64(number), timestamp: event.at),
        traceparent: UnsafeBufferPointer(start: nil, count: 0), &outputs)
    }
    #expect(engine.borrowers == 4 && engine.movedOutBorrowers >= 3)
    #expect(outputs.published.count { $0.topic == .scores } == 40)
  }
}
