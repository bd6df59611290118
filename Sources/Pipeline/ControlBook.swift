import Borrowers
import Models
import Scoring

/// All that the control topic says, as of one offset: a value that each worker reads its partitions' next entries from.
struct ControlBook: Sendable {
  /// Records kept for partitions that are behind and for the audit list; the settings and models in force are known
  /// without them.
  static let recordsMax = 20_000

  /// In order of offset; the oldest may be gone.
  private(set) var records: [ControlRecord] = []
  /// The offset behind the last record.
  private(set) var end: Int64 = 0
  /// Records before it are not in the topic any more, though a partition had taken them: it was made anew.
  var lostEnd: Int64 = 0
  /// The end when this process started: models of earlier records are those of a time that is over.
  var startEnd: Int64 = 0
  /// The newest.
  private(set) var settings: DecisionSettings
  private(set) var settingsID: String
  /// The newest file's; nil before the first.
  private(set) var fileSettings: DecisionSettings?
  /// The models of this process: its folder's champions at the start, then those of the newest record.
  var models: ModelSet
  /// Rises with each change.
  var version: UInt64 = 1

  init(settings: DecisionSettings, models: ModelSet) {
    self.settings = settings
    settingsID = settings.fileControlID
    self.models = models
  }

  /// Takes the next record. A file that says what the newest file said is none: two instances may find the same edit.
  mutating func append(_ record: ControlRecord) {
    end = record.offset + 1
    version += 1
    if case .file(let settings) = record.content {
      guard settings != fileSettings else { return }
      fileSettings = settings
    }
    if let settings = record.settings {
      self.settings = settings
      settingsID = record.id
    }
    records.append(record)
    if records.count > Self.recordsMax { records.removeFirst(Self.recordsMax / 4) }
  }

  /// A record that cannot be read counts as read.
  mutating func skip(_ offset: Int64) {
    end = offset + 1
    version += 1
  }

  /// Whether all that a partition looked at was read here too. Where not, the instance that held it before had read
  /// further, and the partition waits: what is the newest here would take it back.
  func covers(_ cursor: Int64?) -> Bool { cursor.map { $0 <= max(end, lostEnd) } ?? true }

  /// The entry that a partition takes next, with the models that it brings; nil when it is up to date. `cursor` moves
  /// behind what was looked at, the entry's record included.
  ///
  /// - Records from the partition's position on, each in its turn: settings, overrides of the partition's borrowers, and
  ///   models of this process's time.
  /// - Then, where they are not in force yet, the newest settings, and the models of this process: so a partition that
  ///   begins, or whose control topic was made anew, stands where all others stand.
  func next(
    _ cursor: inout Int64?, partition: Int32, settings held: DecisionSettings?, modelsDigest: String?
  ) -> (entry: JournalEntry, models: ModelSet?)? {
    if let position = cursor, position <= end {
      for record in records[firstIndex(from: position)...] {
        cursor = record.offset + 1
        if let entry = entry(of: record, partition, held, modelsDigest) {
          return (entry, entry.models == nil ? nil : models)
        }
      }
    }
    cursor = end
    let last = max(0, end - 1)
    if held != settings { return (.control(offset: last, id: settingsID, .settings(settings)), nil) }
    if modelsDigest != models.digest {
      let change = ControlChange.models(version: models.version, digest: models.digest)
      return (.control(offset: last, id: "models", change), models)
    }
    return nil
  }

  private func entry(
    of record: ControlRecord, _ partition: Int32, _ held: DecisionSettings?, _ modelsDigest: String?
  ) -> JournalEntry? {
    switch record.content {
    case .settings(let settings), .file(let settings):
      return settings == held ? nil : .control(offset: record.offset, id: record.id, .settings(settings))
    case .models(let version, let digest):
      // Records are read no further than to models that are loaded: only the newest can be those of the process.
      guard record.offset >= startEnd, digest != modelsDigest, digest == models.digest else { return nil }
      return .control(offset: record.offset, id: record.id, .models(version: version, digest: digest))
    case .alertOverride(let place, let one):
      return place == partition ? .control(offset: record.offset, id: record.id, .alertOverride(one)) : nil
    }
  }

  private func firstIndex(from offset: Int64) -> Int {
    var (low, high) = (0, records.count)
    while low < high {
      let middle = (low + high) / 2
      if records[middle].offset < offset { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
