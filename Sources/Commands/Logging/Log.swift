import Borrowers
import Glibc
import Pipeline
import Synchronization

/// The daemon's log: rate-limited lines on standard error. Any thread may record; a line is one write.
final class Log: EventLog {
  private let level: LogLevel
  private let format: LogFormat
  private let limit = Mutex(LogRateLimit())
  private let clock: any Pipeline.Clock
  private let write: @Sendable (String) -> Void

  /// `write` takes a line without its line feed.
  init(
    level: LogLevel, format: LogFormat, clock: any Pipeline.Clock = SystemClock(),
    write: @escaping @Sendable (String) -> Void = { StandardStreams.report($0) }
  ) {
    self.level = level
    self.format = format
    self.clock = clock
    self.write = write
  }

  func record(_ event: PipelineEvent) { log(event) }
  func record(_ event: DaemonEvent) { log(event) }

  private func log(_ event: some LoggedEvent) {
    guard event.level >= level else { return }
    let now = clock.monotonic
    guard let suppressed = limit.withLock({ $0.admit(event.name.description, now: now) }) else { return }
    let time = EventTime(milliseconds: clock.wall)
    write(LogLine.format(event, at: time, suppressed: suppressed, as: format))
  }
}
