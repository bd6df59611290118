import Features

/// What the models read of one borrower, by address: for rows that lie in a table and for `ModelInput`.
@unsafe public struct ModelRow {
  /// As many floats as the catalogue has features, rounded up to a multiple of 16; NaN where missing.
  let features: UnsafePointer<Float>
  /// Row-major [day][channel], `ModelInput.pictureDays` x `ModelInput.pictureChannels`, newest day last.
  let picture: UnsafePointer<Float>
  /// The cells that may be other than 0, rising; nil where they are to be looked for.
  let cells: UnsafeBufferPointer<UInt16>?

  public init(features: UnsafePointer<Float>, picture: UnsafePointer<Float>) {
    unsafe self.features = features
    unsafe self.picture = picture
    unsafe cells = nil
  }

  @inline(__always) init(_ input: borrowing ModelInput) {
    guard let features = unsafe input.features.baseAddress, let picture = unsafe input.picture.baseAddress else {
      preconditionFailure("an input without memory")
    }
    unsafe self.features = UnsafePointer(features)
    unsafe self.picture = picture
    unsafe cells = input.shadedCells
  }
}

/// Working memory of one thread for predictions and explanations. It grows to what the largest model needs on first use;
/// after that a prediction allocates nothing.
@safe public struct ModelWorkspace: ~Copyable {
  private var floats: UnsafeMutablePointer<Float>
  private var floatCount: Int
  private var doubles: UnsafeMutablePointer<Double>
  private var doubleCount: Int

  public init() {
    floatCount = 1 << 14
    doubleCount = 1 << 12
    unsafe floats = Self.allocate(floatCount)
    unsafe doubles = Self.allocate(doubleCount)
  }

  deinit {
    unsafe UnsafeMutableRawPointer(floats).deallocate()
    unsafe UnsafeMutableRawPointer(doubles).deallocate()
  }

  /// At least `count` floats, aligned to 64 bytes, of any content; valid until the next call.
  @inline(__always) mutating func scratch(_ count: Int) -> UnsafeMutablePointer<Float> {
    if count > floatCount { growFloats(to: count) }
    return unsafe floats
  }

  /// At least `count` doubles for contributions, apart from `scratch`; valid until the next call.
  mutating func contributions(_ count: Int) -> UnsafeMutablePointer<Double> {
    if count > doubleCount {
      unsafe UnsafeMutableRawPointer(doubles).deallocate()
      unsafe doubles = Self.allocate(count)
      doubleCount = count
    }
    return unsafe doubles
  }

  @inline(never) private mutating func growFloats(to count: Int) {
    unsafe UnsafeMutableRawPointer(floats).deallocate()
    unsafe floats = Self.allocate(count)
    floatCount = count
  }

  private static func allocate<Number: BinaryFloatingPoint>(_ count: Int) -> UnsafeMutablePointer<Number> {
    let bytes = count * MemoryLayout<Number>.stride
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    let numbers = unsafe memory.bindMemory(to: Number.self, capacity: count)
    unsafe numbers.initialize(repeating: 0, count: count)
    return unsafe numbers
  }
}

/// Numbers of a model, aligned to 64 bytes, written once while it is made.
///
/// `@unchecked Sendable`: the memory belongs to this object alone, is filled in `init`, and is only read afterwards.
@safe final class FixedArray<Element: BitwiseCopyable>: @unchecked Sendable {
  let base: UnsafePointer<Element>
  let count: Int

  /// A copy of `elements`.
  init(_ elements: [Element]) {
    let bytes = max(elements.count, 1) * MemoryLayout<Element>.stride
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    let start = unsafe memory.bindMemory(to: Element.self, capacity: max(elements.count, 1))
    for (index, element) in elements.enumerated() { unsafe (start + index).initialize(to: element) }
    unsafe base = UnsafePointer(start)
    count = elements.count
  }

  deinit { unsafe UnsafeMutableRawPointer(mutating: base).deallocate() }
}

/// `count` rounded up to a multiple of 16, the lanes of a vector.
@inline(__always) func paddedToLanes(_ count: Int) -> Int { (count + 15) & ~15 }
