import Borrowers
import Glibc
import Models
import Pipeline

extension CommandDefinition {
  static let score = CommandDefinition(
    name: "score",
    summary: "scores a file of events with the engine of `run`, without Kafka",
    details: """
      Reads one event a line and writes the records that `run` would publish, one JSON a line. Each line takes one offset of
      the partition that Kafka's default partitioner gives its borrower_id; its occurred_at is its record's timestamp. With
      --partitions N the scores, alerts, leads and forecasts of each key, in order, are byte for byte what `run` publishes for the same
      lines in a topic of N partitions with windows.idle_after_s: 0. In place of a file, - is standard input or output.
      """,
    options: [
      OptionDefinition(name: "--input", value: "EVENTS.ndjson", isRequired: true, meaning: "the events"),
      OptionDefinition(name: "--models", value: "DIR", isRequired: true, meaning: "the folder of models"),
      OptionDefinition(name: "--scores", value: "FILE", meaning: "where the scores go"),
      OptionDefinition(name: "--alerts", value: "FILE", meaning: "where the alerts go"),
      OptionDefinition(name: "--leads", value: "FILE", meaning: "where the leads go"),
      OptionDefinition(name: "--forecasts", value: "FILE", meaning: "where the repayment forecasts go"),
      OptionDefinition(
        name: "--dead-letters", value: "FILE", meaning: "where the lines go that are no events, with the reason"),
      OptionDefinition(name: "--industry", value: "FILE", meaning: "industry indicators, read first"),
      OptionDefinition(name: "--partitions", value: "N", meaning: "partitions of the topic it stands for; default 1"),
      .config, .set,
    ],
    examples: [
      ("lendpulse score --input events.ndjson --models models --scores - | head", "the first scores"),
      (
        "lendpulse score --input events.ndjson --models models --alerts alerts.ndjson --set alerts.raise_at=high",
        "what a higher threshold would have raised"
      ),
    ]
  ) { arguments throws(CommandFailure) in try scoreFile(arguments) }

  fileprivate static let scoreOutputs = ["--scores", "--alerts", "--leads", "--forecasts", "--dead-letters"]
}

private func scoreFile(_ arguments: ParsedArguments) throws(CommandFailure) -> ExitStatus {
  let partitions = try arguments.integer("--partitions", 1...10_000) ?? 1
  let configuration = try Configuration.load(arguments)
  let models = try loadModels(directory: arguments.required("--models"), command: "score")
  var indicators: [IndustryIndicator] = []
  if let industry = arguments["--industry"] {
    indicators = try IndustryIndicators.read(path: industry, command: "score")
  }
  var input = try LineInput(path: arguments.required("--input"), command: "score")
  try checkOutputs(arguments, input)
  var lines = try RecordLines(arguments)
  for line in ServingModels(models).notes { StandardStreams.report("lendpulse score: \(line)") }
  Interruption.watch()
  // Files hold JSON whatever `output` says.
  var engine = configuration.engineConfiguration
  engine.format = .json
  var scoring = unsafe LineScoring(
    partitions: partitions, configuration: engine, models: models, indicators: indicators,
    identify: { line in unsafe LineIdentity(tolerant: line) })
  var progress = Progress()
  defer { progress.finish() }
  while let line = unsafe try input.next() {
    unsafe scoring.score(line)
    if scoring.outputs.bytes.count >= 1 << 16 {
      try lines.write(scoring.outputs)
      scoring.removeOutputs()
    }
    guard scoring.lines % 1_024 == 0 else { continue }
    if let signal = Interruption.signal {
      try lines.write(scoring.outputs)
      try lines.flush()
      return .interrupted(signal: signal)
    }
    let (count, read, total) = (scoring.lines, input.bytesRead, input.bytesTotal)
    progress.show { "\(count) lines" + (total.map { ", \(100 * read / max($0, 1)) %" } ?? "") }
  }
  try lines.write(scoring.outputs)
  try lines.flush()
  progress.finish()
  if CommandDefinition.scoreOutputs.allSatisfy({ !arguments.has($0) }) || StandardStreams.isTerminal(STDERR_FILENO) {
    StandardStreams.report("lendpulse score: " + summary(scoring))
  }
  return .done
}

/// No output may be the input, or be named twice: each would destroy the other.
private func checkOutputs(_ arguments: ParsedArguments, _ input: borrowing LineInput) throws(CommandFailure) {
  var named: [String: String] = [:]
  for option in CommandDefinition.scoreOutputs {
    guard let path = arguments[option] else { continue }
    if let other = named[path], path != "/dev/null" {
      throw arguments.misuse("\(other) and \(option) both name \(path == "-" ? "standard output" : path)")
    }
    guard path == "-" || !input.isSameFile(as: path) else {
      throw arguments.misuse("\(option) names the input, \(path)")
    }
    named[path] = option
  }
}

private func summary(_ scoring: borrowing LineScoring) -> String {
  let totals = scoring.totals
  let alerts = totals.alerts.reduce(0) { $0 + $1.reduce(0, +) }
  return "\(scoring.lines) lines of \(scoring.borrowers) borrowers: \(totals.eventsAccepted) accepted, "
    + "\(totals.eventsRepeated) repeats, \(totals.recordsDeadLettered) dead letters, "
    + "\(alerts) alert records, \(totals.leads.reduce(0, +)) lead records"
}
