import Borrowers

/// Where a borrower's bytes begin in a `BorrowerStore`; valid until it is removed.
public struct BorrowerHandle: Hashable, Sendable {
  @usableFromInline var block: UInt32
  @inlinable init(block: UInt32) { self.block = block }
}

/// The bytes of every borrower of one partition: chained 64-byte blocks in a mapped arena, found by an open-addressing
/// index that grows in steps. It knows nothing of what the bytes mean.
public struct BorrowerStore: ~Copyable {
  public init() { fatalError("interface") }

  /// Borrowers held.
  public var count: Int { fatalError("interface") }
  /// Bytes of memory in use for arena and index.
  public var residentBytes: Int { fatalError("interface") }

  public func find(_ borrowerID: UnsafeBufferPointer<UInt8>) -> BorrowerHandle? { fatalError("interface") }
  /// Appends the borrower's bytes (its id not among them) to `buffer`.
  public func read(_ handle: BorrowerHandle, into buffer: inout ByteBuffer) { fatalError("interface") }
  /// Appends the borrower's id.
  public func readID(_ handle: BorrowerHandle, into buffer: inout ByteBuffer) { fatalError("interface") }
  /// Writes the borrower's bytes, new or in place of the old, and marks it changed. The handle of a borrower that is
  /// already held stays the same.
  public mutating func write(_ borrowerID: UnsafeBufferPointer<UInt8>, _ bytes: UnsafeBufferPointer<UInt8>)
    -> BorrowerHandle
  { fatalError("interface") }
  /// Nothing of the borrower's bytes stays in memory.
  public mutating func remove(_ handle: BorrowerHandle) { fatalError("interface") }

  /// Every borrower, in byte order of id.
  public func sortedHandles() -> [BorrowerHandle] { fatalError("interface") }

  /// Changed since their last `takeChanged`; kept as a bit a borrower.
  public var changedBytes: Int { fatalError("interface") }
  /// Takes the next changed borrower and clears its mark; nil when there is none. A cursor goes round the arena, so
  /// that each call costs little.
  public mutating func takeChanged() -> BorrowerHandle? { fatalError("interface") }
}
