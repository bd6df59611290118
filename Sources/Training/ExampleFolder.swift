import Borrowers
import Features
import Foundation
import History

/// A table of examples on disk, which any program that reads `.npy` files can read, and `train --examples` trains from:
///
/// - `columns/NAME.npy`: one value for each row. First what a row is and what came true, then every feature by its name in
///   the catalogue.
/// - `pictures/starts.npy`, `cells.npy`, `values.npy`: the pictures, sparse. Row r's cells that are not 0 are
///   `starts[r]..<starts[r + 1]`; a cell's number is day * 16 + channel.
/// - `examples.json`: how the table was made. It is written last: a folder without it holds no table.
enum ExampleFolder {
  static let manifestName = "examples.json"
  static let version = 1

  /// The columns that are no features.
  enum Column: String, CaseIterable {
    case borrowerID = "borrower_id"
    /// The id's hash, by which borrowers are ordered, sampled and dealt to folds.
    case borrower
    /// When the state was taken.
    case time
    /// The as-of date that the row belongs to: its own, or the first behind its event.
    case asOf = "as_of"
    /// Taken right after an event, not at a midnight.
    case asServed = "as_served"
    case owes
    case isPastDue = "is_past_due"
    case hasLimit = "has_limit"
    // What came true; a feature may have the name without `label_`.
    case overdue = "label_overdue"
    case drawn = "label_drawn"
    case hasDrawn = "label_has_drawn"
    /// NaN where there is no example.
    case utilization = "label_utilization"

    var type: ColumnType {
      switch self {
      case .borrowerID: .identifier
      case .borrower: .unsigned64
      case .time, .asOf: .time
      case .drawn, .utilization: .float64
      case .asServed, .owes, .isPastDue, .overdue, .hasDrawn, .hasLimit: .boolean
      }
    }
  }

  static func path(_ folder: String, column: String) -> String { "\(folder)/columns/\(column).npy" }
  static func path(_ folder: String, picture: String) -> String { "\(folder)/pictures/\(picture).npy" }
}

/// `examples.json`.
struct ExampleManifest: Codable, Equatable {
  struct Sample: Codable, Equatable {
    var examplesThere: Int
    var borrowersThere: Int
    var examplesTaken: Int
    var borrowersTaken: Int

    enum CodingKeys: String, CodingKey {
      case examplesThere = "examples_there"
      case borrowersThere = "borrowers_there"
      case examplesTaken = "examples_taken"
      case borrowersTaken = "borrowers_taken"
    }
  }

  struct RefusedLine: Codable, Equatable {
    var number: Int
    var isRow: Bool
    var code: String
    var field: String

    enum CodingKeys: String, CodingKey {
      case number
      case isRow = "is_row"
      case code, field
    }
  }

  var version = ExampleFolder.version
  var rows: Int
  /// Cells of all pictures that are not 0.
  var pictureCells: Int
  /// All columns, in the order in which a reader wants them.
  var columns: [String]
  var featureHash: String
  var asOf: [String]
  var observedThrough: String
  var horizonDays: Int
  var overdueDays: Int
  var utilizationTarget: UtilizationTarget
  var prospectDays: Int
  var asOfEvents: Int
  var seed: UInt64
  var sample: Sample
  /// Of these borrowers; of all lines that were read, where these are no events.
  var events: Int
  var badLines: Int
  var firstBadLines: [RefusedLine]
  /// Of the events left, and of all that was read; nil where there was none.
  var earliest: String?
  var latest: String?

  enum CodingKeys: String, CodingKey {
    case version, rows
    case pictureCells = "picture_cells"
    case columns
    case featureHash = "feature_hash"
    case asOf = "as_of"
    case observedThrough = "observed_through"
    case horizonDays = "horizon_days"
    case overdueDays = "overdue_days"
    case utilizationTarget = "utilization_target"
    case prospectDays = "prospect_days"
    case asOfEvents = "as_of_events"
    case seed, sample, events
    case badLines = "bad_lines"
    case firstBadLines = "first_bad_lines"
    case earliest, latest
  }

  init(
    _ asOf: AsOfDates, _ options: ExampleOptions, _ summary: HistorySummary, sample: ExampleSample, pictureCells: Int
  ) {
    rows = sample.examplesTaken
    self.pictureCells = pictureCells
    columns = ExampleFolder.Column.allCases.map(\.rawValue) + FeatureCatalogue.all.map(\.name)
    featureHash = FeatureCatalogue.hash
    self.asOf = asOf.dates.map(\.dateText)
    observedThrough = asOf.observedThrough.text
    horizonDays = asOf.horizonDays
    overdueDays = options.labels.overdueDays
    utilizationTarget = options.labels.utilizationTarget
    prospectDays = options.labels.prospectDays
    asOfEvents = options.asOfEvents
    seed = options.seed
    self.sample = Sample(
      examplesThere: sample.examplesThere, borrowersThere: sample.borrowersThere, examplesTaken: sample.examplesTaken,
      borrowersTaken: sample.borrowersTaken)
    events = summary.events
    badLines = summary.badLines
    firstBadLines = summary.firstBadLines.map {
      RefusedLine(number: $0.number, isRow: $0.unit == .row, code: $0.code.name.description, field: $0.field)
    }
    earliest = summary.earliest == .distantFuture ? nil : summary.earliest.text
    latest = summary.latest == .distantPast ? nil : summary.latest.text
  }

  static func read(_ folder: String) throws(TrainingError) -> ExampleManifest {
    let path = "\(folder)/\(ExampleFolder.manifestName)"
    guard let data = FileManager.default.contents(atPath: path) else {
      throw TrainingError(
        .usage, "\(folder): holds no table of examples; name a folder that lendpulse examples has written")
    }
    guard let manifest = try? JSONDecoder().decode(ExampleManifest.self, from: data),
      manifest.version <= ExampleFolder.version, manifest.rows >= 0, manifest.pictureCells >= 0
    else { throw TrainingError(.failed, "\(path): cannot be read; make the table again") }
    guard manifest.featureHash == FeatureCatalogue.hash else {
      throw TrainingError(
        .failed, "\(folder): was made with the features of another version of lendpulse; make the table again")
    }
    return manifest
  }
}
