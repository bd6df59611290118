import Borrowers

/// What became of an event applied to a borrower's state.
public enum ApplyResult: Sendable {
  case accepted
  /// The event_id was seen before: nothing changed.
  case repeated
}

public enum StateError: Error, Equatable {
  /// The bytes were written by a newer version of lendpulse.
  case newerVersion(UInt8)
  case damaged
}

/// The events of one channel that are older than the days' tiles.
struct ChannelTotal: BitwiseCopyable {
  var count: UInt32 = 0
  /// Added up in log order.
  var sum: Float = 0
}

/// The working state of one borrower, decoded from its bytes for an event and encoded back after it. One value is
/// reused for all borrowers; its memory (about 250 KiB) is allocated once.
///
/// Nothing traps on what events hold: a clock that jumps makes tiles leave early, amounts saturate, lists have bounds
/// (`Arrears`, `PlatformBook`, `SeenEvents`, `StatementHistory`) that say what happens at them.
public struct BorrowerState: ~Copyable {
  var time = EventTime.distantPast
  /// Minute since 1970 of the earliest event; `UInt32.max` before the first.
  var firstMinute = UInt32.max
  /// Minutes since 1970 of the newest event of each kind, by `EventKind.rawValue`; 0 where there was none.
  var lastMinutes = FixedList<UInt32>(capacity: BorrowerState.kinds)
  /// With the days' tiles, all since the borrower was first seen.
  var totals = FixedList<ChannelTotal>(capacity: Channel.allCases.count)
  /// Events from 22:00 to 06:00 UTC, and on Saturdays and Sundays.
  var nightCount: UInt32 = 0
  var weekendCount: UInt32 = 0
  /// Of the newest payment missed.
  var lastMissedDays: Int32 = 0
  var hours = TileList(periods: Periods.hoursBack + 1, keepsLargest: false)
  var days = TileList(periods: Periods.daysBack + 1, keepsLargest: true)
  /// Drawdowns and repayments that left the days' tiles.
  var months = TileList(periods: Periods.monthsBack + 2, keepsLargest: false)
  var seen = SeenEvents()
  var profile = ProfileState()
  var statements = StatementHistory()
  var platforms = PlatformBook()
  var arrears = Arrears()
  /// Working memory of `fill`.
  let sums = WindowSums()
  /// Of the event applied last, for sums over borrowers: the platform whose exposure it may have moved, and what that was
  /// before. Not part of the state.
  public private(set) var movedPlatform = 0
  private(set) var exposureBefore = 0.0

  static let kinds = 18

  public init() {
    for _ in 0..<BorrowerState.kinds { lastMinutes.append(0) }
    for _ in Channel.allCases { totals.append(ChannelTotal()) }
  }

  /// Becomes the state of a borrower never seen.
  public mutating func reset() {
    time = .distantPast
    firstMinute = .max
    for kind in 0..<BorrowerState.kinds { lastMinutes[kind] = 0 }
    for channel in 0..<totals.count { totals[channel] = ChannelTotal() }
    nightCount = 0
    weekendCount = 0
    lastMissedDays = 0
    hours.tiles.removeAll()
    days.tiles.removeAll()
    months.tiles.removeAll()
    seen.removeAll()
    profile.reset()
    statements.reset()
    platforms.reset()
    arrears.reset()
  }

  /// The latest of its events and fired timers.
  public var borrowerTime: EventTime { time }

  /// The platform of the borrower's newest event; empty before the first.
  public func readLastPlatform(into buffer: inout [UInt8]) {
    if platforms.count > 0 { platforms.name(platforms.last).append(to: &buffer) }
  }
  public var lastPlatform: [UInt8] {
    var name: [UInt8] = []
    readLastPlatform(into: &name)
    return name
  }

  // MARK: Timers

  /// The earliest due_at that has not fired; `.distantFuture` when none. A due that is paid in time is gone from here.
  public var nextDue: EventTime {
    guard let index = arrears.nextUnfired else { return .distantFuture }
    return EventTime(milliseconds: arrears.amounts[index].dueAt)
  }

  /// Fires the earliest due: borrower time moves to it. False, and nothing changes, when no due is left to fire: what
  /// a timer was set for has been paid in time or replaced (`nextDue` tells whether another one is due at that time).
  /// `triggeringEventID`, `platform` and `loanID` receive those of the event that set it.
  public mutating func fireDue(triggeringEventID: inout [UInt8], platform: inout [UInt8], loanID: inout [UInt8]) -> Bool
  {
    triggeringEventID.removeAll(keepingCapacity: true)
    platform.removeAll(keepingCapacity: true)
    loanID.removeAll(keepingCapacity: true)
    guard let index = arrears.nextUnfired else { return false }
    let due = arrears.amounts[index]
    arrears.markFired(index)
    due.eventID.append(to: &triggeringEventID)
    platforms.name(Int(due.platform)).append(to: &platform)
    due.loan.append(to: &loanID)
    advance(to: EventTime(milliseconds: due.dueAt))
    return true
  }

  /// The loan id of the earliest due (its platform's name where it has none), appended to `buffer`, for the order of
  /// timers.
  public func readNextDueLoanID(into buffer: inout [UInt8]) {
    if let index = arrears.nextUnfired { arrears.amounts[index].loan.append(to: &buffer) }
  }

  /// Brings borrower time forward to a timer that is none of the state's own.
  public mutating func pass(_ time: EventTime) { advance(to: time) }

  // MARK: Basic information and arrears, as rules and decisions read them at a time

  public func daysPastDue(at now: EventTime) -> Int { arrears.daysPastDue(at: now.milliseconds) }
  public func amountPastDue(at now: EventTime) -> Double { arrears.amountPastDue(at: now.milliseconds) }
  /// Whether any due or missed amount is open past its date.
  public func isPastDue(at now: EventTime) -> Bool { arrears.isPastDue(at: now.milliseconds) }
  /// The sum over platforms.
  public var exposure: Double { platforms.exposure }
  /// Exposure is over 0 or any arrears are open.
  public func owes(at now: EventTime) -> Bool { exposure > 0 || isPastDue(at: now) }
  public var basicInformation: BasicInformation { profile.information }

  /// Platforms held, at most 16, for sums over borrowers: `exposure` is the sum of `exposure(ofPlatform:)`.
  public var platformCount: Int { platforms.count }
  /// Appends the name of a platform, 0..<`platformCount`.
  public func readPlatform(_ index: Int, into buffer: inout [UInt8]) { platforms.name(index).append(to: &buffer) }
  /// At least 0.
  public func exposure(ofPlatform index: Int) -> Double { platforms.exposure(index) }

  // MARK: Applying

  /// Applies an accepted event: dedupe, tiles, recency, profile, arrears by loan, exposure by platform, dues.
  /// `watermark` is the partition's, for the dedupe window. Never called with `borrower_erased`.
  public mutating func apply(
    _ event: borrowing BorrowerEvent, watermark: EventTime, dedupeWindowMilliseconds: Int64
  ) -> ApplyResult {
    unsafe event.text.withUnsafeBufferPointer { text in
      unsafe apply(event, text, watermark: watermark, window: dedupeWindowMilliseconds)
    }
  }

  private mutating func apply(
    _ event: borrowing BorrowerEvent, _ text: UnsafeBufferPointer<UInt8>, watermark: EventTime, window: Int64
  ) -> ApplyResult {
    let hash = unsafe Murmur.hash64(text.slice(event.eventID))
    if seen.contains(hash, watermark: watermark, window: window) { return .repeated }
    seen.insert(hash, at: event.occurredAt, watermark: watermark, window: window)
    let platform = unsafe platforms.index(of: ShortText(text.slice(event.platform)), arrears: arrears)
    movedPlatform = platform
    exposureBefore = platforms.exposure(platform)
    // Of two events of one time the later in the log is the newest.
    if event.occurredAt >= time { platforms.last = platform }
    advance(to: event.occurredAt)
    record(event)
    unsafe take(event, text, platform: platform)
    profile.watch(exposure: platforms.exposure)
    return .accepted
  }

  /// Brings borrower time forward; tiles that leave their span go, drawdowns and repayments to the months.
  mutating func advance(to newest: EventTime) {
    guard newest > time else { return }
    time = newest
    hours.tiles.removeFirst(hours.countBefore(Periods.hour(time) - Periods.hoursBack))
    let today = Periods.day(time)
    let firstMonth = BorrowerState.firstMonth(today: today)
    months.tiles.removeFirst(months.countBefore(firstMonth))
    let leaving = days.countBefore(today - Periods.daysBack)
    for index in 0..<leaving { retire(days.tiles[index], firstMonth: firstMonth) }
    days.tiles.removeFirst(leaving)
  }

  @inline(__always) static func firstMonth(today: Int) -> Int { max(0, today - 365) / Periods.daysPerMonth }

  /// Takes over what is older than the days' tiles.
  private mutating func retire(_ tile: Tile, firstMonth: Int) {
    var total = totals[tile.channel]
    let count = total.count.addingReportingOverflow(tile.count)
    total.count = count.overflow ? .max : count.partialValue
    total.sum += tile.sum
    totals[tile.channel] = total
    let month = Periods.month(day: tile.period)
    let isKept = tile.channel == Channel.drawdown.rawValue || tile.channel == Channel.repayment.rawValue
    if isKept && month >= firstMonth {
      months.add(period: month, channel: tile.channel, count: tile.count, sum: tile.sum, largest: tile.largest)
    }
  }

  /// Tiles and recency.
  private mutating func record(_ event: borrowing BorrowerEvent) {
    let (channel, value) = Channel.place(event)
    let single = Saturating.float(value)
    let minute = max(0, event.occurredAt.milliseconds) / 60_000
    let kind = Int(event.kind.rawValue)
    if event.kind == .paymentMissed && minute >= Int64(lastMinutes[kind]) { lastMissedDays = Int32(value) }
    lastMinutes[kind] = max(lastMinutes[kind], UInt32(min(minute, Int64(UInt32.max))))
    firstMinute = min(firstMinute, UInt32(min(minute, Int64(UInt32.max))))

    let hour = Periods.hour(event.occurredAt)
    let day = Periods.day(event.occurredAt)
    if BorrowerState.isNight(hour), nightCount < .max { nightCount += 1 }
    // 1970-01-01 was a Thursday.
    if (day + 3) % 7 >= 5, weekendCount < .max { weekendCount += 1 }
    if hour >= Periods.hour(time) - Periods.hoursBack {
      hours.add(period: hour, channel: channel.rawValue, count: 1, sum: single, largest: single)
    }
    let today = Periods.day(time)
    if day >= today - Periods.daysBack {
      days.add(period: day, channel: channel.rawValue, count: 1, sum: single, largest: single)
    } else {
      let tile = Tile(
        key: UInt32(day) << 4 | UInt32(channel.rawValue), count: 1, sum: single, largest: single)
      retire(tile, firstMonth: BorrowerState.firstMonth(today: today))
    }
  }

  @inline(__always) static func isNight(_ hour: Int) -> Bool {
    let hourOfDay = hour % 24
    return hourOfDay >= 22 || hourOfDay < 6
  }

  /// Profile, exposure, arrears and statements.
  private mutating func take(
    _ event: borrowing BorrowerEvent, _ text: UnsafeBufferPointer<UInt8>, platform: Int
  ) {
    let at = event.occurredAt.milliseconds
    let amount = event.amount.isFinite ? event.amount : 0
    switch event.kind {
    case .profileUpdated: unsafe profile.updateProfile(event.profile, text, at: at)
    case .creditScoreUpdated: profile.updateScore(event.amount, at: at)
    case .assetsUpdated: profile.updateAssets(deposits: event.deposits, propertyValue: event.propertyValue, at: at)
    case .limitChanged: profile.updateLimit(event.amount, at: at)
    case .drawdown:
      platforms.move(platform, by: amount, at: at)
      profile.draw(amount, at: at)
      statements.draw(amount, at: at)
    case .repayment:
      platforms.move(platform, by: -amount, at: at)
      let loan = event.loanID.isPresent ? unsafe ShortText(text.slice(event.loanID)) : nil
      let worst = arrears.settle(amount, at: at, loan: loan, platform: UInt8(platform))
      statements.repay(amount, worstDays: worst, at: at)
    case .installmentDue:
      unsafe arrears.announce(openAmount(event, text, amount: amount, platform: platform))
    case .statementIssued:
      platforms.state(platform, balance: amount, at: at)
      statements.issue(balance: amount, daysPastDue: arrears.daysPastDue(at: at), at: at)
      if event.minimumDue > 0 && event.dueAt != .distantPast {
        unsafe arrears.announce(openAmount(event, text, amount: event.minimumDue, platform: platform))
      }
    case .paymentMissed:
      let missed = unsafe openAmount(event, text, amount: event.amount, platform: platform)
      statements.miss(days: Int(missed.missedDays), at: at)
      arrears.miss(missed)
    case .loanApplied, .purchase, .pageView, .search, .sessionStarted, .wealthTransaction, .bankTransaction,
      .borrowerErased:
      break
    }
  }

  private func openAmount(
    _ event: borrowing BorrowerEvent, _ text: UnsafeBufferPointer<UInt8>, amount: Double, platform: Int
  ) -> OpenAmount {
    let isMissed = event.kind == .paymentMissed
    let days = isMissed ? Int64(Arrears.wholeDays(event.daysPastDue)) : 0
    let at = event.occurredAt.milliseconds
    // A statement's minimum is its platform's, whatever loan_id it may carry.
    let isOfPlatform = !event.loanID.isPresent || event.kind == .statementIssued
    let dueAt = min(
      max(event.dueAt.milliseconds, EventTime.distantPast.milliseconds), EventTime.distantFuture.milliseconds)
    return OpenAmount(
      dueAt: isMissed ? at - days * EventTime.millisecondsPerDay : dueAt,
      announcedAt: at, remaining: amount.isFinite ? Money.settled(amount) : .nan, missedDays: Int32(days),
      isMissed: isMissed, isFired: false, isOfPlatform: isOfPlatform, platform: UInt8(platform),
      loan: isOfPlatform ? platforms.name(platform) : unsafe ShortText(text.slice(event.loanID)),
      eventID: isMissed ? ShortText() : unsafe ShortText(text.slice(event.eventID)))
  }
}

/// What manual rules may name. Numbers are NaN where unknown; texts are kept as the 32-bit hash of `Murmur.hash32`, 0
/// where unknown.
public struct BasicInformation: Sendable {
  public var birthYear = Double.nan
  public var monthlyIncome = Double.nan
  public var creditScore = Double.nan
  public var creditLimit = Double.nan
  public var deposits = Double.nan
  public var propertyValue = Double.nan
  public var region: UInt32 = 0
  public var householdRegion: UInt32 = 0
  public var education: UInt32 = 0
  public var occupation: UInt32 = 0
  public var maritalStatus: UInt32 = 0
  public var gender: UInt32 = 0
  public var marketingConsent: Bool?
  public init() {}
}
