import Borrowers
import Glibc
import Models
import Scoring
import Synchronization

/// What is asked for while the process runs, by anybody, in the one order of the control topic: it follows the topic on a
/// thread of its own, and appends to it. Workers read the book between two records of their input.
///
/// Any thread may call it.
public final class ControlCenter: Sendable {
  private static let waitMilliseconds = 250
  private static let retryMilliseconds: Int64 = 1_000

  private struct State {
    var book: ControlBook
    /// Of partitions that looked at records which were not read here, the furthest.
    var ahead: Int64 = 0
    /// Why the topic is not followed at the moment; nil while it is.
    var problem: String?
  }

  private let state: Mutex<State>
  /// Of the book: read at each turn of each loop.
  private let version: Atomic<UInt64>
  private let channel: (any ControlChannel)?
  private let appending = Mutex(())
  private let isStopped = Atomic(false)
  private let modelsDirectory: String
  private let fileSettings: DecisionSettings
  private let instanceID: String
  private let clock: any Clock
  private let log: any EventLog

  /// With what the configuration says, and nothing more until `start`.
  package init(
    settings: PipelineSettings, models: ModelSet, channel: (any ControlChannel)?, clock: any Clock,
    log: any EventLog = SilentLog()
  ) {
    var book = ControlBook(settings: settings.engine.settings, models: models)
    if channel == nil { book.lostEnd = .max }
    state = Mutex(State(book: book))
    version = Atomic(1)
    self.channel = channel
    modelsDirectory = settings.modelsDirectory
    fileSettings = settings.engine.settings
    instanceID = settings.instanceID
    self.clock = clock
    self.log = log
  }

  var book: ControlBook { state.withLock { $0.book } }
  var bookVersion: UInt64 { version.load(ordering: .acquiring) }

  /// The newest settings: what a proposal that names only some keys leaves as it is.
  public var settings: DecisionSettings { state.withLock { $0.book.settings } }
  /// What the newest settings decide is published with: `file:…` or `control:…`.
  public var settingsID: String { state.withLock { $0.book.settingsID } }
  public var models: ModelSet { state.withLock { $0.book.models } }
  /// Why changes do not arrive; nil when they do.
  public var problem: String? { state.withLock { $0.problem } }
  /// The offset behind the last record that was read.
  public var end: Int64 { state.withLock { $0.book.end } }
  /// The newest first, from before the offset.
  public func audit(before offset: Int64, limit: Int) -> [ControlRecord] {
    let records = state.withLock { $0.book.records }
    return Array(records.reversed().lazy.filter { $0.offset < offset }.prefix(limit))
  }

  // MARK: The start

  /// Reads the topic to its end, and appends the settings of this instance's file where the newest file of the topic says
  /// something else: an edited file counts as a change. Then follows it.
  func start() throws(BrokerError) {
    try prepare()
    if let channel { startThread { [self] in follow(channel) } }
  }

  /// All of a start but the following, which is then the caller's, by `look`.
  package func prepare() throws(BrokerError) {
    guard let channel else { return }
    try readToEnd(channel)
    if state.withLock({ $0.book.fileSettings }) != fileSettings {
      _ = try submit(.file(fileSettings), by: instanceID, why: "the configuration file at the start")
      try readToEnd(channel)
    }
    state.withLock { $0.book.startEnd = $0.book.end }
  }

  private func readToEnd(_ channel: any ControlChannel) throws(BrokerError) {
    let deadline = clock.monotonic + 20_000_000_000
    let end = try patiently(until: deadline) { () throws(BrokerError) in try channel.end() }
    while state.withLock({ $0.book.end }) < end {
      let next = state.withLock { $0.book.end }
      let entries = try patiently(until: deadline) { () throws(BrokerError) in
        try channel.read(from: next, limit: 1_000, waitMilliseconds: Self.waitMilliseconds)
      }
      for entry in entries { take(entry, loadingModels: false) }
      guard clock.monotonic < deadline else {
        throw BrokerError(.unreachable, "the control topic: offset \(end - 1) is there and is not answered")
      }
    }
  }

  /// A topic that was made a moment ago may have no leader yet.
  private func patiently<Value>(until deadline: Int64, _ body: () throws(BrokerError) -> Value) throws(BrokerError)
    -> Value
  {
    while true {
      do throws(BrokerError) {
        return try body()
      } catch {
        guard error.kind == .retriable || error.kind == .missingTopic, clock.monotonic < deadline else { throw error }
        clock.rest(milliseconds: 100)
      }
    }
  }

  package func stop() { isStopped.store(true, ordering: .relaxed) }

  // MARK: Following

  private func follow(_ channel: any ControlChannel) {
    while !isStopped.load(ordering: .relaxed) { look() }
    // Not while somebody appends.
    appending.withLock { _ in channel.close() }
  }

  /// Waits for records and takes them; one thread at a time.
  package func look() {
    guard let channel else { return }
    do throws(BrokerError) {
      let next = state.withLock { $0.book.end }
      let entries = try channel.read(from: next, limit: 1_000, waitMilliseconds: Self.waitMilliseconds)
      report(nil)
      for entry in entries where !isStopped.load(ordering: .relaxed) {
        while !take(entry, loadingModels: true), !isStopped.load(ordering: .relaxed) {
          clock.rest(milliseconds: Self.retryMilliseconds)
        }
      }
      try findLost(channel)
    } catch {
      report(error.description)
      clock.rest(milliseconds: Self.retryMilliseconds)
    }
  }

  /// A partition looked at records before `position`, and they were not read here yet.
  func noteAhead(_ position: Int64) { state.withLock { $0.ahead = max($0.ahead, position) } }

  /// Records that a partition is ahead by are coming, unless the topic was made anew. Its end says so: it is asked for after
  /// the partition was restored, and so lies behind all that was taken of this topic.
  private func findLost(_ channel: any ControlChannel) throws(BrokerError) {
    let ahead = state.withLock { $0.book.covers($0.ahead) ? nil : $0.ahead }
    guard let ahead, try channel.end() < ahead else { return }
    change { book in
      book.lostEnd = ahead
      book.version += 1
    }
  }

  /// False when models that it names cannot be loaded: nothing behind it is taken before they can.
  @discardableResult private func take(_ entry: ControlEntry, loadingModels: Bool) -> Bool {
    guard let record = ControlRecord(entry.value, offset: entry.offset) else {
      log.record(.controlSkipped(offset: entry.offset))
      change { $0.skip(entry.offset) }
      return true
    }
    var loaded: ModelSet?
    if loadingModels, case .models(let name, let digest) = record.content, digest != models.digest {
      do throws(ModelError) {
        loaded = try ModelSet.load(directory: modelsDirectory, version: name, digest: digest)
      } catch {
        report("models of \(record.id): \(error.description)")
        return false
      }
      report(nil)
    }
    change { book in
      if let loaded { book.models = loaded }
      book.append(record)
    }
    return true
  }

  private func change(_ body: (inout ControlBook) -> Void) {
    let newest = state.withLock { state in
      body(&state.book)
      return state.book.version
    }
    version.store(newest, ordering: .releasing)
  }

  private func report(_ problem: String?) {
    let isNew = state.withLock { state in
      defer { state.problem = problem }
      return state.problem != problem
    }
    if isNew, let problem { log.record(.controlDelayed(reason: problem)) }
  }

  // MARK: Asking

  /// Writes a record; returns it with its offset when all replicas have it. It is taken by every partition of every
  /// instance as each reads it.
  public func submit(_ content: ControlRecord.Content, by: String, why: String) throws(BrokerError) -> ControlRecord {
    guard let channel else {
      throw BrokerError(.unreachable, "the control topic is not connected")
    }
    var record = ControlRecord(
      content: content, at: EventTime(milliseconds: clock.wall), by: Self.bounded(by), why: Self.bounded(why))
    let value = Array(record.json.utf8)
    record.offset = try append(value, to: channel)
    return record
  }

  private func append(_ value: [UInt8], to channel: any ControlChannel) throws(BrokerError) -> Int64 {
    let result: Result<Int64, BrokerError> = appending.withLock { _ in
      do throws(BrokerError) { return .success(try channel.append(value)) } catch { return .failure(error) }
    }
    return try result.get()
  }

  /// Waits until a record that was written is read back, so that what follows is built on it. False when it is not in time.
  @discardableResult public func awaitRead(_ record: ControlRecord, waitMilliseconds: Int) -> Bool {
    let deadline = clock.monotonic + Int64(waitMilliseconds) * 1_000_000
    while end <= record.offset {
      guard clock.monotonic < deadline else { return false }
      clock.rest(milliseconds: 5)
    }
    return true
  }

  /// The champions of the models folder become a record, when they are others than those in force. Throws what is wrong
  /// with them; nil when nothing is to be changed.
  public func reloadModels(by: String, why: String) throws -> ControlRecord? {
    let found = try ModelSet.load(directory: modelsDirectory)
    guard found.digest != models.digest else { return nil }
    return try submit(.models(version: found.version, digest: found.digest), by: by, why: why)
  }

  private static func bounded(_ text: String) -> String {
    var text = text
    while text.utf8.count > ControlRecord.textBytesMax { text.removeLast() }
    return text
  }
}
