import Foundation

/// What a models folder holds: for `lendpulse models list` and `verify`.
public enum ModelRegistry {
  public struct Entry: Sendable {
    public var kind: ModelKind
    public var version: String
    public var isChampion: Bool
    /// Nil when the manifest cannot be read; `problem` says why.
    public var manifest: Manifest?
    public var problem: ModelError?
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
      let champion = try? ModelFolder.champion(directory: directory, kind: kind)
      let versions = names.filter { $0.hasPrefix(kind.rawValue + "-") && ModelFolder.isPlainName($0) }.sorted()
      for version in versions {
        entries.append(entry(directory, kind, version, isChampion: version == champion, verify ? catalogue : nil))
      }
      if let problem = championProblem(directory, kind, versions) {
        entries.append(Entry(kind: kind, version: "champion", isChampion: true, manifest: nil, problem: problem))
      }
    }
    return entries
  }

  private static func championProblem(_ directory: String, _ kind: ModelKind, _ versions: [String]) -> ModelError? {
    let path = "\(directory)/\(kind.rawValue)/champion"
    do {
      let champion = try ModelFolder.champion(directory: directory, kind: kind)
      guard let champion, !versions.contains(champion) else { return nil }
      return ModelError(file: path, problem: "names \(champion), which is not there; name one that is")
    } catch {
      return error
    }
  }

  private static func entry(
    _ directory: String, _ kind: ModelKind, _ version: String, isChampion: Bool, _ catalogue: Catalogue?
  ) -> Entry {
    var entry = Entry(kind: kind, version: version, isChampion: isChampion, manifest: nil, problem: nil)
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

  /// One line a version: kind, version, whether it serves, when it was made, on how many examples, its figures.
  public static func list(directory: String) throws(ModelError) -> [String] {
    let entries = try entries(directory: directory, verify: false)
    guard !entries.isEmpty else { return ["\(directory) holds no models; make some with `lendpulse train all`"] }
    return lines(entries) { entry in
      if let problem = entry.problem { return "cannot be read: \(problem.problem)" }
      guard let manifest = entry.manifest else { return "" }
      return "\(manifest.created)  \(manifest.data.examples) examples  \(figures(manifest))"
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
    let lines = lines(entries) { entry in
      entry.problem.map { "BAD  \($0)" } ?? "ok   \(entry.manifest?.files.count ?? 0) files"
    }
    return (lines, entries.allSatisfy { $0.problem == nil })
  }

  private static func lines(_ entries: [Entry], _ rest: (Entry) -> String) -> [String] {
    let width = entries.map(\.version.count).max() ?? 0
    return entries.map { entry in
      let kind = entry.kind.rawValue.padding(toLength: 12, withPad: " ", startingAt: 0)
      let version = entry.version.padding(toLength: width, withPad: " ", startingAt: 0)
      return "\(kind)  \(version)  \(entry.isChampion ? "champion" : "        ")  \(rest(entry))"
    }
  }

  /// Up to six figures, by name, four decimals.
  private static func figures(_ manifest: Manifest) -> String {
    manifest.metrics.sorted { $0.key < $1.key }.prefix(6)
      .map { "\($0.key) \(String(format: "%.4g", $0.value))" }.joined(separator: "  ")
  }
}
