/// A bit for each block of an arena: whether the borrower that begins there has changed.
struct ChangedMarks: ~Copyable {
  private var words: [[UInt64]] = []
  private var cursor = 0
  /// In words; nil before the first round.
  private var roundEnd: Int?
  private(set) var count = 0
  /// Bytes of the marked borrowers.
  private(set) var bytes = 0

  private static let wordsPerSegment = BlockArena.blocksPerSegment / 64

  var residentBytes: Int { words.count * ChangedMarks.wordsPerSegment * 8 }

  mutating func mark(_ block: UInt32, bytes now: Int, before: Int) {
    let (segment, word, bit) = ChangedMarks.place(block)
    // In segments, so that growing copies nothing.
    while segment >= words.count { words.append([UInt64](repeating: 0, count: ChangedMarks.wordsPerSegment)) }
    if words[segment][word] & bit == 0 {
      words[segment][word] |= bit
      count += 1
      bytes += now
    } else {
      bytes += now - before
    }
  }

  mutating func clear(_ block: UInt32, bytes held: Int) {
    let (segment, word, bit) = ChangedMarks.place(block)
    guard segment < words.count, words[segment][word] & bit != 0 else { return }
    words[segment][word] &= ~bit
    count -= 1
    bytes -= held
  }

  func contains(_ block: UInt32) -> Bool {
    let (segment, word, bit) = ChangedMarks.place(block)
    return segment < words.count && words[segment][word] & bit != 0
  }

  /// From here on `next` goes through the arena once, as far as it reaches now, and then returns nil.
  mutating func startRound() {
    cursor = 0
    roundEnd = words.count * ChangedMarks.wordsPerSegment
  }

  /// The next marked block from the cursor on; its mark stays.
  mutating func next() -> UInt32? {
    guard count > 0 else { return nil }
    while true {
      if let roundEnd, cursor >= roundEnd { return nil }
      let segment = cursor / ChangedMarks.wordsPerSegment
      let word = cursor % ChangedMarks.wordsPerSegment
      if segment >= words.count {
        cursor = 0
        continue
      }
      let bits = words[segment][word]
      if bits != 0 { return UInt32(cursor * 64 + bits.trailingZeroBitCount) }
      cursor += 1
    }
  }

  @inline(__always) private static func place(_ block: UInt32) -> (segment: Int, word: Int, bit: UInt64) {
    (Int(block >> 16), Int(block & 0xFFFF) >> 6, 1 << UInt64(block & 63))
  }
}
