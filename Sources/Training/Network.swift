import COpenBLAS
import Models

/// The shape of a network that reads a picture (rows x channels, or none) and static features, and forecasts one number.
struct NetworkShape: Sendable {
  var pictureRows: Int
  var channels: Int
  var statics: Int
  /// Convolutions and poolings first, then dense layers, the last with one output.
  var layers: [LayerDescription]

  /// Where a layer's numbers lie.
  struct Stage: Sendable {
    var layer: LayerDescription
    var inputRows: Int
    var inputs: Int
    var rows: Int
    var outputs: Int
    /// Into the parameters; a dense weight is [outputs][inputs], a convolution's [kernel x inputs][outputs].
    var weights: Int
    var biases: Int
    var weightCount: Int {
      layer.type == .pooling ? 0 : layer.type == .dense ? inputs * outputs : kernel * inputs * outputs
    }
    var biasCount: Int { layer.type == .pooling ? 0 : outputs }
    var kernel: Int { layer.kernel ?? 1 }
    var stride: Int { layer.stride ?? 1 }
    var values: Int { rows * outputs }
  }

  var stages: [Stage] {
    var stages: [Stage] = []
    var rows = pictureRows
    var width = channels
    var offset = 0
    var isFlat = pictureRows == 0
    if isFlat { width = statics }
    for layer in layers {
      var stage = Stage(layer: layer, inputRows: rows, inputs: width, rows: 1, outputs: width, weights: 0, biases: 0)
      switch layer.type {
      case .convolution, .pooling:
        precondition(!isFlat && (layer.padding ?? 0) == 0)
        stage.rows = (rows - stage.kernel) / stage.stride + 1
        if layer.type == .convolution { stage.outputs = layer.outputs! }
      case .dense:
        if !isFlat {
          stage.inputs = rows * width + statics
          isFlat = true
        }
        stage.inputRows = 1
        stage.outputs = layer.outputs!
      }
      stage.weights = offset
      stage.biases = offset + stage.weightCount
      offset = stage.biases + stage.biasCount
      rows = stage.rows
      width = stage.outputs
      stages.append(stage)
    }
    precondition(stages.last?.outputs == 1 && stages.last?.layer.type == .dense)
    return stages
  }

  /// Multiply-adds of one forecast.
  var multiplyAdds: Int {
    stages.reduce(0) { $0 + $1.weightCount * ($1.layer.type == .dense ? 1 : $1.rows) }
  }
}

/// What a network is trained to minimise, as the mean over rows.
enum NetworkLoss: Sendable {
  /// Log loss of the logistic of the output.
  case logistic
  /// Half the squared error.
  case squaredError
}

/// A batch of standardised input, row-major.
struct NetworkBatch {
  var count: Int
  var pictures: [Float]
  var statics: [Float]
}

/// A network's parameters, its forward pass and hand-derived gradients. A convolution's windows are stretches of memory
/// (rows of a picture lie one after the other); they are copied out, so that a whole batch is one matrix product.
struct Network: Sendable {
  let shape: NetworkShape
  let stages: [NetworkShape.Stage]
  var parameters: [Float]

  /// He's initialisation: normal with variance 2 / inputs; the last layer starts at zero, so that training begins at its
  /// bias.
  init(_ shape: NetworkShape, seed: UInt64, outputBias: Double) {
    self.shape = shape
    stages = shape.stages
    let last = stages[stages.count - 1]
    parameters = [Float](repeating: 0, count: last.biases + last.biasCount)
    var random = SeededRandom(seed: seed)
    for stage in stages.dropLast() {
      let fanIn = stage.layer.type == .dense ? stage.inputs : stage.kernel * stage.inputs
      let deviation = (2 / Double(max(fanIn, 1))).squareRoot()
      for index in stage.weights..<stage.weights + stage.weightCount {
        parameters[index] = Float(random.normal() * deviation)
      }
    }
    parameters[last.biases] = Float(outputBias)
  }

  /// The outputs of a batch.
  func forward(_ batch: NetworkBatch, _ work: inout NetworkWorkspace) -> [Float] {
    work.prepare(stages, batch.count, statics: shape.statics)
    for index in stages.indices { forward(index, batch, &work) }
    return Array(work.values[stages.count - 1][0..<batch.count])
  }

  /// Adds the gradient of the mean loss over the batch to `gradient`; returns that loss.
  func backward(
    _ batch: NetworkBatch, targets: [Float], loss: NetworkLoss, _ work: inout NetworkWorkspace,
    into gradient: inout [Float]
  ) -> Double {
    let outputs = forward(batch, &work)
    var total = 0.0
    let share = 1 / Float(batch.count)
    for (row, output) in outputs.enumerated() {
      switch loss {
      case .logistic:
        let z = Double(output)
        // log(1 + exp(z)) - y z, without overflow.
        total += max(z, 0) - z * Double(targets[row]) + logarithm(1 + exponential(-abs(z)))
        work.gradients[stages.count - 1][row] = (Float(logistic(z)) - targets[row]) * share
      case .squaredError:
        let error = output - targets[row]
        total += Double(error) * Double(error) / 2
        work.gradients[stages.count - 1][row] = error * share
      }
    }
    for index in stages.indices.reversed() { backward(index, batch, &work, &gradient) }
    return total / Double(batch.count)
  }

  private func forward(_ index: Int, _ batch: NetworkBatch, _ work: inout NetworkWorkspace) {
    let stage = stages[index]
    let count = batch.count
    switch stage.layer.type {
    case .dense:
      if index == 0 || stages[index - 1].layer.type != .dense { flatten(index, batch, &work) }
      let isFirst = index == 0 || stages[index - 1].layer.type != .dense
      unsafe parameters.withUnsafeBufferPointer { parameters in
        unsafe (isFirst ? work.flat : work.values[index - 1]).withUnsafeBufferPointer { input in
          unsafe work.values[index].withUnsafeMutableBufferPointer { output in
            for row in 0..<count {
              for column in 0..<stage.outputs {
                unsafe output[row * stage.outputs + column] = parameters[stage.biases + column]
              }
            }
            unsafe cblas_sgemm(
              CblasRowMajor, CblasNoTrans, CblasTrans, Int32(count), Int32(stage.outputs), Int32(stage.inputs), 1,
              input.baseAddress, Int32(stage.inputs), parameters.baseAddress! + stage.weights, Int32(stage.inputs), 1,
              output.baseAddress, Int32(stage.outputs))
            unsafe Self.activate(output, count * stage.outputs, stage.layer.activation ?? .identity)
          }
        }
      }
    case .convolution:
      gatherWindows(index, batch, &work)
      let window = stage.kernel * stage.inputs
      unsafe parameters.withUnsafeBufferPointer { parameters in
        unsafe work.windows[index].withUnsafeBufferPointer { input in
          unsafe work.values[index].withUnsafeMutableBufferPointer { output in
            for row in 0..<count * stage.rows {
              for column in 0..<stage.outputs {
                unsafe output[row * stage.outputs + column] = parameters[stage.biases + column]
              }
            }
            unsafe cblas_sgemm(
              CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(count * stage.rows), Int32(stage.outputs), Int32(window),
              1,
              input.baseAddress, Int32(window), parameters.baseAddress! + stage.weights, Int32(stage.outputs), 1,
              output.baseAddress, Int32(stage.outputs))
            unsafe Self.activate(output, count * stage.values, stage.layer.activation ?? .identity)
          }
        }
      }
    case .pooling: pool(index, batch, &work)
    }
  }

  /// Window t of an example begins stride x channels floats after window t - 1.
  private func gatherWindows(_ index: Int, _ batch: NetworkBatch, _ work: inout NetworkWorkspace) {
    let stage = stages[index]
    let inputSize = stage.inputRows * stage.inputs
    let window = stage.kernel * stage.inputs
    unsafe (index == 0 ? batch.pictures : work.values[index - 1]).withUnsafeBufferPointer { input in
      unsafe work.windows[index].withUnsafeMutableBufferPointer { windows in
        for example in 0..<batch.count {
          for row in 0..<stage.rows {
            let source = unsafe input.baseAddress! + example * inputSize + row * stage.stride * stage.inputs
            unsafe (windows.baseAddress! + (example * stage.rows + row) * window).update(from: source, count: window)
          }
        }
      }
    }
  }

  private func pool(_ index: Int, _ batch: NetworkBatch, _ work: inout NetworkWorkspace) {
    let stage = stages[index]
    let inputSize = stage.inputRows * stage.inputs
    unsafe (index == 0 ? batch.pictures : work.values[index - 1]).withUnsafeBufferPointer { input in
      unsafe work.values[index].withUnsafeMutableBufferPointer { output in
        for example in 0..<batch.count {
          for row in 0..<stage.rows {
            for channel in 0..<stage.outputs {
              var value: Float = stage.layer.mode == .max ? -.infinity : 0
              for k in 0..<stage.kernel {
                let x = unsafe input[example * inputSize + (row * stage.stride + k) * stage.inputs + channel]
                if stage.layer.mode == .max { value = max(value, x) } else { value += x }
              }
              if stage.layer.mode != .max { value /= Float(stage.kernel) }
              unsafe output[example * stage.values + row * stage.outputs + channel] = value
            }
          }
        }
      }
    }
  }

  /// The first dense layer's input: the last picture layer channel by channel, then the static features.
  private func flatten(_ index: Int, _ batch: NetworkBatch, _ work: inout NetworkWorkspace) {
    let width = stages[index].inputs
    let statics = shape.statics
    let (rows, channels) =
      index > 0 ? (stages[index - 1].rows, stages[index - 1].outputs) : (shape.pictureRows, shape.channels)
    unsafe work.flat.withUnsafeMutableBufferPointer { flat in
      if rows > 0 {
        unsafe (index == 0 ? batch.pictures : work.values[index - 1]).withUnsafeBufferPointer { input in
          for example in 0..<batch.count {
            for row in 0..<rows {
              for channel in 0..<channels {
                unsafe flat[example * width + channel * rows + row] =
                  input[(example * rows + row) * channels + channel]
              }
            }
          }
        }
      }
      unsafe batch.statics.withUnsafeBufferPointer { input in
        for example in 0..<batch.count {
          for column in 0..<statics {
            unsafe flat[example * width + width - statics + column] = input[example * statics + column]
          }
        }
      }
    }
  }

  private static func activate(_ values: UnsafeMutableBufferPointer<Float>, _ count: Int, _ activation: Activation) {
    switch activation {
    case .identity: break
    case .relu: for index in 0..<count where unsafe values[index] < 0 { unsafe values[index] = 0 }
    case .tanh, .sigmoid: preconditionFailure("networks are trained with relu")
    }
  }

  private func backward(_ index: Int, _ batch: NetworkBatch, _ work: inout NetworkWorkspace, _ gradient: inout [Float])
  {
    let stage = stages[index]
    let count = batch.count
    unsafe work.gradients[index].withUnsafeMutableBufferPointer { outer in
      if stage.layer.activation == .relu {
        unsafe work.values[index].withUnsafeBufferPointer { values in
          for position in 0..<count * stage.values where unsafe values[position] <= 0 { unsafe outer[position] = 0 }
        }
      }
      guard stage.biasCount > 0 else { return }
      unsafe gradient.withUnsafeMutableBufferPointer { gradient in
        let biases = unsafe gradient.baseAddress! + stage.biases
        for row in 0..<count * stage.rows {
          for column in 0..<stage.outputs { unsafe biases[column] += outer[row * stage.outputs + column] }
        }
      }
    }
    switch stage.layer.type {
    case .dense: backwardDense(index, count, &work, &gradient)
    case .convolution: backwardConvolution(index, batch, &work, &gradient)
    case .pooling: backwardPooling(index, batch, &work)
    }
  }

  private func backwardDense(_ index: Int, _ count: Int, _ work: inout NetworkWorkspace, _ gradient: inout [Float]) {
    let stage = stages[index]
    let isFirst = index == 0 || stages[index - 1].layer.type != .dense
    let outer = work.gradients[index]
    unsafe (isFirst ? work.flat : work.values[index - 1]).withUnsafeBufferPointer { input in
      unsafe gradient.withUnsafeMutableBufferPointer { gradient in
        unsafe cblas_sgemm(
          CblasRowMajor, CblasTrans, CblasNoTrans, Int32(stage.outputs), Int32(stage.inputs), Int32(count), 1, outer,
          Int32(stage.outputs), input.baseAddress, Int32(stage.inputs), 1, gradient.baseAddress! + stage.weights,
          Int32(stage.inputs))
      }
    }
    guard index > 0 else { return }
    unsafe parameters.withUnsafeBufferPointer { parameters in
      func product(_ target: UnsafeMutablePointer<Float>?) {
        unsafe cblas_sgemm(
          CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(count), Int32(stage.inputs), Int32(stage.outputs), 1, outer,
          Int32(stage.outputs), parameters.baseAddress! + stage.weights, Int32(stage.inputs), 0, target,
          Int32(stage.inputs))
      }
      if isFirst {
        unsafe work.flat.withUnsafeMutableBufferPointer { unsafe product($0.baseAddress) }
      } else {
        unsafe work.gradients[index - 1].withUnsafeMutableBufferPointer { unsafe product($0.baseAddress) }
      }
    }
    guard isFirst else { return }
    let (rows, channels) = (stages[index - 1].rows, stages[index - 1].outputs)
    unsafe work.flat.withUnsafeBufferPointer { flat in
      unsafe work.gradients[index - 1].withUnsafeMutableBufferPointer { inner in
        for example in 0..<count {
          for row in 0..<rows {
            for channel in 0..<channels {
              unsafe inner[(example * rows + row) * channels + channel] =
                flat[example * stage.inputs + channel * rows + row]
            }
          }
        }
      }
    }
  }

  private func backwardConvolution(
    _ index: Int, _ batch: NetworkBatch, _ work: inout NetworkWorkspace, _ gradient: inout [Float]
  ) {
    let stage = stages[index]
    let inputSize = stage.inputRows * stage.inputs
    let window = stage.kernel * stage.inputs
    let rows = batch.count * stage.rows
    unsafe work.gradients[index].withUnsafeBufferPointer { outer in
      unsafe work.windows[index].withUnsafeBufferPointer { windows in
        unsafe gradient.withUnsafeMutableBufferPointer { gradient in
          unsafe cblas_sgemm(
            CblasRowMajor, CblasTrans, CblasNoTrans, Int32(window), Int32(stage.outputs), Int32(rows), 1,
            windows.baseAddress, Int32(window), outer.baseAddress, Int32(stage.outputs), 1,
            gradient.baseAddress! + stage.weights, Int32(stage.outputs))
        }
      }
      guard index > 0 else { return }
      // The windows' own gradients take their place, and each is added where it was copied from.
      unsafe parameters.withUnsafeBufferPointer { parameters in
        unsafe work.windows[index].withUnsafeMutableBufferPointer { windows in
          unsafe cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasTrans, Int32(rows), Int32(window), Int32(stage.outputs), 1,
            outer.baseAddress, Int32(stage.outputs), parameters.baseAddress! + stage.weights, Int32(stage.outputs), 0,
            windows.baseAddress, Int32(window))
        }
      }
    }
    guard index > 0 else { return }
    unsafe work.windows[index].withUnsafeBufferPointer { windows in
      unsafe work.gradients[index - 1].withUnsafeMutableBufferPointer { inner in
        for position in 0..<batch.count * inputSize { unsafe inner[position] = 0 }
        for example in 0..<batch.count {
          for row in 0..<stage.rows {
            let target = example * inputSize + row * stage.stride * stage.inputs
            let source = (example * stage.rows + row) * window
            for position in 0..<window { unsafe inner[target + position] += windows[source + position] }
          }
        }
      }
    }
  }

  private func backwardPooling(_ index: Int, _ batch: NetworkBatch, _ work: inout NetworkWorkspace) {
    guard index > 0 else { return }
    let stage = stages[index]
    let inputSize = stage.inputRows * stage.inputs
    unsafe work.values[index].withUnsafeBufferPointer { outputs in
      unsafe work.gradients[index].withUnsafeBufferPointer { outer in
        unsafe work.values[index - 1].withUnsafeBufferPointer { inputs in
          unsafe work.gradients[index - 1].withUnsafeMutableBufferPointer { inner in
            for position in 0..<batch.count * inputSize { unsafe inner[position] = 0 }
            for position in 0..<batch.count * stage.values {
              let example = position / stage.values
              let row = position % stage.values / stage.outputs
              let base = example * inputSize + row * stage.stride * stage.inputs + position % stage.outputs
              if stage.layer.mode == .max {
                let k = (0..<stage.kernel).first { unsafe inputs[base + $0 * stage.inputs] == outputs[position] } ?? 0
                unsafe inner[base + k * stage.inputs] += outer[position]
              } else {
                let part = unsafe outer[position] / Float(stage.kernel)
                for k in 0..<stage.kernel { unsafe inner[base + k * stage.inputs] += part }
              }
            }
          }
        }
      }
    }
  }

  /// The tensors as `Models` reads them.
  func tensors() -> [Tensor] {
    var tensors: [Tensor] = []
    for stage in stages where stage.layer.type != .pooling {
      let weights = Array(parameters[stage.weights..<stage.weights + stage.weightCount])
      let biases = Array(parameters[stage.biases..<stage.biases + stage.biasCount])
      if stage.layer.type == .dense {
        tensors.append(
          Tensor(name: stage.layer.name + ".weight", shape: [stage.outputs, stage.inputs], values: weights))
      } else {
        // [kernel][inputs][outputs] to [outputs][inputs][kernel].
        var moved = [Float](repeating: 0, count: weights.count)
        for k in 0..<stage.kernel {
          for input in 0..<stage.inputs {
            for output in 0..<stage.outputs {
              moved[(output * stage.inputs + input) * stage.kernel + k] =
                weights[(k * stage.inputs + input) * stage.outputs + output]
            }
          }
        }
        tensors.append(
          Tensor(
            name: stage.layer.name + ".weight", shape: [stage.outputs, stage.inputs, stage.kernel], values: moved))
      }
      tensors.append(Tensor(name: stage.layer.name + ".bias", biases))
    }
    return tensors
  }
}

/// Activations and their gradients, reused from batch to batch.
struct NetworkWorkspace {
  var values: [[Float]] = []
  var gradients: [[Float]] = []
  /// Of convolutions: each window of the batch as a row.
  var windows: [[Float]] = []
  var flat: [Float] = []
  private var capacity = 0

  mutating func prepare(_ stages: [NetworkShape.Stage], _ count: Int, statics: Int) {
    guard values.count != stages.count || capacity < count else { return }
    capacity = count
    values = stages.map { [Float](repeating: 0, count: count * $0.values) }
    gradients = values
    windows = stages.map {
      [Float](repeating: 0, count: $0.layer.type == .convolution ? count * $0.rows * $0.kernel * $0.inputs : 0)
    }
    let first = stages.first { $0.layer.type == .dense }!
    flat = [Float](repeating: 0, count: count * first.inputs)
  }
}
