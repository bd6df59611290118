import Foundation
import TestSupport
import Testing

@testable import Models

/// Model folders: written, listed, loaded, and refused when anything about them is wrong.
struct ModelFolderTests {
  static let catalogue = Catalogue(count: Golden.featureCount, hash: "feature-hash-of-the-tests")

  @safe final class Folder {
    let path: String
    init() throws {
      path = FileManager.default.temporaryDirectory.appendingPathComponent("models-\(UUID().uuidString)").path
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
  }

  static func manifest(_ kind: ModelKind, horizonDays: Int = 30) throws -> (Manifest, [String: [UInt8]]) {
    let architecture: Architecture
    switch kind {
    case .overdue: architecture = .overdue(try ConformanceTests.description("fused"))
    case .demand:
      architecture = .demand(
        borrowing: try ConformanceTests.description("boosted"),
        amount: try ConformanceTests.description("convolutional max"),
        DemandDescription(
          combination: .hurdle, lower: .piecewise(x: [0, 10], y: [0, 5]), upper: .piecewise(x: [0, 10], y: [0, 20])))
    case .utilization, .repayment:
      architecture = .utilization(
        try ConformanceTests.description("linear"), prospect: try ConformanceTests.description("dense"),
        prospectFeature: 7)
    }
    let manifest = Manifest(
      kind: kind, created: "2026-11-24", target: kind == .utilization ? "cumulative" : nil, horizonDays: horizonDays,
      featureHash: catalogue.hash, seed: .max, asOfDates: ["2026-10-25", "2026-11-24"], observedThrough: "2026-12-24",
      data: DataWindow(from: "2026-01-01", to: "2026-12-24", borrowers: 100, examples: 200, counts: ["positives": 20]),
      metrics: ["auc": 0.78125, "log_loss": 0.4], foldMetrics: [["auc": 0.75], ["auc": 0.8]],
      candidates: [Candidate(name: "linear", metrics: ["auc": 0.7], chosen: false)],
      trainingCard: "Ça alors.\n\"Text\"/",
      architecture: architecture)
    return (manifest, Golden.files(architecture.heads.values.flatMap(\.members)))
  }

  static func write(_ folder: Folder, _ kinds: [ModelKind] = [.overdue, .demand, .utilization]) throws -> [String] {
    try kinds.map { kind in
      let (manifest, files) = try manifest(kind)
      return try ModelFolder.write(directory: folder.path, manifest: manifest, files: files)
    }
  }

  @Test("what is written is loaded: versions, digest, predictions")
  func roundTrip() throws {
    let folder = try Folder()
    let versions = try Self.write(folder)
    let set = try ModelSet.load(directory: folder.path, catalogue: Self.catalogue)
    #expect(set.version == versions.joined(separator: "+"))
    #expect(set.version.hasPrefix("overdue-20261124-"))
    #expect(set.digest.count == 64)
    var workspace = ModelWorkspace()
    let fused = try Golden.ensemble(try ConformanceTests.description("fused"))
    let known = try Golden.ensemble(try ConformanceTests.description("linear"))
    let prospect = try Golden.ensemble(try ConformanceTests.description("dense"))
    let overdue = try #require(set.overdue)
    let demand = try #require(set.demand)
    let utilization = try #require(set.utilization)
    #expect(utilization.target == "cumulative")
    for row in 0..<Golden.rowCount {
      let score = unsafe overdue.predict(Golden.rows[row], &workspace)
      #expect(unsafe fused.fused(Golden.rows[row], &workspace) == score.fused)
      #expect(score.probability >= 0.01 && score.probability <= 0.99)
      let amount = unsafe demand.predict(Golden.rows[row], &workspace)
      #expect(amount.lower >= 0 && amount.lower <= amount.amount && amount.amount <= amount.upper)
      let head = Golden.rows.value(row, 7).isNaN ? prospect : known
      let used = unsafe head.fused(Golden.rows[row], &workspace)
      #expect(unsafe utilization.predict(Golden.rows[row], &workspace) == max(0, head.calibrated(used)))
    }
    let again = try ModelSet.load(
      directory: folder.path, version: set.version, digest: set.digest, catalogue: Self.catalogue)
    #expect(again.digest == set.digest && again.version == set.version)
    #expect(throws: ModelError.self) {
      try ModelSet.load(
        directory: folder.path, version: set.version, digest: String(repeating: "0", count: 64),
        catalogue: Self.catalogue)
    }
  }

  @Test("the same training writes the same bytes, once, and leaves nothing beside them")
  func reproducible() throws {
    let first = try Folder()
    let second = try Folder()
    for _ in 0..<2 {
      let one = try Self.write(first)
      let other = try Self.write(second)
      #expect(one == other)
    }
    for kind in ["overdue", "demand", "utilization"] {
      let names = try FileManager.default.contentsOfDirectory(atPath: "\(first.path)/\(kind)")
      #expect(names.count == 2, "\(names)")
      let version = try #require(names.first { $0 != "champion" })
      let path = "\(kind)/\(version)/manifest.json"
      #expect(
        FileManager.default.contents(atPath: "\(first.path)/\(path)")
          == FileManager.default.contents(atPath: "\(second.path)/\(path)"))
    }
  }

  @Test("any byte of any file changed, missing or cut off is refused with the file's name")
  func damage() throws {
    let folder = try Folder()
    let version = try Self.write(folder, [.overdue])[0]
    let base = "\(folder.path)/overdue/\(version)/"
    var random = SplitMix(state: 11)
    func refused(_ file: String, _ what: String) {
      let error = #expect(throws: ModelError.self, "\(file) \(what)") {
        try ModelSet.load(directory: folder.path, catalogue: Self.catalogue)
      }
      #expect(error?.file == base + file && error?.problem.contains(";") == true, "\(file) \(what): \(error as Any)")
    }
    for file in try FileManager.default.contentsOfDirectory(atPath: base) {
      let good = try #require(FileManager.default.contents(atPath: base + file))
      for _ in 0..<4 {
        var damaged = good
        let place = Int(random.next() % UInt64(good.count))
        damaged[place] ^= UInt8(1 << (random.next() % 8))
        try damaged.write(to: URL(fileURLWithPath: base + file))
        refused(file, "byte \(place)")
      }
      try good.dropLast().write(to: URL(fileURLWithPath: base + file))
      refused(file, "cut off")
      try (good + Data([10])).write(to: URL(fileURLWithPath: base + file))
      refused(file, "longer")
      try Data().write(to: URL(fileURLWithPath: base + file))
      refused(file, "empty")
      try FileManager.default.removeItem(atPath: base + file)
      refused(file, "missing")
      let verified = try ModelRegistry.verify(directory: folder.path, catalogue: Self.catalogue)
      #expect(!verified.isGood && verified.lines.contains { $0.contains(file) })
      try good.write(to: URL(fileURLWithPath: base + file))
    }
    let verified = try ModelRegistry.verify(directory: folder.path, catalogue: Self.catalogue)
    #expect(verified.isGood)
  }

  @Test("models of other features, a demand of other days, an unknown target or champion are refused")
  func mismatches() throws {
    let folder = try Folder()
    _ = try Self.write(folder, [.utilization])
    let other = Catalogue(count: Golden.featureCount, hash: "another")
    let error = #expect(throws: ModelError.self) { try ModelSet.load(directory: folder.path, catalogue: other) }
    #expect(error?.problem.contains("train again") == true)

    let weekly = try Folder()
    let (manifest, files) = try Self.manifest(.demand, horizonDays: 7)
    try ModelFolder.write(directory: weekly.path, manifest: manifest, files: files)
    let horizon = #expect(throws: ModelError.self) {
      try ModelSet.load(directory: weekly.path, catalogue: Self.catalogue)
    }
    #expect(horizon?.problem.contains("7 days") == true)

    let unknown = try Folder()
    var (utilization, weights) = try Self.manifest(.utilization)
    utilization.target = "peak"
    try ModelFolder.write(directory: unknown.path, manifest: utilization, files: weights)
    #expect(throws: ModelError.self) { try ModelSet.load(directory: unknown.path, catalogue: Self.catalogue) }

    for name in ["../../etc/passwd", "utilization-20200101-00000000", ""] {
      try Data(name.utf8).write(to: URL(fileURLWithPath: folder.path + "/utilization/champion"))
      #expect(throws: ModelError.self, "champion \(name)") {
        try ModelSet.load(directory: folder.path, catalogue: Self.catalogue)
      }
    }
  }

  @Test("a folder without models is an error that names it, and some models are enough")
  func missingKinds() throws {
    let folder = try Folder()
    let error = #expect(throws: ModelError.self) {
      try ModelSet.load(directory: folder.path, catalogue: Self.catalogue)
    }
    #expect(error?.file == folder.path)
    _ = try Self.write(folder, [.demand])
    let set = try ModelSet.load(directory: folder.path, catalogue: Self.catalogue)
    #expect(set.overdue == nil && set.utilization == nil && set.demand != nil)
  }

  @Test("the registry lists each version in a line and says which serves and which challenges")
  func registry() throws {
    let folder = try Folder()
    let versions = try Self.write(folder)
    var (later, files) = try Self.manifest(.overdue)
    later.created = "2026-12-24"
    later.measured = Measurements(
      trainedAt: "2026-12-25T10:00:00.000Z", trainingSeconds: 12, scoreMicroseconds: ["served": 3.46])
    let challenger = try ModelFolder.write(directory: folder.path, manifest: later, files: files, champion: false)
    try ModelFolder.set(.challenger, directory: folder.path, kind: .overdue, version: challenger)
    let lines = try ModelRegistry.list(directory: folder.path)
    #expect(lines.count == 5 && lines[0].hasPrefix("KIND"))
    #expect(lines[1].contains(versions[0]) && lines[1].contains("champion") && lines[1].contains("auc 0.7812"))
    #expect(lines[2].contains(challenger) && lines[2].contains("challenger") && lines[2].contains("3.5"))
    let verified = try ModelRegistry.verify(directory: folder.path, catalogue: Self.catalogue)
    #expect(verified.isGood && verified.lines.count == 4)
    let json = try JSONSerialization.jsonObject(with: Data(ModelRegistry.json(directory: folder.path).utf8))
    let models = try #require((json as? [String: Any])?["models"] as? [[String: Any]])
    #expect(models.count == 4 && (models[1]["aliases"] as? [String: String])?["challenger"] != nil)

    try ModelFolder.setChampion(directory: folder.path, kind: .overdue, version: challenger)
    let promoted = try ModelSet.load(directory: folder.path, catalogue: Self.catalogue)
    #expect(promoted.version.hasPrefix(challenger))
    #expect(try ModelFolder.version(.challenger, directory: folder.path, kind: .overdue) == nil)
    #expect(throws: ModelError.self) {
      try ModelFolder.setChampion(directory: folder.path, kind: .overdue, version: "overdue-20200101-00000000")
    }
  }

  @Test("what clocks said changes neither version nor digest, and everything else of a manifest is held to them")
  func measurements() throws {
    let folder = try Folder()
    let plain = try Self.write(folder, [.overdue])[0]
    let digest = try ModelSet.load(directory: folder.path, catalogue: Self.catalogue).digest
    let timed = try Folder()
    var (manifest, files) = try Self.manifest(.overdue)
    manifest.measured = Measurements(
      trainedAt: "2026-12-25T10:00:00.000Z", trainingSeconds: 12.5, scoreMicroseconds: ["served": 3.5, "overdue/a": 1])
    let version = try ModelFolder.write(directory: timed.path, manifest: manifest, files: files)
    #expect(version == plain)
    #expect(try ModelSet.load(directory: timed.path, catalogue: Self.catalogue).digest == digest)
    #expect(
      try ModelRegistry.entries(directory: timed.path, verify: false)[0].manifest?.measured == manifest.measured)
    let path = "\(timed.path)/overdue/\(version)/manifest.json"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    try text.replacingOccurrences(of: "\"trainingSeconds\" : 12.5", with: "\"trainingSeconds\" : 13")
      .write(toFile: path, atomically: true, encoding: .utf8)
    #expect(try ModelSet.load(directory: timed.path, catalogue: Self.catalogue).digest == digest)
    try text.replacingOccurrences(of: "0.78125", with: "0.98125").write(toFile: path, atomically: true, encoding: .utf8)
    #expect(throws: ModelError.self) { try ModelSet.load(directory: timed.path, catalogue: Self.catalogue) }
  }

  @Test("what a killed training left behind is no version, and goes with the next one")
  func leftovers() throws {
    let folder = try Folder()
    let version = try Self.write(folder, [.overdue])[0]
    // A process that has just ended: its id is nobody's for now.
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/true")
    try process.runToEnd()
    let gone = process.processIdentifier
    let left = "\(folder.path)/overdue/.overdue-20270101-abcdef01.\(gone)"
    try FileManager.default.createDirectory(atPath: left, withIntermediateDirectories: true)
    try Data("half".utf8).write(to: URL(fileURLWithPath: left + "/manifest.json"))
    try Data("half".utf8).write(to: URL(fileURLWithPath: "\(folder.path)/overdue/.champion.\(gone)"))
    #expect(try ModelRegistry.list(directory: folder.path).count == 2)
    #expect(try ModelSet.load(directory: folder.path, catalogue: Self.catalogue).version == version)
    _ = try Self.write(folder, [.overdue])
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/overdue")
    #expect(Set(names) == [version, "champion"])
  }

  @Test("a figure that is not finite is not written")
  func notFinite() throws {
    let folder = try Folder()
    var (manifest, files) = try Self.manifest(.overdue)
    manifest.metrics["auc"] = .nan
    #expect(throws: ModelError.self) {
      try ModelFolder.write(directory: folder.path, manifest: manifest, files: files)
    }
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    #expect(left.isEmpty)
  }

  @Test("SHA-256 is that of the standard")
  func sha256() {
    #expect(SHA256.hex(of: Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(SHA256.hex(of: []) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  }
}
