import Features

/// Which features a linear model or a network reads, and how they are standardised.
public struct FeatureInputs: Codable, Sendable, Equatable {
  /// Indices into the catalogue, each once. The model's inputs begin with these, in this order.
  public var features: [Int]
  /// Those of them of which sign(x) log(1 + |x|) is taken before standardising.
  public var logarithmic: [Int]
  /// Those of them with a further input that is 1 where the feature is missing and 0 elsewhere; these inputs follow the
  /// features, in this order. A missing feature itself is at its mean.
  public var missingIndicators: [Int]
  /// Standardised values are held within +- this.
  public var limit: Double?

  public init(features: [Int], logarithmic: [Int] = [], missingIndicators: [Int] = [], limit: Double? = 8) {
    self.features = features
    self.logarithmic = logarithmic
    self.missingIndicators = missingIndicators
    self.limit = limit
  }

  /// Inputs of the model: features and indicators.
  public var count: Int { features.count + missingIndicators.count }
}

/// Turns a feature vector into a model's inputs: (x - mean) / scale, 0 where missing or not finite, then the indicators
/// of what is missing. Training and serving share it.
public final class InputStandardizer: Sendable {
  /// Inputs written: features, then indicators.
  public let count: Int
  /// Features among them.
  public let featureCount: Int
  /// Catalogue indices of features, then of indicators.
  let sources: FixedArray<Int32>
  private let means: FixedArray<SIMD16<Float>>
  private let inverses: FixedArray<SIMD16<Float>>
  /// All ones where the logarithm is taken.
  private let logarithmic: FixedArray<SIMD16<UInt32>>
  private let hasLogarithms: Bool
  private let limit: Float

  /// `means` and `scales` are of the (logarithmic) features, `scales` positive. `catalogueCount` bounds the indices.
  public init(
    _ inputs: FeatureInputs, means: [Float], scales: [Float], catalogueCount: Int, file: String
  ) throws(ModelError) {
    func refuse(_ problem: String) -> ModelError { ModelError(file: file, problem: problem + "; train again") }
    let features = inputs.features
    guard features.allSatisfy({ $0 >= 0 && $0 < catalogueCount }), Set(features).count == features.count else {
      throw refuse("reads a feature twice or one outside 0..<\(catalogueCount)")
    }
    let known = Set(features)
    guard known.isSuperset(of: inputs.logarithmic), known.isSuperset(of: inputs.missingIndicators),
      Set(inputs.missingIndicators).count == inputs.missingIndicators.count
    else { throw refuse("takes logarithms or indicators of features that it does not read") }
    guard means.count == features.count, scales.count == features.count, means.allSatisfy(\.isFinite),
      scales.allSatisfy({ $0.isFinite && $0 > 0 && (1 / $0).isFinite })
    else { throw refuse("needs a finite mean and a positive scale for each feature") }
    if let limit = inputs.limit {
      guard limit > 0, limit.isFinite else { throw refuse("has a limit that is not positive") }
    }
    featureCount = features.count
    count = inputs.count
    limit = Float(inputs.limit ?? Double(Float.greatestFiniteMagnitude))
    let padded = paddedToLanes(features.count)
    let unused = [Int](repeating: 0, count: padded - features.count)
    sources = FixedArray((features + unused + inputs.missingIndicators).map(Int32.init))
    let logs = Set(inputs.logarithmic)
    hasLogarithms = !logs.isEmpty
    self.means = FixedArray(vectors(means))
    inverses = FixedArray(vectors(scales.map { 1 / $0 }))
    logarithmic = FixedArray(
      vectors(features.map { logs.contains($0) ? Float(bitPattern: .max) : 0 }).map { Lanes.bits($0) })
  }

  /// Floats that `fill` may write.
  public var capacity: Int { paddedToLanes(featureCount) + paddedToLanes(count) + 16 }

  /// Writes `count` inputs and zeros up to the next multiple of 16. `row` holds the catalogue's features; `inputs` has
  /// room for `capacity` floats.
  public func fill(_ row: UnsafePointer<Float>, into inputs: UnsafeMutablePointer<Float>) {
    let output = UnsafeMutableRawPointer(inputs)
    let limits = SIMD16<UInt32>(repeating: limit.bitPattern)
    let blocks = paddedToLanes(featureCount) / 16
    for block in 0..<blocks {
      var x = SIMD16<Float>()
      for lane in 0..<16 { x[lane] = unsafe row[Int(sources.base[block * 16 + lane])] }
      let known = Lanes.finiteMask(x)
      x = Lanes.keep(x, known)
      if hasLogarithms {
        x = unsafe Lanes.select(signedLogarithm(x), logarithmic.base[block], else: x)
      }
      let z = unsafe (x - means.base[block]) * inverses.base[block]
      unsafe output.storeBytes(
        of: Lanes.keep(Lanes.clamp(z, limits), known), toByteOffset: block * 64, as: SIMD16<Float>.self)
    }
    let indicators = count - featureCount
    for index in 0..<indicators {
      let value = unsafe row[Int(sources.base[blocks * 16 + index])]
      unsafe inputs[featureCount + index] = (value - value) == 0 ? 0 : 1
    }
    for index in count..<paddedToLanes(count) { unsafe inputs[index] = 0 }
  }

  /// The catalogue index of an input.
  @inline(__always) func source(_ input: Int) -> Int {
    let padded = input < featureCount ? input : input - featureCount + paddedToLanes(featureCount)
    return unsafe Int(sources.base[padded])
  }
}

/// 16 values a vector, zeros behind the last.
func vectors(_ values: [Float]) -> [SIMD16<Float>] {
  (0..<(paddedToLanes(values.count) / 16)).map { block in
    var vector = SIMD16<Float>()
    for lane in 0..<16 where block * 16 + lane < values.count { vector[lane] = values[block * 16 + lane] }
    return vector
  }
}

/// sign(x) log(1 + |x|) of finite numbers: the steps of `Portable.log(Float)` in each lane.
@inline(__always) func signedLogarithm(_ x: SIMD16<Float>) -> SIMD16<Float> {
  let sign = Lanes.bits(x) & SIMD16(repeating: 0x8000_0000)
  let magnitude = Lanes.bits(x) & SIMD16(repeating: 0x7FFF_FFFF)
  let argument = Lanes.floats(magnitude) + 1
  let root = SIMD16<UInt32>(repeating: 0x3F35_04F3)
  let shifted = Lanes.bits(argument) &- root
  // 0...128 as a number: the low bits of 2^23, less 2^23. The library's conversion goes lane by lane.
  let exponentBits = (shifted &>> 23) | SIMD16(repeating: 0x4B00_0000)
  let exponent = Lanes.floats(exponentBits) - 8_388_608
  let mantissa = (shifted & SIMD16(repeating: 0x007F_FFFF)) &+ root
  let f = Lanes.floats(mantissa) - 1
  let s = f / (2 + f)
  let z = s * s
  var r = SIMD16<Float>(repeating: 2.0 / 11)
  r = SIMD16(repeating: 2.0 / 9 as Float).addingProduct(r, z)
  r = SIMD16(repeating: 2.0 / 7 as Float).addingProduct(r, z)
  r = SIMD16(repeating: 2.0 / 5 as Float).addingProduct(r, z)
  r = SIMD16(repeating: 2.0 / 3 as Float).addingProduct(r, z)
  let half = 0.5 * f * f
  let tail = s * (half + r * z)
  let logarithm = exponent * 6.9313812256e-01 - ((half - (tail + exponent * 9.0580006145e-06)) - f)
  return Lanes.floats(Lanes.bits(logarithm) | sign)
}
