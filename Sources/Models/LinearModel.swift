/// Intercept plus the sum of coefficient x standardised input.
final class LinearModel: Sendable {
  private let standardizer: InputStandardizer
  private let coefficients: FixedArray<SIMD16<Float>>
  private let coefficientValues: [Float]
  private let intercept: Float

  init(_ description: MemberDescription, _ bytes: [UInt8], catalogueCount: Int, file: String) throws(ModelError) {
    guard let inputs = description.inputs else {
      throw ModelError(file: file, problem: "the manifest names no inputs for this linear model; train again")
    }
    let tensors = try SafeTensors(bytes, file: file)
    standardizer = try InputStandardizer(
      inputs, means: tensors.values("features.mean", [inputs.features.count], file: file),
      scales: tensors.values("features.scale", [inputs.features.count], file: file), catalogueCount: catalogueCount,
      file: file)
    coefficientValues = try tensors.values("coefficients", [inputs.count], file: file)
    coefficients = FixedArray(vectors(coefficientValues))
    intercept = try tensors.values("intercept", [1], file: file)[0]
  }

  /// The margin of a borrower at every mean.
  var referenceMargin: Double { Double(intercept) }

  var scratchCount: Int { standardizer.capacity }

  func margin(_ row: ModelRow, _ scratch: UnsafeMutablePointer<Float>) -> Double {
    unsafe standardizer.fill(row.features, into: scratch)
    let inputs = UnsafeRawPointer(scratch)
    var sum = SIMD16<Float>()
    for block in 0..<coefficients.count {
      let z = unsafe inputs.load(fromByteOffset: block * 64, as: SIMD16<Float>.self)
      unsafe sum.addProduct(coefficients.base[block], z)
    }
    return Double(intercept + Lanes.sum(sum))
  }

  /// Adds scale x coefficient x standardised input to the feature of each input.
  func explain(
    _ row: ModelRow, _ scratch: UnsafeMutablePointer<Float>, scale: Double,
    into contributions: UnsafeMutablePointer<Double>
  ) {
    unsafe standardizer.fill(row.features, into: scratch)
    for input in 0..<standardizer.count {
      unsafe contributions[standardizer.source(input)] +=
        scale * (Double(coefficientValues[input]) * Double(scratch[input]))
    }
  }
}
