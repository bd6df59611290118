import Borrowers
import History
import Models
import Scoring
import Synchronization
import Training

extension CommandDefinition {
  static let forecast = CommandDefinition(
    name: "forecast",
    summary: "what a platform will be repaid over any coming period",
    details: """
      Reads the platform's book from a history of events and forecasts what will be repaid from --from until before --to, both
      at 00:00 UTC: any period of 1 to 92 days that begins at most 92 days after the history's last day. What is known is what
      happened before the day that follows the history's last, or before --from where that is earlier. Prints one line, the
      record that `run` publishes.
      """,
    options: [
      OptionDefinition(
        name: "--history", value: "SOURCE", isRequired: true,
        meaning: "past events: an .ndjson file, also .gz, sqlite:FILE or a postgresql:// address"),
      OptionDefinition(name: "--models", value: "DIR", isRequired: true, meaning: "the folder of models"),
      OptionDefinition(name: "--platform", value: "P", isRequired: true, meaning: "the platform, such as default"),
      OptionDefinition(name: "--from", value: "DATE", isRequired: true, meaning: "the period's first day"),
      OptionDefinition(name: "--to", value: "DATE", isRequired: true, meaning: "the day behind its last"),
      OptionDefinition(name: "--industry", value: "FILE", meaning: "industry repayment history"),
    ],
    examples: [
      (
        "lendpulse forecast --history events.ndjson.gz --models models --platform default --from 2026-11-01 --to 2026-12-01",
        "what will be repaid in November"
      )
    ]
  ) { arguments throws(CommandFailure) in try forecastPeriod(arguments) }
}

private func forecastPeriod(_ arguments: ParsedArguments) throws(CommandFailure) -> ExitStatus {
  let from = try date("--from", arguments)
  let to = try date("--to", arguments)
  let days = Int((to - from) / EventTime.millisecondsPerDay)
  guard (1...92).contains(days) else {
    throw arguments.misuse("--from \(from.dateText) --to \(to.dateText): a period lasts 1 to 92 days, not \(days)")
  }
  let models = try loadModels(directory: arguments.required("--models"), command: "forecast")
  guard let model = models.repayment else {
    throw .misused(
      "lendpulse forecast: \(arguments.required("--models")): holds no repayment model; make one with "
        + "`lendpulse train repayment`")
  }
  var industry = IndustryHistory()
  if let path = arguments["--industry"] {
    for one in try IndustryIndicators.read(path: path, command: "forecast") {
      _ = industry.set(series: one.series, day: EventTime.day(one.date), value: one.value)
    }
  }
  let source = try history(arguments)
  let printed: String
  let shown = Mutex(Progress())
  defer { shown.withLock { $0.finish() } }
  do throws(TrainingError) {
    let history = try RepaymentRun.read(source, HistoryOptions()) { progress in
      shown.withLock { $0.show { progress.line } }
    }
    let following = EventTime.day(history.summary.latest) + 1
    let first = EventTime.day(from)
    guard first - (following - 1) <= 92 else {
      throw TrainingError(
        .usage,
        "--from \(from.dateText): lies \(first - following + 1) days after the history's last day "
          + "(\(history.summary.latest.dateText)); a period begins at most 92 days after it")
    }
    let asOf = EventTime(milliseconds: Int64(min(following, first)) * EventTime.millisecondsPerDay)
    let ledger = try RepaymentLedger(history, before: asOf)
    let platform = Array(arguments.required("--platform").utf8)
    guard let series = ledger.series(ofPlatform: platform, asOf: EventTime.day(asOf)) else {
      throw TrainingError(.failed, unknown(platform, ledger, source, asOf))
    }
    let record = model.forecast(
      platform: platform, series, industry, asOf: asOf, start: from, days: days, currency: "")
    var line = ByteBuffer(capacity: 1_024)
    record.encode(.json, into: &line)
    shown.withLock { $0.finish() }
    printed = unsafe String(decoding: line.bytes, as: UTF8.self)
  } catch {
    let line = "lendpulse forecast: \(error.description)"
    throw error.kind == .usage ? .misused(line) : .failed(line)
  }
  try StandardStreams.print(printed + "\n")
  return .done
}

private func unknown(
  _ platform: [UInt8], _ ledger: RepaymentLedger, _ source: HistorySource, _ asOf: EventTime
) -> String {
  let names = ledger.names.prefix(8).map { String(decoding: $0, as: UTF8.self) }
  let known = names.isEmpty ? "it holds no loans" : "it knows \(names.joined(separator: ", "))"
  return "--platform \(String(decoding: platform, as: UTF8.self)): \(source) has no loans of it before "
    + "\(asOf.dateText); \(known)"
}

private func date(_ option: String, _ arguments: ParsedArguments) throws(CommandFailure) -> EventTime {
  let text = arguments.required(option)
  guard let date = EventTime(date: text), date >= .earliest, date < .end else {
    throw arguments.misuse("\(option) must be a date from 1990 to 2099, such as 2026-10-01, not \(text)")
  }
  return date
}
