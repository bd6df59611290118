import Features
import Foundation
import History
import Testing

@testable import Training

/// What `Tests/Golden/make_golden.py gan` wrote: PyTorch's losses and gradients of a small game.
private struct Game: Decodable {
  var noise: Int
  var hidden: Int
  var pack: Int
  var temperature: Float
  var penalty: Double
  var critic: [Float]
  var generator: [Float]
  var classes: [Float]
  var real: [Float]
  var inputs: [Float]
  var gumbels: [Float]
  var parts: [Float]
  var made: [Float]
  var criticLoss: Double
  var criticGradient: [Float]
  var generatorLoss: Double
  var generatorGradient: [Float]

  static func load() throws -> Game {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Golden/gan.json")
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Game.self, from: Data(contentsOf: file))
  }

  /// A place and three categories, then four categories.
  var players: GANPlayers {
    func column(_ index: Int, _ categories: [TableCodec.Category]) -> TableCodec.Column {
      TableCodec.Column(
        column: index, categories: categories, shares: categories.map { _ in 0.25 }, isLogarithmic: false,
        isWhole: false, smallest: 0, largest: 9)
    }
    let codec = TableCodec([
      column(0, [.missing, .mode(mean: 1, deviation: 1), .mode(mean: 5, deviation: 2)]),
      column(1, [.value(1), .value(2), .value(3), .value(4)]),
    ])
    var settings = GANSettings()
    settings.noise = noise
    settings.pack = pack
    settings.temperature = temperature
    settings.penalty = penalty
    return GANPlayers(codec, settings)
  }

  func stacks(_ players: GANPlayers) -> (critic: DenseStack, generator: DenseStack) {
    var critic = DenseStack([players.packWidth, 7, 6, 1], seed: 1)
    critic.parameters = self.critic
    var generator = DenseStack([noise + 2, hidden, players.codec.width], seed: 1)
    generator.parameters = self.generator
    return (critic, generator)
  }
}

private func difference(_ a: [Float], _ b: [Float]) -> Float {
  a.count == b.count ? zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) } : .infinity
}

@Test func `both players' losses and gradients are PyTorch's`() throws {
  let game = try Game.load()
  let players = game.players
  let (critic, generator) = game.stacks(players)
  #expect(critic.parameters.count == game.criticGradient.count)
  let classes = game.classes.map { $0 == 1 }
  let noise = GANPlayers.Noise(inputs: game.inputs, gumbels: game.gumbels)
  let made = players.generate(generator, classes, noise).rows
  #expect(difference(made, game.made) < 1e-5)
  var gradient = [Float](repeating: 0, count: critic.parameters.count)
  let loss = players.judge(
    critic, real: players.packed(game.real, classes), made: players.packed(made, classes), parts: game.parts,
    into: &gradient)
  #expect(abs(loss - game.criticLoss) < 1e-4)
  #expect(difference(gradient, game.criticGradient) < 1e-3)
  gradient = [Float](repeating: 0, count: generator.parameters.count)
  let persuasion = players.persuade(critic, generator, classes, noise, into: &gradient)
  #expect(abs(persuasion - game.generatorLoss) < 1e-5)
  #expect(difference(gradient, game.generatorGradient) < 1e-4)
}

@Test func `both players' gradients are those of finite differences`() throws {
  let game = try Game.load()
  let players = game.players
  let (critic, generator) = game.stacks(players)
  let classes = game.classes.map { $0 == 1 }
  let noise = GANPlayers.Noise(inputs: game.inputs, gumbels: game.gumbels)
  let made = players.packed(players.generate(generator, classes, noise).rows, classes)
  let real = players.packed(game.real, classes)
  /// Most parameters agree; a rectifier that turns between two steps spoils a few.
  func agreement(_ stack: DenseStack, _ loss: (DenseStack, inout [Float]) -> Double) -> Double {
    var gradient = [Float](repeating: 0, count: stack.parameters.count)
    _ = loss(stack, &gradient)
    var unused = gradient
    var agreeing = 0
    for index in stack.parameters.indices {
      let step: Float = 2e-3
      var moved = stack
      moved.parameters[index] += step
      let above = loss(moved, &unused)
      moved.parameters[index] -= 2 * step
      let numeric = (above - loss(moved, &unused)) / Double(2 * step)
      if abs(numeric - Double(gradient[index])) < 0.03 * max(0.2, abs(numeric)) { agreeing += 1 }
    }
    return Double(agreeing) / Double(stack.parameters.count)
  }
  #expect(
    agreement(critic) { players.judge($0, real: real, made: made, parts: game.parts, into: &$1) } > 0.97)
  #expect(agreement(generator) { players.persuade(critic, $0, classes, noise, into: &$1) } > 0.97)
}

/// Income by class in two humps with gaps, a flag that goes with it, a count with many zeros, a copy and a constant.
private func mixedTable(_ rows: Int, seed: UInt64) -> (FeatureMatrix, [Bool]) {
  var random = SeededRandom(seed: seed)
  var values: [Float] = []
  var classes: [Bool] = []
  for _ in 0..<rows {
    let isBad = random.uniform() < 0.25
    let isRich = random.uniform() < (isBad ? 0.2 : 0.7)
    let income = isRich ? 9_000 + 900 * random.normal() : 3_000 + 300 * random.normal()
    let count = random.uniform() < (isBad ? 0.3 : 0.8) ? 0 : Float(random.below(40))
    let isKnown = random.uniform() < 0.9
    values += [isKnown ? Float(income) : .nan, isRich ? 1 : 2, count, count, 7]
    classes.append(isBad)
  }
  return (FeatureMatrix(rows: rows, columns: 5, values: values), classes)
}

@Test func `a row comes back from its encoding`() {
  let (table, _) = mixedTable(3_000, seed: 3)
  let codec = TableCodec(table, derived: [])
  #expect(codec.columns.map(\.column) == [0, 1, 2])
  #expect(codec.copies.map(\.column) == [3] && codec.constants.map(\.column) == [4])
  var random = SeededRandom(seed: 4)
  let back = codec.decode(codec.encode(table, &random), rows: table.rows, columns: table.columns)
  for row in 0..<table.rows {
    for column in 0..<table.columns {
      let (a, b) = (table[row, column], back[row, column])
      let isNear = a.isNaN ? b.isNaN : abs(a - b) <= (column == 0 ? 60 : 0.5)
      #expect(isNear, "row \(row), column \(column): \(a) came back as \(b)")
      if !isNear { return }
    }
  }
}

@Test(.enabled(if: isReleaseBuild, "networks are trained in release builds"))
func `made rows are like real ones of their class, and the same for the same seed`() {
  let (table, classes) = mixedTable(4_000, seed: 5)
  let (held, heldClasses) = mixedTable(800, seed: 6)
  var settings = GANSettings()
  settings.seed = 9
  settings.steps = 800
  let network = TableGAN(table, classes, held: held, heldClasses, derived: [], settings)
  #expect(network.steps > 0 && network.distances.min()! < network.distances[0])
  let wished = (0..<4_000).map { $0 % 2 == 0 }
  let made = network.make(wished, columns: 5, seed: 1)
  func share(_ matrix: FeatureMatrix, _ classes: [Bool], _ isBad: Bool, _ holds: (Int) -> Bool) -> Double {
    let rows = classes.indices.filter { classes[$0] == isBad }
    return Double(rows.count(where: holds)) / Double(rows.count)
  }
  for isBad in [false, true] {
    let rich = share(table, classes, isBad) { table[$0, 1] == 1 }
    #expect(abs(share(made, wished, isBad) { made[$0, 1] == 1 } - rich) < 0.15, "rich, \(isBad)")
    let none = share(table, classes, isBad) { table[$0, 2] == 0 }
    #expect(abs(share(made, wished, isBad) { made[$0, 2] == 0 } - none) < 0.15, "none, \(isBad)")
  }
  // Who is rich has a high income, and a copy stays a copy.
  let known = (0..<made.rows).filter { !made[$0, 0].isNaN }
  let agreeing = known.count { (made[$0, 0] > 6_000) == (made[$0, 1] == 1) }
  #expect(Double(agreeing) / Double(known.count) > 0.75)
  #expect((0..<made.rows).allSatisfy { made[$0, 2] == made[$0, 3] && made[$0, 4] == 7 })
  let again = TableGAN(table, classes, held: held, heldClasses, derived: [], settings)
  #expect(again.make(wished, columns: 5, seed: 1).values.map(\.bitPattern) == made.values.map(\.bitPattern))
}

@Test func `derived features computed again on real rows are what the state computes`() throws {
  let set = try ExampleSet.make(
    EventHistory(events: simulated(60, days: 150, seed: 12)),
    AsOfDates(dates: [date("2025-04-01")], observedThrough: date("2025-05-01"), horizonDays: 30), ExampleOptions())
  let allowed = [Bool](repeating: true, count: FeatureCatalogue.count)
  let table = FeatureMatrix(set.table, rows: Array(0..<set.table.count), allowed: allowed)
  #expect(table.rows > 20)
  let derived = DerivedFeatures.standard
  #expect(derived.columns.count > 60)
  var computed = table
  for column in derived.columns { computed.fill(column: column, with: .nan) }
  derived.recompute(&computed, allowed: allowed)
  let limit = try #require(FeatureCatalogue.index(of: "credit_limit"))
  for row in 0..<table.rows {
    for column in derived.columns.sorted() {
      let name = FeatureCatalogue.all[column].name
      // Without a limit, what was repaid of a balance cannot be told from shares of the limit.
      if name.hasPrefix("statement_"), !(table[row, limit] > 0) { continue }
      let (a, b) = (table[row, column], computed[row, column])
      let isSame = a.isNaN ? b.isNaN : abs(a - b) <= 2e-4 * max(1, abs(a))
      #expect(isSame, "\(name) of row \(row): \(a) computed again as \(b)")
    }
  }
}
