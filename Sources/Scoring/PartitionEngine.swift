import Borrowers
import Features
import Models

/// Where the record under decision stands: the `source` of every output, and its headers' trace context.
public struct RecordSource: Sendable {
  public var offset: Int64
  /// The record's Kafka timestamp.
  public var timestamp: EventTime
  public init(offset: Int64, timestamp: EventTime) {
    self.offset = offset
    self.timestamp = timestamp
  }
}

/// Counters of one partition since it was made, for metrics and the status view. What is applied again with outputs
/// muted was counted before, and is not.
public struct EngineCounters: Sendable {
  /// Indexed by `EventKind.rawValue`.
  public var accepted = [UInt64](repeating: 0, count: 18)
  public var repeated = [UInt64](repeating: 0, count: 18)
  /// Accepted events older than the watermark.
  public var late: UInt64 = 0
  public var timersFired: UInt64 = 0
  /// [status.rawValue][severity.rawValue]
  public var alerts = [[UInt64]](repeating: [UInt64](repeating: 0, count: 5), count: 5)
  /// By `LeadStatus.rawValue`.
  public var leads = [UInt64](repeating: 0, count: 4)
  public var scores = ScoreBins()
  public init() {}
}

/// One partition: its borrowers, its watermark, its timers, its settings. Pure: one thing in, outputs out; no I/O, no
/// clock. The same calls give the same outputs and the same state, byte for byte.
///
/// The loop, for each input record: `moveWatermark`, then `step` until it returns false (each fires one timer), then
/// `apply`. For each journal entry: `take`, then `step` until it returns false. A transaction may be cut between two steps.
///
/// An accepted event, and a due date passed, give one score, then at most one alert, then at most one lead, in this order.
/// A `borrower_erased` gives the tombstone on `scores` in the place of the score.
public struct PartitionEngine: ~Copyable {
  let partition: Int32
  let configuration: EngineConfiguration
  var models: ModelSet

  // State: the borrowers' bytes and the partition's values.
  var store: BorrowerStore
  public internal(set) var watermark = EventTime.distantPast
  /// In force; nil before the first `take(.settings)`: then those of the configuration are.
  public internal(set) var settings: DecisionSettings?
  /// The digest of the models in force; nil before the first `take(.models)`.
  public internal(set) var modelsDigest: String?
  /// The version that goes with it.
  public internal(set) var modelsVersion: String?
  /// The offset behind the control record that was taken last; nil before the first.
  public internal(set) var controlPosition: Int64?
  var totals = PlatformTotals()
  /// Input and journal before it are in `totals` already.
  var totalsStand = RecoveryProgress.SlicePosition(inputOffset: .min, journalOffset: .min)

  // Follows from the settings in force.
  var alertPolicy: AlertPolicy
  var leadPolicy: LeadPolicy
  var rules: RuleSet

  // Follows from state and watermark.
  var timers = TimerQueue()
  var passed = PassedTimers()
  var control: ControlDecisions?

  // Checkpoints and recovery.
  /// Ids of borrowers that were erased since the last slice, each behind its length in one byte.
  var tombstones = ByteBuffer(capacity: 64)
  /// Values of the partition as at the first slice of the checkpoint under way.
  var checkpointStart: PartitionValues?
  var recovery = RecoveryProgress()
  var restored: PartitionRecord?

  // The borrower under work and what it takes; reused for every event.
  var id = ByteBuffer(capacity: 64)
  var state = BorrowerState()
  var decision = DecisionState()
  var bytes = ByteBuffer(capacity: 1 << 12)
  var input = ModelInput()
  /// `input` holds the features as of `inputTime`.
  var isInputFilled = false
  var workspace = ModelWorkspace()
  var contributions: [Contribution] = []
  var score = ScoreRecord()
  var loanID: [UInt8] = []
  var platformName: [UInt8] = []

  public internal(set) var counters = EngineCounters()

  public init(partition: Int32, configuration: EngineConfiguration, models: ModelSet) {
    self.partition = partition
    self.configuration = configuration
    self.models = models
    store = BorrowerStore(cap: configuration.memoryCap)
    alertPolicy = AlertPolicy(configuration.settings.alerts)
    leadPolicy = LeadPolicy(configuration.settings.leads)
    rules = RuleSet(configuration.settings.alerts)
    score.context.sourceTopic = Array(configuration.inputTopic.utf8)
    score.context.sourcePartition = partition
    score.context.currency = Array(configuration.currency.utf8)
    use(models)
  }

  public var borrowers: Int { store.count }
  /// Bytes of memory that hold borrowers.
  public var stateBytes: Int { store.residentBytes + timers.residentBytes }
  /// Borrowers whose bytes moved out of memory.
  public var movedOutBorrowers: Int { store.movedOutCount }

  /// From the borrower's next event or timer.
  public mutating func use(_ models: ModelSet) {
    self.models = models
    score.context.modelVersion = Array(models.version.utf8)
    score.utilizationTarget = models.utilization.map { Array($0.target.utf8) } ?? []
  }

  /// The event time rule: the watermark becomes at most `occurredAt` less the lateness and never passes the record's
  /// timestamp. Never moves back.
  public mutating func moveWatermark(occurredAt: EventTime, recordTimestamp: EventTime) {
    watermark = max(watermark, min(occurredAt - configuration.allowedLatenessMilliseconds, recordTimestamp))
  }

  /// Takes what decides besides the input. Settings that differ from those in force are decided by again, by `step`, for
  /// every borrower; the first ones only set. An override is decided by for its borrower, where it is held. Settings are
  /// valid (`DecisionSettings.validate`).
  ///
  /// `journalOffset` is the entry's own when it is read back from the journal, so that borrowers that include it are not
  /// decided again; nil when it is taken for the first time.
  public mutating func take(_ entry: JournalEntry, journalOffset: Int64? = nil) {
    // Nothing is taken for the first time before all was applied again: what borrowers include lies behind.
    if journalOffset == nil { recovery = RecoveryProgress() }
    switch entry {
    case .idleAdvance(let advanced): watermark = max(watermark, advanced)
    case .forecastInterval(let hours):
      if (journalOffset ?? .max) >= totalsStand.journalOffset { totals.setInterval(hours: hours) }
    case .models(let version, let digest):
      modelsVersion = version
      modelsDigest = digest
    case .settings(let taken, let controlID): take(taken, id: controlID, journalOffset: journalOffset)
    case .control(let offset, let id, let change):
      controlPosition = offset + 1
      switch change {
      case .settings(let taken): take(taken, id: id, journalOffset: journalOffset)
      case .models(let version, let digest):
        modelsVersion = version
        modelsDigest = digest
      case .alertOverride(let one): beginControl(id: id, journalOffset: journalOffset, one)
      }
    }
  }

  private mutating func take(_ taken: DecisionSettings, id: String, journalOffset: Int64?) {
    let isFirst = settings == nil
    let hasChanged = settings != taken
    enforce(taken)
    if !isFirst && hasChanged { beginControl(id: id, journalOffset: journalOffset, nil) }
  }

  private mutating func beginControl(id: String, journalOffset: Int64?, _ one: AlertOverride?) {
    precondition(control == nil, "the steps of a journal entry are done before the next one is taken")
    control = ControlDecisions(
      id: Array(id.utf8), asOf: watermark, journalOffset: journalOffset, alertOverride: one)
  }

  /// Brings settings into force; nobody is decided again.
  mutating func enforce(_ taken: DecisionSettings) {
    settings = taken
    alertPolicy = AlertPolicy(taken.alerts)
    leadPolicy = LeadPolicy(taken.leads)
    rules = RuleSet(taken.alerts)
  }

  /// Whether `step` may have something to do. After a record is applied this is so where it announced a due date that
  /// the watermark has passed already: it fires before the next record.
  public var hasPendingSteps: Bool {
    control != nil || !passed.isEmpty || timers.first < watermark || totals.next < watermark
  }

  /// Does the next pending piece of work (one borrower of a changed threshold, in byte order of id; or a timer that the
  /// watermark has passed, in the order due time, kind, borrower_id, loan_id; or, behind these, a forecast time that it has
  /// passed: the platforms' totals are written). False when none is left.
  public mutating func step(_ source: RecordSource, _ outputs: inout OutputBatch) -> Bool {
    score.context.sourceOffset = source.offset
    if control != nil, decideAgain(&outputs) { return true }
    return fireNextTimer(&outputs) || passForecastTime(&outputs)
  }
}

// MARK: The borrower under work

extension PartitionEngine {
  /// A borrower's next timer.
  struct Timer: Equatable {
    var due: EventTime
    var kind: Trigger
    static let none = Timer(due: .distantFuture, kind: .duePassed)
  }

  /// The earliest timer of the borrower under work; at the same time a due date, then a lead's end, then an override's.
  @inline(__always) var nextTimer: Timer {
    let due = state.nextDue
    let leadEnd = decision.leadTimer
    let first = leadEnd < due ? Timer(due: leadEnd, kind: .leadExpired) : Timer(due: due, kind: .duePassed)
    return decision.overrideTimer < first.due ? Timer(due: decision.overrideTimer, kind: .control) : first
  }

  /// The latest of the borrower's events and fired timers. The end of a lead is a borrower's time: where a lead's timer
  /// was the last thing to happen, the features part knows nothing of it.
  @inline(__always) var borrowerTime: EventTime { max(state.borrowerTime, decision.leadEndedAt) }

  /// When a timer may fire.
  @inline(__always) func fireTime(_ timer: Timer) -> EventTime {
    timer.due == .distantFuture ? .distantFuture : unsafe timer.due + Murmur.timerJitterMilliseconds(id.bytes)
  }

  @inline(__always) mutating func load(_ handle: BorrowerHandle?) {
    isInputFilled = false
    guard let handle else {
      state.reset()
      decision.reset()
      return
    }
    bytes.removeAll()
    store.read(handle, into: &bytes)
    do throws(StateError) {
      let held = unsafe bytes.bytes
      let own = try unsafe state.decode(held)
      try unsafe decision.decode(UnsafeBufferPointer(rebasing: held[own...]))
    } catch {
      // What is restored is decoded once before it is taken: these bytes are ours.
      preconditionFailure("a borrower's bytes in memory are damaged")
    }
  }

  /// Loads a borrower with its id.
  mutating func loadWithID(_ handle: BorrowerHandle) {
    id.removeAll()
    store.readID(handle, into: &id)
    load(handle)
  }

  @discardableResult @inline(__always) mutating func save() -> BorrowerHandle {
    bytes.removeAll()
    state.encode(into: &bytes)
    decision.encode(into: &bytes)
    return unsafe store.write(id.bytes, bytes.bytes)
  }
}
