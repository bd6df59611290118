import Borrowers
import Foundation
import Kafka
import Pipeline
import Simulation
import Synchronization

/// How fast simulated time passes: the first days as fast as they are scored, so that borrowers have a past to be judged
/// by; then at one pace. It stands still while too many events wait, since the embedded broker keeps little.
struct DemoPace: Sendable {
  /// Simulated seconds in one.
  static let acceleration = 86_400.0
  static let headStartDays = 30.0
  static let headStartSeconds = 4.0
  /// Events sent and not yet scored at which time stands still.
  static let waitingMax: UInt64 = 4_000

  /// Simulated seconds since the world's start up to which events may be sent.
  private(set) var horizonSeconds = 0.0
  private var beganAt: Double?
  private var lastNow: Double?

  /// `now` in seconds of any clock; `sent` in simulated seconds since the world's start; `waiting` counts events sent and
  /// not scored; `hasBegun`: some were scored. Time begins then: joining a group takes seconds.
  mutating func advance(now: Double, sent: Double, waiting: UInt64, hasBegun: Bool) {
    let step = max(0, now - (lastNow ?? now))
    lastNow = now
    let headStart = Self.headStartDays * 86_400
    guard hasBegun else {
      horizonSeconds = headStart
      return
    }
    let began = beganAt ?? now
    beganAt = began
    guard waiting < Self.waitingMax else { return }
    if now - began < Self.headStartSeconds, sent < headStart - Self.acceleration {
      horizonSeconds = headStart
    } else if horizonSeconds > sent + 2 * Self.acceleration {
      // The head start is over before all of it was sent: go on from where it is.
      horizonSeconds = sent
    } else {
      horizonSeconds += step * Self.acceleration
    }
  }
}

/// Sends the events of a simulated world, on a thread of its own.
final class DemoFeed: Sendable {
  struct Progress: Sendable {
    var sent: UInt64 = 0
    /// Of the newest event sent.
    var eventTime = EventTime.distantPast
    var failure: BrokerError?
    var hasEnded = false
  }

  static let borrowers = 5_000
  private static let daysOfWorld = 365

  private let current = Mutex(Progress())
  private let scored = Atomic<UInt64>(0)
  private let isStopped = Atomic<Bool>(false)

  var progress: Progress { current.withLock { $0 } }

  /// Events that the daemon has done with.
  func note(scored count: UInt64) { scored.store(count, ordering: .relaxed) }
  func stop() { isStopped.store(true, ordering: .relaxed) }

  func start(settings: KafkaSettings, topic: String, log: any EventLog) {
    Thread.detachNewThread { [self] in
      do throws(BrokerError) {
        let feed = try EventFeed(settings: settings, topic: topic, log: log)
        try run(feed)
        _ = feed.flush(waitMilliseconds: 500)
      } catch {
        current.withLock { $0.failure = error }
      }
      current.withLock { $0.hasEnded = true }
    }
  }

  /// One world after the other: other borrowers' lives under the same names, later.
  private func run(_ feed: EventFeed) throws(BrokerError) {
    var start = World.defaultStart
    var pace = DemoPace()
    var seed: UInt64 = 1
    while !isStopped.load(ordering: .relaxed) {
      var world = World(seed: seed, borrowers: Self.borrowers, days: Self.daysOfWorld, start: start)
      var event = BorrowerEvent()
      var value = ByteBuffer(capacity: 1_024)
      while world.next(into: &event) {
        guard wait(for: event.occurredAt, &pace) else { return }
        try send(event, &value, feed)
      }
      start = start + Int64(Self.daysOfWorld) * EventTime.millisecondsPerDay
      seed += 1
    }
  }

  /// Rests until the event's time has come and few enough wait; false when the feed is to end.
  private func wait(for time: EventTime, _ pace: inout DemoPace) -> Bool {
    let due = Double(time - World.defaultStart) / 1_000
    while !isStopped.load(ordering: .relaxed) {
      let progress = progress
      let waiting = progress.sent - min(progress.sent, scored.load(ordering: .relaxed))
      if due <= pace.horizonSeconds, waiting < DemoPace.waitingMax { return true }
      let sent = Double(max(0, progress.eventTime - World.defaultStart)) / 1_000
      pace.advance(
        now: Double(SystemClock().monotonic) / 1e9, sent: sent, waiting: waiting, hasBegun: waiting < progress.sent)
      if due > pace.horizonSeconds || waiting >= DemoPace.waitingMax { Thread.sleep(forTimeInterval: 0.005) }
    }
    return false
  }

  /// The record's timestamp is the event's time: the log's clock is the world's.
  private func send(_ event: borrowing BorrowerEvent, _ value: inout ByteBuffer, _ feed: EventFeed) throws(BrokerError)
  {
    value.removeAll()
    event.encode(.json, into: &value)
    let (start, count) = (Int(event.borrowerID.start), Int(event.borrowerID.count))
    var failure: BrokerError?
    unsafe event.text.withUnsafeBufferPointer { text in
      do throws(BrokerError) {
        let key = unsafe UnsafeBufferPointer(rebasing: text[start..<start + count])
        unsafe try feed.send(key: key, value: value.bytes, timestamp: event.occurredAt)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    let time = event.occurredAt
    current.withLock {
      $0.sent += 1
      $0.eventTime = time
    }
  }
}
