import Features

/// The game between generator and critic: losses and their gradients.
struct GANPlayers: Sendable {
  let codec: TableCodec
  let settings: GANSettings

  init(_ codec: TableCodec, _ settings: GANSettings) {
    self.codec = codec
    self.settings = settings
  }

  /// Numbers that the critic reads of one row: the row and its class.
  var rowWidth: Int { codec.width + 2 }
  var packWidth: Int { rowWidth * settings.pack }
  /// A multiple of the pack.
  var batch: Int { max(settings.batch / settings.pack, 1) * settings.pack }

  /// What a generator makes of noise, before and after categories are softened.
  struct Made {
    var pass: DenseStack.Pass
    var rows: [Float]
  }

  /// What chance gives to rows that are to be made.
  struct Noise {
    /// Gaussian, `settings.noise` numbers a row.
    var inputs: [Float]
    /// Gumbel noise for the choice between categories, one number for each of an encoded row; those at places are unused.
    var gumbels: [Float]
  }

  func noise(rows: Int, _ random: inout SeededRandom) -> Noise {
    Noise(
      inputs: (0..<rows * settings.noise).map { _ in Float(random.normal()) },
      gumbels: (0..<rows * codec.width).map { _ in
        Float(-logarithm(-logarithm(min(max(random.uniform(), 1e-12), 1 - 1e-12))))
      })
  }

  /// One row for each wished class.
  func generate(_ generator: DenseStack, _ classes: [Bool], _ noise: Noise) -> Made {
    let width = generator.inputs
    var input = [Float](repeating: 0, count: classes.count * width)
    for (row, wished) in classes.enumerated() {
      for column in 0..<settings.noise { input[row * width + column] = noise.inputs[row * settings.noise + column] }
      input[row * width + settings.noise + (wished ? 1 : 0)] = 1
    }
    let pass = generator.forward(input, rows: classes.count)
    var rows = pass.outputs
    for row in 0..<classes.count { soften(&rows, row * codec.width, noise.gumbels) }
    return Made(pass: pass, rows: rows)
  }

  /// Places within modes go through tanh, categories through a softmax of their logits and Gumbel noise (Jang et al. 2017).
  private func soften(_ rows: inout [Float], _ base: Int, _ gumbels: [Float]) {
    for column in codec.columns {
      if column.hasModes { rows[base + column.offset] = tangent(rows[base + column.offset]) }
      let start = base + column.firstCategory
      let range = start..<start + column.categories.count
      var highest = -Float.infinity
      for index in range {
        rows[index] = (rows[index] + gumbels[index]) / settings.temperature
        highest = max(highest, rows[index])
      }
      var total: Float = 0
      for index in range {
        rows[index] = Float(exponential(Double(rows[index] - highest)))
        total += rows[index]
      }
      for index in range { rows[index] /= total }
    }
  }

  private func tangent(_ x: Float) -> Float { Float(1 - 2 / (1 + exponential(2 * Double(min(max(x, -20), 20))))) }

  /// The gradient of the generator's outputs from that of the softened rows.
  private func harden(_ gradient: [Float], _ rows: [Float], count: Int) -> [Float] {
    var outer = gradient
    for row in 0..<count {
      let base = row * codec.width
      for column in codec.columns {
        if column.hasModes {
          let y = rows[base + column.offset]
          outer[base + column.offset] *= 1 - y * y
        }
        let start = base + column.firstCategory
        let range = start..<start + column.categories.count
        var mean: Float = 0
        for index in range { mean += gradient[index] * rows[index] }
        for index in range { outer[index] = rows[index] * (gradient[index] - mean) / settings.temperature }
      }
    }
    return outer
  }

  /// Rows that the generator makes, categories chosen.
  func make(_ generator: DenseStack, _ classes: [Bool], _ random: inout SeededRandom) -> [Float] {
    var rows = generate(generator, classes, noise(rows: classes.count, &random)).rows
    for row in classes.indices {
      for column in codec.columns {
        let start = row * codec.width + column.firstCategory
        let range = start..<start + column.categories.count
        let chosen = range.max { rows[$0] < rows[$1] }
        for index in range { rows[index] = index == chosen ? 1 : 0 }
        // A real row has no place where it is in no mode.
        if column.hasModes, let chosen {
          if case .mode = column.categories[chosen - start] { continue }
          rows[row * codec.width + column.offset] = 0
        }
      }
    }
    return rows
  }

  /// Rows with their classes, side by side as the critic reads them.
  func packed(_ rows: [Float], _ classes: [Bool]) -> [Float] {
    var input: [Float] = []
    input.reserveCapacity(classes.count * rowWidth)
    for (row, label) in classes.enumerated() {
      input += rows[row * codec.width..<(row + 1) * codec.width]
      input += label ? [0, 1] : [1, 0]
    }
    return input
  }

  /// The critic's loss over packs of real and made rows: made less real, and the penalty on its slope at points between
  /// the two, `parts` of the way to the real pack. Adds its gradient.
  func judge(
    _ critic: DenseStack, real: [Float], made: [Float], parts: [Float], into gradient: inout [Float]
  ) -> Double {
    let packs = real.count / critic.inputs
    let share = 1 / Float(packs)
    let realPass = critic.forward(real, rows: packs)
    _ = critic.backward(realPass, [Float](repeating: -share, count: packs), into: &gradient)
    let madePass = critic.forward(made, rows: packs)
    _ = critic.backward(madePass, [Float](repeating: share, count: packs), into: &gradient)
    var between = real
    for pack in 0..<packs {
      let part = parts[pack]
      for index in pack * critic.inputs..<(pack + 1) * critic.inputs {
        between[index] = part * real[index] + (1 - part) * made[index]
      }
    }
    let penalty = critic.penalizeSlope(
      critic.forward(between, rows: packs), weight: settings.penalty, into: &gradient)
    func mean(_ values: [Float]) -> Double { values.reduce(0) { $0 + Double($1) } / Double(packs) }
    return mean(madePass.outputs) - mean(realPass.outputs) + penalty
  }

  /// The generator's loss: what the critic thinks of its rows, negative. Adds its gradient.
  func persuade(
    _ critic: DenseStack, _ generator: DenseStack, _ classes: [Bool], _ noise: Noise, into gradient: inout [Float]
  ) -> Double {
    let made = generate(generator, classes, noise)
    let packs = classes.count / settings.pack
    let pass = critic.forward(packed(made.rows, classes), rows: packs)
    var unused = [Float](repeating: 0, count: critic.parameters.count)
    let outer = critic.backward(pass, [Float](repeating: -1 / Float(packs), count: packs), into: &unused)
    var rows = [Float](repeating: 0, count: made.rows.count)
    for row in classes.indices {
      for column in 0..<codec.width { rows[row * codec.width + column] = outer[row * rowWidth + column] }
    }
    _ = generator.backward(made.pass, harden(rows, made.rows, count: classes.count), into: &gradient)
    return -pass.outputs.reduce(0) { $0 + Double($1) } / Double(packs)
  }
}
