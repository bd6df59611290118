import Borrowers

/// What happened from one statement to the next.
struct StatementPeriod: BitwiseCopyable {
  var repaid: Float = 0
  var drawn: Float = 0
  /// The most days past due that were missed or settled, and those missed last.
  var worstDays: Int32 = 0
  var lastMissedDays: Int32 = 0
}

/// The last six statements, whatever their age: on monthly statements half a year of balances, payments and delays. Of all
/// the borrower's platforms together. What comes late, from before the newest statement, is left out here.
struct StatementHistory: ~Copyable {
  static let countMax = 6
  struct Statement: BitwiseCopyable {
    var balance: Float
    var period: StatementPeriod
  }
  /// Newest first.
  private(set) var statements = FixedList<Statement>(capacity: countMax + 1)
  /// Since the newest statement, or since ever where there is none.
  var current = StatementPeriod()
  private(set) var newestAt = EventTime.distantPast.milliseconds

  init() {}

  mutating func reset() {
    statements.removeAll()
    current = StatementPeriod()
    newestAt = EventTime.distantPast.milliseconds
  }

  mutating func issue(balance: Double, daysPastDue: Int, at time: Int64) {
    guard time >= newestAt else { return }
    newestAt = time
    current.worstDays = max(current.worstDays, Int32(daysPastDue))
    statements.insert(Statement(balance: Saturating.float(balance), period: current), at: 0)
    if statements.count > StatementHistory.countMax { statements.truncate(to: StatementHistory.countMax) }
    current = StatementPeriod()
  }

  mutating func repay(_ amount: Double, worstDays: Int, at time: Int64) {
    guard time >= newestAt else { return }
    current.repaid += Saturating.float(amount)
    current.worstDays = max(current.worstDays, Int32(worstDays))
  }

  mutating func draw(_ amount: Double, at time: Int64) {
    guard time >= newestAt else { return }
    current.drawn += Saturating.float(amount)
  }

  mutating func miss(days: Int, at time: Int64) {
    guard time >= newestAt else { return }
    current.worstDays = max(current.worstDays, Int32(days))
    current.lastMissedDays = Int32(days)
  }

  // A period: a byte (1: days follow; from 4 and 16 on, codes of repaid and drawn), days, repaid, drawn.
  static let encodedMax = 8 * (1 + 5 + 5 + 4 + 4 + 4) + 20

  func encode(_ writer: inout StateWriter, borrowerTime: Int64) {
    writer.byte(UInt8(statements.count))
    if statements.count > 0 { writer.varint(UInt64(max(0, borrowerTime - newestAt))) }
    StatementHistory.encode(current, &writer)
    for index in 0..<statements.count {
      writer.fixed(statements[index].balance.bitPattern)
      StatementHistory.encode(statements[index].period, &writer)
    }
  }

  mutating func decode(_ reader: inout StateReader, borrowerTime: Int64) {
    reset()
    let count = Int(reader.byte())
    if count > StatementHistory.countMax { reader.fail() }
    if reader.isDamaged { return }
    if count > 0 { newestAt = borrowerTime - Int64(reader.count(upTo: 1 << 54)) }
    current = StatementHistory.decode(&reader)
    for _ in 0..<count {
      let balance = Float(bitPattern: reader.fixed(UInt32.self))
      statements.append(Statement(balance: balance, period: StatementHistory.decode(&reader)))
    }
  }

  private static func encode(_ period: StatementPeriod, _ writer: inout StateWriter) {
    let repaid = StateWriter.packed(period.repaid)
    let drawn = StateWriter.packed(period.drawn)
    let hasDays = period.worstDays != 0 || period.lastMissedDays != 0
    writer.byte((hasDays ? 1 : 0) | repaid.code << 2 | drawn.code << 4)
    if hasDays {
      writer.varint(UInt64(period.worstDays))
      writer.varint(UInt64(period.lastMissedDays))
    }
    writer.float(repaid)
    writer.float(drawn)
  }

  private static func decode(_ reader: inout StateReader) -> StatementPeriod {
    var period = StatementPeriod()
    let head = reader.byte()
    if head & 1 != 0 {
      period.worstDays = Int32(reader.count(upTo: Arrears.daysMax))
      period.lastMissedDays = Int32(reader.count(upTo: Arrears.daysMax))
    }
    period.repaid = reader.float(code: head >> 2 & 3)
    period.drawn = reader.float(code: head >> 4 & 3)
    return period
  }
}
