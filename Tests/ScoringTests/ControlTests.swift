import Borrowers
import Scoring
import Testing

/// What a person decides about one borrower's alert, and what is told of a borrower.
@Suite struct ControlTests {
  private static let salt = Array("0123456789abcdef".utf8)

  private static func override(
    _ action: AlertOverride.Action, _ severity: Severity = .none, untilDay: Double, borrower: String = "B1",
    offset: Int64 = 4
  ) -> JournalEntry {
    .control(
      offset: offset, id: "control:\(offset)",
      .alertOverride(
        AlertOverride(
          action: action, severity: severity, until: time(day: untilDay), borrowerID: Array(borrower.utf8), salt: salt)
      ))
  }

  /// Half of the limit is drawn: a probability of 0.22; all of it: 0.38.
  private static func draw(_ world: inout EngineWorld, _ id: String, day: Double, _ amount: Double) -> [Published] {
    world.apply(TestEvent(.drawdown, id, day: day, amount: amount)).filter { $0.topic == .alerts }
  }

  private static func world() -> EngineWorld {
    var world = EngineWorld()
    _ = world.apply(TestEvent(.limitChanged, "l", day: 1, amount: 100))
    return world
  }

  @Test func `a snoozed borrower's alert is raised when the snooze ends, by its timer`() {
    var world = Self.world()
    #expect(world.take(Self.override(.snooze, untilDay: 10)).isEmpty)
    let drawn = Self.draw(&world, "d", day: 2, 100)
    #expect(drawn.isEmpty)
    let ended = world.idle(toDay: 10)
    #expect(ended.map(\.topic) == [.alerts])
    #expect(ended[0].field("status") == "raised")
    #expect(ended[0].field("trigger") == "control")
    #expect(ended[0].field("triggering_event_id") == "control:4")
    #expect(ended[0].field("as_of") == time(day: 10).text)
  }

  @Test func `an event behind the end of a snooze decides though its timer has not fired`() {
    var world = Self.world()
    _ = world.take(Self.override(.snooze, untilDay: 10))
    _ = Self.draw(&world, "d", day: 2, 100)
    // The watermark stays five minutes behind, and the timer comes with the borrower's delay.
    let later = Self.draw(&world, "e", day: 10, 1)
    #expect(later.map { $0.field("status") } == ["raised"])
    #expect(world.idle(toDay: 11).isEmpty)
  }

  @Test func `a snoozed alert may still be cleared`() {
    var world = Self.world()
    #expect(Self.draw(&world, "d", day: 2, 100).count == 1)
    _ = world.take(Self.override(.snooze, untilDay: 60))
    let repaid = world.apply(TestEvent(.repayment, "r", day: 3, amount: 100)).filter { $0.topic == .alerts }
    #expect(repaid.map { $0.field("status") } == ["cleared"])
  }

  @Test func `an override sets the level at once, says so, and lets go at its end`() {
    var world = Self.world()
    let forced = world.take(Self.override(.force, .high, untilDay: 5))
    #expect(forced.map { $0.field("status") } == ["raised"])
    #expect(forced[0].field("severity") == "high")
    #expect(forced[0].field("trigger") == "control")
    #expect(forced[0].value?.contains(#""raised_by":["override"]"#) == true)
    #expect(Self.draw(&world, "d", day: 2, 100).isEmpty, "the model's level does not count")
    let ended = world.idle(toDay: 5)
    #expect(ended.map { $0.field("status") } == ["eased"])
    #expect(ended[0].field("current_level") == "medium")
  }

  @Test func `an override of none clears an alert and keeps another away`() {
    var world = Self.world()
    #expect(Self.draw(&world, "d", day: 2, 100).count == 1)
    let cleared = world.take(Self.override(.force, .none, untilDay: 9))
    #expect(cleared.map { $0.field("status") } == ["cleared"])
    let missed = world.apply(TestEvent(.paymentMissed, "m", day: 3, amount: 10, daysPastDue: 80))
    #expect(missed.allSatisfy { $0.topic != .alerts })
    #expect(world.take(Self.override(.lift, untilDay: 0)).map { $0.field("status") } == ["raised"])
  }

  @Test func `only the borrower that is named is decided again, and erasure forgets what was decided`() {
    var world = Self.world()
    for borrower in ["A", "C"] {
      _ = world.apply(TestEvent(.limitChanged, "l", day: 1, borrower: borrower, amount: 100))
    }
    #expect(world.take(Self.override(.force, .high, untilDay: 50, borrower: "C")).map(\.key) == ["C"])
    #expect(world.take(Self.override(.force, .high, untilDay: 50, borrower: "nobody")).isEmpty)
    _ = world.apply(TestEvent(.borrowerErased, "x", day: 2, borrower: "C"))
    let again = world.apply(TestEvent(.pageView, "p", day: 3, borrower: "C"))
    #expect(again.map(\.topic) == [.scores])
    let view = world.engine.view(Array("C".utf8))
    #expect(view != nil && view?.alertOverride == nil)
  }

  @Test func `one that has ended by the borrower's time changes nothing`() {
    var world = Self.world()
    #expect(world.take(Self.override(.force, .high, untilDay: 1)).isEmpty)
    #expect(world.engine.controlPosition == 5)
  }

  // MARK: Views

  @Test func `a view tells what is held, what is open and what is missing`() throws {
    var world = Self.world()
    _ = Self.draw(&world, "d", day: 2, 100)
    _ = world.take(Self.override(.snooze, untilDay: 30))
    let seen = world.engine.view(Array("B1".utf8))
    let view = try #require(seen)
    #expect(view.exposure == 100)
    #expect(view.openAlert?.severity == .medium)
    #expect(view.alertOutlook.raisingEdge == 0.25)
    #expect(view.alertOutlook.clearBelow == 0.2)
    #expect(view.alertOverride?.action == .snooze)
    #expect(view.nextTimer?.due == time(day: 30))
    #expect(view.leadConditions.first { $0.name == "consent" }?.isMet == false)
    #expect(view.leadConditions.first { $0.name == "past_due" }?.isMet == true)
    #expect(!view.overdueReasons.isEmpty)
    let unknown = world.engine.view(Array("B2".utf8))
    #expect(unknown == nil)
    // Looking changes nothing.
    let hash = world.engine.stateHash()
    _ = world.engine.view(Array("B1".utf8))
    let hashAfter = world.engine.stateHash()
    #expect(hashAfter == hash)
  }

  // MARK: Previews

  /// Counts what a preview foretells, and compares it with what the settings then do.
  @Test(arguments: 1...4) func `a preview foretells what settings do`(_ seed: UInt64) {
    var random = Random(seed: seed)
    var world = EngineWorld()
    for index in 0..<60 {
      let borrower = "B\(random.below(20))"
      _ = world.apply(
        TestEvent(.limitChanged, "l\(index)", day: 1, borrower: borrower, amount: 100),
        TestEvent(.profileUpdated, "p\(index)", day: 1, borrower: borrower, consent: random.chance(70)),
        TestEvent(
          .drawdown, "d\(index)", day: 1 + Double(index) / 100, borrower: borrower, amount: Double(random.below(90))))
    }
    var settings = DecisionSettings()
    settings.alerts.medium = random.pick([0.15, 0.3])
    settings.leads.utilizationThreshold = random.pick([0.3, 0.5, 0.9])
    settings.alerts.rules.append(RuleSettings(name: "owes", when: "exposure > 150", severity: .high))
    var preview = SettingsPreview(settings)
    var slices = 1
    while world.engine.advance(&preview, limit: 3) {
      slices += 1
      // Somebody goes meanwhile, and somebody comes.
      if slices == 3 { _ = world.apply(TestEvent(.borrowerErased, "x", day: 3, borrower: "B\(random.below(20))")) }
    }
    #expect(slices > 3)
    var whole = SettingsPreview(settings)
    while world.engine.advance(&whole, limit: 1_000) {}
    let records = world.take(.settings(settings, controlID: "c"))
    func count(_ topic: OutputTopic, _ status: String) -> Int {
      records.count { $0.topic == topic && $0.field("status") == status }
    }
    #expect(whole.counts.borrowers == world.engine.borrowers, "seed \(seed)")
    for status in [AlertStatus.raised, .escalated, .eased, .cleared] {
      #expect(whole.counts.alerts[Int(status.rawValue)] == count(.alerts, "\(status.name)"), "seed \(seed)")
    }
    for status in [LeadStatus.opened, .updated, .withdrawn] {
      #expect(whole.counts.leads[Int(status.rawValue)] == count(.leads, "\(status.name)"), "seed \(seed)")
    }
    #expect(preview.counts.borrowers >= whole.counts.borrowers)
    var after = SettingsPreview(settings)
    while world.engine.advance(&after, limit: 1_000) {}
    #expect(after.counts.alertsOpenBefore == whole.counts.alertsOpenAfter, "seed \(seed)")
    #expect(after.counts.leadsOpenBefore == whole.counts.leadsOpenAfter, "seed \(seed)")
    #expect(abs(after.counts.expectedLendingBefore - whole.counts.expectedLendingAfter) < 1e-6, "seed \(seed)")
  }
}
