import Foundation

/// What a models folder holds: for `lendpulse models`.
public enum ModelRegistry {
  public struct Entry: Sendable {
    public var kind: ModelKind
    public var version: String
    /// The names that point at it, and since when, where the file says so.
    public var aliases: [(alias: ModelAlias, since: Date?)]
    /// Nil when the manifest cannot be read; `problem` says why.
    public var manifest: Manifest?
    public var problem: ModelError?

    public var isChampion: Bool { aliases.contains { $0.alias == .champion } }
  }

  /// Every version, by kind and name. `verify` also reads every file and makes every model ready to predict.
  public static func entries(directory: String, verify: Bool) throws(ModelError) -> [Entry] {
    try entries(directory: directory, verify: verify, catalogue: verify ? .current : Catalogue(count: 0, hash: ""))
  }

  package static func entries(directory: String, verify: Bool, catalogue: Catalogue) throws(ModelError) -> [Entry] {
    guard (try? FileManager.default.contentsOfDirectory(atPath: directory)) != nil else {
      throw ModelError(file: directory, problem: "is not a folder that can be read; name a models folder")
    }
    var entries: [Entry] = []
    for kind in ModelKind.allCases {
      let folder = "\(directory)/\(kind.rawValue)"
      guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else { continue }
      let versions = names.filter { $0.hasPrefix(kind.rawValue + "-") && ModelFolder.isPlainName($0) }.sorted()
      for version in versions { entries.append(entry(directory, kind, version, verify ? catalogue : nil)) }
      for alias in ModelAlias.allCases {
        guard let problem = problem(alias, directory, kind, versions) else { continue }
        entries.append(Entry(kind: kind, version: alias.rawValue, aliases: [], manifest: nil, problem: problem))
      }
    }
    return entries
  }

  private static func problem(
    _ alias: ModelAlias, _ directory: String, _ kind: ModelKind, _ versions: [String]
  ) -> ModelError? {
    do {
      let named = try ModelFolder.version(alias, directory: directory, kind: kind)
      guard let named, !versions.contains(named) else { return nil }
      return ModelError(
        file: ModelFolder.path(alias, directory, kind),
        problem: "names \(named), which is not there; name one that is")
    } catch {
      return error
    }
  }

  private static func entry(
    _ directory: String, _ kind: ModelKind, _ version: String, _ catalogue: Catalogue?
  ) -> Entry {
    var entry = Entry(kind: kind, version: version, aliases: [], manifest: nil, problem: nil)
    for alias in ModelAlias.allCases {
      guard (try? ModelFolder.version(alias, directory: directory, kind: kind)) == version else { continue }
      let attributes = try? FileManager.default.attributesOfItem(
        atPath: ModelFolder.path(alias, directory, kind))
      entry.aliases.append((alias, attributes?[.modificationDate] as? Date))
    }
    do {
      let path = "\(directory)/\(kind.rawValue)/\(version)/manifest.json"
      entry.manifest = try ModelFolder.readManifest(path, kind: kind, version: version).manifest
      if let catalogue {
        let loaded = try ModelFolder.read(directory: directory, kind: kind, version: version, catalogue: catalogue)
        _ = try ModelSet([loaded], catalogue)
      }
    } catch {
      entry.problem = error
    }
    return entry
  }

  /// A head and one line a version: kind, version, what it is, since when, on how many examples, its figures, its cost.
  public static func list(directory: String) throws(ModelError) -> [String] {
    let entries = try entries(directory: directory, verify: false)
    guard !entries.isEmpty else { return ["\(directory) holds no models; make some with `lendpulse train all`"] }
    var rows = [["KIND", "VERSION", "ROLE", "SINCE", "EXAMPLES", "US/EVENT", "MEASURED"]]
    for entry in entries {
      let role = entry.aliases.map(\.alias.rawValue).joined(separator: "+")
      let since = entry.aliases.first?.since.map { String(EventText.rfc3339($0).prefix(16)) } ?? ""
      let cost = entry.manifest?.measured?.scoreMicroseconds["served"].map { String(format: "%.1f", $0) } ?? ""
      rows.append([
        entry.kind.rawValue, entry.version, role.isEmpty ? "-" : role, since.isEmpty ? "-" : since,
        entry.manifest.map { "\($0.data.examples)" } ?? "-", cost.isEmpty ? "-" : cost,
        entry.problem.map { "cannot be read: \($0.problem)" } ?? entry.manifest.map(figures) ?? "",
      ])
    }
    return columns(rows)
  }

  /// The registry for programs: one object with `models`, an array of one object a version.
  public static func json(directory: String) throws(ModelError) -> String {
    struct Described: Encodable {
      var kind: ModelKind
      var version: String
      var aliases: [String: String]
      var target: String?
      var horizonDays: Int?
      var asOfDates: [String]?
      var borrowers: Int?
      var examples: Int?
      var metrics: [String: Double]?
      var chosen: [String]?
      var choice: String?
      var measured: Measurements?
      var problem: String?
    }
    let described = try entries(directory: directory, verify: false).map { entry in
      Described(
        kind: entry.kind, version: entry.version,
        aliases: Dictionary(
          uniqueKeysWithValues: entry.aliases.map { ($0.alias.rawValue, $0.since.map(EventText.rfc3339) ?? "") }),
        target: entry.manifest?.target, horizonDays: entry.manifest?.horizonDays,
        asOfDates: entry.manifest?.asOfDates, borrowers: entry.manifest?.data.borrowers,
        examples: entry.manifest?.data.examples, metrics: entry.manifest?.metrics,
        chosen: entry.manifest?.candidates.filter(\.chosen).map(\.name), choice: entry.manifest?.choice,
        measured: entry.manifest?.measured, problem: entry.problem?.description)
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    do {
      return String(decoding: try encoder.encode(["models": described]), as: UTF8.self) + "\n"
    } catch {
      throw ModelError(file: directory, problem: "holds a manifest with a figure that is not finite; train again")
    }
  }

  /// One line a version, and whether all are well.
  public static func verify(directory: String) throws(ModelError) -> (lines: [String], isGood: Bool) {
    report(try entries(directory: directory, verify: true), directory)
  }

  package static func verify(
    directory: String, catalogue: Catalogue
  ) throws(ModelError) -> (lines: [String], isGood: Bool) {
    report(try entries(directory: directory, verify: true, catalogue: catalogue), directory)
  }

  private static func report(_ entries: [Entry], _ directory: String) -> (lines: [String], isGood: Bool) {
    guard !entries.isEmpty else {
      return (["\(directory) holds no models; make some with `lendpulse train all`"], false)
    }
    let rows = entries.map { entry in
      let files = entry.manifest?.files.count ?? 0
      return [
        entry.kind.rawValue, entry.version, entry.aliases.map(\.alias.rawValue).joined(separator: "+"),
        entry.problem.map { "BAD  \($0)" } ?? "ok   \(files) \(files == 1 ? "file" : "files") and the manifest",
      ]
    }
    return (columns(rows), entries.allSatisfy { $0.problem == nil })
  }

  /// Names a version to serve or to challenge, after all of its files were read and found to make a model. A damaged or
  /// foreign version changes nothing.
  public static func name(
    _ alias: ModelAlias, directory: String, kind: ModelKind, version: String
  ) throws(ModelError) {
    let entry = entry(directory, kind, version, .current)
    if let problem = entry.problem { throw problem }
    switch alias {
    case .champion: try ModelFolder.setChampion(directory: directory, kind: kind, version: version)
    case .challenger:
      guard !entry.isChampion else {
        throw ModelError(
          file: ModelFolder.path(.champion, directory, kind),
          problem: "names \(version) already; a version cannot challenge itself")
      }
      try ModelFolder.set(alias, directory: directory, kind: kind, version: version)
    }
  }

  private static func columns(_ rows: [[String]]) -> [String] {
    let widths = rows[0].indices.map { column in rows.map(\.[column].count).max() ?? 0 }
    return rows.map { row in
      zip(row, widths).map { $0.padding(toLength: max($1, $0.count), withPad: " ", startingAt: 0) }
        .joined(separator: "  ").trimmingCharacters(in: .whitespaces)
    }
  }

  /// The figures by which a kind is judged, four digits.
  private static func figures(_ manifest: Manifest) -> String {
    let names: [String] =
      switch manifest.kind {
      case .overdue: ["auc", "ks", "brier", "log_loss", "ece"]
      case .demand: ["rmse_log1p", "normalized_gini", "total_forecast_over_actual", "borrowing.auc", "coverage_80"]
      case .utilization: ["rmse", "mae", "prospects.rmse"]
      case .repayment: ["wape", "coverage_80", "origins"]
      }
    var known = names.compactMap { name in manifest.metrics[name].map { (name, $0) } }
    if known.isEmpty { known = manifest.metrics.sorted { $0.key < $1.key }.prefix(5).map { ($0.key, $0.value) } }
    return known.map { "\($0) \(String(format: "%.4g", $1))" }.joined(separator: "  ")
  }
}

/// A clock's time as text.
enum EventText {
  /// RFC 3339 in UTC, to the millisecond.
  static func rfc3339(_ date: Date) -> String {
    date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
  }
}
