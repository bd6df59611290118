import Features

/// A platform's book, day by day: what was repaid and drawn, what falls due as far as it has been announced, and what all
/// borrowers owe now. Days are UTC days since 1970. The same changes give the same series in whatever order they come.
public struct PlatformSeries: Sendable, Equatable {
  /// Days that a forecast looks back; older ones are let go.
  public static let daysBack = 800
  /// The furthest a period reaches: it begins within 92 days and lasts 92 at most.
  public static let leadsMax = 184

  struct Cell: Equatable, Sendable {
    var repaid: Int128 = 0
    var drawn: Int128 = 0
    var due: Int128 = 0
  }

  private var origin = 0
  private var cells: [Cell] = []
  /// Of all borrowers, in millionths.
  public private(set) var assetScale: Int128 = 0
  /// The first day on which money moved; nil before.
  public private(set) var firstDay: Int?
  /// Amounts by how many days ahead of their due day they were known, the last one standing for all that is more, and
  /// their sum with those known too late.
  private(set) var leads = [Int128](repeating: 0, count: leadsMax + 1)
  private(set) var announced: Int128 = 0

  public init() {}

  /// Adds what became known for forecasts as of `day`.
  public mutating func add(_ changes: PlatformChanges, asOf day: Int) {
    assetScale &+= changes.exposure
    for one in changes.days where abs(Int(one.day) - day) <= Self.daysBack {
      let index = place(Int(one.day))
      cells[index].repaid &+= one.repaid
      cells[index].drawn &+= one.drawn
      firstDay = min(firstDay ?? Int(one.day), Int(one.day))
    }
    for due in changes.dues where abs(Int(due.day) - day) <= Self.daysBack {
      cells[place(Int(due.day))].due &+= due.amount
      announced &+= due.amount
      let lead = Int(due.day) - day
      if lead >= 0 { leads[min(lead, Self.leadsMax)] &+= due.amount }
    }
    if origin < day - 2 * Self.daysBack {
      let leaving = min(cells.count, day - Self.daysBack - origin)
      cells.removeFirst(leaving)
      origin += leaving
    }
  }

  /// The index of a day's cell; the list grows to hold it.
  private mutating func place(_ day: Int) -> Int {
    if cells.isEmpty { origin = day }
    if day < origin {
      cells.insert(contentsOf: [Cell](repeating: Cell(), count: origin - day), at: 0)
      origin = day
    }
    while cells.count <= day - origin { cells.append(Cell()) }
    return day - origin
  }

  func cell(_ day: Int) -> Cell {
    day >= origin && day < origin + cells.count ? cells[day - origin] : Cell()
  }

  /// What was repaid from `start` until before `end`, in millionths.
  public func repaid(from start: Int, to end: Int) -> Int128 {
    var sum: Int128 = 0
    for day in max(start, origin)..<max(start, origin, min(end, origin + cells.count)) {
      sum &+= cells[day - origin].repaid
    }
    return sum
  }

  /// The share of due amounts known at least so many days ahead, for 0...`leadsMax`; all ones where nothing fell due yet.
  var knownShares: [Double] {
    guard announced > 0 else { return [Double](repeating: 1, count: Self.leadsMax + 1) }
    let total = ExactMoney.amount(announced)
    var shares = [Double](repeating: 0, count: Self.leadsMax + 1)
    var sum: Int128 = 0
    for lead in stride(from: Self.leadsMax, through: 0, by: -1) {
      sum &+= leads[lead]
      shares[lead] = ExactMoney.amount(sum) / total
    }
    return shares
  }
}

/// Industry repayment history: points of named series, one a day.
public struct IndustryHistory: Sendable, Equatable {
  /// Series held; points of further ones are left out.
  public static let seriesMax = 64
  /// Points held of one series; the oldest go.
  public static let pointsMax = 16_384

  struct Point: Equatable, Sendable {
    var day: Int
    var value: Double
  }

  /// In byte order of name.
  private var names: [[UInt8]] = []
  private var points: [[Point]] = []

  public init() {}

  public var isEmpty: Bool { names.isEmpty }

  /// Takes a point; one of the same series and day is replaced. False when nothing changed.
  public mutating func set(series: [UInt8], day: Int, value: Double) -> Bool {
    let place = names.firstIndex { !$0.lexicographicallyPrecedes(series) } ?? names.count
    if place == names.count || names[place] != series {
      guard names.count < Self.seriesMax else { return false }
      names.insert(series, at: place)
      points.insert([], at: place)
    }
    let index = Self.firstIndex(points[place], from: day)
    if index < points[place].count, points[place][index].day == day {
      guard points[place][index].value != value else { return false }
      points[place][index].value = value
      return true
    }
    if points[place].count == Self.pointsMax {
      guard index > 0 else { return false }
      points[place].removeFirst()
      points[place].insert(Point(day: day, value: value), at: index - 1)
    } else {
      points[place].insert(Point(day: day, value: value), at: index)
    }
    return true
  }

  /// The first point on or after a day.
  private static func firstIndex(_ points: [Point], from day: Int) -> Int {
    var low = 0
    var high = points.count
    while low < high {
      let middle = (low + high) / 2
      if points[middle].day < day { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The mean of a series' points from `start` until before `end`; nil where there are none.
  private static func mean(_ points: [Point], _ start: Int, _ end: Int) -> Double? {
    let range = firstIndex(points, from: start)..<firstIndex(points, from: end)
    guard !range.isEmpty else { return nil }
    return points[range].reduce(0) { $0 + $1.value } / Double(range.count)
  }

  /// What a forecast as of a day reads: points before it alone. Over all series, the mean change of the last 7 points'
  /// days against 91, and of 28 against 364; and the level of `industry_repayment_rate` over 28 days. NaN where unknown.
  func features(asOf day: Int) -> (short: Double, long: Double, rate: Double) {
    func change(_ near: Int, _ far: Int) -> Double {
      var sum = 0.0
      var count = 0
      for series in points {
        guard let recent = Self.mean(series, day - near, day), let base = Self.mean(series, day - far, day),
          abs(base) > 1e-12
        else { continue }
        sum += min(max(recent / base - 1, -1), 1)
        count += 1
      }
      return count > 0 ? sum / Double(count) : .nan
    }
    let rate = names.firstIndex(of: Array("industry_repayment_rate".utf8)).flatMap {
      Self.mean(points[$0], day - 28, day)
    }
    return (change(7, 91), change(28, 364), rate ?? .nan)
  }
}

/// The Gregorian calendar, by days since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
enum CivilDate {
  static func parts(_ day: Int) -> (year: Int, month: Int, day: Int) {
    let z = day + 719_468
    let era = (z >= 0 ? z : z - 146_096) / 146_097
    let dayOfEra = z - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
  }

  static func day(year: Int, month: Int, day: Int) -> Int {
    let y = month <= 2 ? year - 1 : year
    let era = (y >= 0 ? y : y - 399) / 400
    let yearOfEra = y - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  /// The same day of an earlier month, or that month's last.
  static func day(_ number: Int, monthsBack: Int) -> Int {
    let date = parts(number)
    let months = date.year * 12 + date.month - 1 - monthsBack
    let (year, month) = (months / 12, months % 12 + 1)
    let next = months + 1
    let last = day(year: next / 12, month: next % 12 + 1, day: 1) - 1
    return min(day(year: year, month: month, day: date.day), last)
  }
}
