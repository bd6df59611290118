import Pipeline
import Synchronization

/// The daemon's log while a live view has the screen: its newest warning is shown there, all else is dropped.
final class DemoLog: EventLog {
  private let newest = Mutex("")
  private let other: Log?

  /// `other` gets all of it, where lines can be shown.
  init(forwardingTo other: Log?) { self.other = other }

  var warning: String { newest.withLock { $0 } }

  func record(_ event: PipelineEvent) {
    other?.record(event)
    guard event.level >= .warning else { return }
    let fields = event.fields.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
    newest.withLock { $0 = "\(event.name) \(fields)" }
  }
}
