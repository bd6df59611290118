import Features

/// A small network over one borrower: convolutions and pooling over the picture (one-dimensional, along the days), then
/// dense layers over what they leave and the standardised static features.
///
/// Activations are rows of channels padded to 16, so that the lanes of a vector lie along the output channels. The first
/// dense layer reads the last rows as they lie, padding and all (its weights are arranged for that), and the static
/// features that lie straight behind them: nothing is copied between layers.
final class Network: Sendable {
  static let layersMax = 16
  static let outputsMax = 1024
  static let scratchMax = 1 << 22

  struct Layer: BitwiseCopyable, Sendable {
    enum Operation: Sendable, BitwiseCopyable { case convolution, maxPooling, averagePooling, dense }
    var operation: Operation
    var activation: Activation
    /// Floats read for one output row: kernel x padded channels, or the inputs of a dense layer.
    var window: Int
    /// Floats from one window's start to the next.
    var step: Int
    /// Rows of a pooling window.
    var kernel: Int
    var rows: Int
    var blocks: Int
    /// Offsets of floats in the scratch memory.
    var input: Int
    var output: Int
    /// Offsets of vectors in the weights.
    var weights: Int
    var bias: Int
  }

  let layers: [Layer]
  let weights: FixedArray<SIMD16<Float>>
  let standardizer: InputStandardizer
  /// Where the static inputs lie.
  let featuresOffset: Int
  /// Where the picture's first day lies; nil for a dense network.
  let pictureOffset: Int?
  let pictureMean: SIMD16<Float>
  let pictureInverse: SIMD16<Float>
  let logarithmicPicture: Bool
  /// Ranges of scratch memory that must be zero before the layers run: padding.
  let zeros: [Range<Int>]
  let outputOffset: Int
  /// Floats of one set of activations.
  let activationCount: Int
  let pictureFeatures: [Int]?
  /// With every input at its mean.
  let referenceMargin: Double
  /// The first layer where it convolves the picture.
  private let sparsePicture: SparsePicture?

  init(_ description: MemberDescription, _ bytes: [UInt8], catalogueCount: Int, file: String) throws(ModelError) {
    guard let inputs = description.inputs, let layers = description.layers else {
      throw ModelError(file: file, problem: "the manifest names no inputs or layers for this network; train again")
    }
    let tensors = try SafeTensors(bytes, file: file)
    standardizer = try InputStandardizer(
      inputs, means: tensors.values("features.mean", [inputs.features.count], file: file),
      scales: tensors.values("features.scale", [inputs.features.count], file: file), catalogueCount: catalogueCount,
      file: file)
    let picture = description.type == .convolutional
    var plan = NetworkPlan(tensors: tensors, file: file, staticInputs: standardizer.count)
    try plan.lay(layers, picture: picture, staticCapacity: standardizer.capacity)
    self.layers = plan.layers
    weights = FixedArray(plan.weights)
    featuresOffset = plan.featuresOffset
    pictureOffset = plan.pictureOffset
    zeros = plan.zeros
    outputOffset = plan.outputOffset
    activationCount = paddedToLanes(plan.end)
    logarithmicPicture = description.logarithmicPicture ?? false
    pictureFeatures = description.pictureFeatures
    (pictureMean, pictureInverse) = try Self.pictureScaling(tensors, picture, file)
    if let features = pictureFeatures {
      guard features.count == ModelInput.pictureChannels, features.allSatisfy({ $0 >= 0 && $0 < catalogueCount }) else {
        throw ModelError(file: file, problem: "pictureFeatures must name a feature for each channel; train again")
      }
    }
    referenceMargin = Self.reference(self.layers, weights, outputOffset, activationCount)
    if let first = plan.layers.first, let offset = plan.pictureOffset {
      sparsePicture = SparsePicture(
        first, weights, mean: pictureMean, inverse: pictureInverse, logarithmic: logarithmicPicture,
        pictureOffset: offset, activationCount: activationCount)
    } else {
      sparsePicture = nil
    }
  }

  private static func pictureScaling(
    _ tensors: SafeTensors, _ picture: Bool, _ file: String
  ) throws(ModelError) -> (SIMD16<Float>, SIMD16<Float>) {
    guard picture else { return (SIMD16(), SIMD16()) }
    let channels = ModelInput.pictureChannels
    let means = try tensors.values("picture.mean", [channels], file: file)
    let inverses = try tensors.values("picture.scale", [channels], file: file).map { 1 / $0 }
    guard inverses.allSatisfy({ $0 > 0 && $0.isFinite }) else {
      throw ModelError(file: file, problem: "a picture.scale is not positive; train again")
    }
    return (vectors(means)[0], vectors(inverses)[0])
  }

  private static func reference(
    _ layers: [Layer], _ weights: FixedArray<SIMD16<Float>>, _ output: Int, _ count: Int
  ) -> Double {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(count, 16) * 4, alignment: 64)
    defer { unsafe memory.deallocate() }
    let scratch = unsafe memory.bindMemory(to: Float.self, capacity: count)
    unsafe scratch.initialize(repeating: 0, count: count)
    unsafe NetworkKernels.run(layers[...], weights.base, scratch)
    return unsafe Double(scratch[output])
  }

  func margin(_ row: ModelRow, _ scratch: UnsafeMutablePointer<Float>) -> Double {
    guard let sparsePicture else {
      unsafe fill(row, scratch)
      unsafe NetworkKernels.run(layers[...], weights.base, scratch)
      return unsafe Double(scratch[outputOffset])
    }
    unsafe fillFeatures(row, scratch)
    unsafe sparsePicture.convolve(row, weights.base, scratch, found: scratch + activationCount)
    unsafe NetworkKernels.run(layers[1...], weights.base, scratch)
    return unsafe Double(scratch[outputOffset])
  }

  /// Lays out padding and standardised static inputs.
  private func fillFeatures(_ row: ModelRow, _ scratch: UnsafeMutablePointer<Float>) {
    for range in zeros { unsafe (scratch + range.lowerBound).update(repeating: 0, count: range.count) }
    unsafe standardizer.fill(row.features, into: scratch + featuresOffset)
  }

  /// Lays out padding and standardised inputs, the whole picture among them.
  func fill(_ row: ModelRow, _ scratch: UnsafeMutablePointer<Float>) {
    unsafe fillFeatures(row, scratch)
    guard let pictureOffset else { return }
    let source = unsafe UnsafeRawPointer(row.picture)
    let target = unsafe UnsafeMutableRawPointer(scratch + pictureOffset)
    for day in 0..<ModelInput.pictureDays {
      var x = unsafe source.loadUnaligned(fromByteOffset: day * 64, as: SIMD16<Float>.self)
      x = Lanes.keep(x, Lanes.finiteMask(x))
      if logarithmicPicture { x = signedLogarithm(x) }
      unsafe target.storeBytes(of: (x - pictureMean) * pictureInverse, toByteOffset: day * 64, as: SIMD16<Float>.self)
    }
  }
}

/// Lays a network's activations and weights out in memory, checking every shape.
struct NetworkPlan {
  let tensors: SafeTensors
  let file: String
  let staticInputs: Int
  private(set) var layers: [Network.Layer] = []
  private(set) var weights: [SIMD16<Float>] = []
  private(set) var zeros: [Range<Int>] = []
  private(set) var featuresOffset = 0
  private(set) var pictureOffset: Int?
  private(set) var outputOffset = 0
  private(set) var end = 0
  /// The rows that the next layer reads: real channels, rows, where the first real row lies.
  private var channels = 0
  private var rows = 0
  private var rowsOffset = 0

  init(tensors: SafeTensors, file: String, staticInputs: Int) {
    self.tensors = tensors
    self.file = file
    self.staticInputs = staticInputs
  }

  private func refuse(_ problem: String) -> ModelError {
    ModelError(file: file, problem: "\(problem); train again")
  }

  mutating func lay(_ descriptions: [LayerDescription], picture: Bool, staticCapacity: Int) throws(ModelError) {
    guard descriptions.count <= Network.layersMax, descriptions.last?.type == .dense else {
      throw refuse("a network has up to \(Network.layersMax) layers, the last of them dense")
    }
    let firstDense = descriptions.firstIndex { $0.type == .dense } ?? 0
    guard picture == (firstDense > 0), descriptions[firstDense...].allSatisfy({ $0.type == .dense }) else {
      throw refuse("only a convolutional network has convolutions and pooling, all before its dense layers")
    }
    if picture {
      channels = ModelInput.pictureChannels
      rows = ModelInput.pictureDays
      try placeRows(for: descriptions[0])
      pictureOffset = rowsOffset
    }
    for (index, layer) in descriptions[..<firstDense].enumerated() {
      try layRows(layer, next: index + 1 < firstDense ? descriptions[index + 1] : nil)
    }
    // The static inputs lie straight behind the last rows.
    featuresOffset = picture ? rowsOffset + rows * paddedToLanes(channels) : 0
    end = featuresOffset + staticCapacity
    var inputs = (rows: picture ? rows : 0, channels: channels, others: staticInputs)
    var input = picture ? rowsOffset : 0
    for layer in descriptions[firstDense...] {
      input = try layDense(layer, input: input, inputs)
      inputs = (0, 0, layer.outputs ?? 0)
    }
    outputOffset = input
    guard inputs.others == 1 else { throw refuse("the last layer must have one output") }
  }

  /// Reserves the current rows, with the padding that the layer reading them wants.
  private mutating func placeRows(for reader: LayerDescription?) throws(ModelError) {
    let padding = reader?.padding ?? 0
    guard padding >= 0, padding <= ModelInput.pictureDays else { throw refuse("a padding is out of range") }
    let width = paddedToLanes(channels)
    let start = paddedToLanes(end)
    rowsOffset = start + padding * width
    end = rowsOffset + (rows + padding) * width
    guard end <= Network.scratchMax else { throw refuse("the network is too large") }
    if padding > 0 {
      zeros.append(start..<rowsOffset)
      zeros.append((rowsOffset + rows * width)..<end)
    }
  }

  private mutating func layRows(_ layer: LayerDescription, next: LayerDescription?) throws(ModelError) {
    let padding = layer.padding ?? 0
    guard let kernel = layer.kernel, let stride = layer.stride, kernel >= 1, stride >= 1, stride <= 1024,
      kernel <= rows + 2 * padding
    else { throw refuse("layer \(layer.name) needs a kernel and a stride that fit its \(rows) rows") }
    let inputWidth = paddedToLanes(channels)
    let input = rowsOffset - padding * inputWidth
    let outputs = layer.type == .pooling ? channels : layer.outputs ?? 0
    guard outputs >= 1, outputs <= Network.outputsMax else {
      throw refuse("layer \(layer.name) has a bad output count")
    }
    guard layer.type == .convolution || (padding == 0 && layer.mode != nil) else {
      throw refuse("pooling \(layer.name) needs a mode and takes no padding")
    }
    let outputRows = (rows + 2 * padding - kernel) / stride + 1
    var laid = Network.Layer(
      operation: layer.mode == .max ? .maxPooling : .averagePooling, activation: .identity,
      window: kernel * inputWidth, step: stride * inputWidth, kernel: kernel, rows: outputRows,
      blocks: paddedToLanes(outputs) / 16, input: input, output: 0, weights: 0, bias: 0)
    if layer.type == .convolution {
      laid.operation = .convolution
      laid.activation = layer.activation ?? .identity
      let values = try tensors.values("\(layer.name).weight", [outputs, channels, kernel], file: file)
      let channels = self.channels
      try arrange(&laid, name: layer.name, outputs: outputs) { output, position in
        let channel = position % inputWidth
        return channel < channels ? values[(output * channels + channel) * kernel + position / inputWidth] : 0
      }
    }
    channels = outputs
    rows = outputRows
    try placeRows(for: next)
    laid.output = rowsOffset
    layers.append(laid)
  }

  private mutating func layDense(
    _ layer: LayerDescription, input: Int, _ inputs: (rows: Int, channels: Int, others: Int)
  ) throws(ModelError) -> Int {
    guard let outputs = layer.outputs, outputs >= 1, outputs <= Network.outputsMax else {
      throw refuse("layer \(layer.name) has a bad output count")
    }
    let width = paddedToLanes(inputs.channels)
    let flattened = inputs.rows * inputs.channels
    let window = inputs.rows * width + inputs.others
    let output = paddedToLanes(end)
    end = output + paddedToLanes(outputs)
    guard end <= Network.scratchMax else { throw refuse("the network is too large") }
    let count = flattened + inputs.others
    let values = try tensors.values("\(layer.name).weight", [outputs, count], file: file)
    var laid = Network.Layer(
      operation: .dense, activation: layer.activation ?? .identity, window: window, step: window, kernel: 1, rows: 1,
      blocks: paddedToLanes(outputs) / 16, input: input, output: output, weights: 0, bias: 0)
    try arrange(&laid, name: layer.name, outputs: outputs) { output, position in
      if position >= inputs.rows * width { return values[output * count + flattened + position - inputs.rows * width] }
      let channel = position % width
      return channel < inputs.channels ? values[output * count + channel * inputs.rows + position / width] : 0
    }
    layers.append(laid)
    return output
  }

  /// Appends weights as [block of outputs][position] and the bias, lanes along the outputs.
  private mutating func arrange(
    _ layer: inout Network.Layer, name: String, outputs: Int, _ weight: (Int, Int) -> Float
  ) throws(ModelError) {
    layer.weights = weights.count
    for block in 0..<layer.blocks {
      for position in 0..<layer.window {
        var vector = SIMD16<Float>()
        for lane in 0..<16 where block * 16 + lane < outputs { vector[lane] = weight(block * 16 + lane, position) }
        weights.append(vector)
      }
    }
    layer.bias = weights.count
    weights.append(contentsOf: vectors(try tensors.values("\(name).bias", [outputs], file: file)))
  }
}
