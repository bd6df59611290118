import Borrowers
import Features
import Foundation
import Testing

@testable import Scoring

/// What was written by every version is read by this one. Fixtures stand in `Tests/Fixtures`; `LENDPULSE_WRITE_FIXTURES=1`
/// writes the one of today's version where there is none.
@Suite struct FormatTests {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures").path

  /// The state topic of one partition after a checkpoint, the journal, and what both say.
  struct Fixture: Codable {
    struct Record: Codable {
      var key: Data
      /// Nil: a tombstone.
      var value: Data?
    }
    struct Borrower: Codable, Equatable {
      var id: String
      var time: Int64
      var exposure: Double
      var daysPastDue: Int
      var amountPastDue: Double
      var consent: Bool?
      var overdueProbability: Double
      var hasAlert: Bool
      var severity: UInt8
      var hasLead: Bool
      var nextTimer: Int64
    }
    var state: [Record]
    var journal: [Data]
    var watermark: Int64
    var reapplyInputOffset: Int64
    var reapplyJournalOffset: Int64
    var settings: String
    var modelsVersion: String
    var borrowers: [Borrower]
  }

  static func restore(_ state: [Fixture.Record]) throws -> PartitionEngine {
    var engine = PartitionEngine(partition: 0, configuration: EngineConfiguration(), models: TinyModels.all)
    for record in state {
      try unsafe Array(record.key).withUnsafeBufferPointer { key in
        guard let value = record.value else { return try unsafe engine.restore(key: key, value: nil) }
        try unsafe Array(value).withUnsafeBufferPointer { try unsafe engine.restore(key: key, value: $0) }
      }
    }
    return engine
  }

  static func borrowers(_ engine: inout PartitionEngine) -> [Fixture.Borrower] {
    engine.store.sortedHandles().map { handle in
      engine.loadWithID(handle)
      let now = engine.borrowerTime
      return Fixture.Borrower(
        id: unsafe String(decoding: engine.id.bytes, as: UTF8.self), time: now.milliseconds,
        exposure: engine.state.exposure, daysPastDue: engine.state.daysPastDue(at: now),
        amountPastDue: engine.state.amountPastDue(at: now),
        consent: engine.state.basicInformation.marketingConsent,
        overdueProbability: engine.decision.scores.overdueProbability, hasAlert: engine.decision.hasAlert,
        severity: engine.decision.alertSeverity.rawValue, hasLead: engine.decision.hasLead,
        nextTimer: engine.nextTimer.due.milliseconds)
    }
  }

  /// A checkpoint of a random history, as this version writes it.
  static func make() throws -> Fixture {
    let history = RandomHistory(seed: 11, events: 260)
    var driver = LogDriver(history, seed: 3)
    driver.commitChance = 20
    driver.sliceChance = 30
    driver.run()
    let state = driver.committed.state.map { Fixture.Record(key: Data($0.key), value: $0.value.map { Data($0) }) }
    var engine = try restore(state)
    let checkpoint = engine.finishRestore()
    let start = try #require(checkpoint)
    var journal: [Data] = []
    for (_, entry) in history.journal {
      var bytes = ByteBuffer()
      entry.encode(into: &bytes)
      journal.append(Data(unsafe Array(bytes.bytes)))
    }
    return Fixture(
      state: state, journal: journal, watermark: engine.watermark.milliseconds,
      reapplyInputOffset: start.inputOffset, reapplyJournalOffset: start.journalOffset,
      settings: engine.settings?.json ?? "", modelsVersion: engine.modelsVersion ?? "", borrowers: borrowers(&engine))
  }

  @Test func `state and journal of every version are read, and say what they said`() throws {
    let name = "state-\(FormatVersions.partitionRecord.last!.number).json"
    if ProcessInfo.processInfo.environment["LENDPULSE_WRITE_FIXTURES"] != nil,
      !FileManager.default.fileExists(atPath: "\(Self.folder)/\(name)")
    {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys]
      try FileManager.default.createDirectory(atPath: Self.folder, withIntermediateDirectories: true)
      try encoder.encode(Self.make()).write(to: URL(fileURLWithPath: "\(Self.folder)/\(name)"))
    }
    for version in FormatVersions.partitionRecord {
      let path = "\(Self.folder)/state-\(version.number).json"
      let fixture = try JSONDecoder().decode(Fixture.self, from: Data(contentsOf: URL(fileURLWithPath: path)))
      var engine = try Self.restore(fixture.state)
      let checkpoint = engine.finishRestore()
      let start = try #require(checkpoint, "\(path)")
      #expect(start.inputOffset == fixture.reapplyInputOffset && start.journalOffset == fixture.reapplyJournalOffset)
      #expect(engine.watermark.milliseconds == fixture.watermark)
      #expect(engine.settings == (try DecisionSettings(json: fixture.settings)))
      #expect(engine.modelsVersion == fixture.modelsVersion)
      #expect(Self.borrowers(&engine) == fixture.borrowers, "\(path)")
      #expect(fixture.borrowers.count > 3 && fixture.borrowers.contains { $0.hasAlert })
      for entry in fixture.journal {
        let decoded = unsafe Array(entry).withUnsafeBufferPointer { unsafe JournalEntry.decode($0) }
        #expect(decoded != nil, "\(path)")
      }
    }
  }

  @Test func `the history of versions ends with the one that is written`() {
    #expect(FormatVersions.features.last?.number == BorrowerState.version)
    #expect(FormatVersions.decisions.last?.number == DecisionState.version)
    #expect(FormatVersions.borrowerRecord.last?.number == PartitionEngine.recordVersion)
    #expect(FormatVersions.partitionRecord.last?.number == PartitionRecord.version)
    #expect(FormatVersions.journalEntry.last?.number == JournalEntry.version)
    for history in [
      FormatVersions.features, FormatVersions.decisions, FormatVersions.borrowerRecord, FormatVersions.partitionRecord,
      FormatVersions.journalEntry,
    ] { #expect(history.map { Int($0.number) } == Array(1...history.count)) }
  }

  @Test func `state of a newer version is refused by its number`() throws {
    let fixture = try Self.make()
    let isPartition: (Fixture.Record) -> Bool = { $0.key == Data(PartitionRecord.key) }
    let isBorrower: (Fixture.Record) -> Bool = { $0.key.first != UInt8(ascii: "@") }
    for (position, matches) in [(0, isPartition), (0, isBorrower), (17, isBorrower)] {
      var record = try #require(fixture.state.last { $0.value != nil && matches($0) })
      record.value![record.value!.startIndex + position] = 99
      #expect(throws: StateError.newerVersion(99)) { _ = try Self.restore([record]) }
    }
    var entry = Array(try #require(fixture.journal.first))
    entry[0] = 99
    let decoded = unsafe entry.withUnsafeBufferPointer { unsafe JournalEntry.decode($0) }
    #expect(decoded == nil)
  }
}
