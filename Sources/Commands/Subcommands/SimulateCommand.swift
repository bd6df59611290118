import Borrowers
import Simulation

extension CommandDefinition {
  static let simulate = CommandDefinition(
    name: "simulate",
    summary: "writes borrower events with known truths",
    details: """
      A seeded world of borrowers: the same borrowers, days, seed and start give the same bytes everywhere. Events come in
      the order of their time, one JSON a line. The truths say what the events do not: for each borrower and month the
      hidden propensity to default, and what came of it.
      """,
    options: [
      OptionDefinition(name: "--borrowers", value: "N", isRequired: true, meaning: "how many borrowers, 1 to 10000000"),
      OptionDefinition(name: "--days", value: "D", isRequired: true, meaning: "how many days, 1 to 3650"),
      OptionDefinition(name: "--seed", value: "S", isRequired: true, meaning: "a whole number from 0"),
      OptionDefinition(name: "--start", value: "DATE", meaning: "the first day; default 2025-01-01"),
      OptionDefinition(name: "--output", value: "FILE", meaning: "where the events go; default -, standard output"),
      OptionDefinition(name: "--truth", value: "FILE", meaning: "where the truths go; default: nowhere"),
    ],
    examples: [
      ("lendpulse simulate --borrowers 1000 --days 180 --seed 1 --output events.ndjson", "half a year of a thousand"),
      ("lendpulse simulate --borrowers 10 --days 30 --seed 1 | head", "to see what events look like"),
    ]
  ) { arguments throws(CommandFailure) in try simulateWorld(arguments) }
}

private func simulateWorld(_ arguments: ParsedArguments) throws(CommandFailure) -> ExitStatus {
  let borrowers = try arguments.integer("--borrowers", 1...10_000_000) ?? 1
  let days = try arguments.integer("--days", 1...3_650) ?? 1
  let seed = try arguments.integer("--seed", 0...Int.max) ?? 0
  var start = World.defaultStart
  if let text = arguments["--start"] {
    guard let date = EventTime(date: text), date >= EventTime.earliest,
      date + Int64(days) * EventTime.millisecondsPerDay < EventTime.end
    else {
      throw arguments.misuse("--start must be a date from 1990-01-01 on, such as 2025-01-01, with its days before 2100")
    }
    start = date
  }
  let eventPath = arguments["--output"] ?? "-"
  guard arguments["--truth"] != eventPath else { throw arguments.misuse("--output and --truth name the same file") }
  var events = try FileOutput(path: eventPath, command: "simulate")
  var truths = try arguments["--truth"].map { path throws(CommandFailure) in
    TruthOutput(try FileOutput(path: path, command: "simulate"))
  }
  Interruption.watch()
  var world = World(
    seed: UInt64(seed), borrowers: borrowers, days: days, start: start, recordsTruth: truths != nil)
  var event = BorrowerEvent()
  var progress = Progress()
  defer { progress.finish() }
  var count = 0
  while world.next(into: &event) {
    event.encode(.json, into: &events.buffer)
    events.buffer.append("\n")
    try events.flushIfFull()
    count += 1
    guard count % 4_096 == 0 else { continue }
    try truths?.take(from: &world)
    progress.show { "\(count) events, \(event.occurredAt.dateText)" }
    if let signal = Interruption.signal {
      try events.flush()
      return .interrupted(signal: signal)
    }
  }
  try events.flush()
  try truths?.take(from: &world)
  try truths?.finish()
  return .done
}

/// The file of truths.
private struct TruthOutput: ~Copyable {
  var file: FileOutput

  init(_ file: consuming FileOutput) { self.file = file }

  mutating func take(from world: inout World) throws(CommandFailure) {
    while let truth = world.nextTruth() {
      truth.appendLine(to: &file.buffer)
      try file.flushIfFull()
    }
  }

  mutating func finish() throws(CommandFailure) { try file.flush() }
}
