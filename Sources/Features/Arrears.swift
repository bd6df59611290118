import Borrowers

/// A due or missed amount that is still open.
struct OpenAmount: BitwiseCopyable {
  /// When it fell or falls due; of a missed payment, its event's time less its days past due.
  var dueAt: Int64
  /// The time of the event that announced it: only repayments from then on settle it.
  var announcedAt: Int64
  /// What is left of it; NaN for a payment missed whose amount is not known.
  var remaining: Double
  /// Of a missed payment, its days past due at `announcedAt`.
  var missedDays: Int32
  var isMissed: Bool
  /// Whether its timer fired (never for a missed payment).
  var isFired: Bool
  /// Whether `loan` is a platform's name, there being no loan_id.
  var isOfPlatform: Bool
  /// Index of its platform in `PlatformBook`.
  var platform: UInt8
  var loan: ShortText
  /// The event that announced it; empty for a missed payment, which has no timer.
  var eventID: ShortText

  /// Whole days past due; negative before its time.
  @inline(__always) func days(at now: Int64) -> Int {
    if isMissed { return Int(missedDays) + max(0, Arrears.fullDays(now - announcedAt)) }
    return now < dueAt ? -1 : Arrears.fullDays(now - dueAt)
  }

  @inline(__always) func isPast(at now: Int64) -> Bool { isMissed || now >= dueAt }
}

/// A borrower's open amounts, oldest first, and how they are settled.
///
/// - Dues (`installment_due`, or the minimum due of a `statement_issued`, which is its platform's) and missed payments are
///   kept for each loan: its loan_id, else its platform.
/// - A repayment settles the amounts of its loan, without loan_id those of its platform, oldest first, each unit of money
///   once, and only amounts announced at or before its own time. A missed payment without an amount is ended by any
///   repayment, which is used up by that.
/// - A missed payment replaces what its loan missed before and its dues that had passed. One that comes late, older than
///   what the loan missed last, changes nothing; so does a due that such a payment had replaced.
/// - At most 512 amounts are open. Past that, the one due last is left out.
struct Arrears: ~Copyable {
  static let countMax = 512
  /// A century: more days are counted as that.
  static let daysMax = 36_500
  private static let minute: Int64 = 60_000

  private(set) var amounts = FixedList<OpenAmount>(capacity: countMax + 1)
  /// The most days a loan was ever past due when it was missed or settled.
  var worstDays = 0
  /// Dues that were settled a day or more late.
  var settledLate = 0

  init() {}

  mutating func reset() {
    amounts.removeAll()
    worstDays = 0
    settledLate = 0
  }

  @inline(__always) static func fullDays(_ milliseconds: Int64) -> Int {
    Int(min(milliseconds / EventTime.millisecondsPerDay, Int64(daysMax)))
  }

  /// Days past due of an event, cut to whole days within 0...`daysMax`.
  @inline(__always) static func wholeDays(_ days: Double) -> Double {
    days > 0 ? min(days, Double(daysMax)).rounded(.down) : 0
  }

  // MARK: Reading

  func daysPastDue(at now: Int64) -> Int {
    var days = 0
    for index in 0..<amounts.count where amounts[index].isPast(at: now) {
      days = max(days, amounts[index].days(at: now))
    }
    return min(days, Arrears.daysMax)
  }

  func amountPastDue(at now: Int64) -> Double {
    var total = 0.0
    for index in 0..<amounts.count where amounts[index].isPast(at: now) && !amounts[index].remaining.isNaN {
      total += amounts[index].remaining
    }
    return total
  }

  func isPastDue(at now: Int64) -> Bool {
    for index in 0..<amounts.count where amounts[index].isPast(at: now) { return true }
    return false
  }

  /// The first due whose timer has not fired; nil when there is none.
  var nextUnfired: Int? {
    for index in 0..<amounts.count where !amounts[index].isMissed && !amounts[index].isFired { return index }
    return nil
  }

  mutating func markFired(_ index: Int) { amounts[index].isFired = true }

  // MARK: Changing

  mutating func announce(_ due: OpenAmount) {
    guard due.remaining > 0 else { return }
    for index in 0..<amounts.count where Arrears.isSameLoan(amounts[index], due) && amounts[index].isMissed {
      let missed = amounts[index].announcedAt
      if due.announcedAt < missed && due.dueAt <= missed { return }
    }
    insert(due)
  }

  mutating func miss(_ missed: OpenAmount) {
    worstDays = max(worstDays, Int(missed.missedDays))
    for index in 0..<amounts.count where Arrears.isSameLoan(amounts[index], missed) && amounts[index].isMissed {
      if amounts[index].announcedAt > missed.announcedAt { return }
    }
    var index = 0
    while index < amounts.count {
      let held = amounts[index]
      let isReplaced =
        Arrears.isSameLoan(held, missed) && held.announcedAt <= missed.announcedAt
        && (held.isMissed || held.dueAt <= missed.announcedAt)
      if isReplaced { amounts.remove(at: index) } else { index += 1 }
    }
    if missed.remaining.isNaN || missed.remaining > 0 { insert(missed) }
  }

  /// Settles with one repayment; returns the most whole days that a settled amount was past due. `loan` is nil for a
  /// repayment without loan_id.
  mutating func settle(_ amount: Double, at time: Int64, loan: ShortText?, platform: UInt8) -> Int {
    var left = amount
    var worst = 0
    var index = 0
    while index < amounts.count && left > 0 {
      var held = amounts[index]
      let isMatch: Bool
      if let loan { isMatch = !held.isOfPlatform && held.loan == loan } else { isMatch = held.platform == platform }
      guard isMatch, held.announcedAt <= time else {
        index += 1
        continue
      }
      let paid = held.remaining.isNaN ? left : min(left, held.remaining)
      left = held.remaining.isNaN ? 0 : Money.settled(left - paid)
      held.remaining = held.remaining.isNaN ? 0 : Money.settled(held.remaining - paid)
      let days = held.isPast(at: time) ? held.days(at: time) : 0
      worst = max(worst, days)
      if held.remaining > 0 {
        amounts[index] = held
        index += 1
      } else {
        if days >= 1 { settledLate += 1 }
        amounts.remove(at: index)
      }
    }
    worstDays = max(worstDays, worst)
    return worst
  }

  private static func isSameLoan(_ a: OpenAmount, _ b: OpenAmount) -> Bool {
    a.isOfPlatform == b.isOfPlatform && a.loan == b.loan
  }

  /// By due time, then loan, then order of arrival.
  private mutating func insert(_ amount: OpenAmount) {
    var index = amounts.count
    while index > 0 {
      let before = amounts[index - 1]
      if before.dueAt < amount.dueAt { break }
      if before.dueAt == amount.dueAt && !(amount.loan < before.loan) { break }
      index -= 1
    }
    amounts.insert(amount, at: index)
    if amounts.count > Arrears.countMax { amounts.truncate(to: Arrears.countMax) }
  }

  // MARK: Coding

  // One amount: a byte (1 missed; 2 fired; 4 of a platform; 8 of a missed one that the amount is unknown, of a due that its
  // time is a whole minute; 16 the same loan as the one before; the platform's index in the upper 3 bits, 7 standing for
  // a byte that follows), the time it was announced, days past due or due time and event id, the amount, the loan.
  static let encodedMax = 2 + 10 + 10 + 10 + 5 + 65 + 65

  func encode(_ writer: inout StateWriter, borrowerTime: Int64) {
    writer.varint(UInt64(worstDays))
    writer.varint(UInt64(settledLate))
    writer.varint(UInt64(amounts.count))
    for index in 0..<amounts.count {
      let amount = amounts[index]
      let isSame = index > 0 && Arrears.isSameLoan(amount, amounts[index - 1])
      let isUnknown = amount.remaining.isNaN
      let isMinute = !amount.isMissed && amount.dueAt % Arrears.minute == 0
      writer.byte(
        (amount.isMissed ? 1 : 0) | (amount.isFired ? 2 : 0) | (amount.isOfPlatform ? 4 : 0)
          | (isUnknown || isMinute ? 8 : 0) | (isSame ? 16 : 0) | min(amount.platform, 7) << 5)
      if amount.platform >= 7 { writer.byte(amount.platform) }
      writer.signed(borrowerTime &- amount.announcedAt)
      if amount.isMissed {
        writer.varint(UInt64(amount.missedDays))
      } else {
        let announcedMinute = amount.announcedAt / Arrears.minute
        writer.signed(
          isMinute ? amount.dueAt / Arrears.minute - announcedMinute : amount.dueAt &- amount.announcedAt)
        writer.text(amount.eventID)
      }
      if !isUnknown { writer.number(amount.remaining) }
      if !isSame && !amount.isOfPlatform { writer.text(amount.loan) }
    }
  }

  mutating func decode(_ reader: inout StateReader, borrowerTime: Int64, platforms: borrowing PlatformBook) {
    reset()
    worstDays = reader.count(upTo: Arrears.daysMax)
    settledLate = reader.count(upTo: 1 << 40)
    let count = reader.count(upTo: Arrears.countMax)
    for index in 0..<count {
      let flags = reader.byte()
      let platform = flags >> 5 == 7 ? reader.byte() : flags >> 5
      if Int(platform) >= platforms.count { reader.fail() }
      if reader.isDamaged { return }
      var amount = OpenAmount(
        dueAt: 0, announcedAt: borrowerTime &- reader.signed(), remaining: .nan, missedDays: 0,
        isMissed: flags & 1 != 0, isFired: flags & 2 != 0, isOfPlatform: flags & 4 != 0, platform: platform,
        loan: ShortText(), eventID: ShortText())
      if amount.isMissed {
        let days = reader.count(upTo: Arrears.daysMax)
        amount.missedDays = Int32(days)
        amount.dueAt = amount.announcedAt &- Int64(days) &* EventTime.millisecondsPerDay
      } else {
        amount.dueAt =
          flags & 8 != 0
          ? (amount.announcedAt / Arrears.minute &+ reader.signed()) &* Arrears.minute
          : amount.announcedAt &+ reader.signed()
        amount.eventID = reader.text()
      }
      if !amount.isMissed || flags & 8 == 0 { amount.remaining = reader.number() }
      if flags & 16 != 0 && index > 0 {
        amount.loan = amounts[index - 1].loan
      } else {
        amount.loan = amount.isOfPlatform ? platforms.name(Int(platform)) : reader.text()
      }
      if amount.dueAt.magnitude > 1 << 55 || amount.announcedAt.magnitude > 1 << 55 { reader.fail() }
      if !amount.isMissed && amount.remaining.isNaN { reader.fail() }
      if reader.isDamaged { return }
      amounts.append(amount)
    }
  }
}
