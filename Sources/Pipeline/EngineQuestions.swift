import Borrowers
import Scoring
import Synchronization

/// What is known of one borrower here.
public enum BorrowerAnswer: Sendable {
  case found(BorrowerView)
  /// Its partition is held here, and does not hold it.
  case unknown(partition: Int32)
  /// Its partition is being restored or given up.
  case notReady(partition: Int32)
  /// Its partition is another instance's.
  case elsewhere(partition: Int32)
  /// The loop did not answer in time.
  case late(partition: Int32)
}

/// What a preview came to over the partitions that are held here.
public struct PreviewAnswer: Sendable {
  public var counts = PreviewCounts()
  public var partitions: [Int32] = []
  /// All of the partitions were counted to their end, and all workers answered in time.
  public var isComplete = true
}

/// Questions to the engines of one worker: its loop answers them between two polls, and long ones in slices.
final class WorkerInbox: Sendable {
  enum Question: Sendable {
    case borrower([UInt8], partition: Int32, Mailbox<BorrowerAnswer>)
    case preview(DecisionSettings, Mailbox<PreviewAnswer>)
  }

  /// More are answered `late`: each waits for a loop that is busy.
  static let waitingMax = 1_024

  private let state = Mutex<(questions: [Question], wake: (@Sendable () -> Void)?)>(([], nil))
  private let hasAny = Atomic(false)

  /// False when there are too many.
  func ask(_ question: Question) -> Bool {
    let (isTaken, wake) = state.withLock { state -> (Bool, (@Sendable () -> Void)?) in
      guard state.questions.count < Self.waitingMax else { return (false, nil) }
      state.questions.append(question)
      hasAny.store(true, ordering: .releasing)
      return (true, state.wake)
    }
    wake?()
    return isTaken
  }

  func onQuestion(_ wake: @escaping @Sendable () -> Void) { state.withLock { $0.wake = wake } }

  func takeAll() -> [Question] {
    guard hasAny.load(ordering: .acquiring) else { return [] }
    return state.withLock { state in
      hasAny.store(false, ordering: .relaxed)
      defer { state.questions.removeAll() }
      return state.questions
    }
  }
}

/// A preview under way over a worker's partitions, one after the other.
final class PreviewRun {
  /// Time in the loop for one slice: what an event may wait for it.
  static let sliceNanoseconds: Int64 = 8_000_000
  private static let borrowersPerLook = 256

  private let reply: Mailbox<PreviewAnswer>
  private let settings: DecisionSettings
  private var answer = PreviewAnswer()
  private var remaining: [Int32]
  /// The partition that is being counted, and what it came to so far.
  private var current: Int32?
  private var preview: SettingsPreview

  init(_ settings: DecisionSettings, partitions: [Int32], reply: Mailbox<PreviewAnswer>) {
    self.settings = settings
    preview = SettingsPreview(settings)
    remaining = partitions.sorted().reversed()
    self.reply = reply
  }

  /// Goes on for a slice; true when it has answered.
  func advance(clock: any Clock, _ runner: (Int32) -> PartitionRunner?) -> Bool {
    let deadline = clock.monotonic + Self.sliceNanoseconds
    repeat {
      guard let partition = current ?? remaining.popLast() else {
        reply.put(answer)
        return true
      }
      if current == nil {
        current = partition
        preview = SettingsPreview(settings)
      }
      guard let held = runner(partition) else {
        answer.isComplete = false
        current = nil
        continue
      }
      guard !held.engine.advance(&preview, limit: Self.borrowersPerLook) else { continue }
      answer.counts.merge(preview.counts)
      answer.partitions.append(partition)
      current = nil
    } while clock.monotonic < deadline
    return false
  }
}

extension Worker {
  /// Answers what was asked since, and goes on with a preview under way.
  func answerQuestions() {
    for question in inbox.takeAll() {
      switch question {
      case .borrower(let id, let partition, let reply): reply.put(answer(id, partition))
      case .preview(let settings, let reply):
        previews.append(PreviewRun(settings, partitions: liveRunners.map(\.partition), reply: reply))
      }
    }
    guard let first = previews.first else { return }
    let isDone = first.advance(clock: context.clock) { partition in
      state.phase(partition) == .live ? runners[partition] : nil
    }
    if isDone { previews.removeFirst() }
  }

  private func answer(_ id: [UInt8], _ partition: Int32) -> BorrowerAnswer {
    guard let phase = state.phase(partition) else { return .elsewhere(partition: partition) }
    guard phase == .live, let runner = runners[partition] else { return .notReady(partition: partition) }
    return runner.engine.view(id).map { .found($0) } ?? .unknown(partition: partition)
  }
}

extension Daemon {
  /// The partition that Kafka's default partitioner gives a borrower; nil before the start.
  public func partition(ofBorrower id: [UInt8]) -> Int32? {
    guard let count = partitionCount else { return nil }
    return unsafe id.withUnsafeBufferPointer { unsafe Int32(Murmur.partition(of: $0, count: count)) }
  }

  /// Asks every worker; nil before the start.
  public func borrower(_ id: [UInt8], waitMilliseconds: Int) -> BorrowerAnswer? {
    guard let partition = partition(ofBorrower: id) else { return nil }
    let replies = inboxes.map { inbox -> Mailbox<BorrowerAnswer>? in
      let reply = Mailbox<BorrowerAnswer>()
      return inbox.ask(.borrower(id, partition: partition, reply)) ? reply : nil
    }
    let deadline = SystemClock().monotonic + Int64(waitMilliseconds) * 1_000_000
    var best = BorrowerAnswer.elsewhere(partition: partition)
    for reply in replies {
      let left = max(0, Int((deadline - SystemClock().monotonic) / 1_000_000))
      switch reply?.take(waitMilliseconds: left) {
      case .elsewhere: continue
      case nil: best = .late(partition: partition)
      case .some(let answer): return answer
      }
    }
    return best
  }

  /// What settings would do to all borrowers held here, decided from their scores. Nil before the start.
  public func preview(_ settings: DecisionSettings, waitMilliseconds: Int) -> PreviewAnswer? {
    guard partitionCount != nil else { return nil }
    let replies = inboxes.map { inbox -> Mailbox<PreviewAnswer>? in
      let reply = Mailbox<PreviewAnswer>()
      return inbox.ask(.preview(settings, reply)) ? reply : nil
    }
    let deadline = SystemClock().monotonic + Int64(waitMilliseconds) * 1_000_000
    var all = PreviewAnswer()
    for reply in replies {
      let left = max(0, Int((deadline - SystemClock().monotonic) / 1_000_000))
      guard let answer = reply?.take(waitMilliseconds: left) else {
        all.isComplete = false
        continue
      }
      all.counts.merge(answer.counts)
      all.partitions += answer.partitions
      if !answer.isComplete { all.isComplete = false }
    }
    all.partitions.sort()
    return all
  }
}
