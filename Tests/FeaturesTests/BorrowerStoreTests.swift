import Borrowers
import Testing

@testable import Features

@Suite struct BorrowerStoreTests {
  /// What the store should hold.
  private struct Oracle {
    var bytes: [String: [UInt8]] = [:]
    var changed: Set<String> = []
  }

  private static func id(_ number: Int) -> String {
    number % 7 == 0 ? "borrower-with-a-long-\(String(repeating: "x", count: number % 35))\(number)" : "B\(number)"
  }

  private static func withBytes<Result>(_ text: String, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
    unsafe Array(text.utf8).withUnsafeBufferPointer { unsafe body($0) }
  }

  private static func readID(_ store: borrowing BorrowerStore, _ handle: BorrowerHandle) -> String {
    var buffer = ByteBuffer()
    store.readID(handle, into: &buffer)
    return unsafe String(decoding: buffer.bytes, as: UTF8.self)
  }

  private static func read(_ store: borrowing BorrowerStore, _ handle: BorrowerHandle) -> (id: String, bytes: [UInt8]) {
    var buffer = ByteBuffer()
    store.read(handle, into: &buffer)
    return unsafe (readID(store, handle), Array(buffer.bytes))
  }

  @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
  func `a store under random calls, with a cap or without, holds what a dictionary holds`(seed: UInt64) {
    var generator = SplitMix(seed: seed)
    // Half of them move borrowers out again and again.
    let disk = MemoryDisk()
    let cap = MemoryCap(budget: MemoryBudget(maxBytes: 100_000)) { disk }
    var store = BorrowerStore(cap: seed > 3 ? cap : nil)
    var oracle = Oracle()
    var handles: [String: BorrowerHandle] = [:]
    for step in 0..<20_000 {
      let id = BorrowerStoreTests.id(generator.below(2_000))
      if generator.chance(0.7) {
        let size = generator.chance(0.05) ? generator.below(5_000) : generator.below(700)
        let bytes = (0..<size).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        let handle = unsafe BorrowerStoreTests.withBytes(id) { key in
          unsafe bytes.withUnsafeBufferPointer { contents in
            if let held = unsafe store.find(key), generator.chance(0.5) {
              unsafe store.write(held, contents)
              return held
            }
            return unsafe store.write(key, contents)
          }
        }
        if let before = handles[id] { #expect(before == handle, "seed \(seed) step \(step)") }
        handles[id] = handle
        oracle.bytes[id] = bytes
        oracle.changed.insert(id)
      } else if generator.chance(0.7) {
        let found = unsafe BorrowerStoreTests.withBytes(id) { unsafe store.find($0) }
        #expect((found != nil) == (oracle.bytes[id] != nil), "seed \(seed) step \(step)")
        if let found {
          let (readID, bytes) = BorrowerStoreTests.read(store, found)
          #expect(readID == id && bytes == oracle.bytes[id], "seed \(seed) step \(step)")
          if generator.chance(0.5) {
            store.remove(found)
            oracle.bytes[id] = nil
            oracle.changed.remove(id)
            handles[id] = nil
          }
        }
      } else if let taken = store.takeChanged() {
        let (readID, bytes) = BorrowerStoreTests.read(store, taken)
        #expect(oracle.changed.remove(readID) != nil && bytes == oracle.bytes[readID], "seed \(seed) step \(step)")
      }
      #expect(store.count == oracle.bytes.count && store.changedCount == oracle.changed.count)
    }
    let changedBytes = oracle.changed.reduce(0) { $0 + $1.utf8.count + oracle.bytes[$1]!.count }
    #expect(store.changedBytes == changedBytes)
    let sorted = store.sortedHandles().map { BorrowerStoreTests.readID(store, $0) }
    #expect(sorted == oracle.bytes.keys.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
    while let taken = store.takeChanged() { oracle.changed.remove(BorrowerStoreTests.readID(store, taken)) }
    #expect(oracle.changed.isEmpty && store.changedBytes == 0)
    #expect((store.movedOutCount > 0) == (seed > 3) && (disk.exchanges > 0) == (seed > 3))
    for handle in store.handles() { store.remove(handle) }
    #expect(disk.held.isEmpty, "a removed borrower stays on disk")
  }

  @Test func `blocks of removed borrowers are used again`() {
    var store = BorrowerStore()
    let bytes = [UInt8](repeating: 7, count: 900)
    var resident = 0
    for round in 0..<20 {
      for number in 0..<200 {
        unsafe BorrowerStoreTests.withBytes("B\(number)") { id in
          unsafe bytes.withUnsafeBufferPointer { _ = unsafe store.write(id, $0) }
        }
      }
      for handle in store.handles() { store.remove(handle) }
      if round == 0 { resident = store.residentBytes }
    }
    #expect(store.count == 0 && store.residentBytes == resident)
  }

  @Test func `a removed borrower leaves no byte in memory`() {
    var arena = BlockArena()
    let block = arena.allocate()
    let memory = unsafe arena.address(block)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0xAA, count: BlockArena.blockSize)
    arena.free(block)
    for offset in 4..<BlockArena.blockSize {
      let byte = unsafe memory.load(fromByteOffset: offset, as: UInt8.self)
      #expect(byte == 0)
    }
  }
}
