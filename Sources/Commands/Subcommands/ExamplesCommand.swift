import History
import Training

extension CommandDefinition {
  static let examples = CommandDefinition(
    name: "examples",
    summary: "writes the table of examples that training starts from",
    details: """
      One row for each borrower and date, and for each drawn event: what the daemon would have seen, every feature and the
      picture of 90 days, and what came true. A column is one .npy file, so NumPy and pandas read the table in one line;
      train --examples learns from it what it would learn from the history. docs/histories.md has the format.

      An example is made of one borrower's events alone. So the table can be made in pieces, on any number of machines: by
      --shard over one history, or as a filter over events that are grouped by borrower. A piece of which nothing comes is
      an empty table, and no error.
      """,
    options: [
      historyOption,
      OptionDefinition(
        name: "--output", value: "DIR", isRequired: true,
        meaning: "the table's folder; an older table in it is replaced"),
      OptionDefinition(
        name: "--shard", value: "K/N", meaning: "only the borrowers of part K of N, counted from 1 or from 0"),
    ] + exampleOptions + labelOptions + [
      OptionDefinition(
        name: "--seed", value: "S", meaning: "of the sample that --max-examples takes; default 1")
    ],
    examples: [
      ("lendpulse examples --history events.ndjson.gz --output examples", "the whole table"),
      ("lendpulse examples --history sqlite:history.db --output examples/3 --shard 3/8", "a piece of it"),
      (
        "lendpulse examples --history - --output piece --as-of 2026-09-01 --observed-through 2026-10-01 < events.ndjson",
        "of events on standard input"
      ),
    ]
  ) { arguments throws(CommandFailure) in try writeExamples(arguments) }
}

private func writeExamples(_ arguments: ParsedArguments) throws(CommandFailure) -> ExitStatus {
  var options = ExampleTableOptions(history: try history(arguments), output: arguments.required("--output"))
  if let text = arguments["--shard"] {
    guard let shard = HistoryShard(text) else {
      throw arguments.misuse("--shard must be K/N with K from 1 to N, such as 3/8, not \(text)")
    }
    options.shard = shard
  }
  options.asOf = try arguments.dates("--as-of")
  options.observedThrough = try arguments.dates("--observed-through").last
  options.horizonDays = try arguments.integer("--horizon-days", 1...365) ?? options.horizonDays
  options.examples.labels = try arguments.labels()
  options.examples.asOfEvents =
    try arguments.integer("--as-of-events", 0...1_000) ?? options.examples.asOfEvents
  options.examples.seed = try arguments.seed() ?? options.examples.seed
  options.maxExamples = try arguments.integer("--max-examples", 1...Int.max)
  Interruption.watch()
  let output = options.output
  Interruption.restoreAtEnd { ExampleTableRun.removeUnfinished(output) }
  let made = options
  let status = try report(command: "examples") { progress throws(TrainingError) in
    try ExampleTableRun.run(made, isStopped: { Interruption.isRequested }, progress: progress) ?? []
  }
  return Interruption.signal.map { .interrupted(signal: $0) } ?? status
}
