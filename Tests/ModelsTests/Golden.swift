import Features
import Foundation

@testable import Models

/// What `Tests/Golden/make_golden.py` wrote: rows, models of other libraries, and their answers.
enum Golden {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Golden").path
  static let featureCount = 24
  static let rowCount = 48

  static func bytes(_ name: String) -> [UInt8] {
    guard let data = FileManager.default.contents(atPath: "\(folder)/\(name)") else { return [] }
    return Array(data)
  }

  struct Forest: Decodable {
    var margin: [Double]
    var output: [Double]
    var contributions: [[Double]]
  }
  struct Linear: Decodable {
    var features: [Int]
    var logarithmic: [Int]
    var missingIndicators: [Int]
    var limit: Double
    var margin: [Double]
    var probability: [Double]
    var contributions: [[Double]]
    var knotsX: [Double]
    var knotsY: [Double]
    var calibrated: [Double]
    var inputs: FeatureInputs {
      FeatureInputs(
        features: features, logarithmic: logarithmic, missingIndicators: missingIndicators, limit: limit)
    }
  }
  struct Dense: Decodable {
    var features: [Int]
    var missingIndicators: [Int]
    var margin: [Double]
  }
  struct Convolutional: Decodable {
    var features: [Int]
    var marginMax: [Double]
    var marginAverage: [Double]
  }

  static func answers<Answers: Decodable>(_ name: String, _: Answers.Type) throws -> Answers {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Answers.self, from: Data(bytes("\(name).json")))
  }

  static let rows = Rows()

  static func dense(weight: Double = 1) throws -> MemberDescription {
    let answers = try answers("dense", Dense.self)
    return .dense(
      "dense", file: "dense.safetensors", weight: weight, link: .logistic,
      inputs: FeatureInputs(
        features: answers.features, missingIndicators: answers.missingIndicators, limit: nil),
      layers: [
        .dense("dense0", outputs: 20, activation: .tanh), .dense("dense1", outputs: 17, activation: .relu),
        .dense("dense2", outputs: 5, activation: .sigmoid), .dense("dense3", outputs: 1, activation: .identity),
      ])
  }

  static func convolutional(_ mode: PoolingMode, weight: Double = 1) throws -> MemberDescription {
    let answers = try answers("convolutional", Convolutional.self)
    return .convolutional(
      "convolutional", file: "convolutional.safetensors", weight: weight,
      inputs: FeatureInputs(features: answers.features, limit: nil),
      layers: [
        .convolution("conv1", outputs: 20, kernel: 7, stride: 2, padding: 3), .pooling("pool1", mode: mode, size: 2),
        .convolution("conv2", outputs: 12, kernel: 3), .pooling("pool2", mode: .average, size: 2),
        .dense("hidden", outputs: 9, activation: .tanh), .dense("last", outputs: 1, activation: .identity),
      ], logarithmicPicture: true, pictureFeatures: Array(4..<20))
  }

  static func linear(weight: Double = 1) throws -> MemberDescription {
    .linear(
      "linear", file: "linear.safetensors", weight: weight, link: .logistic,
      inputs: try answers("linear", Linear.self).inputs)
  }

  static func files(_ members: [MemberDescription]) -> [String: [UInt8]] {
    Dictionary(members.map { ($0.file, bytes($0.file)) }) { first, _ in first }
  }

  static func ensemble(_ description: EnsembleDescription) throws -> Ensemble {
    try Ensemble(
      description, files: files(description.members), catalogueCount: featureCount, name: "golden", explained: true)
  }
}

/// The rows in memory as the models read them.
@safe final class Rows: @unchecked Sendable {
  // Filled in `init`, read only afterwards.
  private let features: UnsafeMutablePointer<Float>
  private let pictures: UnsafeMutablePointer<Float>
  private let width = 32
  private let pictureCount = ModelInput.pictureDays * ModelInput.pictureChannels

  init() {
    unsafe features = .allocate(capacity: Golden.rowCount * width)
    unsafe pictures = .allocate(capacity: Golden.rowCount * pictureCount)
    unsafe features.initialize(repeating: 0, count: Golden.rowCount * width)
    unsafe pictures.initialize(repeating: 0, count: Golden.rowCount * pictureCount)
    guard let table = Self.table("features"), let days = Self.table("pictures") else { return }
    for row in 0..<Golden.rowCount {
      for feature in 0..<Golden.featureCount {
        let value = table[row * Golden.featureCount + feature]
        unsafe features[row * width + feature] = value == 1e30 ? .nan : value
      }
    }
    for (index, value) in days.enumerated() { unsafe pictures[index] = value }
  }

  private static func table(_ name: String) -> [Float]? {
    try? SafeTensors(Golden.bytes("\(name).safetensors"), file: name).tensors["rows"]?.values
  }

  subscript(row: Int) -> ModelRow {
    unsafe ModelRow(features: features + row * width, picture: pictures + row * pictureCount)
  }

  func value(_ row: Int, _ feature: Int) -> Float { unsafe features[row * width + feature] }

  /// Changes one value while `body` runs on a copy of the row.
  func changed<Result>(
    _ row: Int, _ feature: Int, to value: Float, _ body: (ModelRow) throws -> Result
  ) rethrows -> Result {
    let copy = UnsafeMutablePointer<Float>.allocate(capacity: width)
    defer { unsafe copy.deallocate() }
    unsafe copy.initialize(from: features + row * width, count: width)
    unsafe copy[feature] = value
    return unsafe try body(ModelRow(features: copy, picture: pictures + row * pictureCount))
  }
}
