import Borrowers
import Testing

@testable import Features

/// A disk in memory that counts, and refuses when it is told to.
final class MemoryDisk: BorrowerDisk, @unchecked Sendable {  // Used by one test's thread.
  var held: [UInt32: [UInt8]] = [:]
  var exchanges = 0
  var isFull = false

  func exchange(removing removed: [UInt32], adding added: [UInt32], bytes: (Int) -> [UInt8]) -> Bool {
    guard !isFull else { return false }
    exchanges += 1
    for number in removed { held[number] = nil }
    for (index, number) in added.enumerated() { held[number] = bytes(index) }
    return true
  }

  func read(_ number: UInt32, into buffer: inout ByteBuffer) { buffer.append(held[number]!) }
}

@Suite struct MovedOutTests {
  private func write(_ store: inout BorrowerStore, _ number: Int, size: Int = 400) {
    let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size)
    unsafe Array("B\(number)".utf8).withUnsafeBufferPointer { id in
      unsafe bytes.withUnsafeBufferPointer { _ = unsafe store.write(id, $0) }
    }
  }

  @Test func `below the cap nothing touches the disk`() {
    let cap = MemoryCap(budget: MemoryBudget(maxBytes: 64 << 20)) {
      Issue.record("a disk was made")
      return nil
    }
    var store = BorrowerStore(cap: cap)
    for number in 0..<20_000 { write(&store, number) }
    #expect(store.count == 20_000 && store.movedOutCount == 0)
  }

  @Test func `at the cap memory stays near it, and who was seen lately stays in it`() {
    let disk = MemoryDisk()
    let budget = MemoryBudget(maxBytes: 8 << 20)
    var store = BorrowerStore(cap: MemoryCap(budget: budget) { disk })
    for round in 0..<60_000 {
      write(&store, round)
      // These are seen all the time.
      write(&store, round % 50)
    }
    #expect(store.residentBytes < budget.maxBytes * 11 / 10, "\(store.residentBytes)")
    #expect(store.movedOutCount > 40_000)
    let hot = (0..<50).count { number in
      unsafe Array("B\(number)".utf8).withUnsafeBufferPointer { id in
        unsafe store.find(id).map { store.freedByMovingOut($0.block) > 0 } ?? false
      }
    }
    #expect(hot == 50, "\(hot) of 50 that are seen all the time are in memory")
  }

  @Test func `a disk that refuses leaves all in memory`() {
    let disk = MemoryDisk()
    disk.isFull = true
    var store = BorrowerStore(cap: MemoryCap(budget: MemoryBudget(maxBytes: 1 << 20)) { disk })
    for number in 0..<10_000 { write(&store, number) }
    #expect(store.count == 10_000 && store.movedOutCount == 0)
    for handle in store.handles() {
      var buffer = ByteBuffer()
      store.read(handle, into: &buffer)
      #expect(buffer.count == 400)
    }
  }

  @Test func `stores that go give their memory back`() {
    let budget = MemoryBudget(maxBytes: 4 << 20)
    for _ in 0..<8 {
      let disk = MemoryDisk()
      var store = BorrowerStore(cap: MemoryCap(budget: budget) { disk })
      for number in 0..<6_000 { write(&store, number) }
      #expect(store.movedOutCount == 0)
    }
  }
}
