import Borrowers
import Features
import Foundation
import History

/// What `lendpulse examples` was asked for.
public struct ExampleTableOptions: Sendable {
  public var history: HistorySource
  /// The folder that gets the table.
  public var output: String
  /// Whose borrowers are taken; nil: all.
  public var shard: HistoryShard?
  public var asOf: [EventTime] = []
  public var observedThrough: EventTime?
  public var horizonDays = 30
  public var examples = ExampleOptions()
  /// Nil: as training takes them, of a whole history; all, of a part of one (a shard, standard input), which cannot know
  /// what share of the whole it is.
  public var maxExamples: Int?
  public var historyOptions = HistoryOptions()

  public init(history: HistorySource, output: String) {
    self.history = history
    self.output = output
  }

  /// Whether only some of the borrowers are to be expected: then no example at all is a result too.
  var isPart: Bool { history == .standardInput || shard != nil }
}

/// Writes tables of examples.
public enum ExampleTableRun {
  /// Makes the examples of a history and writes them; the lines say what there is. The table is there whole or not at all:
  /// an older one in the same folder stays until the new one is complete.
  ///
  /// `isStopped` is asked now and then: true ends it, with nil and nothing left behind.
  public static func run(
    _ options: ExampleTableOptions, isStopped: @Sendable () -> Bool = { false },
    progress: @escaping @Sendable (TrainingProgress) -> Void = { _ in }
  ) throws(TrainingError) -> [String]? {
    let writer = try ExampleFolderWriter(options.output)
    var historyOptions = options.historyOptions
    historyOptions.shard = options.shard
    let history = try TrainingRun.history(options.history, historyOptions, options.observedThrough, progress)
    let asOf = try AsOfDates.resolve(
      named: options.asOf, observedThrough: options.observedThrough, horizonDays: options.horizonDays,
      summary: history.summary, source: options.history, isPiece: options.isPart)
    var examples = options.examples
    examples.maxExamples = options.maxExamples ?? (options.isPart ? .max : examples.maxExamples)
    let choice = try SampleChoice.choose(history, asOf, examples)
    var sample = choice.sample
    // As many partitions at a time as there are cores: what is made is written before more is made.
    let wave = max(ProcessInfo.processInfo.activeProcessorCount, 1)
    let made = examples
    for first in stride(from: 0, to: EventHistory.partitionCount, by: wave) {
      if isStopped() { return nil }
      let parts = try parallelMap(min(wave, EventHistory.partitionCount - first)) { index throws(TrainingError) in
        ExampleTablePart(history, partition: first + index, asOf, made, choice)
      }
      for part in parts {
        try writer.append(part, dates: asOf.dates)
        sample.examplesTaken += part.table.count + part.asServed.count
        sample.borrowersTaken += part.borrowers.count
      }
      progress(
        TrainingProgress(
          phase: "writing examples", share: Double(first + parts.count) / Double(EventHistory.partitionCount),
          detail: "\(sample.examplesTaken) examples"))
    }
    if choice.isWhole {
      sample.examplesThere = sample.examplesTaken
      sample.borrowersThere = sample.borrowersTaken
    }
    guard options.isPart || sample.examplesTaken > 0 else { throw TrainingRun.noExamples(options.history, asOf) }
    try writer.finish(
      ExampleManifest(asOf, examples, history.summary, sample: sample, pictureCells: writer.pictureCells))
    var line = "\(options.output): \(sample.examplesTaken) examples of \(sample.borrowersTaken) borrowers"
    if !asOf.dates.isEmpty { line += " as of " + asOf.dates.map(\.dateText).joined(separator: ", ") }
    return [line] + TrainingRun.sampleLines(sample) + TrainingRun.badLines(history.summary)
  }
}

extension ExampleTableRun {
  /// Takes away what this process has begun in a folder, when it has to end at once.
  public static func removeUnfinished(_ folder: String) {
    try? FileManager.default.removeItem(atPath: ExampleFolderWriter.workplace(folder))
  }
}

/// Examples of one partition of borrowers, with the ids that a table in memory does without.
struct ExampleTablePart: Sendable {
  private(set) var table = ExampleTable()
  private(set) var asServed = ExampleTable()
  private(set) var borrowers: [UInt64: [UInt8]] = [:]

  init(
    _ history: EventHistory, partition: Int, _ asOf: AsOfDates, _ options: ExampleOptions, _ choice: SampleChoice
  ) {
    guard !asOf.dates.isEmpty else { return }
    var maker = ExampleMaker(asOf, options)
    history.forEachBorrower(inPartition: partition) { events in
      let hash = Murmur.hash64(events.borrowerID)
      guard choice.contains(hash) else { return }
      let before = table.count
      maker.append(events, to: &table, asServed: &asServed)
      if table.count > before { borrowers[hash] = events.borrowerID }
    }
  }
}

/// Writes the columns beside each other, and puts them into their place at the end.
final class ExampleFolderWriter {
  private let folder: String
  private let isNewFolder: Bool
  private let workplace: String
  private var columns: [ExampleFolder.Column: ColumnWriter] = [:]
  private var features: [ColumnWriter] = []
  private let starts: ColumnWriter
  private let cells: ColumnWriter
  private let values: ColumnWriter
  private(set) var pictureCells = 0

  init(_ folder: String) throws(TrainingError) {
    self.folder = folder
    isNewFolder = !FileManager.default.fileExists(atPath: folder)
    workplace = Self.workplace(folder)
    if !isNewFolder { try Self.requireOwn(folder) }
    do {
      for name in ["columns", "pictures"] {
        try FileManager.default.createDirectory(atPath: "\(workplace)/\(name)", withIntermediateDirectories: true)
      }
    } catch {
      throw TrainingError(.failed, "\(folder): cannot be made or written; name a folder that can be")
    }
    do throws(TrainingError) {
      starts = try ColumnWriter(ExampleFolder.path(workplace, picture: "starts"), .signed64)
      cells = try ColumnWriter(ExampleFolder.path(workplace, picture: "cells"), .unsigned16)
      values = try ColumnWriter(ExampleFolder.path(workplace, picture: "values"), .float32)
    } catch {
      try? FileManager.default.removeItem(atPath: workplace)
      if isNewFolder { unsafe rmdir(folder) }
      throw error
    }
    for column in ExampleFolder.Column.allCases {
      columns[column] = try ColumnWriter(ExampleFolder.path(workplace, column: column.rawValue), column.type)
    }
    for feature in FeatureCatalogue.all {
      features.append(try ColumnWriter(ExampleFolder.path(workplace, column: feature.name), .float32))
    }
    try starts.append([Int64(0)])
  }

  /// Where the columns lie until they are complete.
  static func workplace(_ folder: String) -> String {
    "\(folder)/.writing-\(ProcessInfo.processInfo.processIdentifier)"
  }

  /// What was not finished leaves nothing behind.
  deinit {
    try? FileManager.default.removeItem(atPath: workplace)
    if isNewFolder { unsafe rmdir(folder) }
  }

  /// A folder that holds something else is not written into: the name may be a slip.
  private static func requireOwn(_ folder: String) throws(TrainingError) {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
      throw TrainingError(.failed, "\(folder): is no folder that can be read; name another")
    }
    let own: Set<String> = [ExampleFolder.manifestName, "columns", "pictures"]
    guard let other = names.first(where: { !own.contains($0) && !$0.hasPrefix(".") }) else { return }
    throw TrainingError(
      .failed, "\(folder): holds \(other), which is no table of examples; name an empty folder or a new one")
  }

  func append(_ part: ExampleTablePart, dates: [EventTime]) throws(TrainingError) {
    try append(part.table, part.borrowers, dates, asServed: false)
    try append(part.asServed, part.borrowers, dates, asServed: true)
  }

  private func append(
    _ table: ExampleTable, _ ids: [UInt64: [UInt8]], _ dates: [EventTime], asServed: Bool
  ) throws(TrainingError) {
    guard table.count > 0 else { return }
    try put(.borrower, table.borrowers)
    var identifiers: [UInt8] = []
    identifiers.reserveCapacity(table.count * ColumnType.identifier.size)
    for borrower in table.borrowers {
      let id = ids[borrower] ?? []
      identifiers += id + [UInt8](repeating: 0, count: ColumnType.identifier.size - id.count)
    }
    try put(.borrowerID, identifiers)
    try put(.time, table.times.map(\.milliseconds))
    try put(.asOf, table.dates.map { dates[$0].milliseconds })
    try put(.asServed, [Bool](repeating: asServed, count: table.count))
    try put(.owes, table.owes)
    try put(.isPastDue, table.isPastDue)
    try put(.overdue, table.labels.map(\.isOverdue))
    try put(.drawn, table.labels.map(\.drawn))
    try put(.hasDrawn, table.labels.map(\.hasDrawn))
    try put(.utilization, table.labels.map { $0.utilization ?? .nan })
    try put(.hasLimit, table.labels.map(\.hasLimit))
    let width = FeatureCatalogue.count
    var column = [Float](repeating: 0, count: table.count)
    for (index, feature) in features.enumerated() {
      for row in 0..<table.count { column[row] = table.features[row * width + index] }
      try feature.append(column)
    }
    try starts.append(table.pictureStarts.dropFirst().map { Int64(pictureCells + $0) })
    try cells.append(table.pictureCells)
    try values.append(table.pictureValues)
    pictureCells += table.pictureCells.count
  }

  private func put<Value: BitwiseCopyable>(
    _ column: ExampleFolder.Column, _ values: [Value]
  ) throws(TrainingError) {
    try columns[column]!.append(values)
  }

  func finish(_ manifest: ExampleManifest) throws(TrainingError) {
    for writer in [starts, cells, values] + features + ExampleFolder.Column.allCases.map({ columns[$0]! }) {
      try writer.finish()
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    let files = FileManager.default
    do {
      let data = try encoder.encode(manifest) + Data([10])
      try data.write(to: URL(fileURLWithPath: "\(workplace)/\(ExampleFolder.manifestName)"))
      // Without its manifest the folder holds no table; it comes back last.
      for name in [ExampleFolder.manifestName, "columns", "pictures"]
      where files.fileExists(atPath: "\(folder)/\(name)") {
        try files.removeItem(atPath: "\(folder)/\(name)")
      }
      for name in ["columns", "pictures", ExampleFolder.manifestName] {
        try files.moveItem(atPath: "\(workplace)/\(name)", toPath: "\(folder)/\(name)")
      }
    } catch {
      throw TrainingError(.failed, "\(folder): cannot be written; look for space and the right to write")
    }
  }
}
