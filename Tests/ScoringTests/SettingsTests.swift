import Borrowers
import Features
import Testing

@testable import Scoring

@Suite struct SettingsTests {
  @Test func `settings go through JSON and stay what they were`() throws {
    var settings = DecisionSettings()
    settings.alerts.low = 0.123456789
    settings.alerts.raiseAt = .high
    settings.alerts.rules.append(RuleSettings(name: "x", when: "region == \"no\\rth\"", severity: .low))
    settings.leads.validDays = 1e-1 + 0.2
    #expect(try DecisionSettings(json: settings.json) == settings)
    #expect(DecisionSettings().validate().isEmpty)
    #expect(
      DecisionSettings().json
        == #"{"alerts":{"bands":{"low":0.1,"medium":0.25,"high":0.5,"critical":0.75},"raise_at":"medium","#
        + #""clear_margin":0.05,"cooldown_hours":24,"loss_given_default":0.45,"allow_protected":false,"#
        + #""rules":[{"name":"deep_arrears","when":"days_past_due >= 60","severity":"critical"}]},"#
        + #""leads":{"utilization_threshold":0.6,"margin":0.05,"overdue_at_most":0.25,"cooldown_days":14,"#
        + #""valid_days":30,"update_share":0.2}}"#)
  }

  @Test func `a part of the settings changes that part alone`() throws {
    var base = DecisionSettings()
    base.leads.margin = 0.01
    let changed = try DecisionSettings(json: #" { "leads" : { "utilization_threshold": 0.7 } } "#, over: base)
    base.leads.utilizationThreshold = 0.7
    #expect(changed == base)
  }

  @Test(
    "what is wrong is named by its key",
    arguments: [
      (#"{"leads":{"treshold":1}}"#, "leads.treshold"), (#"{"alerts":{"bands":{"low":"x"}}}"#, "alerts.bands.low"),
      (#"{"alerts":{"bands":{"low":0.3}}}"#, "alerts.bands.medium"),
      (#"{"alerts":{"raise_at":"none"}}"#, "alerts.raise_at"),
      (#"{"alerts":{"rules":[{"name":"a","when":"x > 1","severity":"low"}]}}"#, "alerts.rules[0].when"),
      (#"{"alerts":{"rules":[{"name":"a b","when":"age > 1","severity":"low"}]}}"#, "alerts.rules[0].name"),
      (#"{"alerts":{"clear_margin":-1}}"#, "alerts.clear_margin"), (#"{"leads":{"valid_days":0}}"#, "leads.valid_days"),
      (#"[]"#, "settings"), (#"{"a":1"#, "JSON"), (#"{"leads":{},"leads":{}}"#, "JSON"), ("", "JSON"),
    ])
  func refused(_ json: String, _ keyPath: String) {
    do throws(SettingsError) {
      _ = try DecisionSettings(json: json)
      Issue.record("taken: \(json)")
    } catch {
      #expect(error.problems.first?.keyPath == keyPath, "\(error)")
    }
  }

  @Test func `several mistakes are listed at once`() {
    var settings = DecisionSettings()
    settings.alerts.high = 0.2
    settings.alerts.cooldownHours = .nan
    settings.leads.overdueAtMost = 2
    settings.alerts.rules = [RuleSettings(name: "", when: "", severity: .none)]
    #expect(
      settings.validate().map(\.keyPath) == [
        "alerts.bands.high", "alerts.cooldown_hours", "alerts.rules[0].name", "alerts.rules[0].severity",
        "alerts.rules[0].when", "leads.overdue_at_most",
      ])
  }

  @Test(
    "journal entries are read back",
    arguments: [
      JournalEntry.idleAdvance(watermark: time(day: 3)), .settings(DecisionSettings(), controlID: "file:ü"),
      .models(version: "a+b", digest: "00ff"), .control(offset: 7, id: "control:7", .settings(DecisionSettings())),
      .control(offset: 0, id: "models", .models(version: "a", digest: "0f")),
      .control(
        offset: 1 << 40, id: "control:9",
        .alertOverride(
          AlertOverride(
            action: .force, severity: .high, until: time(day: 9), borrowerID: Array("B".utf8), salt: [1, 2, 3]))),
    ])
  func journal(_ entry: JournalEntry) {
    var buffer = ByteBuffer()
    entry.encode(into: &buffer)
    let bytes = unsafe Array(buffer.bytes)
    func decode(_ bytes: [UInt8]) -> JournalEntry? {
      unsafe bytes.withUnsafeBufferPointer { unsafe JournalEntry.decode($0) }
    }
    #expect(decode(bytes) == entry)
    for count in 0..<bytes.count { #expect(decode(Array(bytes[..<count])) == nil) }
    #expect(decode(bytes + [0]) == nil)
    #expect(decode([JournalEntry.version + 1] + bytes.dropFirst()) == nil)
  }

  @Test func `a decision state is read back, and damage and newer versions are refused`() throws {
    var state = DecisionState()
    func encoded(_ state: DecisionState) -> [UInt8] {
      var buffer = ByteBuffer()
      state.encode(into: &buffer)
      return unsafe Array(buffer.bytes)
    }
    func decode(_ bytes: [UInt8]) throws -> DecisionState {
      var state = DecisionState()
      try unsafe bytes.withUnsafeBufferPointer { try unsafe state.decode($0) }
      return state
    }
    #expect(encoded(state).count == 3)
    state.scores = HeldScores(
      overdueMillionths: 123_456, previousOverdueMillionths: 0, borrowingMillionths: 999_999,
      utilizationMillionths: 1_234_567, forecastHundredths: 123_456, forecastLowerHundredths: 0,
      forecastUpperHundredths: 9_999_999, basis: .owing)
    #expect(encoded(state).count <= 30)
    #expect(try decode(encoded(state)).scores == state.scores)
    state.hasAlert = true
    state.alertSeverity = .high
    state.alertLevel = .low
    state.alertRaisedByModel = true
    state.alertRules = [2, 65, 66]
    state.alertClearedAt = time(day: 1)
    state.clearedSeverity = .medium
    state.hasLead = true
    state.leadID = Identifier(high: 1, low: 2)
    state.leadForecastHundredths = -5
    state.leadValidUntil = time(day: 31)
    state.leadEventID = Array("e".utf8)
    state.leadPlatform = Array("p".utf8)
    state.leadEndedAt = time(day: 0)
    #expect(encoded(state)[0] == 1, "what version 1 could say is said in it")
    state.alertRaisedByOverride = true
    state.overrideAction = .force
    state.overrideSeverity = .critical
    state.overrideUntil = time(day: 40)
    state.overrideID = Array("control:7".utf8)
    let bytes = encoded(state)
    #expect(try encoded(decode(bytes)) == bytes)
    for count in 0..<bytes.count { #expect(throws: StateError.self) { try decode(Array(bytes[..<count])) } }
    let newer = DecisionState.version + 1
    #expect(throws: StateError.newerVersion(newer)) { try decode([newer] + bytes.dropFirst()) }
  }
}
