import Borrowers
import Features

/// When borrowers' timers may fire: a heap of at least one entry, not later than its timer, for each borrower that has
/// one. Entries are checked against the borrower when they come up and never searched for: one whose timer moved on is
/// put back at its new time or dropped.
struct TimerQueue {
  struct Entry {
    var at: EventTime
    var handle: BorrowerHandle
  }

  private var heap: [Entry] = []
  /// Borrowers that were removed and whose place in the store no other has taken: their entries are dropped.
  private var removed: Set<BorrowerHandle> = []

  /// Removed places are swept out of the heap when there are so many.
  private static let removedMax = 1 << 16

  var count: Int { heap.count }
  var residentBytes: Int { heap.capacity * MemoryLayout<Entry>.stride }

  /// The earliest entry's time; `.distantFuture` when there is none.
  @inline(__always) var first: EventTime { heap.isEmpty ? .distantFuture : heap[0].at }

  mutating func push(_ handle: BorrowerHandle, at time: EventTime) {
    heap.append(Entry(at: time, handle: handle))
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard heap[child].at < heap[parent].at else { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  /// The earliest entry; of a removed borrower none is returned.
  mutating func pop() -> Entry? {
    while let top = heap.first {
      let last = heap.removeLast()
      if !heap.isEmpty {
        heap[0] = last
        siftDown(0)
      }
      if removed.isEmpty || !removed.contains(top.handle) { return top }
    }
    return nil
  }

  /// A borrower was removed from the store.
  mutating func noteRemoved(_ handle: BorrowerHandle) {
    removed.insert(handle)
    if removed.count > Self.removedMax { sweep() }
  }

  /// A new borrower was written to the store: perhaps in the place of a removed one.
  @inline(__always) mutating func noteAdded(_ handle: BorrowerHandle) {
    if !removed.isEmpty { removed.remove(handle) }
  }

  /// Fills an empty queue at once.
  mutating func fill(_ entries: [Entry]) {
    heap = entries
    var index = heap.count / 2
    while index > 0 {
      index -= 1
      siftDown(index)
    }
  }

  /// Of each borrower that has one, its earliest entry.
  func earliest() -> [BorrowerHandle: EventTime] {
    var earliest: [BorrowerHandle: EventTime] = [:]
    earliest.reserveCapacity(heap.count)
    for entry in heap where removed.isEmpty || !removed.contains(entry.handle) {
      earliest[entry.handle] = min(entry.at, earliest[entry.handle] ?? entry.at)
    }
    return earliest
  }

  private mutating func sweep() {
    fill(heap.filter { !removed.contains($0.handle) })
    removed.removeAll()
  }

  private mutating func siftDown(_ start: Int) {
    var parent = start
    while true {
      var least = parent
      let left = 2 * parent + 1
      if left < heap.count, heap[left].at < heap[least].at { least = left }
      if left + 1 < heap.count, heap[left + 1].at < heap[least].at { least = left + 1 }
      if least == parent { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }
}

/// A timer that the watermark has passed, with what orders it: due time, kind, borrower_id, loan_id.
struct PassedTimer {
  var due: EventTime
  /// `duePassed` before `leadExpired` before `control`, the end of an override.
  var kind: Trigger
  var handle: BorrowerHandle
  /// Where its ids stand in `PassedTimers.ids`: the borrower's, then the loan's.
  var idStart: Int
  var borrowerCount: UInt32
  var loanCount: UInt32
}

/// The timers passed by one move of the watermark, in their order. What is collected is sorted once; the few that firing
/// sets anew and that are passed already are kept sorted beside it.
struct PassedTimers: ~Copyable {
  private var ids = ByteBuffer(capacity: 1 << 12)
  /// Latest first, so that the next one is the last.
  private var collected: [PassedTimer] = []
  private var added: [PassedTimer] = []
  private var isSorted = true

  var isEmpty: Bool { collected.isEmpty && added.isEmpty }
  var count: Int { collected.count + added.count }

  /// Collected timers; all of them before the first `next`.
  mutating func collect(
    _ handle: BorrowerHandle, due: EventTime, kind: Trigger, borrowerID: UnsafeBufferPointer<UInt8>, loanID: [UInt8]
  ) {
    unsafe collected.append(make(handle, due: due, kind: kind, borrowerID: borrowerID, loanID: loanID))
    isSorted = false
  }

  /// The next timer of a borrower whose timer was just fired.
  mutating func add(
    _ handle: BorrowerHandle, due: EventTime, kind: Trigger, borrowerID: UnsafeBufferPointer<UInt8>, loanID: [UInt8]
  ) {
    let timer = unsafe make(handle, due: due, kind: kind, borrowerID: borrowerID, loanID: loanID)
    sift(timer)
  }

  mutating func next() -> PassedTimer? {
    if !isSorted {
      // Descending; a comparison of distinct keys, so that the order is one whatever the sort does.
      let bytes = unsafe ids.bytes
      collected.sort { unsafe PassedTimers.precedes($1, $0, bytes) }
      isSorted = true
    }
    let timer: PassedTimer
    if let first = added.first, let last = collected.last {
      timer = unsafe PassedTimers.precedes(first, last, ids.bytes) ? popAdded() : collected.removeLast()
    } else if !added.isEmpty {
      timer = popAdded()
    } else if let last = collected.popLast() {
      timer = last
    } else {
      ids.removeAll()
      return nil
    }
    return timer
  }

  private mutating func make(
    _ handle: BorrowerHandle, due: EventTime, kind: Trigger, borrowerID: UnsafeBufferPointer<UInt8>, loanID: [UInt8]
  ) -> PassedTimer {
    let start = ids.count
    unsafe ids.append(borrowerID)
    ids.append(loanID)
    return PassedTimer(
      due: due, kind: kind, handle: handle, idStart: start, borrowerCount: UInt32(borrowerID.count),
      loanCount: UInt32(loanID.count))
  }

  // `added` is a heap: firing a million timers that each set another one must not be quadratic.
  private mutating func sift(_ timer: PassedTimer) {
    added.append(timer)
    var child = added.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard unsafe PassedTimers.precedes(added[child], added[parent], ids.bytes) else { return }
      added.swapAt(child, parent)
      child = parent
    }
  }

  private mutating func popAdded() -> PassedTimer {
    let top = added[0]
    let last = added.removeLast()
    guard !added.isEmpty else { return top }
    added[0] = last
    var parent = 0
    while true {
      var least = parent
      let left = 2 * parent + 1
      if left < added.count, unsafe PassedTimers.precedes(added[left], added[least], ids.bytes) { least = left }
      if left + 1 < added.count, unsafe PassedTimers.precedes(added[left + 1], added[least], ids.bytes) {
        least = left + 1
      }
      if least == parent { return top }
      added.swapAt(parent, least)
      parent = least
    }
  }

  private static func precedes(_ a: PassedTimer, _ b: PassedTimer, _ ids: UnsafeBufferPointer<UInt8>) -> Bool {
    if a.due != b.due { return a.due < b.due }
    if a.kind != b.kind { return a.kind.rawValue < b.kind.rawValue }
    let byBorrower = unsafe compare(
      ids, a.idStart, Int(a.borrowerCount), b.idStart, Int(b.borrowerCount))
    if byBorrower != 0 { return byBorrower < 0 }
    return unsafe compare(
      ids, a.idStart + Int(a.borrowerCount), Int(a.loanCount), b.idStart + Int(b.borrowerCount), Int(b.loanCount)) < 0
  }

  /// Byte order; a prefix comes first.
  private static func compare(
    _ ids: UnsafeBufferPointer<UInt8>, _ a: Int, _ aCount: Int, _ b: Int, _ bCount: Int
  ) -> Int {
    for index in 0..<min(aCount, bCount) {
      let (left, right) = unsafe (ids[a + index], ids[b + index])
      if left != right { return left < right ? -1 : 1 }
    }
    return aCount - bCount
  }
}
