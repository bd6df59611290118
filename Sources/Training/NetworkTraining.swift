import Features
import Models

/// How a network is trained.
struct NetworkSettings: Sendable {
  var batch = 256
  var epochs = 40
  /// Epochs without a lower validation loss after which training stops.
  var patience = 5
  var learningRate = 2e-3
  /// Decoupled weight decay (AdamW), of weights and biases alike.
  var weightDecay = 1e-3
  /// Above 0, what is measured and kept is a moving average of the weights with this share of the past at each step
  /// (Polyak and Juditsky 1992): about what several networks' mean gains, and nothing of it is paid in serving.
  var averaging: Float = 0
  var seed: UInt64 = 0
}

/// A network with what its inputs are standardised by.
struct TrainedNetwork: Sendable {
  var network: Network
  var fitting: InputFitting
  /// Of the channels; the picture has no mean taken off, so that it stays sparse and padding stays zero.
  var pictureScales: [Float]
  var epochs: Int
  var validationLoss: Double
  /// By epoch, up to the last one trained: of the training rows as they were gone through, and of the validation rows.
  var trainingLosses: [Double] = []
  var validationLosses: [Double] = []

  var bytes: [UInt8] {
    var tensors = network.tensors() + fitting.tensors
    if network.shape.pictureRows > 0 {
      tensors.append(Tensor(name: "picture.mean", [Float](repeating: 0, count: pictureScales.count)))
      tensors.append(Tensor(name: "picture.scale", pictureScales))
    }
    return SafeTensors.encode(tensors)
  }

  /// The network's outputs for rows of a source.
  func margins(_ source: NetworkSource) -> [Double] {
    var work = NetworkWorkspace()
    var outputs: [Double] = []
    for start in stride(from: 0, to: source.rows, by: 512) {
      let batch = source.batch(Array(start..<min(start + 512, source.rows)), scales: pictureScales)
      outputs += network.forward(batch, &work).map(Double.init)
    }
    return outputs
  }
}

/// Rows as a network reads them: standardised static inputs, and pictures left sparse until a batch needs them.
struct NetworkSource: Sendable {
  let rows: Int
  let statics: Int
  private let inputs: [Float]
  private let table: ExampleTable?
  private let tableRows: [Int]
  static let cells = ModelInput.pictureDays * ModelInput.pictureChannels

  /// Without a table there are no pictures.
  init(_ matrix: FeatureMatrix, _ fitting: InputFitting, pictures: (ExampleTable, rows: [Int])? = nil)
    throws(TrainingError)
  {
    rows = matrix.rows
    statics = fitting.inputs.count
    inputs = try fitting.standardize(matrix)
    table = pictures?.0
    tableRows = pictures?.rows ?? []
  }

  func batch(_ selected: [Int], scales: [Float]) -> NetworkBatch {
    var batch = NetworkBatch(count: selected.count, pictures: [], statics: [])
    batch.statics.reserveCapacity(selected.count * statics)
    for row in selected { batch.statics.append(contentsOf: inputs[row * statics..<(row + 1) * statics]) }
    guard let table else { return batch }
    let channels = ModelInput.pictureChannels
    batch.pictures = [Float](repeating: 0, count: selected.count * Self.cells)
    for (position, row) in selected.enumerated() {
      let base = position * Self.cells
      for index in table.pictureRange(tableRows[row]) {
        let cell = Int(table.pictureCells[index])
        batch.pictures[base + cell] = table.pictureValues[index] / scales[cell % channels]
      }
    }
    return batch
  }

  /// The root mean square of each channel's cells that are not 0; 1 where there are none.
  func pictureScales() -> [Float] {
    let channels = ModelInput.pictureChannels
    var sums = [Double](repeating: 0, count: channels)
    var counts = [Double](repeating: 0, count: channels)
    if let table {
      for row in tableRows {
        for index in table.pictureRange(row) {
          let channel = Int(table.pictureCells[index]) % channels
          sums[channel] += Double(table.pictureValues[index]) * Double(table.pictureValues[index])
          counts[channel] += 1
        }
      }
    }
    return zip(sums, counts).map { $1 > 0 ? max(Float(($0 / $1).squareRoot()), 1e-3) : 1 }
  }
}

/// Minibatch training with Adam and early stopping; the weights kept are those of the best epoch.
enum NetworkTrainer {
  static func train(
    _ training: NetworkSource, targets: [Float], validation: NetworkSource, validationTargets: [Float],
    fitting: InputFitting, layers: [LayerDescription], hasPicture: Bool, loss: NetworkLoss, _ settings: NetworkSettings
  ) -> TrainedNetwork {
    precondition(training.rows == targets.count && validation.rows == validationTargets.count && training.rows > 0)
    let shape = NetworkShape(
      pictureRows: hasPicture ? ModelInput.pictureDays : 0, channels: hasPicture ? ModelInput.pictureChannels : 0,
      statics: training.statics, layers: layers)
    let mean = targets.reduce(0) { $0 + Double($1) } / Double(targets.count)
    let clipped = min(max(mean, 1e-4), 1 - 1e-4)
    let bias = loss == .logistic ? logarithm(clipped / (1 - clipped)) : mean
    let scales = training.pictureScales()
    var network = Network(shape, seed: settings.seed, outputBias: bias)
    var adam = Adam(count: network.parameters.count, settings)
    var random = SeededRandom(seed: settings.seed, stream: 1)
    var order = Array(0..<training.rows)
    var work = NetworkWorkspace()
    var gradient = [Float](repeating: 0, count: network.parameters.count)
    var best = (loss: Double.infinity, epoch: 0, parameters: network.parameters)
    var average = WeightAverage(network.parameters, keeping: settings.averaging)
    var losses: (training: [Double], validation: [Double]) = ([], [])
    for epoch in 1...settings.epochs {
      random.shuffle(&order)
      // The rate falls along a cosine to a tenth, so that late epochs settle.
      let share = Double(epoch - 1) / Double(settings.epochs)
      let rate = settings.learningRate * (0.1 + 0.9 * 0.5 * (1 + cosine(share)))
      var total = 0.0
      for start in stride(from: 0, to: order.count, by: settings.batch) {
        let rows = Array(order[start..<min(start + settings.batch, order.count)])
        for index in gradient.indices { gradient[index] = 0 }
        let meanLoss = network.backward(
          training.batch(rows, scales: scales), targets: rows.map { targets[$0] }, loss: loss, &work, into: &gradient)
        total += meanLoss * Double(rows.count)
        adam.step(&network.parameters, gradient, rate: rate)
        average.add(network.parameters)
      }
      let kept = average.weights ?? network.parameters
      var measured = network
      measured.parameters = kept
      let validationLoss = measure(measured, validation, validationTargets, loss, scales, &work)
      losses.training.append(total / Double(order.count))
      losses.validation.append(validationLoss)
      if validationLoss < best.loss { best = (validationLoss, epoch, kept) }
      if epoch - best.epoch >= settings.patience { break }
    }
    network.parameters = best.parameters
    return TrainedNetwork(
      network: network, fitting: fitting, pictureScales: scales, epochs: best.epoch, validationLoss: best.loss,
      trainingLosses: losses.training, validationLosses: losses.validation)
  }

  private static func measure(
    _ network: Network, _ source: NetworkSource, _ targets: [Float], _ loss: NetworkLoss, _ scales: [Float],
    _ work: inout NetworkWorkspace
  ) -> Double {
    var total = 0.0
    for start in stride(from: 0, to: source.rows, by: 512) {
      let rows = Array(start..<min(start + 512, source.rows))
      let outputs = network.forward(source.batch(rows, scales: scales), &work)
      for (output, row) in zip(outputs, rows) {
        let z = Double(output)
        let y = Double(targets[row])
        total +=
          loss == .logistic
          ? max(z, 0) - z * y + logarithm(1 + exponential(-abs(z))) : (z - y) * (z - y) / 2
      }
    }
    return total / Double(max(source.rows, 1))
  }

  /// cos(pi x) for 0 <= x <= 1, by its series: no libm, so that seeds give the same rates everywhere.
  private static func cosine(_ x: Double) -> Double {
    let y = (x - 0.5) * Double.pi
    let z = y * y
    return -y * (1 - z / 6 * (1 - z / 20 * (1 - z / 42 * (1 - z / 72))))
  }
}

/// A moving average of a network's weights; early on it looks back less far, so that it soon forgets where it began.
struct WeightAverage {
  private let keeping: Float
  private var steps: Float = 0
  /// Nil where no average is kept.
  private(set) var weights: [Float]?

  init(_ parameters: [Float], keeping: Float) {
    self.keeping = keeping
    weights = keeping > 0 ? parameters : nil
  }

  mutating func add(_ parameters: [Float]) {
    guard weights != nil else { return }
    steps += 1
    let past = min(keeping, (1 + steps) / (10 + steps))
    for index in parameters.indices { weights![index] += (1 - past) * (parameters[index] - weights![index]) }
  }
}

/// Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019).
struct Adam {
  private var first: [Float]
  private var second: [Float]
  private var firstPower: Float = 1
  private var secondPower: Float = 1
  private let decay: Float
  private let firstDecay: Float
  private let secondDecay: Float

  init(count: Int, _ settings: NetworkSettings, firstDecay: Float = 0.9, secondDecay: Float = 0.999) {
    self.firstDecay = firstDecay
    self.secondDecay = secondDecay
    first = [Float](repeating: 0, count: count)
    second = first
    decay = Float(settings.weightDecay)
  }

  mutating func step(_ parameters: inout [Float], _ gradient: [Float], rate: Double) {
    let rate = Float(rate)
    let firstDecay = self.firstDecay
    let secondDecay = self.secondDecay
    firstPower *= firstDecay
    secondPower *= secondDecay
    let firstScale = 1 / (1 - firstPower)
    let secondScale = 1 / (1 - secondPower)
    let count = parameters.count
    unsafe parameters.withUnsafeMutableBufferPointer { p in
      unsafe gradient.withUnsafeBufferPointer { g in
        unsafe first.withUnsafeMutableBufferPointer { m in
          unsafe second.withUnsafeMutableBufferPointer { v in
            for i in 0..<count {
              unsafe m[i] = firstDecay * m[i] + (1 - firstDecay) * g[i]
              unsafe v[i] = secondDecay * v[i] + (1 - secondDecay) * g[i] * g[i]
              let step = unsafe m[i] * firstScale / ((v[i] * secondScale).squareRoot() + 1e-8)
              unsafe p[i] -= rate * (step + decay * p[i])
            }
          }
        }
      }
    }
  }
}
