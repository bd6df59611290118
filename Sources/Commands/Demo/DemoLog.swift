import Pipeline
import Synchronization

/// The daemon's log while a live view has the screen: its newest warning is shown there, all else is dropped.
final class DemoLog: EventLog {
  private let newest = Mutex("")
  private let other: Log?
  private let isEmbedded: Bool

  /// `other` gets all of it, where lines can be shown.
  init(forwardingTo other: Log?, isEmbedded: Bool) {
    self.other = other
    self.isEmbedded = isEmbedded
  }

  var warning: String { newest.withLock { $0 } }

  func record(_ event: PipelineEvent) {
    // The library's chatter about the embedded broker is of no use to anybody.
    if case .brokerMessage = event, isEmbedded { return }
    other?.record(event)
    guard event.level >= .warning else { return }
    let fields = event.fields.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
    newest.withLock { $0 = "\(event.name) \(fields)" }
  }
}
