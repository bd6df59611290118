/// A growable run of bytes whose capacity is kept between uses: `removeAll()` allocates nothing and frees nothing.
@safe public struct ByteBuffer: ~Copyable {
  @usableFromInline var base: UnsafeMutablePointer<UInt8>
  @usableFromInline var capacity: Int
  @usableFromInline var storedCount: Int

  @inlinable public var count: Int { storedCount }

  public init(capacity: Int = 256) {
    self.capacity = max(capacity, 64)
    unsafe base = UnsafeMutablePointer<UInt8>.allocate(capacity: self.capacity)
    storedCount = 0
  }

  deinit { unsafe base.deallocate() }

  /// The bytes written so far; valid until the next mutation.
  @inlinable public var bytes: UnsafeBufferPointer<UInt8> {
    unsafe UnsafeBufferPointer(start: base, count: count)
  }

  @inlinable public subscript(index: Int) -> UInt8 {
    precondition(index >= 0 && index < count)
    return unsafe base[index]
  }

  @inlinable public mutating func removeAll() { storedCount = 0 }

  /// Cuts back to `count` bytes.
  @inlinable public mutating func truncate(to count: Int) {
    precondition(count >= 0 && count <= self.count)
    storedCount = count
  }

  /// Room for `extra` more bytes, to be followed by `advance`.
  @inlinable public mutating func reserve(_ extra: Int) -> UnsafeMutablePointer<UInt8> {
    if count + extra > capacity { grow(to: count + extra) }
    return unsafe base + count
  }

  /// Counts bytes that were written behind what `reserve` returned.
  @inlinable public mutating func advance(_ written: Int) {
    precondition(written >= 0 && count + written <= capacity)
    storedCount += written
  }

  @inlinable public mutating func append(_ byte: UInt8) {
    unsafe reserve(1).pointee = byte
    storedCount += 1
  }

  @inlinable public mutating func append(_ source: UnsafeBufferPointer<UInt8>) {
    guard let start = source.baseAddress, source.count > 0 else { return }
    unsafe reserve(source.count).update(from: start, count: source.count)
    storedCount += source.count
  }

  @inlinable public mutating func append(_ bytes: [UInt8]) {
    unsafe bytes.withUnsafeBufferPointer { unsafe append($0) }
  }

  @inlinable public mutating func append(_ text: StaticString) {
    unsafe append(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// Little-endian, as every number in state bytes is.
  @inlinable public mutating func append<Integer: FixedWidthInteger>(littleEndian value: Integer) {
    let size = MemoryLayout<Integer>.size
    unsafe UnsafeMutableRawPointer(reserve(size)).storeBytes(of: value.littleEndian, as: Integer.self)
    storedCount += size
  }

  @usableFromInline @inline(never) mutating func grow(to needed: Int) {
    let larger = max(needed, capacity * 2)
    let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
    unsafe moved.update(from: base, count: count)
    unsafe base.deallocate()
    unsafe base = moved
    capacity = larger
  }
}

extension ByteBuffer: @unchecked Sendable {}  // It owns its memory alone; nobody else holds `base`.
