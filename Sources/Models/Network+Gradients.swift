import Features

extension Network {
  /// Activations, and cells of a picture that are looked for.
  var scratchCount: Int { activationCount + SparsePicture.foundCount + 16 }
  /// Activations, their gradients, the inputs and the sums of gradients at the inputs, laid out alike.
  var explanationScratchCount: Int { max(activationCount * 4, scratchCount) + 16 }

  /// Adds scale x integrated gradients (Sundararajan et al., "Axiomatic attribution for deep networks") along the straight
  /// line from every input at its mean, by 16-point quadrature. What the quadrature leaves of margin - reference is shared
  /// out in proportion to the contributions' sizes, so that the sum is exact. A channel of the picture counts for its
  /// feature of `pictureFeatures`.
  func explain(
    _ row: ModelRow, _ scratch: UnsafeMutablePointer<Float>, scale: Double,
    into contributions: UnsafeMutablePointer<Double>
  ) {
    let target = unsafe margin(row, scratch) - referenceMargin
    unsafe fill(row, scratch)
    let gradients = unsafe scratch + activationCount
    let inputs = unsafe scratch + activationCount * 2
    let sums = unsafe scratch + activationCount * 3
    for range in inputRanges {
      for index in range {
        unsafe inputs[index] = scratch[index]
        unsafe sums[index] = 0
      }
    }
    for point in 0..<16 {
      let along = Float(GaussLegendre.points16[point])
      let weight = Float(GaussLegendre.weights16[point])
      for range in inputRanges { for index in range { unsafe scratch[index] = inputs[index] * along } }
      unsafe NetworkKernels.run(layers[...], weights.base, scratch)
      unsafe gradients.update(repeating: 0, count: activationCount)
      unsafe gradients[outputOffset] = 1
      for layer in layers.reversed() {
        unsafe NetworkKernels.propagateBack(layer, weights.base, scratch, gradients)
      }
      for range in inputRanges { for index in range { unsafe sums[index] += weight * gradients[index] } }
    }
    var total = 0.0
    var size = 0.0
    for range in inputRanges {
      for index in range {
        unsafe sums[index] *= inputs[index]
        unsafe total += Double(sums[index])
        unsafe size += Double(abs(sums[index]))
      }
    }
    let residual = target - total
    let share = size > 0 ? residual / size : 0
    for (range, isPicture) in zip(inputRanges, [false, true]) {
      for index in range {
        let contribution = unsafe Double(sums[index]) + share * Double(abs(sums[index]))
        let input = index - range.lowerBound
        let feature =
          isPicture ? pictureFeatures?[input % ModelInput.pictureChannels] ?? 0 : standardizer.source(input)
        unsafe contributions[feature] += scale * contribution
      }
    }
  }

  /// The static inputs, then the picture.
  private var inputRanges: [Range<Int>] {
    let features = featuresOffset..<(featuresOffset + standardizer.count)
    guard let pictureOffset else { return [features] }
    return [features, pictureOffset..<(pictureOffset + ModelInput.pictureDays * ModelInput.pictureChannels)]
  }
}

extension NetworkKernels {
  /// Adds to the gradients of a layer's inputs what those of its outputs imply, given the activations in `scratch`.
  static func propagateBack(
    _ layer: Network.Layer, _ weights: UnsafePointer<Vector>, _ scratch: UnsafePointer<Float>,
    _ gradients: UnsafeMutablePointer<Float>
  ) {
    let width = layer.blocks * 16
    for row in 0..<layer.rows {
      let output = layer.output + row * width
      let input = layer.input + row * layer.step
      switch layer.operation {
      case .convolution, .dense:
        for block in 0..<layer.blocks {
          let y = unsafe UnsafeRawPointer(scratch + output + block * 16).load(as: Vector.self)
          let g = unsafe UnsafeRawPointer(gradients + output + block * 16).load(as: Vector.self)
          let inner = g * slope(y, layer.activation)
          let w = unsafe weights + layer.weights + block * layer.window
          for position in 0..<layer.window { unsafe gradients[input + position] += Lanes.sum(w[position] * inner) }
        }
      case .averagePooling:
        for channel in 0..<width {
          let share = unsafe gradients[output + channel] / Float(layer.kernel)
          for offset in 0..<layer.kernel { unsafe gradients[input + offset * width + channel] += share }
        }
      case .maxPooling:
        for channel in 0..<width {
          var largest = input + channel
          for offset in 1..<max(layer.kernel, 1) {
            let other = input + offset * width + channel
            if unsafe scratch[other] > scratch[largest] { largest = other }
          }
          unsafe gradients[largest] += gradients[output + channel]
        }
      }
    }
  }

  /// The derivative of an activation, from its value.
  private static func slope(_ y: Vector, _ activation: Activation) -> Vector {
    switch activation {
    case .identity: Vector(repeating: 1)
    case .relu: Vector().replacing(with: 1, where: y .> 0)
    case .tanh: 1 - y * y
    case .sigmoid: y * (1 - y)
    }
  }
}
