import Borrowers
import Foundation
import Testing

@testable import Features

private let day = EventTime.millisecondsPerDay
private let window = 7 * EventTime.millisecondsPerDay
private let start: Int64 = 1_760_000_000_000 / EventTime.millisecondsPerDay * EventTime.millisecondsPerDay

/// Encodes and decodes in place, so that every test goes through the bytes.
private func roundTrip(_ state: inout BorrowerState) throws -> [UInt8] {
  var buffer = ByteBuffer()
  state.encode(into: &buffer)
  buffer.append(0xEE)
  let used = unsafe try state.decode(buffer.bytes)
  #expect(used == buffer.count - 1)
  var again = ByteBuffer()
  state.encode(into: &again)
  again.append(0xEE)
  #expect(unsafe Array(again.bytes) == Array(buffer.bytes))
  return unsafe Array(buffer.bytes)
}

private func agrees(_ value: Float, _ expected: Double) -> Bool {
  if value.isNaN || expected.isNaN { return value.isNaN == expected.isNaN }
  let wanted = min(max(expected, -1e30), 1e30)
  return abs(Double(value) - wanted) <= 2e-5 * max(abs(wanted), 1e-3)
}

// The expectation macro takes no noncopyable value.
private func isPastDue(_ state: borrowing BorrowerState, _ now: EventTime) -> Bool { state.isPastDue(at: now) }
private func owes(_ state: borrowing BorrowerState, _ now: EventTime) -> Bool { state.owes(at: now) }

@Suite struct BorrowerStateTests {
  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func `every feature agrees with a slow recomputation from the raw events`(seed: UInt64) throws {
    var generator = HistoryGenerator(seed: seed)
    var oracle = Oracle()
    var state = BorrowerState()
    state.reset()
    var input = ModelInput()
    var watermark = EventTime.distantPast
    for step in 0..<120 {
      let raw = generator.next()
      watermark = max(watermark, EventTime(milliseconds: raw.at - 300_000))
      let result = state.apply(raw.event, watermark: watermark, dedupeWindowMilliseconds: window)
      let isAccepted = oracle.apply(raw, watermark: watermark.milliseconds, window: window)
      #expect((result == .accepted) == isAccepted, "seed \(seed) step \(step)")
      _ = try roundTrip(&state)
      if generator.random.chance(0.3) { fire(&state, &oracle, "seed \(seed) step \(step)") }
      compare(
        &state, oracle, &input, ahead: generator.random.chance(0.3) ? Int64(generator.random.below(400)) * day / 3 : 0,
        "seed \(seed) step \(step) after \(raw)")
    }
  }

  private func fire(_ state: inout BorrowerState, _ oracle: inout Oracle, _ note: String) {
    var id: [UInt8] = []
    var platform: [UInt8] = []
    var loan: [UInt8] = []
    var order: [UInt8] = []
    state.readNextDueLoanID(into: &order)
    let next = state.nextDue
    let isFired = state.fireDue(triggeringEventID: &id, platform: &platform, loanID: &loan)
    let expected = oracle.fire()
    #expect(isFired == (expected != nil), "\(note)")
    guard let expected else { return #expect(next == .distantFuture) }
    #expect(next.milliseconds == expected.due && order == loan, "\(note)")
    #expect(String(decoding: id, as: UTF8.self) == expected.event, "\(note)")
    #expect(String(decoding: platform, as: UTF8.self) == expected.platform, "\(note)")
    #expect(String(decoding: loan, as: UTF8.self) == expected.loan.split(separator: " ")[1], "\(note)")
  }

  private func compare(
    _ state: inout BorrowerState, _ oracle: Oracle, _ input: inout ModelInput, ahead: Int64, _ note: String
  ) {
    let now = EventTime(milliseconds: oracle.time + ahead)
    #expect(state.borrowerTime.milliseconds == oracle.time, "\(note)")
    #expect(state.daysPastDue(at: now) == oracle.daysPastDue(at: now.milliseconds), "\(note)")
    #expect(state.amountPastDue(at: now) == oracle.amountPastDue(at: now.milliseconds), "\(note)")
    #expect(state.isPastDue(at: now) == oracle.isPastDue(at: now.milliseconds), "\(note)")
    #expect(agrees(Float(state.exposure), oracle.exposure), "\(note)")
    state.fill(&input, at: now)
    let expected = oracle.features(at: now.milliseconds)
    for (index, feature) in FeatureCatalogue.all.enumerated() {
      let value = unsafe input.features[index]
      guard let wanted = expected[feature.name] else {
        Issue.record("the recomputation does not know \(feature.name)")
        return
      }
      #expect(!value.isInfinite)
      if !agrees(value, wanted) {
        Issue.record("\(feature.name): \(value), expected \(wanted); ahead \(ahead); \(note)")
      }
    }
    let picture = oracle.picture(at: now.milliseconds)
    for cell in 0..<1440 where unsafe !agrees(input.picture[cell], picture[cell] ?? 0) {
      Issue.record("cell \(cell): \(unsafe input.picture[cell]), expected \(picture[cell] ?? 0); \(note)")
    }
  }

  @Test func `a repeat changes nothing until the watermark is past its time and the window`() throws {
    var state = BorrowerState()
    let raw = RawEvent(.search, at: start, id: "one")
    let edge = EventTime(milliseconds: start + window)
    #expect(state.apply(raw.event, watermark: .distantPast, dedupeWindowMilliseconds: window) == .accepted)
    let before = try roundTrip(&state)
    #expect(state.apply(raw.event, watermark: edge, dedupeWindowMilliseconds: window) == .repeated)
    #expect(try roundTrip(&state) == before)
    #expect(state.apply(raw.event, watermark: edge + 1, dedupeWindowMilliseconds: window) == .accepted)
  }

  @Test func `the newest 4096 ids are remembered`() throws {
    var state = BorrowerState()
    for number in 0..<4_097 {
      let raw = RawEvent(.pageView, at: start + Int64(number), id: "E\(number)")
      #expect(state.apply(raw.event, watermark: .distantPast, dedupeWindowMilliseconds: window) == .accepted)
    }
    _ = try roundTrip(&state)
    let second = RawEvent(.pageView, at: start + 1, id: "E1")
    #expect(state.apply(second.event, watermark: .distantPast, dedupeWindowMilliseconds: window) == .repeated)
    let first = RawEvent(.pageView, at: start, id: "E0")
    #expect(state.apply(first.event, watermark: .distantPast, dedupeWindowMilliseconds: window) == .accepted)
  }

  private func apply(_ state: inout BorrowerState, _ raw: RawEvent) throws {
    #expect(state.apply(raw.event, watermark: .distantPast, dedupeWindowMilliseconds: window) == .accepted)
    _ = try roundTrip(&state)
  }

  private func due(_ id: String, at: Int64, loan: String, amount: Double, dueAt: Int64) -> RawEvent {
    var raw = RawEvent(.installmentDue, at: at, id: id)
    raw.loan = loan
    raw.amount = amount
    raw.dueAt = dueAt
    return raw
  }

  private func repayment(_ id: String, at: Int64, loan: String?, amount: Double) -> RawEvent {
    var raw = RawEvent(.repayment, at: at, id: id)
    raw.loan = loan
    raw.amount = amount
    return raw
  }

  @Test func `each unit of money settles once, oldest first, from the announcement on`() throws {
    var state = BorrowerState()
    try apply(&state, repayment("r0", at: start - day, loan: "A", amount: 500))
    try apply(&state, due("d1", at: start, loan: "A", amount: 100, dueAt: start + 10 * day))
    try apply(&state, due("d2", at: start, loan: "A", amount: 100, dueAt: start + 40 * day))
    try apply(&state, repayment("r1", at: start + day, loan: "A", amount: 130))
    let later = EventTime(milliseconds: start + 41 * day)
    #expect(state.amountPastDue(at: later) == 70)
    #expect(state.daysPastDue(at: later) == 1)
    #expect(state.nextDue.milliseconds == start + 40 * day)
    // A repayment from before the announcement that arrives late does not count.
    try apply(&state, repayment("r2", at: start - 2 * day, loan: "A", amount: 70))
    #expect(state.amountPastDue(at: later) == 70)
    try apply(&state, repayment("r3", at: start + 2 * day, loan: nil, amount: 70))
    #expect(false == isPastDue(state, later) && state.nextDue == .distantFuture)
  }

  @Test func `a due that is paid in time has no timer`() throws {
    var state = BorrowerState()
    try apply(&state, due("d1", at: start, loan: "A", amount: 0.3, dueAt: start + day))
    #expect(state.nextDue.milliseconds == start + day)
    try apply(&state, repayment("r1", at: start, loan: "A", amount: 0.1))
    try apply(&state, repayment("r2", at: start, loan: "A", amount: 0.2))
    #expect(state.nextDue == .distantFuture)
    var id: [UInt8] = []
    var platform: [UInt8] = []
    var loan: [UInt8] = []
    #expect(!state.fireDue(triggeringEventID: &id, platform: &platform, loanID: &loan))
    #expect(state.borrowerTime.milliseconds == start)
  }

  @Test func `a due counts from its time on and its timer moves the borrower's time`() throws {
    var state = BorrowerState()
    try apply(&state, due("d1", at: start, loan: "A", amount: 5, dueAt: start + day))
    #expect(false == isPastDue(state, EventTime(milliseconds: start + day - 1)))
    #expect(true == isPastDue(state, EventTime(milliseconds: start + day)))
    var id: [UInt8] = []
    var platform: [UInt8] = []
    var loan: [UInt8] = []
    #expect(state.fireDue(triggeringEventID: &id, platform: &platform, loanID: &loan))
    #expect(String(decoding: id, as: UTF8.self) == "d1" && String(decoding: loan, as: UTF8.self) == "A")
    #expect(state.borrowerTime.milliseconds == start + day && state.nextDue == .distantFuture)
    _ = try roundTrip(&state)
    #expect(state.nextDue == .distantFuture)
  }

  @Test func `a missed payment replaces earlier arrears and grows a day with each full 24 hours`() throws {
    var state = BorrowerState()
    try apply(&state, due("d1", at: start, loan: "A", amount: 100, dueAt: start + day))
    try apply(&state, due("d2", at: start, loan: "A", amount: 100, dueAt: start + 60 * day))
    var missed = RawEvent(.paymentMissed, at: start + 31 * day, id: "m1")
    missed.loan = "A"
    missed.days = 30
    try apply(&state, missed)
    #expect(state.amountPastDue(at: EventTime(milliseconds: start + 31 * day)) == 0)
    #expect(state.daysPastDue(at: EventTime(milliseconds: start + 33 * day - 1)) == 31)
    #expect(state.daysPastDue(at: EventTime(milliseconds: start + 33 * day)) == 32)
    #expect(true == owes(state, EventTime(milliseconds: start + 33 * day)))
    // Its amount is not known: any repayment ends it, and is used up by that.
    try apply(&state, repayment("r1", at: start + 34 * day, loan: "A", amount: 1))
    #expect(false == isPastDue(state, EventTime(milliseconds: start + 34 * day)))
    #expect(state.amountPastDue(at: EventTime(milliseconds: start + 61 * day)) == 100)
  }

  @Test func `exposure is clamped when read and not as it adds up`() throws {
    var state = BorrowerState()
    var statement = RawEvent(.statementIssued, at: start, id: "s1")
    statement.amount = -50
    try apply(&state, statement)
    #expect(state.exposure == 0)
    var drawdown = RawEvent(.drawdown, at: start + 1, id: "w1")
    drawdown.amount = 80
    try apply(&state, drawdown)
    #expect(state.exposure == 30)
    // From before the statement: it is in its balance.
    drawdown.at = start - 1
    drawdown.id = "w2"
    try apply(&state, drawdown)
    #expect(state.exposure == 30)
    #expect(state.exposure(ofPlatform: 0) == 30 && state.platformCount == 1)
  }

  @Test func `bounds hold under hostile histories and nothing traps`() throws {
    var random = SplitMix(seed: 9)
    var state = BorrowerState()
    var input = ModelInput()
    for number in 0..<3_000 {
      var raw = RawEvent(EventKind(rawValue: UInt8(1 + random.below(16)))!, at: 0, id: "E\(number)")
      raw.at = 631_152_000_000 + Int64(random.uniform() * 3.4e12)
      raw.platform = String(repeating: "p", count: random.below(200)) + "\(random.below(40))"
      raw.loan = String(repeating: "l", count: random.below(90)) + "\(random.below(600))"
      raw.amount = random.chance(0.5) ? 1e15 : (random.chance(0.5) ? -1e15 : 1e-300)
      raw.minimumDue = 1e15
      raw.days = random.chance(0.5) ? 1e15 : .nan
      raw.dueAt = Int64(truncatingIfNeeded: random.next())
      raw.income = 1e-300
      raw.deposits = 1e15
      raw.birthYear = -1e15
      if raw.kind == .installmentDue || raw.kind == .statementIssued {
        raw.dueAt = raw.at + Int64(random.below(1_000_000_000))
      }
      _ = state.apply(raw.event, watermark: .distantPast, dedupeWindowMilliseconds: window)
      if number % 50 == 0 {
        _ = try roundTrip(&state)
        state.fill(&input, at: state.borrowerTime)
        for index in 0..<FeatureCatalogue.count { #expect(unsafe !input.features[index].isInfinite) }
      }
    }
    #expect(state.platformCount <= 16)
  }

  @Test func `damaged bytes are refused and never trap`() throws {
    var generator = HistoryGenerator(seed: 5)
    var state = BorrowerState()
    for _ in 0..<80 {
      _ = state.apply(generator.next().event, watermark: .distantPast, dedupeWindowMilliseconds: window)
    }
    let bytes = try roundTrip(&state).dropLast()
    #expect(throws: StateError.newerVersion(9)) { try decode([9] + bytes.dropFirst()) }
    for count in 0..<bytes.count { #expect(throws: StateError.damaged) { try decode(Array(bytes.prefix(count))) } }
    var random = SplitMix(seed: 6)
    var input = ModelInput()
    for _ in 0..<3_000 {
      var broken = Array(bytes)
      for _ in 0...random.below(4) { broken[random.below(broken.count)] = UInt8(truncatingIfNeeded: random.next()) }
      let isRead = unsafe broken.withUnsafeBufferPointer { unsafe (try? state.decode($0)) != nil }
      guard isRead else { continue }
      // What is read although it was damaged must still be safe to use.
      _ = state.apply(generator.next().event, watermark: .distantPast, dedupeWindowMilliseconds: window)
      state.fill(&input, at: state.borrowerTime)
      var buffer = ByteBuffer()
      state.encode(into: &buffer)
    }
  }

  private func decode(_ bytes: [UInt8]) throws {
    var state = BorrowerState()
    _ = unsafe try bytes.withUnsafeBufferPointer { unsafe try state.decode($0) }
  }
}
