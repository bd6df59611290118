/// A list of plain values whose memory is allocated once. Going past the capacity is a broken invariant of ours.
@safe struct FixedList<Element: BitwiseCopyable>: ~Copyable {
  private let base: UnsafeMutablePointer<Element>
  let capacity: Int
  private(set) var count = 0

  init(capacity: Int) {
    self.capacity = capacity
    unsafe base = .allocate(capacity: capacity)
  }

  deinit { unsafe base.deallocate() }

  @inline(__always) var isEmpty: Bool { count == 0 }
  @inline(__always) var isFull: Bool { count == capacity }

  @inline(__always) subscript(index: Int) -> Element {
    get {
      precondition(index >= 0 && index < count)
      return unsafe base[index]
    }
    _modify {
      precondition(index >= 0 && index < count)
      yield unsafe &base[index]
    }
  }

  @inline(__always) mutating func append(_ element: Element) {
    precondition(count < capacity)
    unsafe (base + count).initialize(to: element)
    count += 1
  }

  mutating func insert(_ element: Element, at index: Int) {
    precondition(count < capacity && index >= 0 && index <= count)
    unsafe (base + index + 1).update(from: base + index, count: count - index)
    unsafe (base + index).initialize(to: element)
    count += 1
  }

  mutating func remove(at index: Int) {
    precondition(index >= 0 && index < count)
    unsafe (base + index).update(from: base + index + 1, count: count - index - 1)
    count -= 1
  }

  mutating func removeFirst(_ removed: Int) {
    precondition(removed >= 0 && removed <= count)
    guard removed > 0 else { return }
    unsafe base.update(from: base + removed, count: count - removed)
    count -= removed
  }

  @inline(__always) mutating func removeAll() { count = 0 }

  /// Cuts back to `count` elements.
  mutating func truncate(to count: Int) {
    precondition(count >= 0 && count <= self.count)
    self.count = count
  }
}

extension FixedList {
  mutating func reverse() {
    var low = 0
    var high = count - 1
    while low < high {
      let element = self[low]
      self[low] = self[high]
      self[high] = element
      low += 1
      high -= 1
    }
  }
}

extension FixedList {
  @inline(__always) func reduce<Result>(_ initial: Result, _ combine: (Result, Element) -> Result) -> Result {
    var result = initial
    for index in 0..<count { result = combine(result, self[index]) }
    return result
  }
}
