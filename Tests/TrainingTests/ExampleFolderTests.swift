import Borrowers
import Features
import Foundation
import History
import Models
import Testing

@testable import Training

private func write(
  _ place: Workplace, _ history: String, _ output: String, shard: String? = nil,
  _ change: (inout ExampleTableOptions) -> Void = { _ in }
) throws -> [String]? {
  var options = ExampleTableOptions(history: try HistorySource(history), output: place.path(output))
  options.shard = shard.flatMap { HistoryShard($0) }
  change(&options)
  return try ExampleTableRun.run(options)
}

/// All that a set holds, bit by bit.
private func bits(_ set: ExampleSet) -> [[UInt64]] {
  var columns: [[UInt64]] = []
  func truths(_ values: [Bool]) -> [UInt64] { values.map { $0 ? 1 : 0 } }
  for table in [set.table, set.asServed] {
    columns.append(table.borrowers)
    columns.append(table.features.map { UInt64($0.bitPattern) })
    columns.append(table.dates.map { UInt64($0) })
    columns.append(table.times.map { UInt64($0.milliseconds) })
    columns.append(truths(table.owes))
    columns.append(truths(table.isPastDue))
    columns.append(truths(table.labels.map(\.isOverdue)))
    columns.append(truths(table.labels.map(\.hasDrawn)))
    columns.append(truths(table.labels.map(\.hasLimit)))
    columns.append(table.labels.map { $0.drawn.bitPattern })
    columns.append(table.labels.map { ($0.utilization ?? -1).bitPattern })
    columns.append(table.pictureStarts.map { UInt64($0) })
    columns.append(table.pictureCells.map { UInt64($0) })
    columns.append(table.pictureValues.map { UInt64($0.bitPattern) })
  }
  return columns
}

private func fromHistory(_ path: String, _ options: ExampleOptions = ExampleOptions()) throws -> (
  HistorySummary, ExampleSet
) {
  let history = try EventHistory(.ndjson(path: path))
  let asOf = try AsOfDates.resolve(
    named: [], observedThrough: nil, horizonDays: 30, summary: history.summary, source: history.source)
  return (history.summary, try ExampleSet.make(history, asOf, options))
}

private func read(
  _ place: Workplace, _ names: [String], maxExamples: Int = 1_000_000
) throws -> (HistorySummary, ExampleSet) {
  try ExampleFolder.read(names.map { place.path($0) }, maxExamples: maxExamples, seed: 1) { _ in }
}

private func refusal(_ body: () throws -> Void) -> TrainingError? {
  let error = #expect(throws: TrainingError.self) { try body() }
  #expect(error?.description.contains("\n") == false)
  return error
}

@Test func `a table of examples comes back from disk bit by bit, whole, in pieces and from a folder of pieces`() throws
{
  let place = try Workplace()
  defer { place.remove() }
  let events = simulated(90, days: 130)
  let path = try place.write("h.ndjson", ndjson(events) + "no event\n")
  // `ndjson` writes no profile, which a `profile_updated` has to have.
  let badLines = events.count { $0.kind == .profileUpdated } + 1
  let (summary, set) = try fromHistory(path)
  let lines = try write(place, path, "whole")
  #expect(
    lines?.first?.contains("\(set.table.count + set.asServed.count) examples of \(set.borrowers) borrowers") == true)
  let (wholeSummary, whole) = try read(place, ["whole"])
  #expect(bits(whole) == bits(set) && set.table.count > 200 && set.asServed.count > 100)
  #expect(whole.asOf == set.asOf && whole.sample == set.sample && whole.options == set.options)
  #expect(wholeSummary == summary && summary.badLines == badLines)

  for number in 1...3 { _ = try write(place, path, "pieces/\(number)", shard: "\(number)/3") }
  let (piecesSummary, pieces) = try read(place, ["pieces"])
  #expect(bits(pieces) == bits(set) && pieces.asOf == set.asOf && piecesSummary == summary)
  #expect(pieces.sample == set.sample)
  let (_, named) = try read(place, ["pieces/3", "pieces/1", "pieces/2"])
  #expect(bits(named) == bits(set))
}

@Test func `no label or fact of a row has the name of a feature`() {
  let own = Set(ExampleFolder.Column.allCases.map(\.rawValue))
  #expect(own.isDisjoint(with: FeatureCatalogue.all.map(\.name)))
}

@Test func `a sample is the same from the history, from a table of all, and from a table of the sample`() throws {
  let place = try Workplace()
  defer { place.remove() }
  let path = try place.write("h.ndjson", ndjson(simulated(90, days: 130)))
  var options = ExampleOptions()
  options.maxExamples = 150
  let (_, set) = try fromHistory(path, options)
  #expect(!set.sample.isWhole)
  _ = try write(place, path, "all")
  _ = try write(place, path, "sample") { $0.maxExamples = 150 }
  for name in ["all", "sample"] {
    let (_, read) = try read(place, [name], maxExamples: 150)
    #expect(bits(read) == bits(set) && read.sample == set.sample, "\(name)")
  }
}

@Test func `what is trained from a table, and from a database, has the bytes of what is trained from the file`() throws
{
  let place = try Workplace()
  defer { place.remove() }
  // A line that is no event does not come into a database, and leaves no trace in a model.
  let path = try place.write("h.ndjson", ndjson(simulated(200, days: 130)) + "no event\n")
  func train(_ name: String, _ change: (inout TrainingOptions) throws -> Void) throws -> [String: Data] {
    var options = TrainingOptions(history: .ndjson(path: path), modelsDirectory: place.path(name))
    options.ganSteps = 5
    options.kinds = isReleaseBuild ? [.overdue, .demand, .utilization] : [.utilization]
    try change(&options)
    _ = try TrainingRun.run(options)
    return try place.lastingContents(name)
  }
  let wanted = try train("from-file") { _ in }
  #expect(wanted.count > 3)
  _ = try write(place, path, "examples")
  #expect(try train("from-examples") { $0.exampleFolders = [place.path("examples")] } == wanted)
  let database = HistorySource.sqlite(path: place.path("h.db"))
  _ = try EventImport.run(.ndjson(path: path), into: database)
  #expect(try train("from-sqlite") { $0.history = database } == wanted)
  let repayment = try train("repayment-from-file") { $0.kinds = [.repayment] }
  let again = try train("repayment-from-sqlite") {
    $0.kinds = [.repayment]
    $0.history = database
  }
  #expect(repayment == again && repayment.count > 1)
}

/// Beside the tests of histories on a real server; `scripts/with-postgresql` names it.
private let server = ProcessInfo.processInfo.environment["LENDPULSE_TEST_POSTGRESQL"]

@Suite(.enabled(if: server != nil, "LENDPULSE_TEST_POSTGRESQL names no server"))
struct PostgreSQLTrainingTests {
  @Test func `what is trained from PostgreSQL has the bytes of what is trained from the file`() throws {
    let place = try Workplace()
    defer { place.remove() }
    let path = try place.write("h.ndjson", ndjson(simulated(100, days: 130)))
    let database = HistorySource.postgresql(address: try #require(server))
    _ = try EventImport.run(.ndjson(path: path), into: database)
    var made: [[String: Data]] = []
    for (name, source) in [("file", HistorySource.ndjson(path: path)), ("server", database)] {
      var options = TrainingOptions(history: source, modelsDirectory: place.path(name))
      options.kinds = [.utilization]
      _ = try TrainingRun.run(options)
      made.append(try place.lastingContents(name))
    }
    #expect(made[0] == made[1] && made[0].count > 2)
  }
}

@Test func `pieces that do not belong together, or hold a borrower twice, are refused by name`() throws {
  let place = try Workplace()
  defer { place.remove() }
  let path = try place.write("h.ndjson", ndjson(simulated(40, days: 130)))
  _ = try write(place, path, "a", shard: "1/2")
  _ = try write(place, path, "b", shard: "2/2") { $0.horizonDays = 20 }
  _ = try write(place, path, "c", shard: "2/2") { $0.asOf = [date("2025-03-01")] }
  _ = try write(place, path, "d")
  #expect(refusal { _ = try read(place, ["a", "b"]) }?.description.contains("/b: was not made as") == true)
  #expect(refusal { _ = try read(place, ["a", "c"]) }?.exitStatus == 2)
  #expect(refusal { _ = try read(place, ["a", "d"]) }?.description.contains("/d: holds a borrower") == true)
  #expect(refusal { _ = try read(place, ["a", "a"]) }?.exitStatus == 2)
  #expect(refusal { _ = try read(place, ["nowhere"]) }?.description.contains("/nowhere: holds no table") == true)

  var options = TrainingOptions(history: .ndjson(path: path), modelsDirectory: place.path("models"))
  options.exampleFolders = [place.path("d")]
  options.asOf = [date("2025-03-01")]
  #expect(refusal { _ = try TrainingRun.run(options) }?.description.contains("--as-of 2025-03-01") == true)
  options.asOf = []
  options.statedLabels = [("--overdue-days", "5")]
  #expect(refusal { _ = try TrainingRun.run(options) }?.description.contains("made with 1;") == true)
  options.statedLabels = []
  options.exampleFolders = [place.path("b")]
  #expect(refusal { _ = try TrainingRun.run(options) }?.description.contains("demand") == true)
}

@Test func `a damaged table is refused by the file's name`() throws {
  let place = try Workplace()
  defer { place.remove() }
  let path = try place.write("h.ndjson", ndjson(simulated(30, days: 130)))
  func damage(_ file: String, _ change: (inout Data) -> Void) throws -> String {
    _ = try write(place, path, "table")
    let url = place.folder.appendingPathComponent("table/\(file)")
    var data = try Data(contentsOf: url)
    change(&data)
    try data.write(to: url)
    return refusal { _ = try read(place, ["table"]) }?.description ?? ""
  }
  let feature = FeatureCatalogue.all[3].name
  #expect(try damage("columns/\(feature).npy") { $0.removeLast() }.contains("\(feature).npy"))
  #expect(try damage("columns/\(feature).npy") { $0[30] ^= 1 }.contains("\(feature).npy"))
  #expect(try damage("columns/as_of.npy") { $0[128 + 7] ^= 1 }.contains("do not fit"))
  #expect(try damage("pictures/starts.npy") { $0[128 + 8 + 5] = 1 }.contains("do not fit"))
  #expect(try damage("pictures/cells.npy") { $0[128 + 1] = 0xFF }.contains("do not fit"))
  #expect(try damage("examples.json") { $0 = Data("{}".utf8) }.contains("examples.json: cannot be read"))
  let other = try damage("examples.json") {
    $0 = Data(String(decoding: $0, as: UTF8.self).replacing(FeatureCatalogue.hash, with: "other").utf8)
  }
  #expect(other.contains("another version"))
}

@Test func `nothing half-written is left, and an older table stays until the new one is complete`() throws {
  let place = try Workplace()
  defer { place.remove() }
  let path = try place.write("h.ndjson", ndjson(simulated(30, days: 130)))
  let empty = try place.write("empty.ndjson", "")
  #expect(refusal { _ = try write(place, empty, "new") }?.description.contains("holds no event") == true)
  #expect(!FileManager.default.fileExists(atPath: place.path("new")))
  _ = try write(place, path, "table")
  let before = try place.contents("table")
  #expect(refusal { _ = try write(place, empty, "table") } != nil)
  #expect(try place.contents("table") == before)
  var stopped = ExampleTableOptions(history: .ndjson(path: path), output: place.path("stopped"))
  stopped.asOfEvents(5)
  #expect(try ExampleTableRun.run(stopped, isStopped: { true }) == nil)
  #expect(!FileManager.default.fileExists(atPath: stopped.output))

  // A folder of something else is not written into, one that cannot be made is named.
  _ = try place.write("h2.ndjson", "")
  #expect(refusal { _ = try write(place, path, "") }?.description.contains("holds") == true)
  #expect(refusal { _ = try write(place, path, "h.ndjson/table") }?.description.contains("h.ndjson/table") == true)
  // Written again with other options, nothing of the old one is mixed in.
  _ = try write(place, path, "table") { $0.asOf = [date("2025-03-01")] }
  #expect(try read(place, ["table"]).1.asOf.dates == [date("2025-03-01")])
}

extension ExampleTableOptions {
  fileprivate mutating func asOfEvents(_ count: Int) { examples.asOfEvents = count }
}
