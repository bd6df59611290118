import Features

/// A picture's convolution that reads only the cells which are not 0: of a borrower's 1,440 a few dozen.
///
/// With z the standardised picture, z0 that of an empty one and d = z - z0, which is level / scale, each output row is
///
///     bias + sum of w z  =  (bias + sum of w z0)  +  sum over the shaded cells of w d,
///
/// and the part in brackets is the same for every borrower: it is worked out once.
@safe final class SparsePicture: Sendable {
  private let layer: Network.Layer
  /// [row][block], before the activation.
  private let emptyRows: FixedArray<SIMD16<Float>>
  /// 1 / scale of each channel.
  private let inverses: FixedArray<Float>
  private let logarithmic: Bool
  private let pictureOffset: Int
  /// For each output row the first cell of its window, counted from the picture's; below 0 in the padding.
  private let windowCells: Int
  private let firstCell: Int

  /// nil where the layer is no convolution.
  init?(
    _ layer: Network.Layer, _ weights: FixedArray<SIMD16<Float>>, mean: SIMD16<Float>, inverse: SIMD16<Float>,
    logarithmic: Bool, pictureOffset: Int, activationCount: Int
  ) {
    guard layer.operation == .convolution else { return nil }
    self.layer = layer
    self.logarithmic = logarithmic
    self.pictureOffset = pictureOffset
    windowCells = layer.window
    firstCell = layer.input - pictureOffset
    inverses = FixedArray((0..<16).map { inverse[$0] })
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(activationCount, 16) * 4, alignment: 64)
    defer { unsafe memory.deallocate() }
    let scratch = unsafe memory.bindMemory(to: Float.self, capacity: activationCount)
    unsafe scratch.initialize(repeating: 0, count: activationCount)
    for day in 0..<ModelInput.pictureDays {
      unsafe (memory + (pictureOffset + day * 16) * 4).storeBytes(of: (0 - mean) * inverse, as: SIMD16<Float>.self)
    }
    var linear = layer
    linear.activation = .identity
    unsafe NetworkKernels.run([linear], weights.base, scratch)
    emptyRows = FixedArray(
      (0..<layer.rows * layer.blocks).map {
        unsafe (memory + (layer.output + $0 * 16) * 4).load(as: SIMD16<Float>.self)
      })
  }

  /// Floats behind the activations that cells may take which are looked for.
  static let foundCount = ModelInput.pictureCells / 2

  /// Writes the layer's output rows. What `scratch` holds at the picture's place is overwritten.
  @inline(__always) func convolve(
    _ row: ModelRow, _ weights: UnsafePointer<SIMD16<Float>>, _ scratch: UnsafeMutablePointer<Float>,
    found: UnsafeMutablePointer<Float>
  ) {
    let cells: UnsafePointer<UInt16>
    let count: Int
    if let known = unsafe row.cells {
      // An empty list may have no address.
      let none = unsafe UnsafeMutableRawPointer(found).assumingMemoryBound(to: UInt16.self)
      unsafe cells = known.baseAddress ?? UnsafePointer(none)
      count = known.count
    } else {
      let list = unsafe UnsafeMutableRawPointer(found).assumingMemoryBound(to: UInt16.self)
      count = unsafe Self.find(row.picture, list)
      unsafe cells = UnsafePointer(list)
    }
    let changes = unsafe scratch + pictureOffset
    for index in 0..<count {
      let cell = unsafe Int(cells[index])
      let level = unsafe row.picture[cell]
      // What is not finite counts as 0, as in a standardised picture.
      unsafe changes[index] = (level - level) == 0 ? level : 0
    }
    if logarithmic { unsafe Self.takeLogarithms(changes, count) }
    for index in 0..<count { unsafe changes[index] *= inverses.base[Int(cells[index]) & 15] }

    let output = unsafe UnsafeMutableRawPointer(scratch + layer.output)
    var first = 0
    for row in 0..<layer.rows {
      let start = firstCell + row * layer.step
      let end = start + windowCells
      while first < count, unsafe Int(cells[first]) < start { first += 1 }
      for block in 0..<layer.blocks {
        let w = unsafe weights + layer.weights + block * layer.window
        var sum = unsafe emptyRows.base[row * layer.blocks + block]
        var index = first
        while index < count {
          let cell = unsafe Int(cells[index])
          if cell >= end { break }
          unsafe sum.addProduct(changes[index], w[cell - start])
          index += 1
        }
        unsafe output.storeBytes(
          of: NetworkKernels.activate(sum, layer.activation), toByteOffset: (row * layer.blocks + block) * 64,
          as: SIMD16<Float>.self)
      }
    }
  }

  @inline(never) private static func find(
    _ picture: UnsafePointer<Float>, _ list: UnsafeMutablePointer<UInt16>
  ) -> Int {
    var count = 0
    for cell in 0..<ModelInput.pictureCells where unsafe picture[cell] != 0 {
      unsafe list[count] = UInt16(cell)
      count += 1
    }
    return count
  }

  @inline(never) private static func takeLogarithms(_ levels: UnsafeMutablePointer<Float>, _ count: Int) {
    let memory = UnsafeMutableRawPointer(levels)
    // The picture's place has room for whole vectors.
    for offset in stride(from: 0, to: count, by: 16) {
      let x = unsafe memory.load(fromByteOffset: offset * 4, as: SIMD16<Float>.self)
      let finite = Lanes.keep(x, Lanes.finiteMask(x))
      unsafe memory.storeBytes(of: signedLogarithm(finite), toByteOffset: offset * 4, as: SIMD16<Float>.self)
    }
  }
}
