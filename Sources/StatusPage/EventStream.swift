import CMicroHTTPD
import Glibc
import Pipeline
import Synchronization

/// Server-sent events to however many watch: one thread makes each frame once, a ring keeps the newest, and a watcher
/// that is slow misses the oldest of them. Nothing is made while nobody watches.
public final class EventStream: Sendable {
  public static let watchersMax = 256
  static let framesMax = 32
  static let intervalMilliseconds = 1_000

  struct Frame {
    var sequence: UInt64
    var bytes: [UInt8]
  }

  struct Watcher {
    var connection: ConnectionHandle
    /// Of the frame that comes next.
    var sequence: UInt64
    /// The frame that is being sent: to its end, though the ring may have lost it.
    var sending: [UInt8] = []
    var sent = 0
    /// It has everything and rests.
    var isResting = false
  }

  private struct State {
    var frames: [Frame] = []
    var watchers: [UInt64: Watcher] = [:]
    var nextWatcher: UInt64 = 1
    var nextSequence: UInt64 = 1
    var isStopped = false
  }

  private let state = Mutex(State())
  /// Wakes the thread when the first one watches, and at the end.
  private let bell = Mailbox<Void>()
  private let make: @Sendable (_ isFirst: Bool) -> [String]

  /// `make` gives the frames of one tick; `isFirst` when nobody watched before.
  public init(make: @escaping @Sendable (_ isFirst: Bool) -> [String]) {
    self.make = make
    startThread { [weak self] in
      while let stream = self, stream.tick() {}
    }
  }

  public var watchers: Int { state.withLock { $0.watchers.count } }

  private func tick() -> Bool {
    guard watchers > 0 else {
      // Until somebody watches.
      _ = bell.take(waitMilliseconds: Self.intervalMilliseconds)
      guard !state.withLock({ $0.isStopped }) else { return false }
      if watchers > 0 { publish(make(true)) }
      return true
    }
    SystemClock().rest(milliseconds: Int64(Self.intervalMilliseconds))
    guard !state.withLock({ $0.isStopped }) else { return false }
    publish(make(false))
    return true
  }

  func publish(_ texts: [String]) {
    let frames = texts.map { Array($0.utf8) }
    state.withLock { state in
      for bytes in frames {
        state.frames.append(Frame(sequence: state.nextSequence, bytes: bytes))
        state.nextSequence += 1
      }
      state.frames.removeFirst(max(0, state.frames.count - Self.framesMax))
      guard !frames.isEmpty else { return }
      wakeAll(&state)
    }
  }

  private func wakeAll(_ state: inout State) {
    for id in state.watchers.keys where state.watchers[id]?.isResting == true {
      state.watchers[id]?.isResting = false
      if let connection = state.watchers[id]?.connection { unsafe MHD_resume_connection(connection.pointer) }
    }
  }

  /// Ends every stream.
  func stop() {
    state.withLock { state in
      state.isStopped = true
      wakeAll(&state)
    }
    bell.close()
  }

  // MARK: One watcher

  /// What libmicrohttpd holds of a stream.
  final class Ticket: Sendable {
    let stream: EventStream
    let id: UInt64

    init(stream: EventStream, id: UInt64) {
      self.stream = stream
      self.id = id
    }
  }

  /// Nil when too many watch. It begins with the newest frames of the last tick, if there are any.
  func addWatcher(_ connection: ConnectionHandle) -> Ticket? {
    let id = state.withLock { state -> UInt64? in
      guard !state.isStopped, state.watchers.count < Self.watchersMax else { return nil }
      if state.watchers.isEmpty { state.frames.removeAll() }
      let id = state.nextWatcher
      state.nextWatcher += 1
      state.watchers[id] = Watcher(
        connection: connection, sequence: state.frames.last?.sequence ?? state.nextSequence)
      return id
    }
    if id != nil { bell.put(()) }
    return id.map { Ticket(stream: self, id: $0) }
  }

  func removeWatcher(_ id: UInt64) { state.withLock { $0.watchers[id] = nil } }

  /// Copies what comes next; lets the connection rest when there is nothing.
  func read(_ id: UInt64, into target: UnsafeMutablePointer<CChar>, room: Int) -> Int {
    state.withLock { state in
      guard !state.isStopped, var watcher = state.watchers[id] else { return microhttpd_end_of_stream() }
      if watcher.sent == watcher.sending.count {
        watcher.sequence = max(watcher.sequence, state.frames.first?.sequence ?? state.nextSequence)
        guard let index = state.frames.firstIndex(where: { $0.sequence == watcher.sequence }) else {
          watcher.isResting = true
          state.watchers[id] = watcher
          unsafe MHD_suspend_connection(watcher.connection.pointer)
          return 0
        }
        watcher.sending = state.frames[index].bytes
        watcher.sent = 0
        watcher.sequence += 1
      }
      let count = min(room, watcher.sending.count - watcher.sent)
      unsafe watcher.sending.withUnsafeBytes { source in
        _ = unsafe memcpy(target, source.baseAddress! + watcher.sent, count)
      }
      watcher.sent += count
      state.watchers[id] = watcher
      return count
    }
  }
}

/// On the server's thread.
func readStream(
  context: UnsafeMutableRawPointer?, position: UInt64, buffer: UnsafeMutablePointer<CChar>?, room: Int
) -> Int {
  guard let context = unsafe context, let buffer = unsafe buffer else { return microhttpd_end_of_stream() }
  let ticket = unsafe Unmanaged<EventStream.Ticket>.fromOpaque(context).takeUnretainedValue()
  return unsafe ticket.stream.read(ticket.id, into: buffer, room: room)
}

/// On the server's thread, when the stream is over.
func releaseStream(context: UnsafeMutableRawPointer?) {
  guard let context = unsafe context else { return }
  let ticket = unsafe Unmanaged<EventStream.Ticket>.fromOpaque(context).takeRetainedValue()
  ticket.stream.removeWatcher(ticket.id)
}
