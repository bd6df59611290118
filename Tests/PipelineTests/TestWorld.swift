import Borrowers
import Features
import Foundation
import Models
import Scoring

@testable import Pipeline

/// Linear models of a few features, so that alerts and leads come and go.
enum TestModels {
  static let directory =
    NSTemporaryDirectory() + "lendpulse-pipeline-models-\(ProcessInfo.processInfo.processIdentifier)"

  static let first: ModelSet = {
    do {
      try write(.overdue, seed: 1)
      try write(.utilization, seed: 2)
      try writeRepayment()
      return try ModelSet.load(directory: directory)
    } catch { fatalError("\(error)") }
  }()

  /// Another overdue model becomes champion; the first stays in the folder.
  static let second: ModelSet = {
    _ = first
    do {
      try write(.overdue, seed: 3)
      return try ModelSet.load(directory: directory)
    } catch { fatalError("\(error)") }
  }()

  /// A baseline, so that the forecasts follow from the totals alone.
  private static func writeRepayment() throws {
    let description = RepaymentDescription(
      method: RepaymentBaseline.scheduledPaidShare.rawValue,
      intervals: [RepaymentDescription.Interval(daysMax: 92, lower: 0.8, upper: 1.25)])
    try ModelFolder.write(
      directory: directory,
      manifest: Manifest(
        kind: .repayment, created: "2026-01-01", horizonDays: 92, featureHash: RepaymentFeatures.hash, seed: 1,
        asOfDates: [], observedThrough: "2026-01-01",
        data: DataWindow(from: "2025-01-01", to: "2026-01-01", borrowers: 1, examples: 1), metrics: [:],
        trainingCard: "made for tests", architecture: .repayment(description, head: nil)),
      files: [:])
  }

  private static func write(_ kind: ModelKind, seed: UInt64) throws {
    var random = SplitMix(state: seed)
    let count = min(40, FeatureCatalogue.count)
    let head = EnsembleDescription(
      members: [.linear("linear", file: "linear.safetensors", inputs: FeatureInputs(features: Array(0..<count)))],
      link: kind == .overdue ? .logistic : .identity)
    let tensors = [
      Tensor(name: "coefficients", (0..<count).map { _ in Float.random(in: -0.6...0.6, using: &random) }),
      Tensor(name: "intercept", [kind == .overdue ? -0.5 : 0.6]),
      Tensor(name: "features.mean", [Float](repeating: 1, count: count)),
      Tensor(name: "features.scale", [Float](repeating: 2, count: count)),
    ]
    try ModelFolder.write(
      directory: directory,
      manifest: Manifest(
        kind: kind, created: "2026-01-01", target: kind == .utilization ? "cumulative" : nil, horizonDays: 30,
        featureHash: FeatureCatalogue.hash, seed: seed, asOfDates: [], observedThrough: "2026-01-01",
        data: DataWindow(from: "2025-01-01", to: "2026-01-01", borrowers: 1, examples: 1), metrics: [:],
        trainingCard: "made for tests",
        architecture: kind == .overdue ? .overdue(head) : .utilization(head)),
      files: ["linear.safetensors": SafeTensors.encode(tensors)])
  }
}

/// Events of a few borrowers that draw, owe, pay and are silent; some records cannot be read, some come twice.
struct TestEvents {
  var random: SplitMix
  var time: Int64 = 1_780_000_000_000
  var count = 0
  var last = ""

  init(seed: UInt64) { random = SplitMix(state: seed) }

  mutating func feed(_ broker: MemoryBroker, _ events: Int, borrowers: Int = 24) {
    for _ in 0..<events {
      time += [1_000, 60_000, 3_600_000, 40_000_000].randomElement(using: &random)!
      let number = Int.random(in: 0..<borrowers, using: &random)
      let borrower = "B\(number)"
      let partition = number % broker.partitions
      count += 1
      let head = #"{"event_id":"E\#(count)","borrower_id":"\#(borrower)","occurred_at":\#(occurredAt)"#
      let value: String
      switch Int.random(in: 0..<20, using: &random) {
      case 0: value = #"{"broken"#
      case 1 where !last.isEmpty && last.contains("\"\(borrower)\""): value = last
      case 2: value = head + #","type":"borrower_erased"}"#
      case 3, 4:
        value = head + #","type":"profile_updated","profile":{"marketing_consent":true,"birth_year":1980}}"#
      case 5: value = head + #","type":"limit_changed","credit_limit":\#(amount * 20)}"#
      case 6, 7, 8:
        value = head + #","type":"installment_due","amount":\#(amount),"loan_id":"L1","due_at":\#(time + dueIn)}"#
      case 9, 10: value = head + #","type":"drawdown","amount":\#(amount),"loan_id":"L1"}"#
      case 11: value = head + #","type":"payment_missed","days_past_due":\#(Int(amount) % 90)}"#
      case 12, 13: value = head + #","type":"repayment","amount":\#(amount)}"#
      case 14: value = head + #","type":"statement_issued","balance":\#(amount)}"#
      default: value = head + #","type":"page_view","page":"home"}"#
      }
      last = value
      broker.feed(
        partition, key: borrower, value: value, timestamp: time,
        gap: Int64.random(in: 0..<8, using: &random) == 0 ? 1 : 0)
    }
  }

  private var amount: Double { mutating get { Double(Int.random(in: 1...2_000, using: &random)) } }
  /// Some have passed when they are announced.
  private var dueIn: Int64 { mutating get { Int64.random(in: -300_000_000...900_000_000, using: &random) } }
  /// Some come late.
  private var occurredAt: Int64 {
    mutating get { time - (Int.random(in: 0..<10, using: &random) == 0 ? 7_200_000 : 0) }
  }
}

/// One worker after the other over a broker in memory, turn by turn.
final class TestWorker {
  let broker: MemoryBroker
  let clock: TestClock
  var settings = PipelineSettings()
  var models = TestModels.first
  /// Nil: what the settings say.
  let control: ControlCenter?
  private(set) var worker: Worker

  init(
    _ broker: MemoryBroker, clock: TestClock, _ settings: PipelineSettings, models: ModelSet = TestModels.first,
    control: ControlCenter? = nil
  ) throws {
    self.broker = broker
    self.control = control
    self.clock = clock
    self.settings = settings
    self.models = models
    worker = try Self.make(broker, clock, settings, models, control)
  }

  private static func make(
    _ broker: MemoryBroker, _ clock: TestClock, _ settings: PipelineSettings, _ models: ModelSet,
    _ control: ControlCenter?
  ) throws -> Worker {
    var context = WorkerContext(
      settings: settings, broker: broker, models: models, log: SilentLog(), clock: clock,
      partitionCount: broker.partitions, control: control)
    context.makeLane = { ImmediateLane() }
    return try Worker(index: 0, context: context, board: StatusBoard())
  }

  /// As after `kill -9`: what was not committed is gone.
  func kill() throws { worker = try Self.make(broker, clock, settings, models, control) }

  func turn(_ times: Int = 1) {
    for _ in 0..<times {
      _ = worker.turn(isStopRequested: false)
      clock.advance(milliseconds: 11)
    }
  }

  /// Until all input is read and committed, and all forecasts of it are.
  func drain() {
    var quiet = 0
    for _ in 0..<10_000 {
      turn()
      let isDone = broker.state.withLock { state in
        (0..<broker.partitions).allSatisfy { partition in
          guard let last = state.logs[.input]![partition].last else { return true }
          return state.committed[Int32(partition)].map { $0.offset > last.offset } ?? false
        }
      }
      quiet = isDone && hasForecast && worker.underWay == nil && !worker.policy.hasWork ? quiet + 1 : 0
      if quiet == 3 { return }
    }
    fatalError("the input is not read to its end")
  }

  /// All that partitions added up is taken, where this worker forecasts.
  private var hasForecast: Bool {
    guard worker.state.phase(0) == .live else { return true }
    guard let forecaster = worker.forecasting?.forecaster else { return false }
    let last = broker.state.withLock { $0.logs[.platformDaily]![0].last?.offset ?? -1 }
    return forecaster.position.dailyOffset > last
  }

  func stop() { while worker.turn(isStopRequested: true) { clock.advance(milliseconds: 11) } }

  func stateHashes() -> [Int32: String] { worker.runners.mapValues { $0.engine.stateHash() } }
}
