import Borrowers

/// Billing, paying and borrowing.
extension SimulatedBorrower {
  /// Days past due at which the lender's systems report a missed payment; at the last one the loan is written off.
  private static let reminderDays = [3, 30, 60, 90]
  private static let billedDaysAhead = 12

  /// Pays what is planned for the day, or falls behind, or catches up.
  mutating func settle(_ events: DayOfEvents, _ planned: inout [PlannedEvent]) {
    if cardDue.open > 0 {
      var due = cardDue
      let paid = settle(&due, events, &planned, platform: Vocabulary.card, loan: PlannedEvent.noLoan)
      cardDue = due
      cardBalance = max(0, cardBalance - paid)
    }
    if loanDue.open > 0 {
      var due = loanDue
      let paid = settle(&due, events, &planned, platform: loanPlatform, loan: UInt16(loanNumber))
      loanDue = due
      loanLeft = max(0, loanLeft - paid)
    }
  }

  /// Returns what was paid.
  private mutating func settle(
    _ due: inout Obligation, _ events: DayOfEvents, _ planned: inout [PlannedEvent], platform: Int, loan: UInt16
  ) -> Int {
    let late = due.daysPastDue(on: events.day)
    if due.reminders < Self.reminderDays.count && late == Self.reminderDays[due.reminders] {
      events.add(
        .paymentMissed, at: smallHours(from: 2), of: &self, into: &planned, platform: platform, loan: loan,
        cents: due.open, extra: late)
      due.reminders += 1
      truthOverdue = true
      if due.reminders == Self.reminderDays.count { writeOff(events, &planned) }
    }
    // The full day after the due time passes at the end of the day that follows.
    if late == 1 { truthOverdue = true }
    if due.payDay == .max {
      guard late > 0, random.happens(0.01 + 0.09 * logistic(2 + 2 * health)) else { return 0 }
      due.payDay = events.day
    }
    guard due.payDay <= events.day else { return 0 }
    return pay(&due, events, &planned, platform: platform, loan: loan)
  }

  private mutating func pay(
    _ due: inout Obligation, _ events: DayOfEvents, _ planned: inout [PlannedEvent], platform: Int, loan: UInt16
  ) -> Int {
    let isPartial = health < -0.5 && random.happens(0.25)
    var amount = isPartial ? max(100, due.open * 2 / 5) : due.open
    amount = min(amount, due.open)
    var paid = amount
    if platform == Vocabulary.card && !isPartial {
      // More than the minimum, as means allow.
      let share = min(max(0.12 + 0.3 * health + 0.2 * random.gaussian(), 0), 1)
      paid += Int(Double(max(0, cardBalance - amount)) * share)
    }
    events.add(
      .repayment, at: daytime(), of: &self, into: &planned, platform: platform, loan: loan, cents: paid)
    deposits = max(0, deposits - paid / 2)
    due.open -= amount
    if due.open > 0 {
      due.payDay = random.happens(0.5) ? events.day + random.integer(2...12) : .max
    } else {
      due = Obligation()
    }
    return paid
  }

  private mutating func writeOff(_ events: DayOfEvents, _ planned: inout [PlannedEvent]) {
    guard !isWrittenOff else { return }
    isWrittenOff = true
    limit = 0
    events.add(.limitChanged, at: smallHours(from: 3), of: &self, into: &planned, cents: 0)
  }

  /// Issues the card's statement and announces the loan's installment.
  mutating func bill(_ events: DayOfEvents, _ date: CalendarDay, _ planned: inout [PlannedEvent]) {
    guard !isWrittenOff else { return }
    if hasCard && cardBalance > 0 && date.dayOfMonth == statementDay && events.day > joinDay {
      cardBalance += cardBalance / 70
      let minimum = max(min(cardBalance, 2_500), cardBalance / 12)
      let dueDay = events.day + Self.billedDaysAhead + 6
      events.add(
        .statementIssued, at: smallHours(from: 3), of: &self, into: &planned, platform: Vocabulary.card,
        cents: cardBalance, extra: minimum, dueDay: dueDay)
      var due = cardDue
      announce(minimum, dueDay: dueDay, &due)
      cardDue = due
    }
    if loanLeft > 0 && date.dayOfMonth == loanDueDayOfMonth {
      // An installment that is still open in arrears is added to, and is part of what is left.
      let amount = min(installment, loanLeft - loanDue.open)
      guard amount > 0 else { return }
      let dueDay = events.day + Self.billedDaysAhead
      events.add(
        .installmentDue, at: smallHours(from: 4), of: &self, into: &planned, platform: loanPlatform,
        loan: UInt16(loanNumber), cents: amount, dueDay: dueDay)
      var due = loanDue
      announce(amount, dueDay: dueDay, &due)
      loanDue = due
    }
  }

  /// Decides, unseen, what will become of a payment announced.
  private mutating func announce(_ amount: Int, dueDay: Int, _ due: inout Obligation) {
    if due.open > 0 {
      due.open += amount
      return
    }
    let dice = random.uniform()
    let missed = defaultPropensity
    let late = logistic(-2.9 - 1.9 * health)
    let payDay: Int
    if dice < missed {
      payDay = .max
    } else if dice < missed + (1 - missed) * late {
      payDay = dueDay + random.integer(1...7)
    } else {
      payDay = dueDay - min(max(Int(3.5 + 2.5 * health + 1.5 * random.gaussian()), 0), 10)
    }
    due = Obligation(open: amount, dueDay: dueDay, payDay: payDay, reminders: 0)
  }

  /// Needs arise, announce themselves, and end in a drawdown.
  mutating func borrow(_ events: DayOfEvents, _ date: CalendarDay, _ planned: inout [PlannedEvent]) {
    switch need {
    case .none:
      // More needs before holidays; the troubled try more often.
      let season = date.month == 12 || date.month == 7 ? 1.4 : 1.0
      if !isWrittenOff && random.happens(season * (0.001_5 + 0.05 * appetite + (health < -1 ? 0.006 : 0))) {
        need = .looking
        needDays = random.integer(2...9)
        needShare = random.uniform(0.1, 0.35 + 0.6 * appetite)
      } else if hasCard && random.happens(0.07 * appetite * appetite) && !isInArrears(on: events.day) {
        draw(Int(Double(limit) * random.uniform(0.015, 0.08)), revolving: true, events, date, &planned)
      }
    case .looking:
      look(events, &planned)
      needDays -= 1
      if needDays <= 0 { endLooking(events, &planned) }
    case .applied:
      needDays -= 1
      if needDays <= 0 { receive(events, date, &planned) }
    }
  }

  private mutating func look(_ events: DayOfEvents, _ planned: inout [PlannedEvent]) {
    guard random.happens(0.7) else { return }
    var at = daytime()
    events.add(.sessionStarted, at: at, of: &self, into: &planned, detail: random.happens(0.7) ? 0 : 1)
    for _ in 0..<random.integer(1...3) {
      at += random.integer(5_000...90_000)
      events.add(
        .pageView, at: at, of: &self, into: &planned,
        detail: random.integer(Vocabulary.borrowingPages...Vocabulary.hardshipPages - 1))
    }
    if random.happens(0.5) {
      events.add(
        .search, at: at + random.integer(2_000...60_000), of: &self, into: &planned,
        detail: random.integer(Vocabulary.borrowingTopics...Vocabulary.hardshipTopics - 1))
    }
  }

  private mutating func endLooking(_ events: DayOfEvents, _ planned: inout [PlannedEvent]) {
    guard random.happens(0.85) else {
      need = .none
      return
    }
    let wanted = limit > 0 ? Double(headroom) : Double(monthlyIncome) * 2
    events.add(
      .loanApplied, at: daytime(), of: &self, into: &planned, detail: hasCard ? 0 : 2,
      cents: max(10_000, Int(wanted * needShare) / 1_000 * 1_000))
    let isRefused = isInArrears(on: events.day) || (limit == 0 && quality + 0.5 * random.gaussian() < -0.3)
    need = isRefused ? .none : .applied
    needDays = random.integer(1...3)
  }

  /// A prospect is granted a limit first, and draws some days after.
  private mutating func receive(_ events: DayOfEvents, _ date: CalendarDay, _ planned: inout [PlannedEvent]) {
    if limit == 0 && !isWrittenOff {
      limit = Int(Double(monthlyIncome) * random.uniform(0.8, 2.5)) / 10_000 * 10_000 + 30_000
      events.add(.limitChanged, at: smallHours(from: 6), of: &self, into: &planned, cents: limit)
      needDays = random.integer(1...4)
      return
    }
    need = .none
    draw(Int(Double(headroom) * needShare), revolving: hasCard && random.happens(0.5), events, date, &planned)
  }

  private mutating func draw(
    _ amount: Int, revolving: Bool, _ events: DayOfEvents, _ date: CalendarDay, _ planned: inout [PlannedEvent]
  ) {
    let amount = min(amount, headroom) / 100 * 100
    guard amount >= 2_000, revolving || loanLeft == 0 || hasCard else { return }
    truthDrawn += amount
    if revolving || loanLeft > 0 {
      cardBalance += amount
      events.add(
        .drawdown, at: daytime(), of: &self, into: &planned, platform: Vocabulary.card, detail: 0,
        loan: PlannedEvent.cardLoan, cents: amount)
      return
    }
    let installments = [1, 3, 3, 6, 12][random.integer(0...4)]
    loanNumber += 1
    loanLeft = amount
    installment = (amount + installments - 1) / installments
    // Announced a month after the drawdown at the earliest, less the days of notice.
    loanDueDayOfMonth = min((date.dayOfMonth + 17) % 28 + 1, 28)
    events.add(
      .drawdown, at: daytime(), of: &self, into: &planned, platform: loanPlatform, detail: installments == 1 ? 1 : 2,
      loan: UInt16(min(loanNumber, 60_000)), cents: amount, extra: installments)
  }
}
