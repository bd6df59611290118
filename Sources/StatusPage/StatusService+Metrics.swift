import Borrowers
import Glibc
import Pipeline
import Scoring

extension StatusService {
  func metrics(_ status: PipelineStatus) -> String {
    var text = MetricsText()
    let totals = status.totals
    appendEvents(totals, to: &text)
    appendPartitions(status, to: &text)
    appendDecisions(totals, to: &text)
    text.family("lendpulse_forecasts_total", .counter, "Repayment forecasts published")
    text.sample("lendpulse_forecasts_total", [], Double(totals.forecasts))
    appendTransactions(totals, to: &text)
    text.family("lendpulse_build_info", .gauge, "The version that runs and the models that serve")
    text.sample("lendpulse_build_info", [("version", build.version), ("models", build.modelsVersion)], 1)
    appendProcess(to: &text)
    return text.text
  }

  private func appendEvents(_ totals: PipelineTotals, to text: inout MetricsText) {
    text.family("lendpulse_events_total", .counter, "Borrower events by type and what became of them")
    for kind in EventKind.allCases {
      let index = Int(kind.rawValue)
      for (result, count) in [("accepted", totals.accepted[index]), ("repeated", totals.repeated[index])] {
        text.sample("lendpulse_events_total", [("type", "\(kind.name)"), ("result", result)], Double(count))
      }
    }
    text.family("lendpulse_late_events_total", .counter, "Accepted events older than their partition's watermark")
    text.sample("lendpulse_late_events_total", [], Double(totals.late))
    text.family("lendpulse_dead_letters_total", .counter, "Records that could not be read, by error code")
    for code in DeadLetterCode.allCases {
      text.sample(
        "lendpulse_dead_letters_total", [("code", "\(code.name)")], Double(totals.deadLetters[Int(code.rawValue)]))
    }
    text.family("lendpulse_event_seconds", .histogram, "From reading a record to the commit of its outputs")
    appendHistogram("lendpulse_event_seconds", totals.eventLatency, to: &text)
    text.family("lendpulse_scoring_seconds", .histogram, "Decoding, state, models and decisions of a record")
    appendHistogram("lendpulse_scoring_seconds", totals.scoringLatency, to: &text)
  }

  private func appendHistogram(_ name: String, _ histogram: LatencyHistogram, to text: inout MetricsText) {
    text.histogram(
      name, bounds: LatencyHistogram.bounds, buckets: histogram.counts, sum: histogram.sumSeconds)
  }

  private func appendPartitions(_ status: PipelineStatus, to text: inout MetricsText) {
    text.family("lendpulse_borrowers", .gauge, "Borrowers held")
    text.sample("lendpulse_borrowers", [], Double(status.borrowers))
    text.family("lendpulse_state_bytes", .gauge, "Memory of the borrowers' state")
    text.sample("lendpulse_state_bytes", [], Double(status.stateBytes))
    let partitions = status.partitions.sorted { $0.partition < $1.partition }
    text.family("lendpulse_consumer_lag", .gauge, "Input records not read yet")
    for one in partitions {
      guard let lag = one.lag else { continue }
      text.sample(
        "lendpulse_consumer_lag", [("topic", build.topic), ("partition", "\(one.partition)")], Double(lag))
    }
    text.family("lendpulse_watermark_seconds", .gauge, "The partition's watermark, in seconds since 1970")
    for one in partitions where one.watermark > .distantPast {
      text.sample(
        "lendpulse_watermark_seconds", [("partition", "\(one.partition)")],
        Double(one.watermark.milliseconds) / 1_000)
    }
  }

  private func appendDecisions(_ totals: PipelineTotals, to text: inout MetricsText) {
    text.family("lendpulse_alerts_total", .counter, "Alert records by status and severity")
    for status in [AlertStatus.raised, .escalated, .eased, .cleared] {
      for severity in [Severity.low, .medium, .high, .critical] {
        text.sample(
          "lendpulse_alerts_total", [("status", "\(status.name)"), ("severity", "\(severity.name)")],
          Double(totals.alerts[Int(status.rawValue)][Int(severity.rawValue)]))
      }
    }
    text.family("lendpulse_leads_total", .counter, "Lead records by status")
    for status in [LeadStatus.opened, .updated, .withdrawn] {
      text.sample(
        "lendpulse_leads_total", [("status", "\(status.name)")], Double(totals.leads[Int(status.rawValue)]))
    }
  }

  private func appendTransactions(_ totals: PipelineTotals, to text: inout MetricsText) {
    text.family("lendpulse_transactions_total", .counter, "Transactions by result")
    for (result, count) in [
      ("committed", totals.transactionsCommitted), ("aborted", totals.transactionsAborted),
      ("failed", totals.transactionsFailed),
    ] {
      text.sample("lendpulse_transactions_total", [("result", result)], Double(count))
    }
    text.family("lendpulse_restore_seconds", .gauge, "Time spent restoring partitions since the start, added up")
    text.sample("lendpulse_restore_seconds", [], totals.restoreSeconds)
  }

  /// The usual `process_*` of Prometheus' client libraries, from the kernel.
  private func appendProcess(to text: inout MetricsText) {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    text.family("process_cpu_seconds_total", .counter, "CPU time of the process")
    text.sample("process_cpu_seconds_total", [], seconds(usage.ru_utime) + seconds(usage.ru_stime))
    if let resident = Self.residentBytes() {
      text.family("process_resident_memory_bytes", .gauge, "Resident memory of the process")
      text.sample("process_resident_memory_bytes", [], Double(resident))
    }
  }

  /// From `/proc/self/statm`; nil where there is none.
  private static func residentBytes() -> Int? {
    guard let file = unsafe fopen("/proc/self/statm", "r") else { return nil }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    guard unsafe fgets(&line, Int32(line.count), file) != nil else { return nil }
    let fields = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      .split(separator: " ")
    guard fields.count > 1, let pages = Int(fields[1]) else { return nil }
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
  }
}
