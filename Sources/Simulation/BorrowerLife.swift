import Borrowers

/// One borrower's day: where its events go and whose they are.
struct DayOfEvents {
  let day: Int
  let borrower: UInt32
  let platform: Int

  /// Appends an event at a millisecond of the day.
  func add(
    _ kind: EventKind, at millisecond: Int, of person: inout SimulatedBorrower, into planned: inout [PlannedEvent],
    platform: Int? = nil, detail: Int = 0, loan: UInt16 = PlannedEvent.noLoan, cents: Int = 0, extra: Int = 0,
    dueDay: Int = -1
  ) {
    planned.append(
      PlannedEvent(
        borrower: borrower, sequence: person.sequence, day: Int32(day),
        millisecond: Int32(min(max(millisecond, 0), 86_399_999)), kind: kind,
        platform: UInt8(platform ?? self.platform), detail: UInt8(detail), loan: loan, cents: cents, extra: extra,
        dueDay: Int32(dueDay)))
    person.sequence += 1
  }
}

extension SimulatedBorrower {
  /// Lives one day. Systems work in the small hours; people from about 7 to 23.
  mutating func live(_ day: Int, date: CalendarDay, borrower: UInt32, into planned: inout [PlannedEvent]) {
    guard day >= joinDay, !isErased else { return }
    let events = DayOfEvents(day: day, borrower: borrower, platform: hasCard ? Vocabulary.card : loanPlatform)
    if day == joinDay {
      join(events, &planned)
    } else {
      drift()
    }
    settle(events, &planned)
    bill(events, date, &planned)
    earnAndSpend(events, date, &planned)
    browse(events, &planned)
    borrow(events, date, &planned)
    if random.happens(0.000_02) {
      isErased = true
      events.add(.borrowerErased, at: 86_340_000, of: &self, into: &planned)
    }
  }

  mutating func daytime() -> Int { 25_200_000 + Int((random.uniform() + random.uniform()) * 28_800_000) }
  mutating func smallHours(from hour: Int) -> Int { hour * 3_600_000 + random.integer(0...3_599_999) }

  private mutating func join(_ events: DayOfEvents, _ planned: inout [PlannedEvent]) {
    let at = smallHours(from: 0)
    events.add(.profileUpdated, at: at, of: &self, into: &planned)
    if limit > 0 {
      events.add(.limitChanged, at: at + 1_000, of: &self, into: &planned, cents: limit)
      if cardBalance > 0 {
        events.add(.statementIssued, at: at + 2_000, of: &self, into: &planned, cents: cardBalance)
      }
    }
    if isScored { sendScore(events, at: at + 3_000, &planned) }
    if random.happens(0.5) { sendAssets(events, at: at + 4_000, &planned) }
  }

  private mutating func drift() {
    strain = strain * 0.985 + 0.08 * random.gaussian()
    if random.happens(0.001_2 * (1.3 - 0.25 * quality)) {
      strain += random.uniform(1.2, 3.2)
      if random.happens(0.6) { daysWithoutSalary = random.integer(45...120) }
    }
    if daysWithoutSalary > 0 { daysWithoutSalary -= 1 }
  }

  private mutating func sendScore(_ events: DayOfEvents, at millisecond: Int, _ planned: inout [PlannedEvent]) {
    let arrears = isInArrears(on: events.day) ? 45.0 : 0
    let points = Int(650 + 55 * health - arrears + 14 * random.gaussian())
    events.add(
      .creditScoreUpdated, at: millisecond, of: &self, into: &planned, detail: Int(events.borrower & 1),
      cents: min(max(points, 300), 850))
  }

  private mutating func sendAssets(_ events: DayOfEvents, at millisecond: Int, _ planned: inout [PlannedEvent]) {
    let owner = education % 2 == 1 && birthYear < 1990
    events.add(
      .assetsUpdated, at: millisecond, of: &self, into: &planned, cents: deposits,
      extra: owner ? monthlyIncome / 100 * 60 : 0)
  }

  private mutating func earnAndSpend(_ events: DayOfEvents, _ date: CalendarDay, _ planned: inout [PlannedEvent]) {
    if date.dayOfMonth == payday {
      let salary = daysWithoutSalary > 0 ? monthlyIncome / 4 : monthlyIncome
      if daysWithoutSalary == 0 || random.happens(0.4) {
        events.add(.bankTransaction, at: smallHours(from: 5), of: &self, into: &planned, cents: salary)
      }
      let spent = Double(monthlyIncome) * (0.9 - 0.08 * health + 0.08 * random.gaussian())
      deposits = max(0, deposits + salary - Int(spent))
      events.add(.bankTransaction, at: daytime(), of: &self, into: &planned, cents: -Int(spent * 0.4))
      if isScored && random.happens(0.8) { sendScore(events, at: smallHours(from: 6), &planned) }
    }
    if date.dayOfMonth == (payday + 13) % 28 + 1 {
      if random.happens(0.45) { sendAssets(events, at: smallHours(from: 6), &planned) }
      if deposits > 4 * monthlyIncome && random.happens(0.5) {
        let moved = Int(Double(deposits) * random.uniform(0.02, 0.2))
        events.add(
          .wealthTransaction, at: daytime(), of: &self, into: &planned,
          cents: random.happens(health > 0 ? 0.75 : 0.25) ? moved : -moved)
      }
    }
    if random.happens(0.02 + 0.12 * engagement) {
      let amount = Int(Double(monthlyIncome) * 0.02 * exponential(0.9 * random.gaussian() + 0.15 * health))
      events.add(
        .purchase, at: daytime(), of: &self, into: &planned,
        detail: random.integer(0...Vocabulary.categories.count - 1), cents: max(100, amount))
    }
    if random.happens(0.000_6) {
      consent = random.happens(0.6)
      events.add(.profileUpdated, at: daytime(), of: &self, into: &planned)
    }
  }

  /// Sessions that are about nothing in particular, or about trouble.
  private mutating func browse(_ events: DayOfEvents, _ planned: inout [PlannedEvent]) {
    let isTroubled = health < -0.8 || isInArrears(on: events.day)
    guard random.happens(0.015 + 0.09 * engagement + (isTroubled ? 0.06 : 0)) else { return }
    var at = daytime()
    events.add(
      .sessionStarted, at: at, of: &self, into: &planned, detail: random.happens(0.7) ? 0 : random.integer(1...2))
    for _ in 0..<random.integer(0...2) {
      at += random.integer(5_000...120_000)
      let page =
        isTroubled && random.happens(0.45)
        ? random.integer(Vocabulary.hardshipPages...Vocabulary.pages.count - 1)
        : random.integer(0...Vocabulary.borrowingPages)
      events.add(.pageView, at: at, of: &self, into: &planned, detail: page)
    }
    if random.happens(isTroubled ? 0.3 : 0.06) {
      let topic = isTroubled ? Vocabulary.hardshipTopics : random.integer(0...1)
      events.add(.search, at: at + random.integer(2_000...60_000), of: &self, into: &planned, detail: topic)
    }
  }
}
