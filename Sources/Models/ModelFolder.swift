import Foundation

/// One version read from disk: its files have the hashes that the manifest names.
package struct LoadedVersion: Sendable {
  var manifest: Manifest
  /// With a slash at the end.
  var folder: String
  var files: [String: [UInt8]]
  /// SHA-256 of the manifest, which names those of the files.
  var digest: String

  func head(_ name: String, _ catalogue: Catalogue, explained: Bool) throws(ModelError) -> Ensemble {
    guard let description = manifest.architecture.heads[name] else {
      throw ModelError(file: folder + "manifest.json", problem: "has no head \(name); train again")
    }
    return try Ensemble(
      description, files: files, catalogueCount: catalogue.count, name: name, folder: folder, explained: explained)
  }
}

/// A name that points at a version of a kind: a file that holds the version's name, replaced by rename.
public enum ModelAlias: String, CaseIterable, Sendable {
  /// The version that serves.
  case champion
  /// A version that is to be compared with the champion.
  case challenger
}

/// Models on disk: `DIR/<kind>/<version>/` holds `manifest.json` and the files it names, `DIR/<kind>/champion` the name of
/// the version that serves, `DIR/<kind>/challenger` that of one to compare with it. A version is written once, under
/// another name first, and never changed; an alias is replaced by rename.
public enum ModelFolder {
  static let manifestBytesMax = 16 << 20
  static let fileBytesMax = 256 << 20
  static let filesMax = 64

  /// The name of a version before its digest is known; the digest is of the manifest with this name in place of its own.
  private static func unnamed(_ kind: ModelKind, _ created: String) -> String {
    "\(kind.rawValue)-\(created.filter { $0 != "-" })-00000000"
  }

  /// Whether a text can be the name of a folder or file of ours: no path, nothing hidden.
  static func isPlainName(_ name: String) -> Bool {
    let allowed = name.utf8.allSatisfy {
      ($0 >= 48 && $0 <= 57) || ($0 >= 65 && $0 <= 90) || ($0 >= 97 && $0 <= 122) || [45, 46, 95].contains($0)
    }
    return allowed && !name.isEmpty && name.utf8.count <= 128 && !name.hasPrefix(".")
  }

  static func path(_ alias: ModelAlias, _ directory: String, _ kind: ModelKind) -> String {
    "\(directory)/\(kind.rawValue)/\(alias.rawValue)"
  }

  // MARK: Reading

  /// The version that serves; nil when the kind has none.
  static func champion(directory: String, kind: ModelKind) throws(ModelError) -> String? {
    try version(.champion, directory: directory, kind: kind)
  }

  /// The version that an alias names; nil when the kind has no such alias.
  public static func version(
    _ alias: ModelAlias, directory: String, kind: ModelKind
  ) throws(ModelError) -> String? {
    let path = path(alias, directory, kind)
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    let bytes = try readFile(path, bytesMax: 256, mend: "write the name of a version into it")
    let name = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    guard isPlainName(name) else {
      throw ModelError(file: path, problem: "does not name a version; write one of the folder's names into it")
    }
    return name
  }

  static func read(
    directory: String, kind: ModelKind, version: String, catalogue: Catalogue
  ) throws(ModelError) -> LoadedVersion {
    let folder = "\(directory)/\(kind.rawValue)/\(version)/"
    let path = folder + "manifest.json"
    guard isPlainName(version) else { throw ModelError(file: path, problem: "is not a version's name") }
    let (manifest, bytes) = try readManifest(path, kind: kind, version: version)
    // What a repayment model reads is a platform's book, not the catalogue.
    guard kind == .repayment || manifest.featureHash == catalogue.hash else {
      throw ModelError(
        file: path,
        problem: "was made for features \(manifest.featureHash.prefix(12)), this lendpulse has "
          + "\(catalogue.hash.prefix(12)); train again with it, or run the one it was made for")
    }
    guard manifest.files.count <= filesMax else { throw ModelError(file: path, problem: "names too many files") }
    var files: [String: [UInt8]] = [:]
    for (name, hash) in manifest.files.sorted(by: { $0.key < $1.key }) {
      guard isPlainName(name) else { throw ModelError(file: path, problem: "names a file outside its folder") }
      let content = try readFile(folder + name, bytesMax: fileBytesMax, mend: "copy the folder again or train again")
      let found = SHA256.hex(of: content)
      guard found == hash else {
        throw ModelError(
          file: folder + name,
          problem: "is damaged: SHA-256 \(found.prefix(12)), the manifest says \(hash.prefix(12)) (\(content.count) "
            + "bytes read); copy the folder again or train again")
      }
      files[name] = content
    }
    let digest = SHA256.hex(of: Array(withoutMeasurements(String(decoding: bytes, as: UTF8.self)).utf8))
    return LoadedVersion(manifest: manifest, folder: folder, files: files, digest: digest)
  }

  /// The manifest's text less what clocks said: versions and digests are made of the rest.
  static func withoutMeasurements(_ text: String) -> String {
    // As `encode` writes it. No text of ours holds a line break, so that the first line that closes at this depth ends it.
    guard let start = text.range(of: "\n  \"measured\" : {\n"),
      let end = text.range(of: "\n  },", range: text.index(before: start.upperBound)..<text.endIndex)
    else { return text }
    return text.replacingCharacters(in: start.lowerBound..<end.upperBound, with: "")
  }

  static func readManifest(
    _ path: String, kind: ModelKind, version: String
  ) throws(ModelError) -> (manifest: Manifest, bytes: [UInt8]) {
    let bytes = try readFile(path, bytesMax: manifestBytesMax, mend: "copy the folder again or train again")
    struct Header: Decodable { var format: Int }
    let decoder = JSONDecoder()
    if let header = try? decoder.decode(Header.self, from: Data(bytes)), header.format != 1 {
      throw ModelError(
        file: path, problem: "has format \(header.format), this lendpulse reads 1; run the one that wrote it")
    }
    let manifest: Manifest
    do {
      manifest = try decoder.decode(Manifest.self, from: Data(bytes))
    } catch {
      throw ModelError(
        file: path, problem: "is not a manifest (\(describe(error))); copy the folder again or train again")
    }
    guard manifest.kind == kind, manifest.version == version else {
      throw ModelError(
        file: path,
        problem: "is of \(manifest.kind.rawValue) \(manifest.version), not of the folder it lies in; move it back")
    }
    let text = withoutMeasurements(String(decoding: bytes, as: UTF8.self))
    let plain = text.replacingOccurrences(of: version, with: unnamed(kind, manifest.created))
    guard version.hasSuffix("-" + SHA256.hex(of: Array(plain.utf8)).prefix(8)) else {
      throw ModelError(
        file: path, problem: "was changed after it was written; copy the folder again or train again")
    }
    return (manifest, bytes)
  }

  private static func describe(_ error: any Error) -> String {
    switch error as? DecodingError {
    case .keyNotFound(let key, _): "\(key.stringValue) is missing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      context.codingPath.map(\.stringValue).joined(separator: ".") + " has the wrong type"
    default: "not readable JSON"
    }
  }

  private static func readFile(_ path: String, bytesMax: Int, mend: String) throws(ModelError) -> [UInt8] {
    guard let attributes = try? FileManager.default.attributesOfItem(atPath: path) else {
      throw ModelError(file: path, problem: "is missing; \(mend)")
    }
    guard let size = attributes[.size] as? Int, size <= bytesMax else {
      throw ModelError(file: path, problem: "is larger than \(bytesMax) bytes; \(mend)")
    }
    guard let data = FileManager.default.contents(atPath: path) else {
      throw ModelError(file: path, problem: "cannot be read; give lendpulse the right to read it")
    }
    return Array(data)
  }

  // MARK: Writing

  /// Writes a version and, unless told otherwise, makes it the champion. Names it by the newest as-of date and a digest
  /// of all that it is, so that the same training gives the same name and bytes; a version that is already there is left
  /// as it is. Returns the version.
  ///
  /// `files` are those that the architecture names. The manifest's `version` and `files` are set here.
  @discardableResult
  public static func write(
    directory: String, manifest: Manifest, files: [String: [UInt8]], champion: Bool = true
  ) throws(ModelError) -> String {
    var manifest = manifest
    let kindFolder = "\(directory)/\(manifest.kind.rawValue)"
    manifest.files = files.mapValues(SHA256.hex(of:))
    manifest.version = unnamed(manifest.kind, manifest.created)
    guard files.keys.allSatisfy(isPlainName), files["manifest.json"] == nil, isPlainName(manifest.version) else {
      throw ModelError(file: kindFolder, problem: "a file's name or the date of creation is not plain")
    }
    var lasting = manifest
    lasting.measured = nil
    let digest = SHA256.hex(of: try encode(lasting, kindFolder))
    let version = manifest.version.dropLast(8) + digest.prefix(8)
    manifest.version = String(version)
    let bytes = try encode(manifest, kindFolder)
    let folder = "\(kindFolder)/\(version)"
    removeLeftovers(kindFolder)
    if !FileManager.default.fileExists(atPath: folder + "/manifest.json") {
      let temporary = "\(kindFolder)/.\(version).\(ProcessInfo.processInfo.processIdentifier)"
      try? FileManager.default.removeItem(atPath: temporary)
      do {
        try FileManager.default.createDirectory(atPath: temporary, withIntermediateDirectories: true)
      } catch {
        throw ModelError(file: kindFolder, problem: "cannot be written; give lendpulse the right to write there")
      }
      for (name, content) in files.sorted(by: { $0.key < $1.key }) { try writeFile("\(temporary)/\(name)", content) }
      try writeFile("\(temporary)/manifest.json", bytes)
      try replace(temporary, by: folder)
    }
    if champion { try setChampion(directory: directory, kind: manifest.kind, version: manifest.version) }
    return manifest.version
  }

  /// What trainings that were killed have left behind: names that begin with a dot and end with the id of a process that
  /// is gone.
  private static func removeLeftovers(_ kindFolder: String) {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: kindFolder)) ?? [] where name.hasPrefix(".") {
      guard let process = name.split(separator: ".").last.flatMap({ pid_t($0) }), process > 0, kill(process, 0) != 0,
        errno == ESRCH
      else { continue }
      try? FileManager.default.removeItem(atPath: "\(kindFolder)/\(name)")
    }
  }

  /// Makes a version that is in the folder the one that serves.
  public static func setChampion(directory: String, kind: ModelKind, version: String) throws(ModelError) {
    try set(.champion, directory: directory, kind: kind, version: version)
    // A challenger that was promoted challenges nobody.
    if try self.version(.challenger, directory: directory, kind: kind) == version {
      try? FileManager.default.removeItem(atPath: path(.challenger, directory, kind))
    }
  }

  /// Lets an alias name a version that is in the folder.
  public static func set(
    _ alias: ModelAlias, directory: String, kind: ModelKind, version: String
  ) throws(ModelError) {
    let kindFolder = "\(directory)/\(kind.rawValue)"
    guard isPlainName(version), FileManager.default.fileExists(atPath: "\(kindFolder)/\(version)/manifest.json") else {
      throw ModelError(file: "\(kindFolder)/\(version)", problem: "is not there; name a version that is")
    }
    let temporary = "\(kindFolder)/.\(alias.rawValue).\(ProcessInfo.processInfo.processIdentifier)"
    try writeFile(temporary, Array((version + "\n").utf8))
    try replace(temporary, by: path(alias, directory, kind))
  }

  /// The bytes of a manifest: keys sorted, so that they are the same each time.
  private static func encode(_ manifest: Manifest, _ folder: String) throws(ModelError) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    do {
      return Array(try encoder.encode(manifest)) + [10]
    } catch {
      throw ModelError(file: folder, problem: "a figure of the manifest is not a finite number")
    }
  }

  private static func writeFile(_ path: String, _ bytes: [UInt8]) throws(ModelError) {
    guard FileManager.default.createFile(atPath: path, contents: Data(bytes)),
      let handle = FileHandle(forWritingAtPath: path), (try? handle.synchronize()) != nil,
      (try? handle.close()) != nil
    else { throw ModelError(file: path, problem: "cannot be written; look for space and the right to write") }
  }

  private static func replace(_ temporary: String, by path: String) throws(ModelError) {
    guard unsafe rename(temporary, path) == 0 else {
      throw ModelError(file: path, problem: "cannot be put in place (error \(errno)); look who else writes there")
    }
  }
}
