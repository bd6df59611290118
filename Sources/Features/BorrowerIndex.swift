/// Finds a borrower's first block by the 32-bit hash of its id: linear hashing over buckets of one cache line. Each
/// insertion splits at most one bucket, so growth never stalls and the load stays the same (Litwin, "Linear Hashing: A
/// New Tool for File and Table Addressing", 1980). A bucket that is full goes on in a block of the borrowers' arena.
///
/// A bucket: 7 tags, the block it goes on in, 7 blocks of borrowers, how many of the 7 are in use; all 32 bits.
/// Buckets are not taken back when borrowers leave: the index keeps the size of its fullest time.
struct BorrowerIndex: ~Copyable {
  private static let slots = 7
  private static let nextOffset = 28
  private static let blocksOffset = 32
  private static let countOffset = 60
  /// Borrowers for each bucket at which one is split: 12.8 bytes a borrower, few buckets go on.
  private static let loadPerBucket = 5

  private var buckets = BlockArena()
  private(set) var bucketCount = 1
  /// The largest power of two that is at most `bucketCount`; buckets below `bucketCount - base` have been split.
  private var base = 1
  private(set) var count = 0
  private var scratch: [UInt64] = []

  init() { _ = buckets.allocate() }

  var residentBytes: Int { buckets.residentBytes }

  /// Block 0 of an arena is reserved, so bucket n is block n + 1.
  @inline(__always) private func bucketAddress(_ tag: UInt32) -> UnsafeMutableRawPointer {
    var number = Int(tag) & (base - 1)
    if number < bucketCount - base { number = Int(tag) & (2 * base - 1) }
    return unsafe buckets.address(UInt32(number + 1))
  }

  /// The first block with this tag for which `isMatch` holds; 0 where there is none.
  @inline(__always) func find(_ tag: UInt32, in arena: borrowing BlockArena, isMatch: (UInt32) -> Bool) -> UInt32 {
    var bucket = unsafe bucketAddress(tag)
    while true {
      let used = unsafe Int(bucket.load(fromByteOffset: BorrowerIndex.countOffset, as: UInt32.self))
      for slot in 0..<used where unsafe bucket.load(fromByteOffset: 4 * slot, as: UInt32.self) == tag {
        let block = unsafe bucket.load(fromByteOffset: BorrowerIndex.blocksOffset + 4 * slot, as: UInt32.self)
        if isMatch(block) { return block }
      }
      let next = unsafe bucket.load(fromByteOffset: BorrowerIndex.nextOffset, as: UInt32.self)
      if next == 0 { return 0 }
      unsafe bucket = arena.address(next)
    }
  }

  mutating func insert(tag: UInt32, block: UInt32, in arena: inout BlockArena) {
    unsafe append(tag: tag, block: block, to: bucketAddress(tag), in: &arena)
    count += 1
    if count > bucketCount * BorrowerIndex.loadPerBucket { split(in: &arena) }
  }

  /// Takes an entry out; the last one of the bucket's chain takes its place.
  mutating func remove(tag: UInt32, block: UInt32, in arena: inout BlockArena) {
    var bucket = unsafe bucketAddress(tag)
    var found: UnsafeMutableRawPointer?
    var foundSlot = 0
    var previous: UnsafeMutableRawPointer?
    while true {
      let used = unsafe Int(bucket.load(fromByteOffset: BorrowerIndex.countOffset, as: UInt32.self))
      if unsafe found == nil {
        for slot in 0..<used
        where unsafe bucket.load(fromByteOffset: BorrowerIndex.blocksOffset + 4 * slot, as: UInt32.self) == block {
          unsafe found = bucket
          foundSlot = slot
        }
      }
      let next = unsafe bucket.load(fromByteOffset: BorrowerIndex.nextOffset, as: UInt32.self)
      if next == 0 { break }
      unsafe previous = bucket
      unsafe bucket = arena.address(next)
    }
    guard let target = unsafe found else { preconditionFailure("the index lost a borrower") }
    let last = unsafe Int(bucket.load(fromByteOffset: BorrowerIndex.countOffset, as: UInt32.self)) - 1
    unsafe target.storeBytes(
      of: bucket.load(fromByteOffset: 4 * last, as: UInt32.self), toByteOffset: 4 * foundSlot, as: UInt32.self)
    unsafe target.storeBytes(
      of: bucket.load(fromByteOffset: BorrowerIndex.blocksOffset + 4 * last, as: UInt32.self),
      toByteOffset: BorrowerIndex.blocksOffset + 4 * foundSlot, as: UInt32.self)
    unsafe bucket.storeBytes(of: 0, toByteOffset: 4 * last, as: UInt32.self)
    unsafe bucket.storeBytes(of: 0, toByteOffset: BorrowerIndex.blocksOffset + 4 * last, as: UInt32.self)
    unsafe bucket.storeBytes(of: UInt32(last), toByteOffset: BorrowerIndex.countOffset, as: UInt32.self)
    if last == 0, let previous = unsafe previous {
      let emptied = unsafe previous.load(fromByteOffset: BorrowerIndex.nextOffset, as: UInt32.self)
      unsafe previous.storeBytes(of: 0, toByteOffset: BorrowerIndex.nextOffset, as: UInt32.self)
      arena.free(emptied)
    }
    count -= 1
  }

  /// Every borrower's first block, in no stated order.
  func forEachBlock(in arena: borrowing BlockArena, _ body: (UInt32) -> Void) {
    for number in 0..<bucketCount { forEachBlock(inBucket: number, in: arena, body) }
  }

  /// The first blocks of a bucket's borrowers.
  func forEachBlock(inBucket number: Int, in arena: borrowing BlockArena, _ body: (UInt32) -> Void) {
    var bucket = unsafe buckets.address(UInt32(number + 1))
    while true {
      let used = unsafe Int(bucket.load(fromByteOffset: BorrowerIndex.countOffset, as: UInt32.self))
      for slot in 0..<used {
        unsafe body(bucket.load(fromByteOffset: BorrowerIndex.blocksOffset + 4 * slot, as: UInt32.self))
      }
      let next = unsafe bucket.load(fromByteOffset: BorrowerIndex.nextOffset, as: UInt32.self)
      if next == 0 { return }
      unsafe bucket = arena.address(next)
    }
  }

  private func append(tag: UInt32, block: UInt32, to first: UnsafeMutableRawPointer, in arena: inout BlockArena) {
    var bucket = unsafe first
    var used = unsafe Int(bucket.load(fromByteOffset: BorrowerIndex.countOffset, as: UInt32.self))
    while used == BorrowerIndex.slots {
      var next = unsafe bucket.load(fromByteOffset: BorrowerIndex.nextOffset, as: UInt32.self)
      if next == 0 {
        next = arena.allocate()
        unsafe bucket.storeBytes(of: next, toByteOffset: BorrowerIndex.nextOffset, as: UInt32.self)
      }
      unsafe bucket = arena.address(next)
      used = unsafe Int(bucket.load(fromByteOffset: BorrowerIndex.countOffset, as: UInt32.self))
    }
    unsafe bucket.storeBytes(of: tag, toByteOffset: 4 * used, as: UInt32.self)
    unsafe bucket.storeBytes(of: block, toByteOffset: BorrowerIndex.blocksOffset + 4 * used, as: UInt32.self)
    unsafe bucket.storeBytes(of: UInt32(used + 1), toByteOffset: BorrowerIndex.countOffset, as: UInt32.self)
  }

  /// Adds one bucket, which takes its share of the next one due.
  private mutating func split(in arena: inout BlockArena) {
    let source = unsafe buckets.address(UInt32(bucketCount - base + 1))
    scratch.removeAll(keepingCapacity: true)
    var bucket = unsafe source
    var ownBlock: UInt32 = 0
    while true {
      let used = unsafe Int(bucket.load(fromByteOffset: BorrowerIndex.countOffset, as: UInt32.self))
      for slot in 0..<used {
        let tag = unsafe bucket.load(fromByteOffset: 4 * slot, as: UInt32.self)
        let block = unsafe bucket.load(fromByteOffset: BorrowerIndex.blocksOffset + 4 * slot, as: UInt32.self)
        scratch.append(UInt64(tag) << 32 | UInt64(block))
      }
      let next = unsafe bucket.load(fromByteOffset: BorrowerIndex.nextOffset, as: UInt32.self)
      if ownBlock != 0 { arena.free(ownBlock) }
      if next == 0 { break }
      ownBlock = next
      unsafe bucket = arena.address(next)
    }
    unsafe source.initializeMemory(as: UInt8.self, repeating: 0, count: BlockArena.blockSize)
    _ = buckets.allocate()
    bucketCount += 1
    if bucketCount == 2 * base { base = bucketCount }
    for entry in scratch {
      let tag = UInt32(entry >> 32)
      unsafe append(tag: tag, block: UInt32(truncatingIfNeeded: entry), to: bucketAddress(tag), in: &arena)
    }
  }
}
