// A virtual clock, and tasks that take turns: each has a thread, one of them runs, and which one is decided by the times
// at which they want to go on. The same seed gives the same order, so a failure replays exactly.

import Dispatch
import Foundation
import Pipeline
import Synchronization

/// A simulated process: what is killed and paused as one.
final class SimulatedProcess: @unchecked Sendable {
  // Touched by the thread whose turn it is.
  let name: String
  let settings: PipelineSettings
  /// `kill -9`: nothing of it has an effect any more.
  private(set) var isDead = false
  /// `SIGSTOP` until then, in nanoseconds of the virtual clock.
  var pausedUntil: Int64 = 0
  var isStopping = false
  var workers: [Worker] = []
  /// There when its start has come so far.
  var control: ControlCenter?
  let startedWorkers: Int
  var endedWorkers = 0
  var failure: BrokerError?

  init(name: String, settings: PipelineSettings, workers: Int) {
    self.name = name
    self.settings = settings
    startedWorkers = workers
  }

  func kill() {
    isDead = true
    control?.stop()
  }

  var hasEnded: Bool { isDead || endedWorkers == startedWorkers }

  /// What holds it is let go.
  func forget() {
    workers.removeAll()
    control = nil
  }
}

/// Used by one thread at a time: the one whose turn it is.
final class Scheduler: @unchecked Sendable {
  // Whoever has the turn hands it over through a semaphore, which orders all that the two do.
  private final class Turn: @unchecked Sendable {
    let process: SimulatedProcess?
    /// Of those due at one time the one that came first.
    var number: Int
    var wakeAt: Int64
    /// It waits for something to happen, and not for its time alone.
    var isWaiting = false
    let semaphore = DispatchSemaphore(value: 0)

    init(process: SimulatedProcess?, number: Int, wakeAt: Int64) {
      self.process = process
      self.number = number
      self.wakeAt = wakeAt
    }

    /// When it goes on: a dead process's at once, so that its threads come to their end; a paused one's later.
    var due: Int64 {
      guard let process else { return wakeAt }
      return process.isDead ? .min : max(wakeAt, process.pausedUntil)
    }
  }

  /// Nanoseconds.
  private(set) var now: Int64 = 1_000_000_000
  private(set) var switches = 0
  private var turns: [Turn] = []
  private var current: Turn?
  private var nextNumber = 0
  private let finished = DispatchSemaphore(value: 0)

  /// Reading the clock takes a microsecond.
  func tick() -> Int64 {
    now += 1_000
    return now
  }

  /// Makes a task; it begins when its time comes.
  func spawn(_ process: SimulatedProcess?, after nanoseconds: Int64 = 0, _ body: @escaping () -> Void) {
    let turn = Turn(process: process, number: nextNumber, wakeAt: now + nanoseconds)
    nextNumber += 1
    turns.append(turn)
    let work = UncheckedBody(body: body)
    TaskThread.take().run { [self] in
      turn.semaphore.wait()
      work.body()
      end(turn)
    }
  }

  /// The task goes on after so long; others have their turns meanwhile.
  func rest(_ nanoseconds: Int64, isWaiting: Bool = false) {
    guard let mine = current else { preconditionFailure("only a task rests") }
    mine.wakeAt = now + max(0, nanoseconds)
    mine.isWaiting = isWaiting
    mine.number = nextNumber
    nextNumber += 1
    hand(to: next(), from: mine)
    mine.isWaiting = false
  }

  /// The tasks of a process that wait for something to happen go on.
  func wake(_ process: SimulatedProcess) {
    for turn in turns where turn.process === process && turn.isWaiting { turn.wakeAt = min(turn.wakeAt, now) }
  }

  /// Runs all tasks to their ends.
  func run() {
    guard !turns.isEmpty else { return }
    let first = next()
    current = first
    first.semaphore.signal()
    finished.wait()
  }

  private func next() -> Turn {
    var best = turns[0]
    for turn in turns.dropFirst() where (turn.due, turn.number) < (best.due, best.number) { best = turn }
    now = max(now, best.due)
    return best
  }

  private func hand(to turn: Turn, from mine: Turn) {
    guard turn !== mine else { return }
    switches += 1
    current = turn
    turn.semaphore.signal()
    mine.semaphore.wait()
  }

  private func end(_ mine: Turn) {
    turns.removeAll { $0 === mine }
    guard !turns.isEmpty else {
      current = nil
      finished.signal()
      return
    }
    let following = next()
    current = following
    following.semaphore.signal()
  }
}

/// Sent to the thread that runs it; it touches only what the scheduler's turns order.
private struct UncheckedBody: @unchecked Sendable { let body: () -> Void }

/// Threads are kept: a run has hundreds of tasks, and there are thousands of runs.
private final class TaskThread: Sendable {
  private static let idle = Mutex<[TaskThread]>([])
  private let work = Mutex<(@Sendable () -> Void)?>(nil)
  private let wanted = DispatchSemaphore(value: 0)

  static func take() -> TaskThread { idle.withLock { $0.popLast() } ?? TaskThread() }

  private init() {
    let thread = Thread { [self] in
      while true {
        wanted.wait()
        let body = work.withLock { $0 }
        body?()
        work.withLock { $0 = nil }
        Self.idle.withLock { $0.append(self) }
      }
    }
    thread.stackSize = 1 << 20
    thread.start()
  }

  func run(_ body: @escaping @Sendable () -> Void) {
    work.withLock { $0 = body }
    wanted.signal()
  }
}

/// The clocks of a simulated process. The wall clock runs faster than the other, so that hours of event time pass in a run.
final class SimulatedClock: Clock, @unchecked Sendable {
  // Read by the thread whose turn it is.
  static let wallSpeed: Int64 = 2_000
  static let epoch: Int64 = 1_780_000_000_000
  private let scheduler: Scheduler

  init(_ scheduler: Scheduler) { self.scheduler = scheduler }

  var monotonic: Int64 { scheduler.tick() }
  var wall: Int64 { Self.wall(at: scheduler.now) }
  func rest(milliseconds: Int64) { scheduler.rest(milliseconds * 1_000_000) }

  static func wall(at now: Int64) -> Int64 { epoch + now * wallSpeed / 1_000_000 }
}

/// One of a worker's two background threads: its requests one after the other, as a task.
final class SimulatedLane: BackgroundLane, @unchecked Sendable {
  // Touched by the thread whose turn it is.
  private let scheduler: Scheduler
  private let process: SimulatedProcess
  private var waiting: [@Sendable () -> Void] = []
  private var isRunning = false

  init(_ scheduler: Scheduler, _ process: SimulatedProcess) {
    self.scheduler = scheduler
    self.process = process
  }

  func run(_ work: @escaping @Sendable () -> Void) {
    waiting.append(work)
    guard !isRunning else { return }
    isRunning = true
    scheduler.spawn(process) { [self] in
      while !waiting.isEmpty { waiting.removeFirst()() }
      isRunning = false
    }
  }

  func wait(milliseconds: Int) { scheduler.rest(Int64(milliseconds) * 1_000_000, isWaiting: true) }
}
