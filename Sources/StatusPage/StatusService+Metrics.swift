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
    appendDrift(totals, to: &text)
    if let control = pipeline.control {
      text.family("lendpulse_control_offset", .gauge, "The offset behind the last control record that was read")
      text.sample("lendpulse_control_offset", [], Double(control.end))
      text.family("lendpulse_control_healthy", .gauge, "Whether control records arrive and can be taken")
      text.sample("lendpulse_control_healthy", [], control.problem == nil ? 1 : 0)
    }
    text.family("lendpulse_stream_watchers", .gauge, "Who watches the event stream")
    text.sample("lendpulse_stream_watchers", [], Double(stream?.watchers ?? 0))
    text.family("lendpulse_build_info", .gauge, "The version that runs and the models that serve")
    text.sample("lendpulse_build_info", [("version", build.version), ("models", modelsVersion)], 1)
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

  /// By version, so that a promotion begins a new series.
  private func appendDrift(_ totals: PipelineTotals, to text: inout MetricsText) {
    let figures = drift.observe(totals.scores, versions: servingVersions)
    guard !figures.isEmpty else { return }
    text.family(
      "lendpulse_score_psi", .gauge, "Stability index of a model's scores against the first ones it published")
    for one in figures { text.sample("lendpulse_score_psi", [("model", one.model)], one.index) }
    text.family("lendpulse_score_psi_band", .gauge, "What the index stays under by chance alone, 19 times of 20")
    for one in figures { text.sample("lendpulse_score_psi_band", [("model", one.model)], one.band) }
  }

  /// The kinds that serve, each with its version.
  var servingVersions: [(model: String, version: String)] {
    modelsVersion.split(separator: "+").compactMap { version in
      version.split(separator: "-").first.map { (String($0), String(version)) }
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
    if let memory = Self.memoryBytes() {
      text.family("process_virtual_memory_bytes", .gauge, "Address space of the process")
      text.sample("process_virtual_memory_bytes", [], Double(memory.virtual))
      text.family("process_resident_memory_bytes", .gauge, "Resident memory of the process")
      text.sample("process_resident_memory_bytes", [], Double(memory.resident))
    }
    if let open = Self.openDescriptors() {
      text.family("process_open_fds", .gauge, "Open file descriptors")
      text.sample("process_open_fds", [], Double(open))
    }
    var limit = rlimit()
    if unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
      text.family("process_max_fds", .gauge, "The most file descriptors that may be open")
      text.sample("process_max_fds", [], Double(limit.rlim_cur))
    }
    text.family("process_start_time_seconds", .gauge, "When the process began, in seconds since 1970")
    text.sample("process_start_time_seconds", [], Self.startSeconds)
  }

  /// From `/proc/self/statm`; nil where there is none.
  private static func memoryBytes() -> (virtual: Int, resident: Int)? {
    let fields = line(of: "/proc/self/statm").split(separator: " ")
    guard fields.count > 1, let size = Int(fields[0]), let pages = Int(fields[1]) else { return nil }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    return (size * page, pages * page)
  }

  private static func openDescriptors() -> Int? {
    guard let directory = unsafe opendir("/proc/self/fd") else { return nil }
    defer { unsafe closedir(directory) }
    var count = 0
    while unsafe readdir(directory) != nil { count += 1 }
    // `.`, `..`, and the directory itself.
    return max(0, count - 3)
  }

  /// The 22nd field of `/proc/self/stat` counts clock ticks since the machine began.
  private static let startSeconds: Double = {
    let afterName = line(of: "/proc/self/stat").split(separator: ")").last ?? ""
    let fields = afterName.split(separator: " ")
    let clock = SystemClock()
    let now = Double(clock.wall) / 1e3
    guard fields.count > 19, let ticks = Double(fields[19]) else { return now }
    var sinceBoot = timespec()
    unsafe clock_gettime(CLOCK_BOOTTIME, &sinceBoot)
    let boot = now - Double(sinceBoot.tv_sec) - Double(sinceBoot.tv_nsec) / 1e9
    return boot + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
  }()

  private static func line(of path: String) -> String {
    guard let file = unsafe fopen(path, "re") else { return "" }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 1_024)
    guard unsafe fgets(&line, Int32(line.count), file) != nil else { return "" }
    return String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
