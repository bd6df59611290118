import Borrowers

/// The five windows of features. A window ends at the time asked about and begins on a tile's edge, so it is up to one tile
/// too long (1 h and 24 h: up to 1 h; 7, 30 and 90 days: up to 1 day) and never too short.
public enum Window: Int, CaseIterable, Sendable {
  case hour = 0
  case day = 1
  case week = 2
  case month = 3
  case quarter = 4

  public var name: StaticString {
    switch self {
    case .hour: "1h"
    case .day: "24h"
    case .week: "7d"
    case .month: "30d"
    case .quarter: "90d"
    }
  }

  /// Its length in whole days; 0 for an hour.
  @inline(__always) var days: Float {
    switch self {
    case .hour: 0
    case .day: 1
    case .week: 7
    case .month: 30
    case .quarter: 90
    }
  }
}

/// Counts, sums and largest values of each channel in each window, added up from a borrower's tiles in the order of time:
/// first in bands of age that do not overlap, then the bands into windows. Memory of one thread, reused.
@safe struct WindowSums: ~Copyable {
  // Rows of 16 floats, one for each channel. Bands: 1 h, to 24 h, to 48 h; 7 days, to 30, to 60, to 90, older.
  static let bandCount = 8
  private static let kinds = 3
  private static let rows = (bandCount + Window.allCases.count) * kinds
  private let memory: UnsafeMutablePointer<SIMD16<Float>>
  /// The cells of the picture that are written, and what they show, before its logarithm and after.
  private let cells: UnsafeMutablePointer<UInt16>
  private let levels: UnsafeMutablePointer<SIMD16<Float>>

  init() {
    unsafe memory = .allocate(capacity: WindowSums.rows)
    unsafe memory.initialize(repeating: .zero, count: WindowSums.rows)
    unsafe cells = .allocate(capacity: WindowSums.cellsMax)
    unsafe cells.initialize(repeating: 0, count: WindowSums.cellsMax)
    unsafe levels = .allocate(capacity: WindowSums.cellsMax / 16)
    unsafe levels.initialize(repeating: .zero, count: WindowSums.cellsMax / 16)
  }

  deinit {
    unsafe memory.deallocate()
    unsafe cells.deallocate()
    unsafe levels.deallocate()
  }

  private static let cellsMax = ModelInput.pictureCells

  @inline(__always) func note(cell: Int, _ level: Float, at index: Int) {
    precondition(index < WindowSums.cellsMax)
    unsafe cells[index] = UInt16(cell)
    unsafe UnsafeMutableRawPointer(levels).assumingMemoryBound(to: Float.self)[index] = level
  }

  /// Shades the cells of the first `count` levels noted by their logarithms, 16 at a time.
  @inline(__always) func shade(_ input: borrowing ModelInput, _ count: Int) {
    input.clearPicture()
    for block in 0..<(count + 15) / 16 {
      // Behind `count` are levels of another time, finite too.
      let level = unsafe levels[block]
      let isNegative = level .< 0
      let logarithm = Portable.logAtLeastOne(level.replacing(with: -level, where: isNegative) + 1)
      unsafe levels[block] = logarithm.replacing(with: -logarithm, where: isNegative)
    }
    let logarithms = unsafe UnsafeMutableRawPointer(levels).assumingMemoryBound(to: Float.self)
    for index in 0..<count { unsafe input.shade(cells[index], logarithms[index]) }
  }

  @inline(__always) private func row(_ band: Int, _ kind: Int) -> UnsafeMutablePointer<SIMD16<Float>> {
    assert(band >= 0 && band < WindowSums.bandCount + Window.allCases.count)
    return unsafe memory + band * WindowSums.kinds + kind
  }

  @inline(__always) func clear() {
    for index in 0..<WindowSums.bandCount * WindowSums.kinds { unsafe memory[index] = .zero }
  }

  @inline(__always) func add(_ tile: Tile, band: Int) {
    let channel = tile.channel
    let cells = unsafe UnsafeMutableRawPointer(row(band, 0)).assumingMemoryBound(to: Float.self) + channel
    unsafe cells[0] += Float(tile.count)
    unsafe cells[16] += tile.sum
    unsafe cells[32] = max(cells[32], tile.largest)
  }

  /// Adds the bands up into windows.
  @inline(__always) func combine() {
    combine(.hour, 0, nil)
    combine(.day, 1, .hour)
    combine(.week, 3, nil)
    combine(.month, 4, .week)
    let first = WindowSums.bandCount + Window.month.rawValue
    let target = WindowSums.bandCount + Window.quarter.rawValue
    unsafe row(target, 0).pointee = row(first, 0).pointee + (row(5, 0).pointee + row(6, 0).pointee)
    unsafe row(target, 1).pointee = row(first, 1).pointee + (row(5, 1).pointee + row(6, 1).pointee)
    let older = unsafe larger(row(5, 2).pointee, row(6, 2).pointee)
    unsafe row(target, 2).pointee = larger(row(first, 2).pointee, older)
  }

  @inline(__always) private func combine(_ window: Window, _ band: Int, _ inner: Window?) {
    let target = WindowSums.bandCount + window.rawValue
    guard let inner else {
      for kind in 0..<WindowSums.kinds { unsafe row(target, kind).pointee = row(band, kind).pointee }
      return
    }
    let first = WindowSums.bandCount + inner.rawValue
    unsafe row(target, 0).pointee = row(first, 0).pointee + row(band, 0).pointee
    unsafe row(target, 1).pointee = row(first, 1).pointee + row(band, 1).pointee
    unsafe row(target, 2).pointee = larger(row(first, 2).pointee, row(band, 2).pointee)
  }

  // `pointwiseMax` and `sum()` of the standard library go lane by lane: 30 times slower.
  @inline(__always) private func larger(_ a: SIMD16<Float>, _ b: SIMD16<Float>) -> SIMD16<Float> {
    a.replacing(with: b, where: b .> a)
  }

  /// Of whole numbers, so that the order of the sum does not matter.
  @inline(__always) private static func total(_ counts: SIMD16<Float>) -> Float {
    let eight = counts.lowHalf + counts.highHalf
    let four = eight.lowHalf + eight.highHalf
    let two = four.lowHalf + four.highHalf
    return two.x + two.y
  }

  @inline(__always) private func cell(_ row: Int, _ kind: Int, _ channel: Channel) -> Float {
    unsafe UnsafeMutableRawPointer(self.row(row, kind)).assumingMemoryBound(to: Float.self)[channel.rawValue]
  }

  @inline(__always) func count(_ channel: Channel, _ window: Window) -> Float {
    cell(WindowSums.bandCount + window.rawValue, 0, channel)
  }
  @inline(__always) func sum(_ channel: Channel, _ window: Window) -> Float {
    cell(WindowSums.bandCount + window.rawValue, 1, channel)
  }
  @inline(__always) func largest(_ channel: Channel, _ window: Window) -> Float {
    cell(WindowSums.bandCount + window.rawValue, 2, channel)
  }
  /// The sum of the days from 31 to 60 back (band 5) or from 61 to 90 (band 6), or of those older (band 7).
  @inline(__always) func bandSum(_ channel: Channel, _ band: Int) -> Float { cell(band, 1, channel) }
  @inline(__always) func bandCount(_ channel: Channel, _ band: Int) -> Float { cell(band, 0, channel) }
  /// Events of all channels more than 90 days back.
  @inline(__always) var eventsBefore: Float { WindowSums.total(unsafe row(7, 0).pointee) }
  /// Events of all channels.
  @inline(__always) func events(_ window: Window) -> Float {
    WindowSums.total(unsafe row(WindowSums.bandCount + window.rawValue, 0).pointee)
  }
  /// Events of all channels in the hours from 25 to 48 back.
  @inline(__always) var eventsDayBefore: Float { WindowSums.total(unsafe row(2, 0).pointee) }
}
