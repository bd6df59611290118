import Features

/// How an adversarial network for tables is trained.
struct GANSettings: Sendable {
  /// Of both players, one each; the steps kept may be fewer.
  var steps = 500
  /// Rows of a step.
  var batch = 240
  /// Rows that the critic judges together, so that a generator that always makes the same row is found out (Lin et al.
  /// 2018).
  var pack = 4
  var noise = 48
  var hidden = [128, 128]
  var criticHidden = [128, 64]
  var learningRate = 1e-3
  /// What is measured and kept is a moving average of the generator's weights with this share of the past at each step: it
  /// does not swing with the game (Yazici et al. 2019).
  var averaging: Float = 0.98
  /// Of the gradient penalty.
  var penalty = 10.0
  /// Of the softened choice between categories.
  var temperature: Float = 0.3
  /// Steps between two measurements of what is made.
  var interval = 50
  /// Rows that are encoded; more are sampled.
  var rowsMax = 60_000
  var seed: UInt64 = 0
}

/// A generator of table rows for a wished class: Wasserstein critic with gradient penalty (Gulrajani et al. 2017), columns
/// as CTGAN takes them, the class given to both players.
struct TableGAN: Sendable {
  let codec: TableCodec
  let settings: GANSettings
  private(set) var generator: DenseStack
  /// Steps after which what is made was most like the rows held out.
  private(set) var steps = 0
  /// How far made rows are from the rows held out at each measurement, the first before any step: see `distance`.
  private(set) var distances: [Double] = []

  /// Learns `training` and its classes. `held` rows, of other borrowers of the same training part, only say when to stop.
  init(
    _ training: FeatureMatrix, _ classes: [Bool], held: FeatureMatrix, _ heldClasses: [Bool], derived: Set<Int>,
    _ settings: GANSettings
  ) {
    precondition(training.rows == classes.count && training.rows > 0)
    self.settings = settings
    var random = SeededRandom(seed: settings.seed, stream: 7)
    let rows = Self.sample(training.rows, settings.rowsMax, &random)
    let sampled = rows.count == training.rows ? training : training.selecting(rows)
    let sampledClasses = rows.map { classes[$0] }
    codec = TableCodec(sampled, derived: derived)
    generator = DenseStack([settings.noise + 2] + settings.hidden + [max(codec.width, 1)], seed: settings.seed &+ 1)
    startAtShares()
    guard codec.width > 0 else { return }
    let real = codec.encode(sampled, &random)
    let heldRows = Self.sample(held.rows, 2_000, &random)
    let reference = codec.encode(held.selecting(heldRows), &random)
    train(real, sampledClasses, reference, heldRows.map { heldClasses[$0] }, &random)
  }

  private static func sample(_ count: Int, _ most: Int, _ random: inout SeededRandom) -> [Int] {
    guard count > most else { return Array(0..<count) }
    var rows = Array(0..<count)
    random.shuffle(&rows)
    return rows.prefix(most).sorted()
  }

  private var players: GANPlayers { GANPlayers(codec, settings) }

  /// Training begins where every category comes as often as it does in the table; what depends on what is then learned.
  private mutating func startAtShares() {
    let last = generator.layers - 1
    for index in generator.weights(last) { generator.parameters[index] *= 0.2 }
    let bias = generator.biases(last).lowerBound
    for column in codec.columns {
      for (index, share) in column.shares.enumerated() {
        generator.parameters[bias + column.firstCategory + index] = Float(logarithm(max(share, 1e-4)))
      }
    }
  }

  private mutating func train(
    _ real: [Float], _ classes: [Bool], _ reference: [Float], _ referenceClasses: [Bool], _ random: inout SeededRandom
  ) {
    let players = self.players
    var critic = DenseStack([players.packWidth] + settings.criticHidden + [1], seed: settings.seed &+ 2)
    var adamSettings = NetworkSettings()
    adamSettings.weightDecay = 1e-6
    var criticAdam = Adam(count: critic.parameters.count, adamSettings, firstDecay: 0.5, secondDecay: 0.9)
    var generatorAdam = Adam(count: generator.parameters.count, adamSettings, firstDecay: 0.5, secondDecay: 0.9)
    var average = WeightAverage(generator.parameters, keeping: settings.averaging)
    var best = generator.parameters
    var least = measure(reference, referenceClasses)
    distances = [least]
    // The generator that plays; `generator` is what is kept of it.
    var player = generator
    for step in 1...settings.steps {
      let rows = (0..<players.batch).map { _ in random.below(classes.count) }
      let wished = rows.map { classes[$0] }
      // The rate falls to a tenth, so that the end is not decided by the last few batches.
      let rate = settings.learningRate * (1 - 0.9 * Double(step - 1) / Double(settings.steps))
      var gradient = [Float](repeating: 0, count: critic.parameters.count)
      let made = players.generate(player, wished, players.noise(rows: wished.count, &random)).rows
      _ = players.judge(
        critic, real: players.packed(rows.flatMap { real[$0 * codec.width..<($0 + 1) * codec.width] }, wished),
        made: players.packed(made, wished),
        parts: (0..<wished.count / settings.pack).map { _ in Float(random.uniform()) }, into: &gradient)
      criticAdam.step(&critic.parameters, gradient, rate: rate)
      gradient = [Float](repeating: 0, count: player.parameters.count)
      _ = players.persuade(
        critic, player, wished, players.noise(rows: wished.count, &random), into: &gradient)
      generatorAdam.step(&player.parameters, gradient, rate: rate)
      average.add(player.parameters)
      guard step % settings.interval == 0 || step == settings.steps else { continue }
      generator.parameters = average.weights ?? player.parameters
      let distance = measure(reference, referenceClasses)
      distances.append(distance)
      if distance < least {
        least = distance
        best = generator.parameters
        steps = step
      } else if step - steps >= 4 * settings.interval {
        break
      }
    }
    generator.parameters = best
  }

  /// How far as many made rows, of the same classes, are from the rows held out.
  private func measure(_ reference: [Float], _ classes: [Bool]) -> Double {
    // The same draws each time, so that measurements differ by the generator alone.
    var random = SeededRandom(seed: settings.seed, stream: 11)
    let made = players.make(generator, classes, &random)
    return Self.distance(made, reference, classes, width: codec.width)
  }

  /// The root mean square difference, between two sets of encoded rows of the same classes, of the mean and of the mean
  /// products of neighbouring and distant numbers, within each class.
  static func distance(_ a: [Float], _ b: [Float], _ classes: [Bool], width: Int) -> Double {
    var sum = 0.0
    var terms = 0.0
    for wanted in [false, true] {
      let rows = classes.indices.filter { classes[$0] == wanted }
      guard rows.count >= 20 else { continue }
      let shifts = [0, 1, 3, 7, 13, 29, 61].filter { $0 < width }
      for shift in shifts {
        for column in 0..<width {
          let other = (column + shift) % width
          var first = 0.0
          var second = 0.0
          for row in rows {
            let base = row * width
            first += Double(a[base + column]) * (shift == 0 ? 1 : Double(a[base + other]))
            second += Double(b[base + column]) * (shift == 0 ? 1 : Double(b[base + other]))
          }
          let difference = (first - second) / Double(rows.count)
          sum += difference * difference
          terms += 1
        }
      }
    }
    return terms > 0 ? (sum / terms).squareRoot() : 0
  }

  /// One row for each wished class, in the matrix's columns; derived ones are missing.
  func make(_ classes: [Bool], columns: Int, seed: UInt64) -> FeatureMatrix {
    var random = SeededRandom(seed: seed, stream: 13)
    var values: [Float] = []
    values.reserveCapacity(classes.count * columns)
    for start in stride(from: 0, to: classes.count, by: 1_024) {
      let wished = Array(classes[start..<min(start + 1_024, classes.count)])
      let encoded = players.make(generator, wished, &random)
      values += codec.decode(encoded, rows: wished.count, columns: columns).values
    }
    return FeatureMatrix(rows: classes.count, columns: columns, values: values)
  }
}
