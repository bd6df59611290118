import Features
import Testing

@testable import Models

/// What every kind of model must do.
struct ConformanceTests {
  static let names = [
    "linear", "boosted", "random_forest", "dense", "convolutional max", "convolutional average", "fused",
  ]

  static func description(_ name: String) throws -> EnsembleDescription {
    switch name {
    case "linear": EnsembleDescription(members: [try Golden.linear()])
    case "boosted", "random_forest":
      EnsembleDescription(members: [.forest(name, file: "\(name).forest.json", link: .logistic)])
    case "dense": EnsembleDescription(members: [try Golden.dense()])
    case "convolutional max":
      EnsembleDescription(members: [try Golden.convolutional(.max)], intercept: 0.1, link: .exponential)
    case "convolutional average":
      EnsembleDescription(members: [try Golden.convolutional(.average)], link: .logistic)
    default:
      EnsembleDescription(
        members: [
          try Golden.linear(weight: 0.3), .forest("b", file: "boosted.forest.json", weight: 0.5, link: .logistic),
          .forest("r", file: "random_forest.forest.json", weight: 0.2, link: .logistic),
          try Golden.dense(weight: -0.1),
        ], intercept: 0.02, calibration: .platt(slope: 4, intercept: -2), minimum: 0.01, maximum: 0.99)
    }
  }

  /// The catalogue indices that a model may read.
  private static func read(_ description: EnsembleDescription) -> Set<Int> {
    Set(
      description.members.flatMap { member in
        member.inputs?.features ?? Array(0..<Golden.featureCount)
      })
  }

  @Test("contributions add up to the fused score less the reference", arguments: names)
  func sums(name: String) throws {
    let model = try Golden.ensemble(try Self.description(name))
    var workspace = ModelWorkspace()
    var contributions: [Contribution] = []
    for row in 0..<(name.hasPrefix("conv") ? 1 : Golden.rowCount) {
      let fused = unsafe model.fused(Golden.rows[row], &workspace)
      unsafe model.explain(Golden.rows[row], &workspace, into: &contributions)
      let sum = contributions.reduce(0) { $0 + $1.contribution }
      #expect(near(sum + model.reference, fused, 1e-5), "row \(row): \(sum) + \(model.reference) is not \(fused)")
      #expect(zip(contributions, contributions.dropFirst()).allSatisfy { $0.feature < $1.feature })
      for contribution in contributions {
        let value = Golden.rows.value(row, contribution.feature)
        #expect(value.bitPattern == contribution.value.bitPattern)
      }
    }
  }

  @Test("a prediction is the same whatever was predicted or explained before", arguments: names)
  func repeats(name: String) throws {
    let model = try Golden.ensemble(try Self.description(name))
    let other = try Golden.ensemble(try Self.description("fused"))
    var fresh = ModelWorkspace()
    var used = ModelWorkspace()
    var contributions: [Contribution] = []
    for row in 0..<1 {
      let first = unsafe model.fused(Golden.rows[row], &fresh)
      unsafe other.explain(Golden.rows[row + 8], &used, into: &contributions)
      _ = unsafe other.fused(Golden.rows[row + 16], &used)
      #expect(unsafe model.fused(Golden.rows[row], &used) == first)
    }
  }

  @Test("a missing feature, zero, and the largest and infinite numbers give a finite score", arguments: names)
  func hostileValues(name: String) throws {
    let model = try Golden.ensemble(try Self.description(name))
    var workspace = ModelWorkspace()
    var contributions: [Contribution] = []
    for feature in 0..<(name.hasPrefix("conv") ? 3 : Golden.featureCount) {
      for value: Float in [.nan, 0, 1e15, -1e15, .greatestFiniteMagnitude, .infinity, -.infinity] {
        unsafe Golden.rows.changed(3, feature, to: value) { row in
          #expect(unsafe model.fused(row, &workspace).isFinite, "feature \(feature) at \(value)")
          #expect(model.calibrated(unsafe model.fused(row, &workspace)).isFinite)
          if name.hasPrefix("conv") { return }
          unsafe model.explain(row, &workspace, into: &contributions)
          #expect(contributions.allSatisfy { $0.contribution.isFinite })
        }
      }
    }
  }

  @Test("a model reads the features it names, at their place, and no other", arguments: names)
  func featureOrder(name: String) throws {
    let description = try Self.description(name)
    let model = try Golden.ensemble(description)
    let read = Self.read(description)
    var workspace = ModelWorkspace()
    var moved: Set<Int> = []
    // A network answers to every input everywhere; a debug build is slow.
    let rows = description.members.contains { $0.type == .convolutional } ? 3..<4 : 0..<12
    for feature in 0..<Golden.featureCount {
      for row in rows {
        let before = unsafe model.fused(Golden.rows[row], &workspace)
        for value: Float in [-3, 30, .nan] {
          let after = unsafe Golden.rows.changed(row, feature, to: value) { unsafe model.fused($0, &workspace) }
          if after != before { moved.insert(feature) }
        }
      }
    }
    #expect(moved.isSubset(of: read))
    // A forest names all columns and splits on some.
    if description.members.allSatisfy({ $0.inputs != nil }) { #expect(moved == read) } else { #expect(!moved.isEmpty) }
  }

  @Test("a picture whose shaded cells are known gives the bits of one where they are looked for")
  func shadedCells() throws {
    let model = try Golden.ensemble(try Self.description("convolutional max"))
    let input = ModelInput()
    var workspace = ModelWorkspace()
    for row in 0..<Golden.rowCount {
      let golden = unsafe Golden.rows[row]
      for feature in 0..<Golden.featureCount {
        unsafe input.features[feature] = golden.features[feature]
      }
      input.clearPicture()
      for cell in 0..<ModelInput.pictureCells {
        let level = unsafe golden.picture[cell]
        // Of the cells that are 0 some are named, as those of a day whose amounts add up to nothing.
        if level != 0 || cell % 3 == 0 { input.shade(UInt16(cell), level) }
      }
      let known = model.fused(input, &workspace)
      #expect(unsafe known.bitPattern == model.fused(golden, &workspace).bitPattern)
    }
  }

  @Test("a file with a number that is not finite, another shape or less than it says is refused with its name")
  func damagedTensors() throws {
    for name in ["linear", "dense", "convolutional max"] {
      let description = try Self.description(name)
      let file = description.members[0].file
      let good = try SafeTensors(Golden.bytes(file), file: file).tensors.values.sorted { $0.name < $1.name }
      func refuses(_ bytes: [UInt8], _ what: String) {
        let error = #expect(throws: ModelError.self, "\(name): \(what)") {
          try Ensemble(
            description, files: [file: bytes], catalogueCount: Golden.featureCount, name: name, folder: "somewhere/")
        }
        #expect(error?.file == "somewhere/" + file)
      }
      for index in good.indices {
        var tensors = good
        tensors[index].values[0] = .nan
        refuses(SafeTensors.encode(tensors), "NaN in \(tensors[index].name)")
        tensors = good
        tensors[index].shape += [1]
        refuses(SafeTensors.encode(tensors), "another shape of \(tensors[index].name)")
        tensors = good
        tensors.remove(at: index)
        refuses(SafeTensors.encode(tensors), "without \(good[index].name)")
      }
      let bytes = SafeTensors.encode(good)
      for count in [0, 7, 8, 100, bytes.count - 1] { refuses(Array(bytes.prefix(count)), "\(count) bytes") }
      refuses(bytes + [0], "a byte more")
    }
  }

  @Test("damaged safetensors never trap")
  func fuzzedTensors() {
    var random = SplitMix(state: 99)
    let bytes = Golden.bytes("dense.safetensors")
    for _ in 0..<400 {
      var damaged = bytes
      for _ in 0..<(1 + random.next() % 4) {
        damaged[Int(random.next() % 700)] = UInt8(truncatingIfNeeded: random.next())
      }
      _ = try? SafeTensors(damaged, file: "damaged")
    }
  }

  @Test("tensors come back as they were written")
  func tensorsRoundTrip() throws {
    let tensors = [
      Tensor(name: "b", shape: [2, 3], values: [1, -0.0, 3.5, .leastNonzeroMagnitude, 5, -.greatestFiniteMagnitude]),
      Tensor(name: "a.x", [7]), Tensor(name: "empty", []),
    ]
    let read = try SafeTensors(SafeTensors.encode(tensors), file: "t")
    for tensor in tensors { #expect(read.tensors[tensor.name] == tensor) }
    #expect(read.tensors.count == 3)
  }

  @Test("the vector logarithm is the scalar one in every lane")
  func vectorLogarithm() {
    var random = SplitMix(state: 3)
    for _ in 0..<2000 {
      var x = SIMD16<Float>()
      for lane in 0..<16 { x[lane] = Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }
      x.replace(with: 0, where: (x - x) .!= 0)
      let y = signedLogarithm(x)
      for lane in 0..<16 {
        let expected = Portable.log(1 + x[lane].magnitude)
        #expect(y[lane] == (x[lane].sign == .minus ? -expected : expected), "\(x[lane])")
      }
    }
  }
}
