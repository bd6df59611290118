import Borrowers
import Scoring

/// Compares what was published with what a replay decides: every record that is still in its topic, key by key and in
/// order, byte for byte with its headers. Memory: some 48 bytes for each published record and 64 for each key.
///
///     try verification.readPublished(reader)
///     ... verification.take(outputs) for all that the replay decides ...
///     verification.finish()
///
/// What may be gone: of a topic of cleanup `delete`, a beginning; of `scores`, which is compacted, any record but the
/// newest of its key. Used by one thread.
public final class ReplayVerification {
  /// What was compared of one topic.
  public struct Count: Equatable, Sendable {
    public var topic: OutputTopic
    /// Records that are still there and equal what is decided again.
    public var equal = 0
    /// Decided again, and not there any more: deleted by retention, or compacted away.
    public var gone = 0
    /// Keys whose records differ.
    public var different = 0
  }

  public static let topics: [OutputTopic] = [.scores, .alerts, .leads, .deadLetters]

  /// The replay goes further than what was read: it was still publishing meanwhile. The newest records of a key may be
  /// missing.
  public var mayMissNewest = false
  /// The replay ends before what was read does: an end was given. Records decided after it may be there.
  public var mayHoldMore = false
  private var parts: [OutputTopic: TopicComparison] = [:]
  private var marking: RecordMarking

  public init(format: RecordFormat) { marking = RecordMarking(format: format) }

  public var counts: [Count] { Self.topics.compactMap { parts[$0]?.count } }

  /// The first difference of each key, by topic, partition and offset.
  public private(set) var differences: [ReplayDifference] = []

  // MARK: Reading

  /// Reads what is published now.
  public func readPublished(
    _ reader: any PublishedReader, while isWanted: () -> Bool = { true }, progress: (Int) -> Void = { _ in }
  ) throws {
    var read = 0
    for topic in Self.topics {
      var part = TopicComparison(topic: topic)
      part.partitions = try reader.partitions(of: topic)
      for partition in 0..<Int32(part.partitions) {
        let bounds = try reader.bounds(of: topic, partition)
        part.starts.append(bounds.lowerBound)
        try reader.read(topic, partition, bounds, while: isWanted) { record in
          part.append(marking.mark(topic, record), partition: record.partition, offset: record.offset)
          read += 1
          if read & 0xFFFF == 0 { progress(read) }
        }
      }
      part.index()
      parts[topic] = part
    }
  }

  // MARK: Comparing

  public func take(_ outputs: borrowing OutputBatch) {
    for entry in outputs.entries where parts[entry.topic] != nil {
      let mark = marking.mark(entry, outputs)
      parts[entry.topic]?.take(mark, isTombstone: entry.valueCount < 0)
    }
  }

  /// All was decided again.
  public func finish() {
    differences = []
    for topic in Self.topics {
      parts[topic]?.finish(mayMissNewest: mayMissNewest, mayHoldMore: mayHoldMore)
      differences += parts[topic]?.differences ?? []
    }
  }
}

/// A record of a key that does not follow from the log, or is missing.
public struct ReplayDifference: Equatable, Sendable {
  public var topic: OutputTopic
  /// Of the record that is there; nil where one is missing.
  public var partition: Int32?
  public var offset: Int64?
  /// The 64-bit hash of its key (of a dead letter: of its source).
  public var place: UInt64
  /// Which of the records decided for the key it stands against, from 0; nil where nothing is left to stand against.
  public var ordinal: Int?
}

/// One topic's published records, and how far each key is compared.
struct TopicComparison {
  private struct Mark {
    var mark: RecordMark
    var partition: Int32
    var offset: Int64
  }

  private struct Key {
    var next: Int32
    var first: Int32
    var end: Int32
    var decided: Int32 = 0
    var isBroken = false
    /// The first decided record that nothing is left to stand against; -1: none.
    var missing: Int32 = -1
  }

  /// How many records of a key a decided one is looked for among, before it counts as gone.
  private static let lookAhead = 8

  let topic: OutputTopic
  var partitions = 0
  /// Of each partition, the first offset that is there.
  var starts: [Int64] = []
  private(set) var differences: [ReplayDifference] = []
  private(set) var count: ReplayVerification.Count
  private var marks: [Mark] = []
  private var keys: [UInt64: Key] = [:]

  init(topic: OutputTopic) {
    self.topic = topic
    count = ReplayVerification.Count(topic: topic)
  }

  private var isCompacted: Bool { topic == .scores }
  /// Whether a beginning was deleted.
  private var isCut: Bool { starts.contains { $0 > 0 } }

  mutating func append(_ mark: RecordMark, partition: Int32, offset: Int64) {
    marks.append(Mark(mark: mark, partition: partition, offset: offset))
  }

  /// All is read: the records of each key, in order.
  mutating func index() {
    marks.sort { a, b in
      if a.mark.place != b.mark.place { return a.mark.place < b.mark.place }
      return a.partition != b.partition ? a.partition < b.partition : a.offset < b.offset
    }
    var start = 0
    while start < marks.count {
      var end = start + 1
      while end < marks.count, marks[end].mark.place == marks[start].mark.place { end += 1 }
      keys[marks[start].mark.place] = Key(next: Int32(start), first: Int32(start), end: Int32(end))
      start = end
    }
  }

  mutating func take(_ mark: RecordMark, isTombstone: Bool) {
    var key = keys[mark.place] ?? Key(next: 0, first: 0, end: 0)
    defer {
      key.decided += 1
      keys[mark.place] = key
    }
    guard !key.isBroken else { return }
    if key.next < key.end, marks[Int(key.next)].mark == mark {
      key.next += 1
      key.missing = -1
      count.equal += 1
    } else if isCompacted || (isCut && key.next == key.first) {
      // Deleted in time, unless a later one is the same: then what stands before that follows from nothing.
      let ahead = key.next..<min(key.end, key.next + Int32(Self.lookAhead))
      if ahead.contains(where: { marks[Int($0)].mark == mark }) { return differ(&key, at: marks[Int(key.next)]) }
      count.gone += 1
      // Compaction keeps the newest record of a key; a tombstone goes in time.
      key.missing = isCompacted && !isTombstone ? key.decided : -1
    } else if key.next < key.end {
      differ(&key, at: marks[Int(key.next)])
    } else if key.missing < 0 {
      key.missing = key.decided
    }
  }

  private mutating func differ(_ key: inout Key, at mark: Mark) {
    key.isBroken = true
    count.different += 1
    differences.append(
      ReplayDifference(
        topic: topic, partition: mark.partition, offset: mark.offset, place: mark.mark.place,
        ordinal: isCompacted || isCut ? nil : Int(key.decided)))
  }

  mutating func finish(mayMissNewest: Bool, mayHoldMore: Bool) {
    let mayLackNewest = mayMissNewest || (isCompacted && (isCut || mayHoldMore))
    for place in keys.keys.sorted() {
      guard var key = keys[place], !key.isBroken else { continue }
      if key.next < key.end {
        if !mayHoldMore { differ(&key, at: marks[Int(key.next)]) }
      } else if key.missing >= 0, !mayLackNewest {
        count.different += 1
        differences.append(
          ReplayDifference(topic: topic, partition: nil, offset: nil, place: place, ordinal: Int(key.missing)))
      }
    }
    differences.sort { a, b in
      (a.partition ?? .max, a.offset ?? .max, a.place) < (b.partition ?? .max, b.offset ?? .max, b.place)
    }
  }
}
