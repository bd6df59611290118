import Borrowers
import Features
import History
import Models

/// The repayment model. Baselines, a linear regression and a network forecast the same periods from the same origins,
/// which roll through the last part of the history; each learned model has seen only periods that ended before the block
/// of origins that it is measured on. What has the lowest WAPE serves.
///
/// WAPE: the sum of absolute errors over the sum of what was repaid. It is taken for each measured length and place of a
/// period on its own and averaged over them, so that long periods do not drown the short ones.
struct RepaymentTraining: Sendable {
  static let blocks = 4
  /// Of the history, for origins that are measured.
  static let testShare = 0.4
  /// Examples without which a network or a regression is not trained.
  static let learningMin = 200
  static let independentPeriodsMin = 24
  /// Origins without which the interval's coverage is not measurable.
  static let originsMin = 30
  static let networks = 3
  static let penalties = [1e-4, 1e-3, 1e-2, 1e-1, 1]
  static let layers: [LayerDescription] = [
    .dense("hidden1", outputs: 24), .dense("hidden2", outputs: 8),
    .dense("output", outputs: 1, activation: .identity),
  ]

  private let data: RepaymentExamples
  private let seed: UInt64
  private let hasIndustry: Bool

  /// One forecast of one method for an example.
  private struct Outcome: Sendable {
    var example: Int
    var block: Int
    var forecast: Double
  }

  private struct Learned: Sendable {
    var linear: TrainedLinear
    var networks: [TrainedNetwork]
  }

  init(_ data: RepaymentExamples, seed: UInt64, hasIndustry: Bool) throws(TrainingError) {
    guard data.platforms > 0, data.days.count >= RepaymentExamples.knownMin else {
      throw TrainingError(
        .failed,
        "repayment: the history holds \(data.days.count) whole days with loans; \(RepaymentExamples.knownMin) are the least "
          + "to forecast from, so a longer history is needed")
    }
    guard data.examples.isEmpty || data.examples.contains(where: { $0.actual > 0 }) else {
      throw TrainingError(.failed, "repayment: nothing was ever repaid in the history, so there is nothing to learn")
    }
    self.data = data
    self.seed = seed
    self.hasIndustry = hasIndustry
  }

  func run(_ progress: @escaping @Sendable (Double) -> Void) throws(TrainingError) -> TrainedModel {
    var outcomes = baselineOutcomes()
    let canLearn = data.independentPeriods >= Self.independentPeriodsMin
    if let learned = try learnedOutcomes(progress) {
      outcomes[RepaymentDescription.linear] = learned.linear
      if canLearn { outcomes[RepaymentDescription.network] = learned.network }
      // All are measured on the same examples.
      let shared = Set(learned.linear.map(\.example))
      for name in outcomes.keys { outcomes[name]?.removeAll { !shared.contains($0.example) } }
    }
    let figures = outcomes.mapValues(measure)
    let method = choose(figures)
    let chosen = outcomes[method] ?? []
    let description = RepaymentDescription(method: method, intervals: intervals(chosen))
    var metrics = figures[method] ?? [:]
    metrics["origins"] = Double(origins(chosen))
    metrics["independent_periods"] = Double(data.independentPeriods)
    metrics["coverage_80"] = coverage(chosen)
    var files: [String: [UInt8]] = [:]
    var head: EnsembleDescription?
    if method == RepaymentDescription.network || method == RepaymentDescription.linear {
      let all = Array(data.examples.indices).filter { data.examples[$0].reference > 0 }
      (head, files) = try serve(
        method, try learn(all, stream: 99, needsNetworks: method == RepaymentDescription.network))
    }
    progress(1)
    let order =
      RepaymentBaseline.allCases.map(\.rawValue) + [RepaymentDescription.linear, RepaymentDescription.network]
    return TrainedModel(
      kind: .repayment, files: files, architecture: .repayment(description, head: head), metrics: metrics,
      candidates: order.compactMap { name in
        figures[name].map { Candidate(name: name, metrics: $0, chosen: name == method) }
      },
      rows: [],
      counts: [
        "examples": data.examples.count, "platforms": data.platforms, "independent_periods": data.independentPeriods,
        "days": data.days.count,
      ],
      card: card(method, metrics, canLearn: canLearn), evidence: evidence(chosen, description))
  }

  /// What was forecast at the rolling origins, beside what came true.
  private func evidence(_ outcomes: [Outcome], _ description: RepaymentDescription) -> TrainingEvidence {
    var evidence = TrainingEvidence()
    let ordered = outcomes.sorted { $0.example < $1.example }
    let predictions = ordered.map {
      description.prediction(expected: $0.forecast, days: data.examples[$0.example].days)
    }
    evidence.rows = Array(ordered.indices)
    evidence.folds = ordered.map(\.block)
    evidence.forecasts = predictions.map(\.expected)
    evidence.actual = ordered.map { data.examples[$0.example].actual }
    guard !description.intervals.isEmpty else { return evidence }
    evidence.lower = predictions.map(\.lower)
    evidence.upper = predictions.map(\.upper)
    return evidence
  }

  // MARK: Rolling origins

  private var testStart: Int {
    data.days.upperBound - Int((Double(data.days.count) * Self.testShare).rounded(.up))
  }

  /// The block of an origin; nil before the test part.
  private func block(_ asOf: Int) -> Int? {
    let length = max(1, data.days.upperBound - testStart)
    guard asOf >= testStart else { return nil }
    return min((asOf - testStart) * Self.blocks / length, Self.blocks - 1)
  }

  private func blockStart(_ block: Int) -> Int {
    let length = max(1, data.days.upperBound - testStart)
    return testStart + (block * length + Self.blocks - 1) / Self.blocks
  }

  private func baselineOutcomes() -> [String: [Outcome]] {
    var outcomes: [String: [Outcome]] = [:]
    for (place, baseline) in RepaymentBaseline.allCases.enumerated() {
      outcomes[baseline.rawValue] = data.examples.indices.compactMap { index in
        let example = data.examples[index]
        guard example.isMeasured, let block = block(example.asOf) else { return nil }
        return Outcome(example: index, block: block, forecast: example.baselines[place])
      }
    }
    return outcomes
  }

  /// Nil where no block leaves enough to learn from.
  private func learnedOutcomes(
    _ progress: @escaping @Sendable (Double) -> Void
  ) throws(TrainingError) -> (linear: [Outcome], network: [Outcome])? {
    let done = Counter()
    let parts = try parallelMap(Self.blocks) { block throws(TrainingError) -> (linear: [Outcome], network: [Outcome]) in
      defer { progress(0.8 * Double(done.increment()) / Double(Self.blocks)) }
      let start = blockStart(block)
      let training = data.examples.indices.filter { data.examples[$0].end <= start && data.examples[$0].reference > 0 }
      let test = data.examples.indices.filter {
        data.examples[$0].isMeasured && self.block(data.examples[$0].asOf) == block
      }
      guard training.count >= Self.learningMin, !test.isEmpty else { return ([], []) }
      let learned = try learn(training, stream: UInt64(block), needsNetworks: true)
      let (matrix, _) = data.learning(test)
      let linear = try learned.linear.margins(matrix)
      let network = try Self.mean(learned.networks, matrix)
      func outcomes(_ ratios: [Double]) -> [Outcome] {
        zip(test, ratios).map { index, ratio in
          let held = min(max(ratio, 0), RepaymentModel.ratioMax)
          return Outcome(example: index, block: block, forecast: data.examples[index].reference * held)
        }
      }
      return (outcomes(linear), outcomes(network))
    }
    guard parts.contains(where: { !$0.linear.isEmpty }) else { return nil }
    return (parts.flatMap(\.linear), parts.flatMap(\.network))
  }

  private static func mean(_ networks: [TrainedNetwork], _ matrix: FeatureMatrix) throws(TrainingError) -> [Double] {
    var sums = [Double](repeating: 0, count: matrix.rows)
    for network in networks {
      let margins = network.margins(try NetworkSource(matrix, network.fitting))
      for row in sums.indices { sums[row] += margins[row] / Double(networks.count) }
    }
    return sums
  }

  /// Trains on examples; the later ones, whose origins lie behind the others' periods, stop the networks in time.
  private func learn(_ selected: [Int], stream: UInt64, needsNetworks: Bool) throws(TrainingError) -> Learned {
    let origins = selected.map { data.examples[$0].asOf }.sorted()
    let cut = origins[origins.count * 4 / 5]
    var earlier = selected.filter { data.examples[$0].end <= cut }
    var later = selected.filter { data.examples[$0].asOf >= cut }
    if earlier.count < Self.learningMin / 2 || later.count < Self.learningMin / 10 {
      // A short history: neighbours in time have to do.
      earlier = selected.filter { data.examples[$0].asOf % 5 != 0 }
      later = selected.filter { data.examples[$0].asOf % 5 == 0 }
      if earlier.isEmpty || later.isEmpty { (earlier, later) = (selected, selected) }
    }
    let (training, validation) = (data.learning(earlier), data.learning(later))
    let (linear, _) = try TrainedLinear.ridge(
      training.matrix, targets: training.targets, penalties: Self.penalties,
      validation: (validation.matrix, validation.targets))
    guard needsNetworks else { return Learned(linear: linear, networks: []) }
    let fitting = InputFitting(training.matrix)
    guard !fitting.inputs.features.isEmpty else {
      throw TrainingError(.failed, "repayment: every feature is constant; a richer history is needed")
    }
    let trainingSource = try NetworkSource(training.matrix, fitting)
    let validationSource = try NetworkSource(validation.matrix, fitting)
    var networks: [TrainedNetwork] = []
    for index in 0..<Self.networks {
      var settings = NetworkSettings()
      settings.batch = 128
      settings.epochs = 40
      settings.patience = 6
      settings.weightDecay = 1e-2
      settings.seed = seed &* 1_000 &+ stream &* 10 &+ UInt64(index)
      networks.append(
        NetworkTrainer.train(
          trainingSource, targets: training.targets.map(Float.init), validation: validationSource,
          validationTargets: validation.targets.map(Float.init), fitting: fitting, layers: Self.layers,
          hasPicture: false, loss: .squaredError, settings))
    }
    return Learned(linear: linear, networks: networks)
  }

  private func serve(
    _ method: String, _ learned: Learned
  ) throws(TrainingError) -> (EnsembleDescription, [String: [UInt8]]) {
    if method == RepaymentDescription.linear {
      let member = MemberDescription.linear(
        "linear", file: "linear.safetensors", inputs: learned.linear.fitting.inputs)
      return (EnsembleDescription(members: [member]), ["linear.safetensors": learned.linear.bytes])
    }
    var members: [MemberDescription] = []
    var files: [String: [UInt8]] = [:]
    for (index, network) in learned.networks.enumerated() {
      let file = "network\(index + 1).safetensors"
      members.append(
        .dense(
          "network\(index + 1)", file: file, weight: 1 / Double(learned.networks.count),
          inputs: network.fitting.inputs, layers: Self.layers))
      files[file] = network.bytes
    }
    return (EnsembleDescription(members: members), files)
  }

  // MARK: Measuring

  private func measure(_ outcomes: [Outcome]) -> [String: Double] {
    var figures: [String: Double] = [:]
    var sum = 0.0
    var count = 0
    for (offset, days) in RepaymentExamples.measured {
      let own = outcomes.filter { data.examples[$0.example].offset == offset && data.examples[$0.example].days == days }
      let actual = own.reduce(0) { $0 + data.examples[$1.example].actual }
      guard actual > 0 else { continue }
      let error = own.reduce(0) { $0 + abs($1.forecast - data.examples[$1.example].actual) }
      let name = RepaymentExamples.name(offset: offset, days: days)
      figures[name] = error / actual
      figures[name + "_bias"] = own.reduce(0) { $0 + $1.forecast } / actual - 1
      sum += error / actual
      count += 1
    }
    if count > 0 { figures["wape"] = sum / Double(count) }
    return figures
  }

  /// The baseline with the lowest WAPE, the first of equals; the network where it is lower still. Where nothing can be
  /// measured, what falls due.
  private func choose(_ figures: [String: [String: Double]]) -> String {
    let baselines = RepaymentBaseline.allCases.map(\.rawValue) + [RepaymentDescription.linear]
    var best: (name: String, wape: Double)?
    for name in baselines {
      guard let wape = figures[name]?["wape"] else { continue }
      if best == nil || wape < best!.wape { best = (name, wape) }
    }
    guard let best else { return RepaymentBaseline.scheduledPaidShare.rawValue }
    if let network = figures[RepaymentDescription.network]?["wape"], network < best.wape {
      return RepaymentDescription.network
    }
    return best.name
  }

  private func origins(_ outcomes: [Outcome]) -> Int {
    Set(outcomes.map { [data.examples[$0.example].platform, data.examples[$0.example].asOf] }).count
  }

  static let bounds = [3, 10, 21, 45, 92]

  /// Quantiles 0.1 and 0.9 of what was repaid over what was forecast, by length of the period. A length with fewer than
  /// ten measured forecasts shares those of all.
  private func intervals(_ outcomes: [Outcome]) -> [RepaymentDescription.Interval] {
    func ratios(_ selected: [Outcome]) -> [Double] {
      selected.filter { $0.forecast > 0 }.map { data.examples[$0.example].actual / $0.forecast }.sorted()
    }
    let all = ratios(outcomes)
    guard all.count >= 5 else { return [] }
    return Self.bounds.enumerated().map { index, bound in
      let least = index == 0 ? 1 : Self.bounds[index - 1] + 1
      let own = ratios(outcomes.filter { (least...bound).contains(data.examples[$0.example].days) })
      let used = own.count >= 10 ? own : all
      return RepaymentDescription.Interval(
        daysMax: bound, lower: Self.quantile(used, 0.1), upper: Self.quantile(used, 0.9))
    }
  }

  /// Of n values, that of rank (n + 1) q, so that what comes next lies within as often as is said.
  private static func quantile(_ sorted: [Double], _ share: Double) -> Double {
    let rank = min(max(share * Double(sorted.count + 1) - 1, 0), Double(sorted.count - 1))
    let low = Int(rank)
    let high = min(low + 1, sorted.count - 1)
    return sorted[low] + (rank - Double(low)) * (sorted[high] - sorted[low])
  }

  /// The share of what was repaid that lies within intervals made of earlier blocks; nil below 30 origins.
  private func coverage(_ outcomes: [Outcome]) -> Double? {
    var within = 0
    var measured: [Outcome] = []
    for block in 1..<Self.blocks {
      let earlier = RepaymentDescription(method: "", intervals: intervals(outcomes.filter { $0.block < block }))
      guard !earlier.intervals.isEmpty else { continue }
      for outcome in outcomes where outcome.block == block {
        let example = data.examples[outcome.example]
        let interval = earlier.prediction(expected: outcome.forecast, days: example.days)
        if example.actual >= interval.lower && example.actual <= interval.upper { within += 1 }
        measured.append(outcome)
      }
    }
    guard origins(measured) >= Self.originsMin else { return nil }
    return Double(within) / Double(measured.count)
  }

  private func card(_ method: String, _ metrics: [String: Double], canLearn: Bool) -> String {
    let coverage = metrics["coverage_80"].map { "\((($0 * 1_000).rounded()) / 10) %" } ?? "not measurable"
    let why =
      !canLearn
      ? " A network is not considered below \(Self.independentPeriodsMin) periods of 30 days that do not overlap; there "
        + "are \(data.independentPeriods)."
      : method == RepaymentDescription.network ? "" : " The network did not beat it."
    return """
      Served: \(method).\(why) \(data.examples.count) periods of \(data.platforms) platforms over \(data.days.count) days; \
      measured at rolling origins over the last \(Int(Self.testShare * 100)) % of the days, in \(Self.blocks) blocks, each \
      by models trained on periods that ended before it. Industry history: \(hasIndustry ? "yes" : "none"). Coverage of the \
      80 % interval, made of earlier blocks: \(coverage).
      """
  }
}
