import Features

/// The arithmetic of a network, forwards: fixed order of sums, explicit fused multiply-adds, no library.
enum NetworkKernels {
  typealias Vector = SIMD16<Float>

  static func run(
    _ layers: ArraySlice<Network.Layer>, _ weights: UnsafePointer<Vector>, _ scratch: UnsafeMutablePointer<Float>
  ) {
    for layer in layers {
      switch layer.operation {
      case .convolution: unsafe convolve(layer, weights, scratch)
      case .dense: unsafe dense(layer, weights, scratch)
      case .maxPooling: unsafe pool(layer, scratch, maximum: true)
      case .averagePooling: unsafe pool(layer, scratch, maximum: false)
      }
    }
  }

  /// Each output is bias + x[0] w[0] + x[1] w[1] + ... over its window, in that order, whether four rows are made at once
  /// or one.
  private static func convolve(
    _ layer: Network.Layer, _ weights: UnsafePointer<Vector>, _ scratch: UnsafeMutablePointer<Float>
  ) {
    let window = layer.window
    let step = layer.step
    let blocks = layer.blocks
    for block in 0..<blocks {
      let w = unsafe weights + layer.weights + block * window
      let bias = unsafe weights[layer.bias + block]
      let output = unsafe UnsafeMutableRawPointer(scratch + layer.output + block * 16)
      let rowBytes = blocks * 64
      var row = 0
      while row + 4 <= layer.rows {
        let x = unsafe UnsafePointer(scratch + layer.input + row * step)
        var a = bias
        var b = bias
        var c = bias
        var d = bias
        for position in 0..<window {
          let weight = unsafe w[position]
          unsafe a.addProduct(x[position], weight)
          unsafe b.addProduct(x[position + step], weight)
          unsafe c.addProduct(x[position + 2 * step], weight)
          unsafe d.addProduct(x[position + 3 * step], weight)
        }
        let target = unsafe output + row * rowBytes
        unsafe target.storeBytes(of: activate(a, layer.activation), as: Vector.self)
        unsafe target.storeBytes(of: activate(b, layer.activation), toByteOffset: rowBytes, as: Vector.self)
        unsafe target.storeBytes(of: activate(c, layer.activation), toByteOffset: rowBytes * 2, as: Vector.self)
        unsafe target.storeBytes(of: activate(d, layer.activation), toByteOffset: rowBytes * 3, as: Vector.self)
        row += 4
      }
      while row < layer.rows {
        let x = unsafe UnsafePointer(scratch + layer.input + row * step)
        var a = bias
        for position in 0..<window { unsafe a.addProduct(x[position], w[position]) }
        unsafe output.storeBytes(of: activate(a, layer.activation), toByteOffset: row * rowBytes, as: Vector.self)
        row += 1
      }
    }
  }

  /// Inputs 0, 4, 8, ... go to one sum, 1, 5, 9, ... to the next, and so on, so that no addition waits for the last; the
  /// four are then added (a + b) + (c + d).
  private static func dense(
    _ layer: Network.Layer, _ weights: UnsafePointer<Vector>, _ scratch: UnsafeMutablePointer<Float>
  ) {
    let x = unsafe UnsafePointer(scratch + layer.input)
    let output = unsafe UnsafeMutableRawPointer(scratch + layer.output)
    for block in 0..<layer.blocks {
      let w = unsafe weights + layer.weights + block * layer.window
      var a = unsafe weights[layer.bias + block]
      var b = Vector()
      var c = Vector()
      var d = Vector()
      var position = 0
      while position + 4 <= layer.window {
        unsafe a.addProduct(x[position], w[position])
        unsafe b.addProduct(x[position + 1], w[position + 1])
        unsafe c.addProduct(x[position + 2], w[position + 2])
        unsafe d.addProduct(x[position + 3], w[position + 3])
        position += 4
      }
      while position < layer.window {
        unsafe a.addProduct(x[position], w[position])
        position += 1
      }
      let sum = (a + b) + (c + d)
      unsafe output.storeBytes(of: activate(sum, layer.activation), toByteOffset: block * 64, as: Vector.self)
    }
  }

  private static func pool(_ layer: Network.Layer, _ scratch: UnsafeMutablePointer<Float>, maximum: Bool) {
    let input = unsafe UnsafeRawPointer(scratch + layer.input)
    let output = unsafe UnsafeMutableRawPointer(scratch + layer.output)
    let rowBytes = layer.blocks * 64
    let share = 1 / Float(layer.kernel)
    for row in 0..<layer.rows {
      for block in 0..<layer.blocks {
        let start = row * layer.step * 4 + block * 64
        var sum = unsafe input.load(fromByteOffset: start, as: Vector.self)
        for offset in 1..<max(layer.kernel, 1) {
          let x = unsafe input.load(fromByteOffset: start + offset * rowBytes, as: Vector.self)
          if maximum { sum = Lanes.larger(sum, x) } else { sum += x }
        }
        if !maximum { sum *= share }
        unsafe output.storeBytes(of: sum, toByteOffset: row * rowBytes + block * 64, as: Vector.self)
      }
    }
  }

  @inline(__always) static func activate(_ x: Vector, _ activation: Activation) -> Vector {
    switch activation {
    case .identity: return x
    case .relu: return Lanes.positive(x)
    case .tanh: return curve(x) { 1 - 2 / (1 + Portable.exp(2 * $0)) }
    case .sigmoid: return curve(x) { 1 / (1 + Portable.exp(-$0)) }
    }
  }

  @inline(never) private static func curve(_ x: Vector, _ function: (Float) -> Float) -> Vector {
    var y = x
    for lane in 0..<16 { y[lane] = function(x[lane]) }
    return y
  }
}
