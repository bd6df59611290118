import Borrowers

/// Money as a whole number of millionths: sums of it come out the same in whatever order they are made, which sums of
/// `Double` do not. Partitions, machines and training add up one book.
public enum ExactMoney {
  /// Amounts beyond this are held at it; 10^9 events of the contract's largest amount stay below.
  static let magnitudeMax = 1e26

  /// To the nearest millionth; 0 for what is no number.
  @inline(__always) public static func millionths(_ amount: Double) -> Int128 {
    guard amount == amount else { return 0 }
    return Int128((min(max(amount, -magnitudeMax), magnitudeMax) * 1e6).rounded(.toNearestOrEven))
  }

  @inline(__always) public static func amount(_ millionths: Int128) -> Double { Double(millionths) / 1e6 }
}

/// What an accepted event adds to the daily totals of its platform. Days are UTC days since 1970.
public struct PlatformMovement: Equatable, Sendable {
  /// Of the event.
  public var day: Int
  public var repaid: Int128 = 0
  public var drawn: Int128 = 0
  /// What it announced to be paid on `dueDay`.
  public var due: Int128 = 0
  public var dueDay = 0
  /// What it made of the borrower's exposure on the platform.
  public var exposure: Int128 = 0

  public init(day: Int) { self.day = day }
}

extension BorrowerState {
  /// What the event applied last adds to the totals of the platform whose index is `movedPlatform`; nil for an event that
  /// moves no money of a loan.
  public func movement(of event: borrowing BorrowerEvent) -> PlatformMovement? {
    var movement = PlatformMovement(day: EventTime.day(event.occurredAt))
    switch event.kind {
    case .repayment: movement.repaid = ExactMoney.millionths(event.amount)
    case .drawdown: movement.drawn = ExactMoney.millionths(event.amount)
    case .installmentDue:
      movement.due = ExactMoney.millionths(event.amount)
      movement.dueDay = EventTime.day(event.dueAt)
    case .statementIssued:
      if event.minimumDue > 0 && event.dueAt != .distantPast {
        movement.due = ExactMoney.millionths(event.minimumDue)
        movement.dueDay = EventTime.day(event.dueAt)
      }
    default: return nil
    }
    movement.exposure =
      ExactMoney.millionths(platforms.exposure(movedPlatform)) - ExactMoney.millionths(exposureBefore)
    return movement
  }
}

extension EventTime {
  /// The UTC day, counted from 1970-01-01.
  public static func day(_ time: EventTime) -> Int {
    let rest = time.milliseconds % millisecondsPerDay
    return Int((time.milliseconds - (rest < 0 ? rest + millisecondsPerDay : rest)) / millisecondsPerDay)
  }
}

/// What happened on one platform between two times at which totals are written. Pure sums: the order of movements does not
/// matter.
///
/// Dues of more than `dueDaysBack` days before or `dueDaysAhead` days after their event's day are left out.
public struct PlatformChanges: Equatable, Sendable {
  public static let dueDaysBack = 92
  public static let dueDaysAhead = 730

  public struct Day: Equatable, Sendable {
    public var day: Int32
    public var repaid: Int128
    public var drawn: Int128
  }

  public struct Due: Equatable, Sendable {
    public var day: Int32
    public var amount: Int128
  }

  /// Of all borrowers.
  public private(set) var exposure: Int128 = 0
  /// In order of day, those on which money moved.
  public private(set) var days: [Day] = []
  /// In order of the day they fall due.
  public private(set) var dues: [Due] = []

  public init() {}

  public mutating func add(_ movement: PlatformMovement) {
    add(exposure: movement.exposure)
    if movement.repaid != 0 || movement.drawn != 0 {
      let index = Self.place(of: Int32(truncatingIfNeeded: movement.day), in: &days, \.day) {
        Day(day: $0, repaid: 0, drawn: 0)
      }
      days[index].repaid &+= movement.repaid
      days[index].drawn &+= movement.drawn
    }
    guard movement.due != 0, movement.dueDay >= movement.day - Self.dueDaysBack,
      movement.dueDay <= movement.day + Self.dueDaysAhead
    else { return }
    let index = Self.place(of: Int32(truncatingIfNeeded: movement.dueDay), in: &dues, \.day) { Due(day: $0, amount: 0) }
    dues[index].amount &+= movement.due
  }

  public mutating func add(exposure change: Int128) { exposure &+= change }

  public mutating func add(_ other: PlatformChanges) {
    add(exposure: other.exposure)
    for one in other.days {
      let index = Self.place(of: one.day, in: &days, \.day) { Day(day: $0, repaid: 0, drawn: 0) }
      days[index].repaid &+= one.repaid
      days[index].drawn &+= one.drawn
    }
    for one in other.dues {
      let index = Self.place(of: one.day, in: &dues, \.day) { Due(day: $0, amount: 0) }
      dues[index].amount &+= one.amount
    }
  }

  /// The index of a day in a list in order of day, made where it is missing. Most are the last.
  private static func place<Element>(
    of day: Int32, in list: inout [Element], _ key: KeyPath<Element, Int32>, _ make: (Int32) -> Element
  ) -> Int {
    var index = list.count
    while index > 0, list[index - 1][keyPath: key] > day { index -= 1 }
    if index > 0, list[index - 1][keyPath: key] == day { return index - 1 }
    list.insert(make(day), at: index)
    return index
  }

  // MARK: Coding

  // Varints: exposure; the days' count, and for each its day, repaid, drawn; the dues' count, and for each its day and
  // amount. Numbers of both signs are zigzag.

  public func encode(into buffer: inout ByteBuffer) {
    Varint.append(exposure, to: &buffer)
    Varint.append(Int128(days.count), to: &buffer)
    for day in days {
      Varint.append(Int128(day.day), to: &buffer)
      Varint.append(day.repaid, to: &buffer)
      Varint.append(day.drawn, to: &buffer)
    }
    Varint.append(Int128(dues.count), to: &buffer)
    for due in dues {
      Varint.append(Int128(due.day), to: &buffer)
      Varint.append(due.amount, to: &buffer)
    }
  }

  /// Reads what `encode` wrote, from `offset` on, which moves behind it. Nil when the bytes are damaged.
  public init?(_ bytes: [UInt8], at offset: inout Int) {
    guard let exposure = Varint.read(bytes, at: &offset), let dayCount = Varint.count(bytes, at: &offset) else {
      return nil
    }
    self.exposure = exposure
    for _ in 0..<dayCount {
      guard let day = Varint.day(bytes, at: &offset), let repaid = Varint.read(bytes, at: &offset),
        let drawn = Varint.read(bytes, at: &offset), days.last.map({ $0.day < day }) ?? true
      else { return nil }
      days.append(Day(day: day, repaid: repaid, drawn: drawn))
    }
    guard let dueCount = Varint.count(bytes, at: &offset) else { return nil }
    for _ in 0..<dueCount {
      guard let day = Varint.day(bytes, at: &offset), let amount = Varint.read(bytes, at: &offset),
        dues.last.map({ $0.day < day }) ?? true
      else { return nil }
      dues.append(Due(day: day, amount: amount))
    }
  }
}

/// Zigzag LEB128 of numbers of 128 bits.
private enum Varint {
  static func append(_ value: Int128, to buffer: inout ByteBuffer) {
    var rest = UInt128(bitPattern: (value << 1) ^ (value >> 127))
    while rest >= 0x80 {
      buffer.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    buffer.append(UInt8(truncatingIfNeeded: rest))
  }

  static func read(_ bytes: [UInt8], at offset: inout Int) -> Int128? {
    var value: UInt128 = 0
    var shift: UInt128 = 0
    while offset < bytes.count, shift < 128 {
      let byte = bytes[offset]
      offset += 1
      value |= UInt128(byte & 0x7F) << shift
      if byte < 0x80 { return Int128(bitPattern: (value >> 1)) ^ -Int128(value & 1) }
      shift += 7
    }
    return nil
  }

  static func count(_ bytes: [UInt8], at offset: inout Int) -> Int? {
    guard let value = read(bytes, at: &offset), value >= 0, value <= Int128(bytes.count) else { return nil }
    return Int(value)
  }

  static func day(_ bytes: [UInt8], at offset: inout Int) -> Int32? {
    read(bytes, at: &offset).flatMap { Int32(exactly: $0) }
  }
}
