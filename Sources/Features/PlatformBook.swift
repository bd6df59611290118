import Borrowers

/// What a borrower owes each platform: the newest statement's balance plus what was drawn less what was repaid since;
/// without a statement, drawn less repaid. Clamped when it is read, not as it adds up.
///
/// At most 16 platforms. A further one takes the place of one without a balance or open amount; where none is free, it is
/// counted under the last one's name.
struct PlatformBook: ~Copyable {
  static let countMax = 16
  struct Entry: BitwiseCopyable {
    var name: ShortText
    var owed: Double
    /// The time of the newest statement.
    var statementAt: Int64
  }
  private var entries = FixedList<Entry>(capacity: countMax)
  /// Of the borrower's newest event.
  var last = 0

  static let noStatement = EventTime.distantPast.milliseconds

  init() {}

  var count: Int { entries.count }
  func name(_ index: Int) -> ShortText { entries[index].name }
  func exposure(_ index: Int) -> Double { max(0, entries[index].owed) }

  mutating func reset() {
    entries.removeAll()
    last = 0
  }

  var exposure: Double {
    var total = 0.0
    for index in 0..<entries.count { total += max(0, entries[index].owed) }
    return total
  }

  /// The platform's index, new or held.
  mutating func index(of name: ShortText, arrears: borrowing Arrears) -> Int {
    for index in 0..<entries.count where entries[index].name == name { return index }
    let entry = Entry(name: name, owed: 0, statementAt: PlatformBook.noStatement)
    if !entries.isFull {
      entries.append(entry)
      return entries.count - 1
    }
    for index in 0..<entries.count where entries[index].owed == 0 && index != last {
      var isFree = true
      for open in 0..<arrears.amounts.count where Int(arrears.amounts[open].platform) == index { isFree = false }
      if isFree {
        entries[index] = entry
        return index
      }
    }
    return entries.count - 1
  }

  /// What was drawn (positive) or repaid (negative). Before the newest statement it is in that statement's balance already.
  mutating func move(_ index: Int, by amount: Double, at time: Int64) {
    guard time >= entries[index].statementAt else { return }
    entries[index].owed = Money.settled(entries[index].owed + amount)
  }

  mutating func state(_ index: Int, balance: Double, at time: Int64) {
    guard time >= entries[index].statementAt else { return }
    entries[index].owed = Money.settled(balance)
    entries[index].statementAt = time
  }

  static let encodedMax = 65 + 10 + 10

  func encode(_ writer: inout StateWriter, borrowerTime: Int64) {
    writer.byte(UInt8(entries.count))
    if entries.count > 1 { writer.byte(UInt8(last)) }
    for index in 0..<entries.count {
      let entry = entries[index]
      writer.text(entry.name)
      writer.number(entry.owed)
      // 0 stands for no statement.
      let hasStatement = entry.statementAt != PlatformBook.noStatement
      writer.varint(hasStatement ? UInt64(max(0, borrowerTime - entry.statementAt)) + 1 : 0)
    }
  }

  mutating func decode(_ reader: inout StateReader, borrowerTime: Int64) {
    reset()
    let count = Int(reader.byte())
    if count > PlatformBook.countMax { reader.fail() }
    if reader.isDamaged { return }
    last = count > 1 ? Int(reader.byte()) : 0
    for _ in 0..<count {
      let name = reader.text()
      let owed = reader.number()
      let statement = reader.varint()
      if statement > 1 << 54 || owed.isNaN { reader.fail() }
      if reader.isDamaged { return }
      entries.append(
        Entry(
          name: name, owed: owed,
          statementAt: statement == 0 ? PlatformBook.noStatement : borrowerTime - Int64(statement - 1)))
    }
    if last >= max(count, 1) { reader.fail() }
  }
}
