import Glibc

/// Memory in 64-byte blocks with 32-bit numbers, mapped from the system in segments of 4 MiB as it is needed, so that
/// growing moves nothing and a block's address stays the same. Block 0 is never handed out: it stands for "none".
@safe struct BlockArena: ~Copyable {
  static let blockSize = 64
  static let blocksPerSegment = 1 << 16
  private static let segmentSize = blockSize * blocksPerSegment
  private static let hugePage = 1 << 21

  private var segments: UnsafeMutablePointer<UnsafeMutableRawPointer>
  private(set) var segmentCount = 0
  private var segmentCapacity = 16
  /// Blocks handed out at some time: numbers below it are touched.
  private(set) var blockEnd: UInt32 = 1
  /// The first of the free blocks, chained through their first four bytes.
  private var freeHead: UInt32 = 0
  private(set) var freeCount = 0

  init() {
    unsafe segments = .allocate(capacity: segmentCapacity)
  }

  deinit {
    for index in 0..<segmentCount { unsafe munmap(segments[index], BlockArena.segmentSize) }
    unsafe segments.deallocate()
  }

  @inline(__always) func address(_ block: UInt32) -> UnsafeMutableRawPointer {
    assert(block < blockEnd)
    return unsafe segments[Int(block >> 16)] + Int(block & 0xFFFF) << 6
  }

  /// Bytes of pages that have been written to.
  var residentBytes: Int {
    let touched = Int(blockEnd) * BlockArena.blockSize
    return (touched + 4095) / 4096 * 4096 + segmentCapacity * 8
  }

  /// A block of zeros.
  mutating func allocate() -> UInt32 {
    if freeHead != 0 {
      let block = freeHead
      let memory = unsafe address(block)
      freeHead = unsafe memory.load(as: UInt32.self)
      unsafe memory.storeBytes(of: 0, as: UInt32.self)
      freeCount -= 1
      return block
    }
    let block = blockEnd
    precondition(block < UInt32.max - 1, "a partition's memory is full: 256 GiB of blocks; use more partitions")
    if Int(block >> 16) >= segmentCount || segmentCount == 0 { addSegment() }
    blockEnd += 1
    return block
  }

  /// Zeroes a block and takes it back: nothing of a borrower stays in memory.
  mutating func free(_ block: UInt32) {
    let memory = unsafe address(block)
    unsafe memset(memory, 0, BlockArena.blockSize)
    unsafe memory.storeBytes(of: freeHead, as: UInt32.self)
    freeHead = block
    freeCount += 1
  }

  private mutating func addSegment() {
    if segmentCount == segmentCapacity {
      let larger = UnsafeMutablePointer<UnsafeMutableRawPointer>.allocate(capacity: segmentCapacity * 2)
      unsafe larger.update(from: segments, count: segmentCount)
      unsafe segments.deallocate()
      unsafe segments = larger
      segmentCapacity *= 2
    }
    unsafe segments[segmentCount] = BlockArena.mapSegment(isFirst: segmentCount == 0)
    segmentCount += 1
  }

  /// Aligned to huge pages, which save most of the misses of random access. Not the first one: a partition with few
  /// borrowers should not hold 2 MiB.
  private static func mapSegment(isFirst: Bool) -> UnsafeMutableRawPointer {
    let mappedSize = segmentSize + hugePage
    guard
      let mapped = unsafe mmap(
        nil, mappedSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
      unsafe mapped != MAP_FAILED
    else { fatalError("out of memory for borrowers: the system maps no more (limits: ulimit -v, MemoryMax)") }
    let start = Int(bitPattern: mapped)
    let aligned = (start + hugePage - 1) / hugePage * hugePage
    let lead = aligned - start
    if lead > 0 { unsafe munmap(mapped, lead) }
    let segment = unsafe mapped + lead
    if hugePage > lead { unsafe munmap(segment + segmentSize, hugePage - lead) }
    // Advice only: where the kernel has no huge pages nothing is lost.
    _ = unsafe madvise(segment, segmentSize, isFirst ? MADV_NOHUGEPAGE : MADV_HUGEPAGE)
    return unsafe segment
  }
}
