/// When the outputs that are waiting are handed over: as soon as the input runs dry, at the latest after the interval,
/// and never more often than every 10 ms, since a commit costs the broker the same whatever it holds.
public struct CommitPolicy: Sendable {
  public static let pauseMinNanoseconds: Int64 = 10_000_000

  public var intervalNanoseconds: Int64
  private var lastCut = Int64.min / 2
  /// When the oldest output that is waiting was made; nil when none is.
  private var oldest: Int64?

  public init(intervalMilliseconds: Int64) { intervalNanoseconds = intervalMilliseconds * 1_000_000 }

  public mutating func noteWork(at now: Int64) { if oldest == nil { oldest = now } }

  public mutating func noteCut(at now: Int64) {
    lastCut = now
    oldest = nil
  }

  public var hasWork: Bool { oldest != nil }

  public func isDue(at now: Int64, inputIsDry: Bool, isFull: Bool) -> Bool {
    guard let oldest else { return false }
    if isFull { return true }
    guard now - lastCut >= Self.pauseMinNanoseconds else { return false }
    return inputIsDry || now - oldest >= intervalNanoseconds
  }

  /// How long the loop may wait for input when it has run dry: until a commit is due, or `idleMax`. Milliseconds.
  public func waitMilliseconds(at now: Int64, idleMax: Int) -> Int {
    guard oldest != nil else { return idleMax }
    let remaining = lastCut + Self.pauseMinNanoseconds - now
    return max(0, min(idleMax, Int((remaining + 999_999) / 1_000_000)))
  }
}

/// When a partition's checkpoint is written, and how far it is.
public struct CheckpointSchedule: Sendable {
  public struct Progress: Equatable, Sendable {
    /// The first slice's: where re-application begins.
    public var inputOffset: Int64
    public var journalOffset: Int64
    public var started: Int64
    public var records = 0
    public var bytes = 0
  }

  public var intervalNanoseconds: Int64
  public var changedBytesMax: Int
  public private(set) var progress: Progress?
  private var lastFinished: Int64

  /// `phase` 0..<1 shifts the first one, so that a worker's partitions do not all write at once.
  public init(intervalMilliseconds: Int64, changedBytesMax: Int, now: Int64, phase: Double) {
    intervalNanoseconds = intervalMilliseconds * 1_000_000
    self.changedBytesMax = changedBytesMax
    lastFinished = now - Int64(phase * Double(intervalMilliseconds)) * 1_000_000
  }

  /// Whether a slice is to be written now. Nothing changed: no checkpoint.
  public func isDue(at now: Int64, changedBytes: Int) -> Bool {
    if progress != nil { return true }
    guard changedBytes > 0 else { return false }
    return changedBytes >= changedBytesMax || now - lastFinished >= intervalNanoseconds
  }

  /// Counts a slice; the first one fixes where re-application begins.
  public mutating func noteSlice(at now: Int64, inputOffset: Int64, journalOffset: Int64, records: Int, bytes: Int) {
    if progress == nil { progress = Progress(inputOffset: inputOffset, journalOffset: journalOffset, started: now) }
    progress?.records += records
    progress?.bytes += bytes
  }

  /// The partition's record is written: returns what the checkpoint came to.
  public mutating func finish(at now: Int64) -> Progress? {
    defer {
      progress = nil
      lastFinished = now
    }
    return progress
  }
}
