/// Austin Appleby's Murmur hashes (public domain, github.com/aappleby/smhasher). `murmur2` is the one that Kafka's default
/// partitioner uses, with Kafka's seed; the others are MurmurHash3 with seed 0. Values go to state bytes and published
/// ids: they never change.
public enum Murmur {
  // MARK: - Kafka's

  /// MurmurHash2, 32 bits, as `org.apache.kafka.common.utils.Utils.murmur2`.
  public static func murmur2(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt32 {
    let input = unsafe InputBytes(bytes)
    let multiplier: UInt32 = 0x5BD1_E995
    var hash: UInt32 = 0x9747_B28C ^ UInt32(truncatingIfNeeded: input.count)
    var index = 0
    while index + 4 <= input.count {
      var block = input.halfWord(at: index) &* multiplier
      block ^= block >> 24
      hash = (hash &* multiplier) ^ (block &* multiplier)
      index += 4
    }
    let left = input.count - index
    if left > 0 {
      hash ^= UInt32(truncatingIfNeeded: input.partialWord(at: index, count: left))
      hash = hash &* multiplier
    }
    hash ^= hash >> 13
    hash = hash &* multiplier
    return hash ^ (hash >> 15)
  }

  /// The partition that Kafka's default partitioner gives a key. `count` is the topic's number of partitions, at least 1.
  public static func partition(of key: UnsafeBufferPointer<UInt8>, count: Int) -> Int {
    precondition(count > 0)
    return unsafe Int(murmur2(key) & 0x7FFF_FFFF) % count
  }

  /// How long after its due time a borrower's timer may fire: less than ten minutes, so that a midnight of a million
  /// dues is spread out.
  public static func timerJitterMilliseconds(_ borrowerID: UnsafeBufferPointer<UInt8>) -> Int64 {
    unsafe Int64(murmur2(borrowerID) & 0x7FFF_FFFF) % 600_000
  }

  // MARK: - MurmurHash3

  /// MurmurHash3_x86_32, seed 0.
  public static func hash32(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt32 {
    let input = unsafe InputBytes(bytes)
    var hash: UInt32 = 0
    var index = 0
    while index + 4 <= input.count {
      hash ^= scrambled(input.halfWord(at: index))
      hash = (hash << 13 | hash >> 19) &* 5 &+ 0xE654_6B64
      index += 4
    }
    let left = input.count - index
    if left > 0 { hash ^= scrambled(UInt32(truncatingIfNeeded: input.partialWord(at: index, count: left))) }
    hash ^= UInt32(truncatingIfNeeded: input.count)
    hash = (hash ^ hash >> 16) &* 0x85EB_CA6B
    hash = (hash ^ hash >> 13) &* 0xC2B2_AE35
    return hash ^ hash >> 16
  }

  /// The first half of `hash128`.
  public static func hash64(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt64 { unsafe hash128(bytes).high }

  /// A 128-bit hash, as MurmurHash3_x64_128 gives its two numbers.
  public struct Hash128: Equatable, Sendable {
    public var high: UInt64
    public var low: UInt64

    /// 32 lower-case hexadecimal digits, `high` first.
    public var hexadecimal: [UInt8] {
      var digits = [UInt8]()
      writeHexadecimal(into: &digits)
      return digits
    }

    /// Replaces `digits` with the 32 lower-case hexadecimal digits; allocates nothing when it has their room.
    public func writeHexadecimal(into digits: inout [UInt8]) {
      digits.removeAll(keepingCapacity: true)
      for half in [high, low] {
        for shift in stride(from: 60, through: 0, by: -4) {
          let digit = UInt8(truncatingIfNeeded: half >> UInt64(shift)) & 15
          digits.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
      }
    }
  }

  /// MurmurHash3_x64_128, seed 0.
  public static func hash128(_ bytes: UnsafeBufferPointer<UInt8>) -> Hash128 {
    let input = unsafe InputBytes(bytes)
    var first: UInt64 = 0
    var second: UInt64 = 0
    var index = 0
    while index + 16 <= input.count {
      first ^= firstScrambled(input.word(at: index))
      first = (rotated(first, 27) &+ second) &* 5 &+ 0x52DC_E729
      second ^= secondScrambled(input.word(at: index + 8))
      second = (rotated(second, 31) &+ first) &* 5 &+ 0x3849_5AB5
      index += 16
    }
    let left = input.count - index
    if left > 8 { second ^= secondScrambled(input.partialWord(at: index + 8, count: left - 8)) }
    if left > 0 { first ^= firstScrambled(input.partialWord(at: index, count: min(left, 8))) }
    first ^= UInt64(input.count)
    second ^= UInt64(input.count)
    first = first &+ second
    second = second &+ first
    first = finished(first)
    second = finished(second)
    first = first &+ second
    second = second &+ first
    return Hash128(high: first, low: second)
  }

  @inline(__always) private static func scrambled(_ block: UInt32) -> UInt32 {
    let product = block &* 0xCC9E_2D51
    return (product << 15 | product >> 17) &* 0x1B87_3593
  }
  @inline(__always) private static func rotated(_ value: UInt64, _ bits: UInt64) -> UInt64 {
    value << bits | value >> (64 - bits)
  }
  @inline(__always) private static func firstScrambled(_ block: UInt64) -> UInt64 {
    rotated(block &* 0x87C3_7B91_1142_53D5, 31) &* 0x4CF5_AD43_2745_937F
  }
  @inline(__always) private static func secondScrambled(_ block: UInt64) -> UInt64 {
    rotated(block &* 0x4CF5_AD43_2745_937F, 33) &* 0x87C3_7B91_1142_53D5
  }
  @inline(__always) private static func finished(_ value: UInt64) -> UInt64 {
    var hash = (value ^ value >> 33) &* 0xFF51_AFD7_ED55_8CCD
    hash = (hash ^ hash >> 33) &* 0xC4CE_B9FE_1A85_EC53
    return hash ^ hash >> 33
  }
}

extension Murmur {
  public static func murmur2(_ bytes: [UInt8]) -> UInt32 {
    unsafe bytes.withUnsafeBufferPointer { unsafe murmur2($0) }
  }
  public static func hash32(_ bytes: [UInt8]) -> UInt32 {
    unsafe bytes.withUnsafeBufferPointer { unsafe hash32($0) }
  }
  public static func hash64(_ bytes: [UInt8]) -> UInt64 {
    unsafe bytes.withUnsafeBufferPointer { unsafe hash64($0) }
  }
  public static func hash128(_ bytes: [UInt8]) -> Hash128 {
    unsafe bytes.withUnsafeBufferPointer { unsafe hash128($0) }
  }
  public static func partition(of key: [UInt8], count: Int) -> Int {
    unsafe key.withUnsafeBufferPointer { unsafe partition(of: $0, count: count) }
  }
  public static func timerJitterMilliseconds(_ borrowerID: [UInt8]) -> Int64 {
    unsafe borrowerID.withUnsafeBufferPointer { unsafe timerJitterMilliseconds($0) }
  }
}
