import Borrowers
import Scoring

/// A record of a partition's journal: what decided besides the input, with the input offset it precedes.
/// Bytes: a version (1), the offset as a little-endian 64-bit integer, the entry.
public struct JournalRecord: Equatable, Sendable {
  public static let version: UInt8 = 1

  public var precedes: Int64
  public var entry: JournalEntry

  public init(precedes: Int64, entry: JournalEntry) {
    self.precedes = precedes
    self.entry = entry
  }

  public func encode(into buffer: inout ByteBuffer) {
    buffer.append(Self.version)
    buffer.append(littleEndian: precedes)
    entry.encode(into: &buffer)
  }

  /// Nil when the bytes are damaged or of a newer version.
  public init?(_ bytes: UnsafeBufferPointer<UInt8>) {
    guard bytes.count > 9, unsafe bytes[0] == Self.version else { return nil }
    precedes = unsafe Int64(littleEndian: UnsafeRawPointer(bytes.baseAddress! + 1).loadUnaligned(as: Int64.self))
    guard let entry = unsafe JournalEntry.decode(UnsafeBufferPointer(rebasing: bytes[9...])) else { return nil }
    self.entry = entry
  }
}
