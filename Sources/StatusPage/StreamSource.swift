import Borrowers
import Pipeline
import Scoring
import Synchronization

/// Makes the frames of the event stream: `status` each second, and `alert` and `lead` for those that are new. Of a flood the
/// newest are sent; the totals of `status` tell how many there were.
final class StreamSource: Sendable {
  static let recordsPerTick = 40

  /// Totals that were told.
  private struct Told {
    var alerts: UInt64 = 0
    var leads: UInt64 = 0
    var sequence: UInt64 = 0
  }

  let stream: EventStream

  init(build: StatusService.Build, pipeline: any ServedPipeline) {
    let teller = Teller()
    stream = EventStream { isFirst in teller.frames(isFirst: isFirst, pipeline, build) }
  }

  private final class Teller: Sendable {
    private let told = Mutex(Told())

    func frames(isFirst: Bool, _ pipeline: any ServedPipeline, _ build: StatusService.Build) -> [String] {
      let status = pipeline.status
      return told.withLock { told in
        var frames: [String] = []
        if !isFirst {
          let alerts = StreamSource.newest(status.recentAlerts, status.recentAlertsTotal, told.alerts)
          let leads = StreamSource.newest(status.recentLeads, status.recentLeadsTotal, told.leads)
          if !alerts.isEmpty {
            frames.append(frame("alerts", .list(alerts.map(StatusService.value)), &told))
          }
          if !leads.isEmpty { frames.append(frame("leads", .list(leads.map(StatusService.value)), &told)) }
        }
        told.alerts = status.recentAlertsTotal
        told.leads = status.recentLeadsTotal
        frames.append(frame("status", StreamSource.value(status, pipeline, build), &told))
        return frames
      }
    }

    private func frame(_ event: String, _ value: JSONText, _ told: inout Told) -> String {
      told.sequence += 1
      return "event: \(event)\nid: \(told.sequence)\ndata: \(value.canonical)\n\n"
    }
  }

  private static func newest<Record>(_ records: [Record], _ total: UInt64, _ told: UInt64) -> [Record] {
    let new = total >= told ? min(total - told, UInt64(recordsPerTick)) : UInt64(recordsPerTick)
    return Array(records.suffix(Int(new)))
  }

  private static func value(
    _ status: PipelineStatus, _ pipeline: any ServedPipeline, _ build: StatusService.Build
  ) -> JSONText {
    let totals = status.totals
    let alerts = totals.alerts.map { .list($0.map { JSONText.whole($0) }) } as [JSONText]
    return .object([
      ("at", .time(EventTime(milliseconds: SystemClock().wall))), ("version", .text(build.version)),
      ("models", .text(pipeline.control?.models.version ?? build.modelsVersion)),
      ("ready", .truth(status.isReady && status.isWithinLag)), ("events", .whole(totals.eventsAccepted)),
      ("repeated", .whole(totals.eventsRepeated)), ("late", .whole(totals.late)),
      ("dead_letters", .whole(totals.recordsDeadLettered)), ("lag", .whole(status.lag)),
      ("borrowers", .whole(status.borrowers)), ("state_bytes", .whole(status.stateBytes)),
      ("alerts_published", .whole(status.recentAlertsTotal)), ("leads_published", .whole(status.recentLeadsTotal)),
      ("alerts", .list(alerts)), ("leads", .list(totals.leads.map { .whole($0) })),
      ("event_p50", .real(totals.eventLatency.quantile(0.5) ?? .nan)),
      ("event_p99", .real(totals.eventLatency.quantile(0.99) ?? .nan)),
      ("settings", .text(pipeline.control?.settingsID ?? "")),
      ("control_problem", pipeline.control?.problem.map { .text($0) } ?? .null),
      ("partitions", .list(status.partitions.map(StatusService.value))),
    ])
  }
}
