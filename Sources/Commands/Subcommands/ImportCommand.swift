import History
import Pipeline

extension CommandDefinition {
  static let `import` = CommandDefinition(
    name: "import",
    summary: "loads events into a history database",
    details: """
      Events go into the table borrower_events, which is made where it is not there, in one transaction: all of them or
      none. An event that is there already changes nothing, so a file may be loaded again, or a longer one over it. Of a
      borrower that is erased, what came before goes from the table too. Lines that are no events are counted and left
      out. docs/histories.md has the table's columns.
      """,
    options: [
      OptionDefinition(
        name: "--input", value: "EVENTS.ndjson", isRequired: true,
        meaning: "the events: an .ndjson file, also .gz, or - for standard input"),
      OptionDefinition(
        name: "--history", value: "SOURCE", isRequired: true,
        meaning: "the database: sqlite:FILE or a postgresql:// address"),
    ],
    examples: [
      ("lendpulse import --input events.ndjson.gz --history sqlite:history.db", "one file, made where it is not there"),
      (
        "lendpulse import --input - --history postgresql://me@db.example:5432/lending",
        "events from a pipe into a server; the password from PGPASSWORD or ~/.pgpass"
      ),
    ]
  ) { arguments throws(CommandFailure) in try importEvents(arguments) }
}

private func importEvents(_ arguments: ParsedArguments) throws(CommandFailure) -> ExitStatus {
  let target = try history(arguments)
  let input: HistorySource
  do throws(HistoryError) {
    input = try HistorySource(arguments.required("--input"))
  } catch {
    throw .misused("lendpulse import: --input: \(error.description)")
  }
  Interruption.watch()
  var progress = Progress()
  defer { progress.finish() }
  let started = SystemClock().monotonic
  let summary: ImportSummary?
  do throws(HistoryError) {
    summary = try EventImport.run(
      input, into: target, isStopped: { Interruption.isRequested },
      progress: { told in progress.show { told.line(since: started) } })
  } catch {
    progress.finish()
    let line = "lendpulse import: \(error.description)"
    throw error.kind == .usage ? .misused(line) : .failed(line)
  }
  progress.finish()
  guard let summary else { return .interrupted(signal: Interruption.signal ?? 2) }
  var lines = ["\(target): \(summary.added) events added, \(summary.repeats) were there already"]
  if summary.erased > 0 { lines.append("\(summary.erased) events of erased borrowers were taken out") }
  if summary.badLines > 0 {
    lines.append("\(summary.badLines) lines are no events and were left out:")
    lines += summary.firstBadLines.map { "  " + $0.description }
  }
  try StandardStreams.print(lines.map { $0 + "\n" }.joined())
  return .done
}

extension HistoryProgress {
  /// `1234567 events, 45 %, 20 s left`.
  fileprivate func line(since started: Int64) -> String {
    guard totalBytes > 0, bytes > 0 else { return "\(events) events" }
    let share = min(Double(bytes) / Double(totalBytes), 1)
    let seconds = Double(SystemClock().monotonic - started) / 1e9
    return "\(events) events, \(Int(share * 100)) %, \(Int((seconds * (1 - share) / share).rounded(.up))) s left"
  }
}
