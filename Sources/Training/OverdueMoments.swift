import Borrowers
import History

/// The times at which a borrower was, or became, overdue by at least so many days: the label of the overdue model, kept
/// apart from the state that the features come from.
///
/// A moment is a `payment_missed` with that many `days_past_due`, or the point so many full days after the `due_at` of an
/// amount that is then still unpaid. Repayments settle a loan's amounts oldest first, each unit of money once, counting
/// from the event that announced them; one without `loan_id` settles the oldest of its platform; a `payment_missed`
/// takes the place of its loan's earlier arrears and passed dues.
struct OverdueMoments {
  private struct Obligation {
    var loan: UInt64
    var platform: UInt64
    var dueAt: EventTime
    /// NaN where unknown: any repayment settles it, and is used up by that.
    var remaining: Double
    /// When it counts as overdue if it is still open then.
    var moment: EventTime
    var isCounted = false
  }

  private var open: [Obligation] = []
  private let overdueMilliseconds: Int64
  /// Not in order. `seen` is how many of the borrower's events it takes to know of it: the `payment_missed` itself is one
  /// of them, an amount that is still open needs an event behind it (or the history's end).
  private(set) var moments: [(time: EventTime, seen: Int)] = []
  private var index = 0

  init(_ events: BorrowerEvents, overdueDays: Int) {
    overdueMilliseconds = Int64(overdueDays) * EventTime.millisecondsPerDay
    while index < events.count {
      let event = events[index]
      passMoments(before: event.occurredAt)
      apply(event, overdueDays: overdueDays)
      index += 1
    }
    passMoments(before: .distantFuture)
  }

  /// Whether a moment lies within `start..<end` that the borrower's first `seen` events do not tell of.
  func contains(from start: EventTime, seen: Int, to end: EventTime) -> Bool {
    moments.contains { $0.seen > seen && $0.time >= start && $0.time < end }
  }

  private mutating func passMoments(before time: EventTime) {
    for index in open.indices where !open[index].isCounted && open[index].moment < time {
      open[index].isCounted = true
      moments.append((open[index].moment, self.index + 1))
    }
  }

  private mutating func apply(_ event: borrowing BorrowerEvent, overdueDays: Int) {
    switch event.kind {
    case .installmentDue: announce(event, amount: event.amount)
    case .statementIssued:
      if event.dueAt != .distantPast, event.minimumDue > 0 { announce(event, amount: event.minimumDue) }
    case .paymentMissed:
      if event.daysPastDue >= Double(overdueDays) { moments.append((event.occurredAt, index + 1)) }
      let loan = event.loanKey
      open.removeAll { $0.loan == loan && $0.dueAt <= event.occurredAt }
      let days = Int64(min(max(event.daysPastDue, 0), 36_500))
      let dueAt = event.occurredAt - days * EventTime.millisecondsPerDay
      add(event, amount: event.amount, dueAt: dueAt, isCounted: event.daysPastDue >= Double(overdueDays))
    case .repayment: settle(event)
    default: break
    }
  }

  private mutating func announce(_ event: borrowing BorrowerEvent, amount: Double) {
    add(event, amount: amount, dueAt: event.dueAt, isCounted: false)
  }

  private mutating func add(_ event: borrowing BorrowerEvent, amount: Double, dueAt: EventTime, isCounted: Bool) {
    guard !(amount <= 0) else { return }
    let moment = max(dueAt + overdueMilliseconds, event.occurredAt)
    // A statement's minimum is its platform's, whatever loan_id it may carry.
    let loan = event.kind == .statementIssued ? ~event.platformKey : event.loanKey
    open.append(
      Obligation(
        loan: loan, platform: event.platformKey, dueAt: dueAt, remaining: amount, moment: moment,
        isCounted: isCounted))
  }

  private mutating func settle(_ event: borrowing BorrowerEvent) {
    var money = event.amount
    let isOfLoan = event.loanID.isPresent
    let key = isOfLoan ? event.loanKey : event.platformKey
    let oldestFirst = open.indices
      .filter { (isOfLoan ? open[$0].loan : open[$0].platform) == key }
      .sorted { open[$0].dueAt != open[$1].dueAt ? open[$0].dueAt < open[$1].dueAt : $0 < $1 }
    for index in oldestFirst where money > 0 {
      if open[index].remaining.isNaN {
        open[index].remaining = 0
        money = 0
      } else {
        let part = min(money, open[index].remaining)
        open[index].remaining -= part
        money -= part
      }
    }
    open.removeAll { $0.remaining <= 0 }
  }
}

extension BorrowerEvent {
  fileprivate var platformKey: UInt64 { hash(platform) }
  /// The loan, else the platform.
  fileprivate var loanKey: UInt64 { loanID.isPresent ? hash(loanID) : ~platformKey }

  private func hash(_ slice: TextSlice) -> UInt64 {
    unsafe text.withUnsafeBufferPointer {
      unsafe Murmur.hash64(UnsafeBufferPointer(rebasing: $0[Int(slice.start)..<Int(slice.start + slice.count)]))
    }
  }
}
