// A thread that does one request after the other, so that the loop never blocks on them.

import Glibc
import Synchronization

/// A queue between two threads, with waiting. Bounded by its users: a worker has at most one transaction under way, and
/// one restore for each partition.
@safe package final class Mailbox<Element: Sendable>: @unchecked Sendable {
  // `elements` and `isClosed` are touched only with `lock` held; lock and condition live at one address until deinit.
  private var elements: [Element] = []
  private var isClosed = false
  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  package init() {
    unsafe pthread_mutex_init(lock, nil)
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    unsafe pthread_cond_init(condition, &attributes)
    unsafe pthread_condattr_destroy(&attributes)
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(lock)
    unsafe condition.deallocate()
    unsafe lock.deallocate()
  }

  package func put(_ element: Element) {
    unsafe pthread_mutex_lock(lock)
    elements.append(element)
    unsafe pthread_cond_signal(condition)
    unsafe pthread_mutex_unlock(lock)
  }

  /// Whoever waits gets what is left, then nil.
  package func close() {
    unsafe pthread_mutex_lock(lock)
    isClosed = true
    unsafe pthread_cond_broadcast(condition)
    unsafe pthread_mutex_unlock(lock)
  }

  /// The next element; waits at most `milliseconds` for it (nil: for ever). Nil when there is none in that time, or the
  /// mailbox is closed and empty.
  package func take(waitMilliseconds milliseconds: Int?) -> Element? {
    var deadline = timespec()
    if let milliseconds, milliseconds > 0 {
      unsafe clock_gettime(CLOCK_MONOTONIC, &deadline)
      deadline.tv_sec += milliseconds / 1_000
      deadline.tv_nsec += milliseconds % 1_000 * 1_000_000
      if deadline.tv_nsec >= 1_000_000_000 {
        deadline.tv_sec += 1
        deadline.tv_nsec -= 1_000_000_000
      }
    }
    unsafe pthread_mutex_lock(lock)
    defer { unsafe pthread_mutex_unlock(lock) }
    while elements.isEmpty && !isClosed {
      guard let milliseconds else {
        unsafe pthread_cond_wait(condition, lock)
        continue
      }
      guard milliseconds > 0 else { break }
      if unsafe pthread_cond_timedwait(condition, lock, &deadline) == ETIMEDOUT { break }
    }
    return elements.isEmpty ? nil : elements.removeFirst()
  }
}

/// Starts a thread of its own that runs `body` once. A worker blocks in C for long: it must not hold a thread of a pool.
package func startThread(_ body: @escaping @Sendable () -> Void) {
  let box = unsafe Unmanaged.passRetained(ThreadBody(body: body)).toOpaque()
  var thread = pthread_t()
  let failure = unsafe pthread_create(
    &thread, nil,
    { argument in
      let body = unsafe Unmanaged<ThreadBody>.fromOpaque(argument!).takeRetainedValue()
      body.body()
      return nil
    }, box)
  precondition(failure == 0, "no thread can be started: \(failure)")
  pthread_detach(thread)
}

private final class ThreadBody: Sendable {
  let body: @Sendable () -> Void

  init(body: @escaping @Sendable () -> Void) { self.body = body }
}

/// Runs what is given to it, one after the other. A test has its own, and decides when.
package protocol BackgroundLane: Sendable {
  func run(_ work: @escaping @Sendable () -> Void)
  /// The loop waits for what was given.
  func wait(milliseconds: Int)
}

/// Does all at once, within the call: for tests that go step by step.
package struct ImmediateLane: BackgroundLane {
  package init() {}
  package func run(_ work: @escaping @Sendable () -> Void) { work() }
  package func wait(milliseconds: Int) {}
}

/// Requests to one thread and its answers.
final class Background<Request: Sendable, Answer: Sendable>: Sendable {
  private let requests = Mailbox<Request>()
  private let answers = Mailbox<Answer>()
  private let lane: (any BackgroundLane)?
  private let perform: @Sendable (Request) -> Answer
  private let answered: @Sendable () -> Void
  private let finish: @Sendable () -> Void

  /// `lane` nil: a thread of its own. `answered` is called on it after each answer, `finish` when the requests are closed.
  init(
    lane: (any BackgroundLane)?, answered: @escaping @Sendable () -> Void, finish: @escaping @Sendable () -> Void,
    _ perform: @escaping @Sendable (Request) -> Answer
  ) {
    self.lane = lane
    self.answered = answered
    self.finish = finish
    self.perform = perform
    guard lane == nil else { return }
    startThread { [requests, answers] in
      while let request = requests.take(waitMilliseconds: nil) {
        answers.put(perform(request))
        answered()
      }
      finish()
    }
  }

  func submit(_ request: Request) {
    guard let lane else { return requests.put(request) }
    lane.run { [self] in
      answers.put(perform(request))
      answered()
    }
  }

  func takeAnswer(waitMilliseconds: Int = 0) -> Answer? {
    guard let lane else { return answers.take(waitMilliseconds: waitMilliseconds) }
    if let answer = answers.take(waitMilliseconds: 0) { return answer }
    guard waitMilliseconds > 0 else { return nil }
    lane.wait(milliseconds: waitMilliseconds)
    return answers.take(waitMilliseconds: 0)
  }

  func close() {
    requests.close()
    if let lane { lane.run { [finish] in finish() } }
  }
}

/// The kernel's clocks.
public struct SystemClock: Clock {
  public init() {}
  public var monotonic: Int64 { Self.read(CLOCK_MONOTONIC) }
  public var wall: Int64 { Self.read(CLOCK_REALTIME) / 1_000_000 }

  public func rest(milliseconds: Int64) {
    guard milliseconds > 0 else { return }
    var time = timespec(tv_sec: Int(milliseconds / 1_000), tv_nsec: Int(milliseconds % 1_000) * 1_000_000)
    unsafe nanosleep(&time, nil)
  }

  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
