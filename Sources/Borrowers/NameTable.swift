/// A fixed set of names, found from bytes by one multiplication and two or three comparisons of words. Made once for
/// each set and never freed.
@safe struct NameTable: Sendable {
  private struct Entry {
    /// The first eight bytes, and the last eight of a name that has more.
    var first: UInt64 = 0
    var last: UInt64 = 0
    var count = 0
    var index = -1
    var name: StaticString = ""
  }

  private nonisolated(unsafe) let entries: UnsafePointer<Entry>
  private static let capacity = 128
  private let longest: Int

  /// The index of a name is its place in `names`; at most 64.
  init(_ names: [StaticString]) {
    precondition(names.count <= Self.capacity / 2)
    let table = UnsafeMutablePointer<Entry>.allocate(capacity: Self.capacity)
    unsafe table.initialize(repeating: Entry(), count: Self.capacity)
    var longest = 0
    for (index, name) in names.enumerated() {
      let bytes = unsafe InputBytes(UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
      let (first, last) = Self.words(bytes, 0, bytes.count)
      var slot = Self.slot(first, last, bytes.count)
      while unsafe table[slot].index >= 0 { slot = (slot + 1) % Self.capacity }
      unsafe table[slot] = Entry(first: first, last: last, count: bytes.count, index: index, name: name)
      longest = max(longest, bytes.count)
    }
    unsafe entries = UnsafePointer(table)
    self.longest = longest
  }

  /// The index of the name in these bytes, or -1.
  @inline(__always) func index(_ bytes: InputBytes, _ start: Int, _ count: Int) -> Int {
    if count == 0 || count > longest { return -1 }
    let (first, last) = Self.words(bytes, start, count)
    var slot = Self.slot(first, last, count)
    while unsafe entries[slot].index >= 0 {
      if unsafe entries[slot].first == first && entries[slot].last == last && entries[slot].count == count
        && (count <= 16 || isEqual(slot, bytes, start))
      {
        return unsafe entries[slot].index
      }
      slot = (slot + 1) % Self.capacity
    }
    return -1
  }

  /// Compares what two words do not cover.
  private func isEqual(_ slot: Int, _ bytes: InputBytes, _ start: Int) -> Bool {
    for offset in unsafe 8..<(entries[slot].count - 8)
    where unsafe entries[slot].name.utf8Start[offset] != bytes[start + offset] { return false }
    return true
  }

  @inline(__always) private static func words(_ bytes: InputBytes, _ start: Int, _ count: Int) -> (UInt64, UInt64) {
    if count > 8 { return (bytes.word(at: start), bytes.word(at: start + count - 8)) }
    return (bytes.partialWord(at: start, count: count), 0)
  }

  @inline(__always) private static func slot(_ first: UInt64, _ last: UInt64, _ count: Int) -> Int {
    let mixed = (first ^ (last &* 0x9E37_79B9_7F4A_7C15) ^ UInt64(count)) &* 0xD6E8_FEB8_6659_FD93
    return Int(truncatingIfNeeded: mixed >> 57)
  }
}
