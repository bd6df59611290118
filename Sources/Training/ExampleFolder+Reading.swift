import Borrowers
import Features
import Foundation
import History

extension ExampleFolder {
  /// The folders that hold a table: those named, and of one that holds none itself, those directly within it, by name.
  static func tables(_ named: [String]) throws(TrainingError) -> [String] {
    var found: [String] = []
    for folder in named {
      if hasTable(folder) {
        found.append(folder)
        continue
      }
      let within = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
        .map { "\(folder)/\($0)" }.filter(hasTable)
      // An error that names the folder, where there is none.
      if within.isEmpty { _ = try ExampleManifest.read(folder) }
      found += within
    }
    return found
  }

  private static func hasTable(_ folder: String) -> Bool {
    FileManager.default.fileExists(atPath: "\(folder)/\(manifestName)")
  }

  /// Reads one table, or the pieces of one: the same examples, in the same order, as the whole history gives. Above
  /// `maxExamples` the same seeded sample of borrowers is taken.
  static func read(
    _ folders: [String], maxExamples: Int, seed: UInt64, progress: (Double) -> Void
  ) throws(TrainingError) -> (HistorySummary, ExampleSet) {
    var pieces: [ExamplePiece] = []
    for folder in try tables(folders) { pieces.append(try ExamplePiece(folder)) }
    let (summary, empty) = try ExamplePiece.joined(pieces)
    var set = empty
    let choice = try ExamplePiece.choose(pieces, maxExamples: maxExamples, seed: seed)
    set.options.maxExamples = maxExamples
    set.options.seed = seed
    set.sample.examplesThere = pieces.reduce(0) { $0 + $1.manifest.sample.examplesThere }
    set.sample.borrowersThere = pieces.reduce(0) { $0 + $1.manifest.sample.borrowersThere }
    let order = ExampleOrder(pieces, choice)
    var midnights = ExampleColumns(rows: order.midnights)
    var served = ExampleColumns(rows: order.served)
    for (piece, places) in zip(pieces, order.places) { try piece.measurePictures(&midnights, &served, places) }
    midnights.makeRoomForPictures()
    served.makeRoomForPictures()
    for (index, piece) in pieces.enumerated() {
      try piece.fill(&midnights, &served, order.places[index], dates: set.asOf.dates)
      progress(Double(index + 1) / Double(pieces.count))
    }
    set.table = midnights.takeTable()
    set.asServed = served.takeTable()
    set.sample.examplesTaken = set.table.count + set.asServed.count
    set.sample.borrowersTaken = set.borrowers
    return (summary, set)
  }
}

/// One folder's table, of which borrowers and kinds of rows are read.
struct ExamplePiece {
  let folder: String
  let manifest: ExampleManifest
  let borrowers: [UInt64]
  let isServed: [Bool]

  init(_ folder: String) throws(TrainingError) {
    self.folder = folder
    manifest = try ExampleManifest.read(folder)
    let borrower = ExampleFolder.Column.borrower
    borrowers = try Self.values(folder, borrower.rawValue, borrower.type, manifest.rows)
    isServed = try Self.truths(folder, .asServed, manifest.rows)
  }

  /// What the pieces say of the whole, and an empty set of its kind.
  static func joined(_ pieces: [ExamplePiece]) throws(TrainingError) -> (HistorySummary, ExampleSet) {
    let first = pieces[0]
    let longest = pieces.max { $0.manifest.asOf.count < $1.manifest.asOf.count }!.manifest
    var summary = HistorySummary()
    var refused: [BadLine] = []
    for piece in pieces {
      let manifest = piece.manifest
      // A piece whose first event comes later has fewer default dates, the last ones of the whole's.
      guard manifest.isAlike(first.manifest), longest.asOf.suffix(manifest.asOf.count) == manifest.asOf[...] else {
        throw TrainingError(
          .usage,
          "\(piece.folder): was not made as \(first.folder) was (dates, horizon or labels differ); pieces of one table "
            + "are made with the same options")
      }
      summary.events += manifest.events
      summary.badLines += manifest.badLines
      refused += manifest.refusedLines
      if let earliest = manifest.earliest.flatMap({ EventTime(rfc3339: $0) }) {
        summary.earliest = min(summary.earliest, earliest)
      }
      if let latest = manifest.latest.flatMap({ EventTime(rfc3339: $0) }) {
        summary.latest = max(summary.latest, latest)
      }
    }
    summary.firstBadLines = Array(
      refused.sorted { $0.number < $1.number }.prefix(HistoryOptions().reportedBadLines))
    let dates = longest.asOf.compactMap { EventTime(date: $0) }
    guard dates.count == longest.asOf.count, let through = EventTime(rfc3339: first.manifest.observedThrough) else {
      throw TrainingError(
        .failed, "\(first.folder)/\(ExampleFolder.manifestName): cannot be read; make the table again")
    }
    guard !dates.isEmpty, pieces.contains(where: { $0.manifest.rows > 0 }) else {
      throw TrainingError(.failed, "\(first.folder): holds no example; a larger history is needed")
    }
    var options = ExampleOptions()
    options.labels.overdueDays = first.manifest.overdueDays
    options.labels.utilizationTarget = first.manifest.utilizationTarget
    options.labels.prospectDays = first.manifest.prospectDays
    options.asOfEvents = first.manifest.asOfEvents
    let asOf = AsOfDates(dates: dates, observedThrough: through, horizonDays: first.manifest.horizonDays)
    return (summary, ExampleSet(asOf: asOf, options: options, sample: ExampleSample()))
  }

  /// The sample that the whole history would give.
  static func choose(
    _ pieces: [ExamplePiece], maxExamples: Int, seed: UInt64
  ) throws(TrainingError) -> SampleChoice {
    var counts: [UInt64: Int] = [:]
    for (index, piece) in pieces.enumerated() {
      var own: [UInt64: Int] = [:]
      for borrower in piece.borrowers { own[borrower, default: 0] += 1 }
      for (borrower, count) in own {
        guard counts.updateValue(count, forKey: borrower) == nil else {
          throw TrainingError(
            .usage,
            "\(piece.folder): holds a borrower that an earlier one of the \(index) folders before it holds too; all events "
              + "of a borrower belong into one piece, and each piece is named once")
        }
      }
    }
    return SampleChoice(
      counts: counts.map { (borrower: $0.key, examples: $0.value) }, maxExamples: maxExamples, seed: seed)
  }

  fileprivate static func values<Value: BitwiseCopyable>(
    _ folder: String, _ column: String, _ type: ColumnType, _ count: Int
  ) throws(TrainingError) -> [Value] {
    try values(path: ExampleFolder.path(folder, column: column), type, count)
  }

  fileprivate static func values<Value: BitwiseCopyable>(
    path: String, _ type: ColumnType, _ count: Int
  ) throws(TrainingError) -> [Value] {
    precondition(MemoryLayout<Value>.size == type.size)
    let bytes = try ColumnFile.read(path, type, count: count)
    let span = unsafe bytes.span.bytes
    var values: [Value] = []
    values.reserveCapacity(count)
    for index in 0..<count {
      let value = unsafe span.unsafeLoadUnaligned(fromByteOffset: index * type.size, as: Value.self)
      values.append(value)
    }
    return values
  }

  fileprivate static func truths(
    _ folder: String, _ column: ExampleFolder.Column, _ count: Int
  ) throws(TrainingError) -> [Bool] {
    let bytes: [UInt8] = try values(folder, column.rawValue, column.type, count)
    return bytes.map { $0 != 0 }
  }
}

extension ExampleManifest {
  fileprivate func isAlike(_ other: ExampleManifest) -> Bool {
    observedThrough == other.observedThrough && horizonDays == other.horizonDays && overdueDays == other.overdueDays
      && utilizationTarget == other.utilizationTarget && prospectDays == other.prospectDays
      && asOfEvents == other.asOfEvents
  }

  fileprivate var refusedLines: [BadLine] {
    firstBadLines.compactMap { line in
      guard let code = DeadLetterCode.allCases.first(where: { $0.name.description == line.code }) else { return nil }
      return BadLine(unit: line.isRow ? .row : .line, number: line.number, code: code, field: line.field)
    }
  }
}

/// Where each row of each piece goes: into the order in which a history gives its borrowers.
private struct ExampleOrder {
  /// Of each piece's rows: the row in its table, or -1 where its borrower is not taken.
  private(set) var places: [[Int]] = []
  private(set) var midnights = 0
  private(set) var served = 0

  init(_ pieces: [ExamplePiece], _ choice: SampleChoice) {
    struct Row {
      var borrower: UInt64
      var piece: Int32
      var row: Int32
    }
    var rows: [Row] = []
    for (index, piece) in pieces.enumerated() {
      places.append([Int](repeating: -1, count: piece.borrowers.count))
      for (row, borrower) in piece.borrowers.enumerated() where choice.contains(borrower) {
        rows.append(Row(borrower: borrower, piece: Int32(index), row: Int32(row)))
      }
    }
    // A borrower is in one piece only, and its rows stand there in order of time.
    rows.sort {
      if $0.borrower == $1.borrower { return $0.row < $1.row }
      return EventHistory.precedes($0.borrower, $1.borrower)
    }
    for row in rows {
      let isServed = pieces[Int(row.piece)].isServed[Int(row.row)]
      places[Int(row.piece)][Int(row.row)] = isServed ? served : midnights
      if isServed { served += 1 } else { midnights += 1 }
    }
  }
}

/// A table that is filled row by row, from any place.
private struct ExampleColumns {
  var features: [Float]
  var borrowers: [UInt64]
  var dates: [Int]
  var times: [EventTime]
  var labels: [ExampleLabels]
  var owes: [Bool]
  var isPastDue: [Bool]
  /// First each row's number of cells, one place further; then where they start.
  var pictureStarts: [Int]
  var pictureCells: [UInt16] = []
  var pictureValues: [Float] = []

  init(rows: Int) {
    features = [Float](repeating: 0, count: rows * FeatureCatalogue.count)
    borrowers = [UInt64](repeating: 0, count: rows)
    dates = [Int](repeating: 0, count: rows)
    times = [EventTime](repeating: .distantPast, count: rows)
    labels = [ExampleLabels](
      repeating: ExampleLabels(isOverdue: false, drawn: 0, hasDrawn: false, utilization: nil, hasLimit: false),
      count: rows)
    owes = [Bool](repeating: false, count: rows)
    isPastDue = [Bool](repeating: false, count: rows)
    pictureStarts = [Int](repeating: 0, count: rows + 1)
  }

  mutating func makeRoomForPictures() {
    for row in 1..<pictureStarts.count { pictureStarts[row] += pictureStarts[row - 1] }
    pictureCells = [UInt16](repeating: 0, count: pictureStarts.last!)
    pictureValues = [Float](repeating: 0, count: pictureStarts.last!)
  }

  /// Leaves this one empty: nothing is held twice.
  mutating func takeTable() -> ExampleTable {
    let table = ExampleTable(
      features: features, borrowers: borrowers, dates: dates, times: times, labels: labels, owes: owes,
      isPastDue: isPastDue, pictureStarts: pictureStarts, pictureCells: pictureCells, pictureValues: pictureValues)
    self = ExampleColumns(rows: 0)
    return table
  }
}

extension ExamplePiece {
  private var damage: TrainingError {
    TrainingError(.failed, "\(folder): its columns do not fit each other; make the table again")
  }

  private func starts() throws(TrainingError) -> [Int] {
    let starts: [Int64] = try Self.values(
      path: ExampleFolder.path(folder, picture: "starts"), .signed64, manifest.rows + 1)
    guard starts.first == 0, starts.last == Int64(manifest.pictureCells),
      zip(starts, starts.dropFirst()).allSatisfy({ $0 <= $1 })
    else { throw damage }
    return starts.map(Int.init)
  }

  fileprivate func measurePictures(
    _ midnights: inout ExampleColumns, _ served: inout ExampleColumns, _ places: [Int]
  ) throws(TrainingError) {
    let starts = try starts()
    for (row, place) in places.enumerated() where place >= 0 {
      let count = starts[row + 1] - starts[row]
      if isServed[row] { served.pictureStarts[place + 1] = count } else { midnights.pictureStarts[place + 1] = count }
    }
  }

  fileprivate func fill(
    _ midnights: inout ExampleColumns, _ served: inout ExampleColumns, _ places: [Int], dates: [EventTime]
  ) throws(TrainingError) {
    try fillLabels(&midnights, &served, places, dates: dates)
    try fillPictures(&midnights, &served, places)
    let width = FeatureCatalogue.count
    for (column, feature) in FeatureCatalogue.all.enumerated() {
      let values: [Float] = try Self.values(folder, feature.name, .float32, manifest.rows)
      for (row, place) in places.enumerated() where place >= 0 {
        if isServed[row] {
          served.features[place * width + column] = values[row]
        } else {
          midnights.features[place * width + column] = values[row]
        }
      }
    }
  }

  private func fillLabels(
    _ midnights: inout ExampleColumns, _ served: inout ExampleColumns, _ places: [Int], dates: [EventTime]
  ) throws(TrainingError) {
    typealias Column = ExampleFolder.Column
    let rows = manifest.rows
    let dateIndices = Dictionary(uniqueKeysWithValues: dates.enumerated().map { ($1.milliseconds, $0) })
    let times: [Int64] = try Self.values(folder, Column.time.rawValue, Column.time.type, rows)
    let asOf: [Int64] = try Self.values(folder, Column.asOf.rawValue, Column.asOf.type, rows)
    let drawn: [Double] = try Self.values(folder, Column.drawn.rawValue, Column.drawn.type, rows)
    let utilization: [Double] = try Self.values(folder, Column.utilization.rawValue, Column.utilization.type, rows)
    let overdue = try Self.truths(folder, .overdue, rows)
    let hasDrawn = try Self.truths(folder, .hasDrawn, rows)
    let hasLimit = try Self.truths(folder, .hasLimit, rows)
    let owes = try Self.truths(folder, .owes, rows)
    let isPastDue = try Self.truths(folder, .isPastDue, rows)
    for (row, place) in places.enumerated() where place >= 0 {
      guard let date = dateIndices[asOf[row]] else { throw damage }
      let labels = ExampleLabels(
        isOverdue: overdue[row], drawn: drawn[row], hasDrawn: hasDrawn[row],
        utilization: utilization[row].isNaN ? nil : utilization[row], hasLimit: hasLimit[row])
      func set(_ columns: inout ExampleColumns) {
        columns.borrowers[place] = borrowers[row]
        columns.dates[place] = date
        columns.times[place] = EventTime(milliseconds: times[row])
        columns.labels[place] = labels
        columns.owes[place] = owes[row]
        columns.isPastDue[place] = isPastDue[row]
      }
      if isServed[row] { set(&served) } else { set(&midnights) }
    }
  }

  private func fillPictures(
    _ midnights: inout ExampleColumns, _ served: inout ExampleColumns, _ places: [Int]
  ) throws(TrainingError) {
    let starts = try starts()
    let cells: [UInt16] = try Self.values(
      path: ExampleFolder.path(folder, picture: "cells"), .unsigned16, manifest.pictureCells)
    let values: [Float] = try Self.values(
      path: ExampleFolder.path(folder, picture: "values"), .float32, manifest.pictureCells)
    guard cells.allSatisfy({ Int($0) < ModelInput.pictureDays * ModelInput.pictureChannels }) else { throw damage }
    for (row, place) in places.enumerated() where place >= 0 {
      func copy(_ columns: inout ExampleColumns) {
        var target = columns.pictureStarts[place]
        for source in starts[row]..<starts[row + 1] {
          columns.pictureCells[target] = cells[source]
          columns.pictureValues[target] = values[source]
          target += 1
        }
      }
      if isServed[row] { copy(&served) } else { copy(&midnights) }
    }
  }
}
