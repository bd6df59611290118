/// Events of a few borrowers that draw, owe, pay and are silent, as records of the input; some cannot be read, some come
/// twice, some are late, some announce a due date that has passed.
struct SimulatedEvents {
  private var random: RandomSource
  private var count = 0
  private var last = ""
  /// Milliseconds that event time has jumped so far: a jump passes many due dates at once.
  private var jumped: Int64 = 0
  let borrowers: Int

  init(seed: UInt64, borrowers: Int) {
    random = RandomSource(seed: RandomSource.mix(seed ^ 0xe7e7))
    self.borrowers = borrowers
  }

  /// The next one, written at `clock` (milliseconds), and its record's timestamp.
  mutating func next(at clock: Int64) -> (key: String, value: String, timestamp: Int64) {
    if random.happens(0.03) { jumped += Int64(random.integer(3_600_000...80_000_000)) }
    let time = clock + jumped
    let borrower = "B\(random.integer(0...borrowers - 1))"
    count += 1
    let occurredAt = random.happens(0.1) ? time - 7_200_000 : time - Int64(random.integer(0...1_000))
    let amount = random.integer(1...2_000)
    let head = #"{"event_id":"E\#(count)","borrower_id":"\#(borrower)","occurred_at":\#(occurredAt)"#
    let value: String
    switch random.integer(0...19) {
    case 0: value = #"{"broken"#
    case 1 where last.contains("\"\(borrower)\""): value = last
    case 2: value = head + #","type":"borrower_erased"}"#
    case 3, 4: value = head + #","type":"profile_updated","profile":{"marketing_consent":true,"birth_year":1980}}"#
    case 5: value = head + #","type":"limit_changed","credit_limit":\#(amount * 20)}"#
    case 6, 7, 8:
      let due = time + Int64(random.integer(-6_000_000...36_000_000))
      value = head + #","type":"installment_due","amount":\#(amount),"loan_id":"L1","due_at":\#(due)}"#
    case 9, 10: value = head + #","type":"drawdown","amount":\#(amount),"loan_id":"L1"}"#
    case 11: value = head + #","type":"payment_missed","days_past_due":\#(amount % 90)}"#
    case 12, 13: value = head + #","type":"repayment","amount":\#(amount)}"#
    case 14: value = head + #","type":"statement_issued","balance":\#(amount)}"#
    default: value = head + #","type":"page_view","page":"home"}"#
    }
    last = value
    return (borrower, value, time)
  }
}
