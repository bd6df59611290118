import Borrowers

/// Random records, each field of which may be missing where it may be.
struct RandomRecords {
  var random: SeededGenerator

  init(seed: UInt64) { random = SeededGenerator(seed: seed) }

  mutating func bytes(_ count: ClosedRange<Int> = 1...20) -> [UInt8] { Array(string(count).utf8) }

  /// Mostly ASCII, with some of everything that JSON and Protobuf treat apart.
  mutating func string(_ count: ClosedRange<Int> = 1...20) -> String {
    let hostile = [
      "\"", "\\", "/", "\n", "\t", "\u{1}", "\u{1F}", "\u{7F}", "é", "贷", "😀", "\u{0}", "'", "\r", "{", "\u{2028}",
    ]
    var text = ""
    let target = Int.random(in: count, using: &random)
    while text.utf8.count < target {
      let next =
        Int.random(in: 0..<8, using: &random) == 0
        ? hostile.randomElement(using: &random)!
        : String(UnicodeScalar(UInt8.random(in: 0x61...0x7A, using: &random)))
      if text.utf8.count + next.utf8.count > count.upperBound { break }
      text += next
    }
    return text.isEmpty && count.lowerBound > 0 ? "x" : text
  }

  mutating func name() -> String {
    let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ_")
    return String((0..<Int.random(in: 3...20, using: &random)).map { _ in letters.randomElement(using: &random)! })
  }

  mutating func number() -> Double {
    switch Int.random(in: 0..<4, using: &random) {
    case 0: Double(Int.random(in: 0...100_000, using: &random))
    case 1: Double(Int.random(in: 0...10_000_000, using: &random)) / 100
    case 2: Double.random(in: 0...1, using: &random)
    default: Double.random(in: 0...1e15, using: &random)
    }
  }

  mutating func maybe(_ value: Double) -> Double { Bool.random(using: &random) ? value : .nan }
  mutating func probability() -> Double { Double.random(in: 0...1, using: &random) }
  mutating func time() -> EventTime {
    EventTime(milliseconds: Int64.random(in: EventTime.earliest.milliseconds..<1_791_720_800_000, using: &random))
  }
  mutating func hash() -> [UInt8] { Murmur.hash128(bytes()).hexadecimal }

  mutating func context() -> DecisionContext {
    var context = DecisionContext()
    context.borrowerID = bytes(1...64)
    context.platform = bytes()
    context.currency = Bool.random(using: &random) ? Array("EUR".utf8) : []
    context.modelVersion = bytes()
    context.asOf = time()
    context.trigger = Trigger(rawValue: UInt8.random(in: 1...4, using: &random))!
    context.triggeringEventID = bytes(1...64)
    context.sourceTopic = bytes()
    context.sourcePartition = Int32.random(in: 0...Int32.max, using: &random)
    context.sourceOffset = Int64.random(in: 0...Int64.max, using: &random)
    return context
  }

  mutating func reasons() -> [Reason] {
    (0..<Int.random(in: 0...4, using: &random)).map { _ in
      Reason(
        code: name(), feature: name(), value: maybe(number()), contribution: probability(), text: string(0...60))
    }
  }

  mutating func score() -> ScoreRecord {
    var record = ScoreRecord()
    record.context = context()
    record.overdueProbability = maybe(probability())
    record.overdueBasis = Bool.random(using: &random) ? .owing : .ifLent
    record.borrowingProbability30d = maybe(probability())
    record.forecastBorrowing30d = maybe(number())
    record.forecastBorrowing30dLower = maybe(number())
    record.forecastBorrowing30dUpper = maybe(number())
    record.predictedUtilization = maybe(number())
    record.utilizationTarget = Array((Bool.random(using: &random) ? "cumulative" : "balance").utf8)
    return record
  }

  mutating func severity() -> Severity { Severity(rawValue: UInt8.random(in: 0...4, using: &random))! }

  mutating func alert() -> AlertRecord {
    var record = AlertRecord()
    record.context = context()
    record.alertID = hash()
    record.status = AlertStatus(rawValue: UInt8.random(in: 1...4, using: &random))!
    record.severity = severity()
    record.currentLevel = severity()
    record.overdueProbability = maybe(probability())
    record.previousProbability = maybe(probability())
    record.exposure = number()
    record.daysPastDue = Int.random(in: 0...2000, using: &random)
    record.amountPastDue = number()
    record.raisedBy = Bool.random(using: &random) ? ["model"] : ["model", "rule:\(name())"]
    record.reasons = reasons()
    return record
  }

  mutating func lead() -> LeadRecord {
    var record = LeadRecord()
    record.context = context()
    record.leadID = hash()
    record.status = LeadStatus(rawValue: UInt8.random(in: 1...3, using: &random))!
    if record.status == .withdrawn {
      record.withdrawnBecause = WithdrawalReason(rawValue: UInt8.random(in: 1...6, using: &random))
    }
    record.predictedUtilization = maybe(number())
    record.threshold = maybe(probability())
    record.forecastBorrowing30d = maybe(number())
    record.overdueProbability = maybe(probability())
    record.overdueBasis = Bool.random(using: &random) ? .owing : .ifLent
    record.reasons = reasons()
    record.validUntil = time()
    return record
  }

  mutating func forecast() -> RepaymentForecastRecord {
    var record = RepaymentForecastRecord()
    record.forecastID = hash()
    record.platform = bytes()
    record.asOf = time()
    record.periodStart = time()
    record.periodEnd = time()
    record.expectedRepayment = number()
    record.lower = maybe(number())
    record.upper = maybe(number())
    record.assetScale = number()
    record.modelVersion = bytes()
    record.currency = Bool.random(using: &random) ? Array("EUR".utf8) : []
    return record
  }

  mutating func indicator() -> IndustryIndicator {
    let day = time().milliseconds / EventTime.millisecondsPerDay * EventTime.millisecondsPerDay
    return IndustryIndicator(
      series: string(1...64), date: EventTime(milliseconds: day), value: probability() - 0.5)
  }

  /// An event of any type, its fields as the type's rules allow.
  mutating func event() -> BorrowerEvent {
    var event = BorrowerEvent()
    event.kind = EventKind.allCases.randomElement(using: &random)!
    event.occurredAt = time()
    event.eventID = event.appendText(string(1...64))
    event.borrowerID = event.appendText(string(1...64))
    event.platform = event.appendText(Bool.random(using: &random) ? "default" : string())
    func text(_ isRequired: Bool = false) -> TextSlice {
      isRequired || Bool.random(using: &random) ? event.appendText(string(0...30)) : .absent
    }
    switch event.kind {
    case .profileUpdated:
      event.profile.birthYear = maybe(1970)
      event.profile.monthlyIncome = maybe(number())
      event.profile.region = text()
      event.profile.householdRegion = text()
      event.profile.education = text()
      event.profile.occupation = text()
      event.profile.maritalStatus = text()
      event.profile.gender = text()
      event.profile.marketingConsent = [true, false, nil].randomElement(using: &random)!
    case .assetsUpdated:
      event.deposits = maybe(number())
      event.propertyValue = maybe(number())
    case .creditScoreUpdated, .loanApplied, .purchase:
      event.amount = number()
      event.detail = text()
    case .limitChanged: event.amount = number()
    case .drawdown:
      event.amount = number()
      event.loanID = text(true)
      event.installments = maybe(12)
      event.detail = text()
    case .installmentDue:
      event.amount = number()
      event.loanID = text(true)
      event.dueAt = time()
    case .statementIssued:
      event.amount = -number()
      event.minimumDue = maybe(number())
      if Bool.random(using: &random) { event.dueAt = time() }
    case .repayment:
      event.amount = number()
      event.loanID = text()
    case .paymentMissed:
      event.daysPastDue = number()
      event.loanID = text()
      event.amount = maybe(number())
    case .pageView: event.detail = text(true)
    case .search, .sessionStarted: event.detail = text()
    case .wealthTransaction, .bankTransaction: event.amount = -number()
    case .borrowerErased: break
    }
    return event
  }
}

extension BorrowerEvent {
  /// All that the event says, to compare with another's.
  var summary: [String] {
    func number(_ value: Double) -> String { value.isNaN ? "-" : "\(value)" }
    func string(_ slice: TextSlice) -> String { self.string(slice).map { "'\($0)'" } ?? "-" }
    return [
      "\(kind)", "\(occurredAt.milliseconds)", "due \(dueAt.milliseconds)", string(eventID), string(borrowerID),
      string(platform), "loan \(string(loanID))", "detail \(string(detail))", "amount \(number(amount))",
      "minimum \(number(minimumDue))", "installments \(number(installments))", "days \(number(daysPastDue))",
      "deposits \(number(deposits))", "property \(number(propertyValue))", "born \(number(profile.birthYear))",
      "income \(number(profile.monthlyIncome))", "region \(string(profile.region))",
      "household \(string(profile.householdRegion))", "education \(string(profile.education))",
      "occupation \(string(profile.occupation))", "marital \(string(profile.maritalStatus))",
      "gender \(string(profile.gender))", "consent \(profile.marketingConsent.map { "\($0)" } ?? "-")",
    ]
  }
}

/// What `body` appends.
func encoded(_ body: (inout ByteBuffer) -> Void) -> [UInt8] {
  var buffer = ByteBuffer()
  body(&buffer)
  return unsafe Array(buffer.bytes)
}
