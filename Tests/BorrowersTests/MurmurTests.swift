import Borrowers
import Testing

@Suite struct MurmurTests {
  @Test(
    arguments: [
      ("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
      ("a-little-bit-longer-string", -1_486_304_829),
      ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971), ("abc", 479_470_107),
    ] as [(String, Int32)])
  func `murmur2 is Kafka's`(text: String, expected: Int32) {
    #expect(Murmur.murmur2(Array(text.utf8)) == UInt32(bitPattern: expected))
  }

  @Test func `partition and jitter come from murmur2 without its sign`() {
    let key = Array("foobar".utf8)
    let positive = Int(UInt32(bitPattern: -790_332_482) & 0x7FFF_FFFF)
    #expect(Murmur.partition(of: key, count: 7) == positive % 7)
    #expect(Murmur.partition(of: key, count: 1) == 0)
    #expect(Murmur.timerJitterMilliseconds(key) == Int64(positive % 600_000))
  }

  @Test func `hash32 is MurmurHash3 for x86`() {
    #expect(Murmur.hash32([]) == 0)
    #expect(Murmur.hash32(Array("test".utf8)) == 0xBA6B_D213)
    #expect(Murmur.hash32(Array("hello".utf8)) == 0x248B_FA47)
    #expect(Murmur.hash32(Array("hello, world".utf8)) == 0x149B_BB7F)
    #expect(Murmur.hash32(Array("The quick brown fox jumps over the lazy dog".utf8)) == 0x2E4F_F723)
  }

  @Test func `hash128 is MurmurHash3 for x64, and hash64 its first half`() {
    func text(_ source: String) -> String {
      String(decoding: Murmur.hash128(Array(source.utf8)).hexadecimal, as: UTF8.self)
    }
    #expect(text("") == "00000000000000000000000000000000")
    #expect(text("hello") == "cbd8a7b341bd9b025b1e906a48ae1d19")
    #expect(text("The quick brown fox jumps over the lazy dog") == "e34bbc7bbc071b6c7a433ca9c49a9347")
    #expect(Murmur.hash64(Array("hello".utf8)) == 0xCBD8_A7B3_41BD_9B02)
  }
}
