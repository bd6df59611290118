import Borrowers

/// Events one after the other, each as a line of JSON, in bounded memory: a file, standard input, or the rows of a
/// database.
protocol EventLines: ~Copyable {
  /// The next line, in `line`.
  mutating func readLine(into line: inout ByteBuffer) throws(HistoryError) -> LineReader.Line
  /// How far reading has come, out of `total`: bytes of a file as it lies on disk, rows of a database.
  var done: Int64 { get }
  /// 0 where unknown.
  var total: Int64 { get }
  /// What one is called: a line or a row.
  var unit: BadLine.Unit { get }
}

extension LineReader: EventLines {
  var done: Int64 { offset }
  var total: Int64 { fileSize }
  var unit: BadLine.Unit { .line }
}

/// Whose events are kept, out of a history that several processes read: borrowers are dealt out by the hash of their id.
public struct HistoryShard: Equatable, Sendable {
  /// 0..<count.
  public let index: Int
  public let count: Int

  /// Nil unless 0 <= number <= count; shards are numbered from 1 or from 0, the last being the same as the 0th.
  public init?(number: Int, of count: Int) {
    guard count >= 1, number >= 0, number <= count else { return nil }
    index = number % count
    self.count = count
  }

  /// `3/8`.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let number = Int(parts[0]), let count = Int(parts[1]) else { return nil }
    self.init(number: number, of: count)
  }

  func contains(hash: UInt64) -> Bool { Int((hash >> 32) % UInt64(count)) == index }
  /// A bad line has no borrower; each is told by one shard.
  func contains(line: Int) -> Bool { line % count == index }
}
