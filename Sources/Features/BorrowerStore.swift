import Borrowers
import Glibc

/// Where a borrower's bytes begin in a `BorrowerStore`; valid until it is removed.
public struct BorrowerHandle: Hashable, Comparable, Sendable {
  @usableFromInline var block: UInt32
  @inlinable init(block: UInt32) { self.block = block }

  /// In the order of the arena.
  @inlinable public static func < (a: BorrowerHandle, b: BorrowerHandle) -> Bool { a.block < b.block }
}

/// The bytes of every borrower of one partition: 64-byte blocks of a mapped arena, found by an index that grows one
/// bucket at a time. It knows nothing of what the bytes mean.
///
/// A borrower's first block: the first of its chained blocks (32 bits), the id's length (8 bits) and the bytes' length
/// (24 bits), the numbers of its next blocks (32 bits each, at most 8), and then its id and its bytes, which go on in those
/// blocks. Reading them takes two dependent steps and not one for each block. What goes past 8 blocks is chained, each
/// block with the number of the next one in front.
public struct BorrowerStore: ~Copyable {
  private static let headerSize = 8
  private static let listedMax = 8
  private static let chainedPayload = BlockArena.blockSize - 4
  private static let dataMax = 1 << 24 - 1

  var arena = BlockArena()
  var index = BorrowerIndex()
  private var changed = ChangedMarks()
  /// Nil where there is no cap.
  let residency: Residency?
  /// Borrowers removed so far: a handle is valid while it stays.
  public private(set) var removals: UInt64 = 0

  /// Of the word of lengths.
  private static let movedOutFlag: UInt32 = 1 << 31

  public init(cap: MemoryCap? = nil) { residency = cap.map { Residency($0) } }

  /// Borrowers held.
  public var count: Int { index.count }
  /// Bytes of memory in use for arena and index.
  public var residentBytes: Int {
    arena.residentBytes + index.residentBytes + changed.residentBytes + (residency?.residentBytes ?? 0)
  }

  public func find(_ borrowerID: UnsafeBufferPointer<UInt8>) -> BorrowerHandle? {
    let block = unsafe find(borrowerID, tag: BorrowerStore.tag(borrowerID))
    return block == 0 ? nil : BorrowerHandle(block: block)
  }

  /// Appends the borrower's bytes (its id not among them) to `buffer`.
  public func read(_ handle: BorrowerHandle, into buffer: inout ByteBuffer) {
    let (idCount, dataCount) = lengths(handle.block)
    if isMovedOut(handle.block) {
      guard let disk = residency?.disk else { preconditionFailure("a borrower is moved out and there is no disk") }
      disk.read(handle.block, into: &buffer)
      return
    }
    unsafe copyOut(handle.block, from: idCount, count: dataCount, to: buffer.reserve(dataCount))
    buffer.advance(dataCount)
  }

  /// Appends the borrower's id.
  public func readID(_ handle: BorrowerHandle, into buffer: inout ByteBuffer) {
    let (idCount, _) = lengths(handle.block)
    unsafe copyOut(handle.block, from: 0, count: idCount, to: buffer.reserve(idCount))
    buffer.advance(idCount)
  }

  /// Writes the borrower's bytes, new or in place of the old, and marks it changed. The handle of a borrower that is
  /// already held stays the same. The id has 1...64 bytes, the bytes are under 16 MiB.
  @discardableResult public mutating func write(
    _ borrowerID: UnsafeBufferPointer<UInt8>, _ bytes: UnsafeBufferPointer<UInt8>
  ) -> BorrowerHandle {
    let tag = unsafe BorrowerStore.tag(borrowerID)
    let found = unsafe find(borrowerID, tag: tag)
    if found != 0 {
      unsafe write(BorrowerHandle(block: found), bytes)
      return BorrowerHandle(block: found)
    }
    precondition(borrowerID.count >= 1 && borrowerID.count <= 64, "a borrower_id has 1...64 bytes")
    let block = arena.allocate()
    unsafe writeContents(block, id: borrowerID, bytes, held: 0)
    index.insert(tag: tag, block: block, in: &arena)
    changed.mark(block, bytes: borrowerID.count + bytes.count, before: 0)
    noteWritten(block)
    return BorrowerHandle(block: block)
  }

  /// Writes the bytes of a borrower already held: no search.
  public mutating func write(_ handle: BorrowerHandle, _ bytes: UnsafeBufferPointer<UInt8>) {
    let (idCount, dataCount) = lengths(handle.block)
    let held = BorrowerStore.extraBlocks(inMemory(handle.block))
    noteBack(handle.block)
    unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { id in
      unsafe copyOut(handle.block, from: 0, count: idCount, to: id.baseAddress!)
      unsafe writeContents(
        handle.block, id: UnsafeBufferPointer(start: id.baseAddress, count: idCount), bytes,
        held: held)
    }
    changed.mark(handle.block, bytes: idCount + bytes.count, before: idCount + dataCount)
    noteWritten(handle.block)
  }

  @inline(__always) private mutating func noteWritten(_ block: UInt32) {
    guard let residency else { return }
    residency.markSeen(block)
    makeRoom()
  }

  /// Its bytes on disk are of no use any more.
  private func noteBack(_ block: UInt32) {
    guard let residency, isMovedOut(block) else { return }
    residency.stale.insert(block)
    residency.movedOutCount -= 1
  }

  /// Nothing of the borrower's bytes stays in memory.
  public mutating func remove(_ handle: BorrowerHandle) {
    let (idCount, dataCount) = lengths(handle.block)
    let tag = unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { id in
      unsafe copyOut(handle.block, from: 0, count: idCount, to: id.baseAddress!)
      return unsafe BorrowerStore.tag(UnsafeBufferPointer(start: id.baseAddress, count: idCount))
    }
    changed.clear(handle.block, bytes: idCount + dataCount)
    removals += 1
    index.remove(tag: tag, block: handle.block, in: &arena)
    resize(handle.block, to: 0, from: BorrowerStore.extraBlocks(inMemory(handle.block)))
    if isMovedOut(handle.block), let residency {
      // At once: nothing of the borrower stays.
      _ = residency.disk?.exchange(removing: [handle.block], adding: []) { _ in [] }
      residency.movedOutCount -= 1
    } else if let residency, residency.stale.remove(handle.block) != nil {
      _ = residency.disk?.exchange(removing: [handle.block], adding: []) { _ in [] }
    }
    arena.free(handle.block)
  }

  /// Every borrower, in the order of the arena: the same for the same calls.
  public func handles() -> [BorrowerHandle] {
    var blocks: [UInt32] = []
    blocks.reserveCapacity(count)
    index.forEachBlock(in: arena) { blocks.append($0) }
    blocks.sort()
    return blocks.map { BorrowerHandle(block: $0) }
  }

  /// Every borrower, in byte order of id.
  public func sortedHandles() -> [BorrowerHandle] {
    var buffer = ByteBuffer(capacity: 256)
    var keyed: [(id: ShortText, handle: BorrowerHandle)] = []
    keyed.reserveCapacity(count)
    for handle in handles() {
      buffer.removeAll()
      readID(handle, into: &buffer)
      unsafe keyed.append((ShortText(buffer.bytes), handle))
    }
    keyed.sort { $0.id < $1.id }
    return keyed.map { $0.handle }
  }

  /// Bytes of the borrowers changed since their last `takeChanged`, ids included.
  public var changedBytes: Int { changed.bytes }
  /// Borrowers changed since their last `takeChanged`.
  public var changedCount: Int { changed.count }

  /// Begins one round over all that is changed now: from here on `takeChanged` ends with it. What changes behind the
  /// cursor meanwhile is left to the next round, so that a round has an end under any load.
  public mutating func startChangedRound() { changed.startRound() }

  /// Takes the next changed borrower and clears its mark; nil when there is none. A cursor goes round the arena, so
  /// that each call costs little.
  public mutating func takeChanged() -> BorrowerHandle? {
    guard let block = changed.next() else { return nil }
    clearChanged(BorrowerHandle(block: block))
    return BorrowerHandle(block: block)
  }

  /// Clears a borrower's mark: what was restored from the state topic stands there already.
  public mutating func clearChanged(_ handle: BorrowerHandle) {
    let (idCount, dataCount) = lengths(handle.block)
    changed.clear(handle.block, bytes: idCount + dataCount)
  }

  /// Marks a borrower as one that does not stand in the state topic as it is now.
  public mutating func markChanged(_ handle: BorrowerHandle) {
    let (idCount, dataCount) = lengths(handle.block)
    changed.mark(handle.block, bytes: idCount + dataCount, before: idCount + dataCount)
  }

  public func isChanged(_ handle: BorrowerHandle) -> Bool { changed.contains(handle.block) }

  // MARK: Layout

  private static func tag(_ id: UnsafeBufferPointer<UInt8>) -> UInt32 {
    unsafe UInt32(truncatingIfNeeded: Murmur.hash64(id))
  }

  /// Blocks besides the first. Each one listed takes 4 bytes of the first, each one chained 4 of its own: 60 are gained.
  @inline(__always) private static func extraBlocks(_ total: Int) -> Int {
    let inFirst = BlockArena.blockSize - headerSize
    return total <= inFirst ? 0 : (total - inFirst + chainedPayload - 1) / chainedPayload
  }

  @inline(__always) private func lengths(_ block: UInt32) -> (id: Int, data: Int) {
    let word = unsafe arena.address(block).load(fromByteOffset: 4, as: UInt32.self)
    return (Int(word >> 24 & 0x7F), Int(word & 0xFF_FFFF))
  }

  @inline(__always) private func isMovedOut(_ block: UInt32) -> Bool {
    unsafe arena.address(block).load(fromByteOffset: 4, as: UInt32.self) & BorrowerStore.movedOutFlag != 0
  }

  /// How much of id and bytes the blocks hold: of a borrower moved out the id alone.
  @inline(__always) private func inMemory(_ block: UInt32) -> Int {
    let (idCount, dataCount) = lengths(block)
    return isMovedOut(block) ? idCount : idCount + dataCount
  }

  /// Blocks that moving it out would free; 0 where it is moved out.
  func freedByMovingOut(_ block: UInt32) -> Int {
    let (idCount, dataCount) = lengths(block)
    guard !isMovedOut(block) else { return 0 }
    return BorrowerStore.extraBlocks(idCount + dataCount) - BorrowerStore.extraBlocks(idCount)
  }

  /// The bytes are with the disk: only the id stays.
  mutating func dropBytes(_ block: UInt32) {
    let (idCount, dataCount) = lengths(block)
    unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { id in
      unsafe copyOut(block, from: 0, count: idCount, to: id.baseAddress!)
      let none = unsafe UnsafeBufferPointer<UInt8>(start: nil, count: 0)
      unsafe writeContents(
        block, id: UnsafeBufferPointer(start: id.baseAddress, count: idCount), none,
        held: BorrowerStore.extraBlocks(idCount + dataCount))
    }
    unsafe arena.address(block).storeBytes(
      of: UInt32(idCount) << 24 | UInt32(dataCount) | BorrowerStore.movedOutFlag, toByteOffset: 4, as: UInt32.self)
  }

  private func find(_ id: UnsafeBufferPointer<UInt8>, tag: UInt32) -> UInt32 {
    index.find(tag, in: arena) { block in
      let (idCount, _) = lengths(block)
      guard idCount == id.count else { return false }
      let listed = min(BorrowerStore.extraBlocks(inMemory(block)), BorrowerStore.listedMax)
      let start = BorrowerStore.headerSize + 4 * listed
      let head = unsafe arena.address(block)
      let inFirst = min(idCount, BlockArena.blockSize - start)
      guard unsafe memcmp(head + start, id.baseAddress!, inFirst) == 0 else { return false }
      if inFirst == idCount { return true }
      // The first block has room for 24 bytes at least and a listed one for 64: an id ends in the second block.
      let second = unsafe arena.address(head.load(fromByteOffset: BorrowerStore.headerSize, as: UInt32.self))
      return unsafe memcmp(second, id.baseAddress! + inFirst, idCount - inFirst) == 0
    }
  }

  /// Calls `body` with each stretch of memory that holds id and bytes, in order.
  @inline(__always) private func forEachStretch(
    _ block: UInt32, total: Int, _ body: (_ memory: UnsafeMutableRawPointer, _ offset: Int, _ count: Int) -> Void
  ) {
    let head = unsafe arena.address(block)
    let listed = min(BorrowerStore.extraBlocks(total), BorrowerStore.listedMax)
    let start = BorrowerStore.headerSize + 4 * listed
    var offset = min(total, BlockArena.blockSize - start)
    unsafe body(head + start, 0, offset)
    for number in 0..<listed {
      let next = unsafe head.load(fromByteOffset: BorrowerStore.headerSize + 4 * number, as: UInt32.self)
      let size = min(total - offset, BlockArena.blockSize)
      unsafe body(arena.address(next), offset, size)
      offset += size
    }
    var chained = unsafe head.load(as: UInt32.self)
    while offset < total {
      let memory = unsafe arena.address(chained)
      let size = min(total - offset, BorrowerStore.chainedPayload)
      unsafe body(memory + 4, offset, size)
      offset += size
      chained = unsafe memory.load(as: UInt32.self)
    }
  }

  private func copyOut(_ block: UInt32, from start: Int, count: Int, to target: UnsafeMutablePointer<UInt8>) {
    let end = start + count
    unsafe forEachStretch(block, total: inMemory(block)) { memory, offset, size in
      let low = max(offset, start)
      let high = min(offset + size, end)
      if low < high { unsafe memcpy(target + (low - start), memory + (low - offset), high - low) }
    }
  }

  /// Gives the borrower as many blocks as id and bytes need and writes them. `id` is not in the arena.
  private mutating func writeContents(
    _ block: UInt32, id: UnsafeBufferPointer<UInt8>, _ bytes: UnsafeBufferPointer<UInt8>, held: Int
  ) {
    precondition(bytes.count < BorrowerStore.dataMax, "a borrower's bytes are under 16 MiB")
    let total = id.count + bytes.count
    let needed = BorrowerStore.extraBlocks(total)
    if needed != held { resize(block, to: needed, from: held) }
    unsafe arena.address(block).storeBytes(
      of: UInt32(id.count) << 24 | UInt32(bytes.count), toByteOffset: 4, as: UInt32.self)
    unsafe forEachStretch(block, total: total) { memory, offset, size in
      var filled = 0
      if offset < id.count {
        filled = min(size, id.count - offset)
        unsafe memcpy(memory, id.baseAddress! + offset, filled)
      }
      if filled < size {
        unsafe memcpy(memory + filled, bytes.baseAddress! + (offset + filled - id.count), size - filled)
      }
    }
  }

  /// Adds or frees blocks behind the first. Their contents are lost where the first one's list changes length: id and
  /// bytes are written after it.
  private mutating func resize(_ block: UInt32, to needed: Int, from held: Int) {
    let head = unsafe arena.address(block)
    let listedBefore = min(held, BorrowerStore.listedMax)
    let listed = min(needed, BorrowerStore.listedMax)
    for number in stride(from: listedBefore, to: listed, by: 1) {
      let added = arena.allocate()
      unsafe head.storeBytes(of: added, toByteOffset: BorrowerStore.headerSize + 4 * number, as: UInt32.self)
    }
    for number in stride(from: listed, to: listedBefore, by: 1) {
      unsafe arena.free(head.load(fromByteOffset: BorrowerStore.headerSize + 4 * number, as: UInt32.self))
    }
    var last = unsafe head
    var remaining = max(needed - BorrowerStore.listedMax, 0)
    var present = max(held - BorrowerStore.listedMax, 0)
    while remaining > 0 && present > 0 {
      unsafe last = arena.address(last.load(as: UInt32.self))
      remaining -= 1
      present -= 1
    }
    while remaining > 0 {
      let added = arena.allocate()
      unsafe last.storeBytes(of: added, as: UInt32.self)
      unsafe last = arena.address(added)
      remaining -= 1
    }
    if present > 0 {
      var dropped = unsafe last.load(as: UInt32.self)
      unsafe last.storeBytes(of: 0, as: UInt32.self)
      while present > 0 {
        let next = unsafe arena.address(dropped).load(as: UInt32.self)
        arena.free(dropped)
        dropped = next
        present -= 1
      }
    }
  }
}
