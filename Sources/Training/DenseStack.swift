import COpenBLAS

/// Dense layers with leaky rectifiers between them and none behind the last, on batches of rows: what both players of the
/// adversarial network are made of, with hand-derived gradients.
struct DenseStack: Sendable {
  /// Of what is below zero that passes a rectifier.
  static let leak: Float = 0.2

  /// Inputs, hidden layers, outputs.
  let widths: [Int]
  /// Layer by layer: weights [outputs][inputs], then biases.
  var parameters: [Float]
  private let offsets: [Int]

  /// He's initialisation for leaky rectifiers; biases start at zero.
  init(_ widths: [Int], seed: UInt64) {
    precondition(widths.count >= 2 && widths.allSatisfy { $0 > 0 })
    self.widths = widths
    var offsets = [0]
    for (inputs, outputs) in zip(widths, widths.dropFirst()) {
      offsets.append(offsets[offsets.count - 1] + inputs * outputs + outputs)
    }
    self.offsets = offsets
    parameters = [Float](repeating: 0, count: offsets[offsets.count - 1])
    var random = SeededRandom(seed: seed)
    for layer in 0..<widths.count - 1 {
      let deviation = (2 / (Double(1 + Self.leak * Self.leak) * Double(widths[layer]))).squareRoot()
      for index in weights(layer) { parameters[index] = Float(random.normal() * deviation) }
    }
  }

  var layers: Int { widths.count - 1 }
  var inputs: Int { widths[0] }
  var outputs: Int { widths[widths.count - 1] }

  /// Where a layer's weights and biases lie in `parameters`.
  func weights(_ layer: Int) -> Range<Int> {
    offsets[layer]..<offsets[layer] + widths[layer] * widths[layer + 1]
  }
  func biases(_ layer: Int) -> Range<Int> { weights(layer).upperBound..<offsets[layer + 1] }

  /// What a pass through the layers leaves behind for the way back.
  struct Pass {
    var rows: Int
    /// Of each layer, its input.
    var inputs: [[Float]]
    var outputs: [Float]
  }

  /// `rows` rows of inputs, row-major.
  func forward(_ input: [Float], rows: Int) -> Pass {
    precondition(input.count == rows * inputs)
    var pass = Pass(rows: rows, inputs: [], outputs: input)
    for layer in 0..<layers {
      pass.inputs.append(pass.outputs)
      let width = widths[layer + 1]
      var values = [Float](repeating: 0, count: rows * width)
      let bias = biases(layer).lowerBound
      for row in 0..<rows { for column in 0..<width { values[row * width + column] = parameters[bias + column] } }
      multiply(
        pass.inputs[layer], transposed: false, parameters, at: weights(layer).lowerBound, transposed: true, rows: rows,
        columns: width, inner: widths[layer], adding: true, into: &values)
      if layer + 1 < layers {
        for index in values.indices where values[index] < 0 { values[index] *= Self.leak }
      }
      pass.outputs = values
    }
    return pass
  }

  /// Adds the parameters' gradient to `gradient` where there is one; returns the inputs' gradient. `outer` is that of the
  /// outputs.
  func backward(_ pass: Pass, _ outer: [Float], into gradient: inout [Float]) -> [Float] {
    var outer = outer
    for layer in (0..<layers).reversed() {
      if layer + 1 < layers { leak(&outer, pass.inputs[layer + 1]) }
      let width = widths[layer + 1]
      multiply(
        outer, transposed: true, pass.inputs[layer], at: 0, transposed: false, rows: width, columns: widths[layer],
        inner: pass.rows, adding: true, into: &gradient, offset: weights(layer).lowerBound)
      let bias = biases(layer).lowerBound
      for row in 0..<pass.rows {
        for column in 0..<width { gradient[bias + column] += outer[row * width + column] }
      }
      outer = through(layer, outer, rows: pass.rows)
    }
    return outer
  }

  /// The gradient of the sum of outputs by the inputs, and what each layer saw of it.
  private func slopes(_ pass: Pass) -> (inputs: [Float], layers: [[Float]]) {
    var seen = [[Float]](repeating: [], count: layers)
    var outer = [Float](repeating: 1, count: pass.rows * outputs)
    for layer in (0..<layers).reversed() {
      if layer + 1 < layers { leak(&outer, pass.inputs[layer + 1]) }
      seen[layer] = outer
      outer = through(layer, outer, rows: pass.rows)
    }
    return (outer, seen)
  }

  /// Adds the gradient of `weight` x the mean over rows of (|slope| - 1)^2 to `gradient`, the slope being that of the one
  /// output by a row's inputs (Gulrajani et al. 2017, equation 3); returns that penalty.
  ///
  /// The rectifiers' slopes do not move with the parameters, so a slope is a product of weight matrices and the gradient
  /// of its length goes through them forwards. Biases have no part in it.
  func penalizeSlope(_ pass: Pass, weight: Double, into gradient: inout [Float]) -> Double {
    precondition(outputs == 1)
    let (slope, seen) = slopes(pass)
    var outer = slope
    var penalty = 0.0
    for row in 0..<pass.rows {
      var square = 1e-12
      for index in row * inputs..<(row + 1) * inputs { square += Double(slope[index]) * Double(slope[index]) }
      let length = square.squareRoot()
      penalty += (length - 1) * (length - 1)
      let scale = Float(2 * weight / Double(pass.rows) * (length - 1) / length)
      for index in row * inputs..<(row + 1) * inputs { outer[index] *= scale }
    }
    for layer in 0..<layers {
      let width = widths[layer + 1]
      multiply(
        seen[layer], transposed: true, outer, at: 0, transposed: false, rows: width, columns: widths[layer],
        inner: pass.rows, adding: true, into: &gradient, offset: weights(layer).lowerBound)
      guard layer + 1 < layers else { break }
      var next = [Float](repeating: 0, count: pass.rows * width)
      multiply(
        outer, transposed: false, parameters, at: weights(layer).lowerBound, transposed: true, rows: pass.rows,
        columns: width, inner: widths[layer], adding: false, into: &next)
      leak(&next, pass.inputs[layer + 1])
      outer = next
    }
    return weight * penalty / Double(pass.rows)
  }

  /// A gradient behind a layer, brought before it.
  private func through(_ layer: Int, _ outer: [Float], rows: Int) -> [Float] {
    var inner = [Float](repeating: 0, count: rows * widths[layer])
    multiply(
      outer, transposed: false, parameters, at: weights(layer).lowerBound, transposed: false, rows: rows,
      columns: widths[layer], inner: widths[layer + 1], adding: false, into: &inner)
    return inner
  }

  /// Back through a rectifier, whose outputs are `values`: they have the sign of what came in.
  private func leak(_ gradient: inout [Float], _ values: [Float]) {
    for index in gradient.indices where values[index] < 0 { gradient[index] *= Self.leak }
  }
}

/// into[offset...] (+)= A B, `rows` x `inner` by `inner` x `columns`; a transposed matrix is stored the other way about.
private func multiply(
  _ a: [Float], transposed isATransposed: Bool, _ b: [Float], at bOffset: Int, transposed isBTransposed: Bool,
  rows: Int, columns: Int, inner: Int, adding: Bool, into result: inout [Float], offset: Int = 0
) {
  precondition(a.count >= rows * inner && b.count >= bOffset + inner * columns)
  precondition(result.count >= offset + rows * columns)
  unsafe a.withUnsafeBufferPointer { a in
    unsafe b.withUnsafeBufferPointer { b in
      unsafe result.withUnsafeMutableBufferPointer { result in
        unsafe cblas_sgemm(
          CblasRowMajor, isATransposed ? CblasTrans : CblasNoTrans, isBTransposed ? CblasTrans : CblasNoTrans,
          Int32(rows), Int32(columns), Int32(inner), 1, a.baseAddress, Int32(isATransposed ? rows : inner),
          b.baseAddress! + bOffset, Int32(isBTransposed ? inner : columns), adding ? 1 : 0,
          result.baseAddress! + offset, Int32(columns))
      }
    }
  }
}
