import Borrowers
import Synchronization

/// Where borrowers' bytes go that are moved out of memory, by the number of the borrower's first block. Used by the one
/// thread that has the store.
public protocol BorrowerDisk: AnyObject {
  /// Takes bytes out and puts others in, all or nothing; false where the disk refuses, and nothing is changed.
  func exchange(removing removed: [UInt32], adding added: [UInt32], bytes: (Int) -> [UInt8]) -> Bool
  /// Appends the bytes put in under a number. What was put in and cannot be read ends the process: a restart restores it.
  func read(_ number: UInt32, into buffer: inout ByteBuffer)
}

/// The memory that all stores of a process may use together.
public final class MemoryBudget: Sendable {
  public let maxBytes: Int
  private let used = Atomic<Int>(0)

  public init(maxBytes: Int) { self.maxBytes = maxBytes }

  var isExceeded: Bool { used.load(ordering: .relaxed) > maxBytes }

  fileprivate func change(by bytes: Int) { used.wrappingAdd(bytes, ordering: .relaxed) }
}

/// The cap, and what to make at it: one disk for each partition, when its first borrower moves out.
public struct MemoryCap: Sendable {
  public var budget: MemoryBudget
  /// Nil where no disk can be made: all stays in memory.
  public var makeDisk: @Sendable () -> (any BorrowerDisk)?

  public init(budget: MemoryBudget, makeDisk: @escaping @Sendable () -> (any BorrowerDisk)?) {
    self.budget = budget
    self.makeDisk = makeDisk
  }
}

/// What a store under a cap knows beside its blocks: who was seen lately, and what is with the disk.
final class Residency {
  let cap: MemoryCap
  var disk: (any BorrowerDisk)?
  /// Came back since the last exchange: their bytes on disk are stale.
  var stale: Set<UInt32> = []
  /// The next bucket of the index that the clock's hand comes to.
  var hand = 0
  /// Borrowers with the disk.
  var movedOutCount = 0
  /// Writes until it is tried again, after a round that found nobody to move out, or a disk that refused.
  var pause = 0
  private var seen: [[UInt64]] = []
  private var reported = 0

  private static let wordsPerSegment = BlockArena.blocksPerSegment / 64

  init(_ cap: MemoryCap) { self.cap = cap }

  deinit { cap.budget.change(by: -reported) }

  var residentBytes: Int { seen.count * Residency.wordsPerSegment * 8 + stale.capacity * 8 }

  /// Reports what the store uses now; whether all stores together use too much.
  func isExceeded(at bytes: Int) -> Bool {
    if bytes != reported {
      cap.budget.change(by: bytes - reported)
      reported = bytes
    }
    return cap.budget.isExceeded
  }

  @inline(__always) func markSeen(_ block: UInt32) {
    let segment = Int(block >> 16)
    while segment >= seen.count { seen.append([UInt64](repeating: 0, count: Residency.wordsPerSegment)) }
    seen[segment][Int(block & 0xFFFF) >> 6] |= 1 << UInt64(block & 63)
  }

  /// Whether it was seen since the last call.
  func takeSeen(_ block: UInt32) -> Bool {
    let segment = Int(block >> 16)
    guard segment < seen.count else { return false }
    let bit: UInt64 = 1 << UInt64(block & 63)
    let word = Int(block & 0xFFFF) >> 6
    defer { seen[segment][word] &= ~bit }
    return seen[segment][word] & bit != 0
  }
}

// The least recently seen are found by a clock's hand (Corbató, "A Paging Experiment with the Multics System", 1968): it
// goes round the index, forgives who was seen since it came by last, and moves out who was not. Of a borrower moved out
// the first block stays, with its id and the lengths: handles, timers, order and marks need no disk.
extension BorrowerStore {
  /// With fewer free blocks than this, borrowers move out at the cap, until so many are freed.
  private static let freeMin = 64
  private static let freedInRound = 1_024
  private static let pauseWrites = 4_096

  /// Borrowers whose bytes are with the disk.
  public var movedOutCount: Int { residency?.movedOutCount ?? 0 }

  /// At the cap: moves out the least recently seen until there is room for the next ones.
  mutating func makeRoom() {
    guard let residency, residency.isExceeded(at: residentBytes), arena.freeCount < Self.freeMin else { return }
    guard residency.pause == 0 else {
      residency.pause -= 1
      return
    }
    let victims = leastRecentlySeen(residency)
    if residency.disk == nil, !victims.isEmpty { residency.disk = residency.cap.makeDisk() }
    guard !victims.isEmpty, let disk = residency.disk else {
      residency.pause = Self.pauseWrites
      return
    }
    let stale = residency.stale.subtracting(victims).sorted()
    var buffer = ByteBuffer(capacity: 1_024)
    let isExchanged = disk.exchange(removing: stale, adding: victims) { index in
      buffer.removeAll()
      read(BorrowerHandle(block: victims[index]), into: &buffer)
      return unsafe Array(buffer.bytes)
    }
    guard isExchanged else {
      residency.pause = Self.pauseWrites
      return
    }
    residency.stale.removeAll(keepingCapacity: true)
    for block in victims { dropBytes(block) }
    residency.movedOutCount += victims.count
  }

  private func leastRecentlySeen(_ residency: Residency) -> [UInt32] {
    var victims: [UInt32] = []
    // The second round comes by those that the first one chose.
    var chosen: Set<UInt32> = []
    var freed = 0
    // Twice round: the first time it may forgive everybody.
    for _ in 0..<2 * index.bucketCount {
      if residency.hand >= index.bucketCount { residency.hand = 0 }
      index.forEachBlock(inBucket: residency.hand, in: arena) { block in
        let freedBlocks = freedByMovingOut(block)
        guard freedBlocks > 0, !residency.takeSeen(block), chosen.insert(block).inserted else { return }
        victims.append(block)
        freed += freedBlocks
      }
      residency.hand += 1
      if freed >= Self.freedInRound { break }
    }
    return victims
  }
}
