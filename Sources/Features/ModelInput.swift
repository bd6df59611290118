/// What the models read of one borrower: the feature vector (`FeatureCatalogue.count` floats, NaN where missing) and the
/// picture (row-major [day][channel], `pictureDays` x `pictureChannels`, newest day last). Reused for every event; both
/// are padded with zeros to a multiple of 16 floats and aligned to 64 bytes.
///
/// A cell of the picture is log(1 + x), x being the day's sum of money or days past due, or its number of events on a
/// channel that has no amounts; a negative sum (of statement balances) counts as minus log(1 - x).
@safe public struct ModelInput: ~Copyable {
  public static let pictureDays = 90
  public static let pictureChannels = 16
  public static let pictureCells = pictureDays * pictureChannels
  public let features: UnsafeMutableBufferPointer<Float>
  private let levels: UnsafeMutableBufferPointer<Float>
  private let cells: UnsafeMutableBufferPointer<UInt16>
  private let count: UnsafeMutablePointer<Int>

  public init() {
    unsafe features = ModelInput.zeros((FeatureCatalogue.count + 15) / 16 * 16)
    unsafe levels = ModelInput.zeros(ModelInput.pictureCells)
    unsafe cells = .allocate(capacity: ModelInput.pictureCells)
    unsafe cells.initialize(repeating: 0)
    unsafe count = .allocate(capacity: 1)
    unsafe count.initialize(to: 0)
  }

  deinit {
    unsafe features.deallocate()
    unsafe levels.deallocate()
    unsafe cells.deallocate()
    unsafe count.deallocate()
  }

  /// Every cell.
  public var picture: UnsafeBufferPointer<Float> { unsafe UnsafeBufferPointer(levels) }

  /// The cells that were shaded since the picture was cleared, in the order of days and channels; the others are 0.
  public var shadedCells: UnsafeBufferPointer<UInt16> {
    unsafe UnsafeBufferPointer(rebasing: cells[0..<count.pointee])
  }

  public func clearPicture() {
    for index in unsafe 0..<count.pointee { unsafe levels[Int(cells[index])] = 0 }
    unsafe count.pointee = 0
  }

  /// Cells are shaded once each, in rising order.
  @inline(__always) public func shade(_ cell: UInt16, _ level: Float) {
    let index = unsafe count.pointee
    let before = unsafe index == 0 ? -1 : Int(cells[index - 1])
    precondition(before < Int(cell) && Int(cell) < ModelInput.pictureCells, "cells are shaded in rising order")
    unsafe cells[index] = cell
    unsafe levels[Int(cell)] = level
    unsafe count.pointee = index + 1
  }

  private static func zeros(_ count: Int) -> UnsafeMutableBufferPointer<Float> {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count * 4, alignment: 64)
    let floats = unsafe memory.bindMemory(to: Float.self)
    unsafe floats.initialize(repeating: 0)
    return unsafe floats
  }
}

extension ModelInput: @unchecked Sendable {}  // It owns its memory alone; a noncopyable value is in one place at a time.
