import Foundation
import Models
import Simulation
import Synchronization
import TestSupport
import Testing

/// Whatever goes wrong, what is published is what the log says, once and in order.
@Suite(.serialized) struct FaultTests {
  static let environment = ProcessInfo.processInfo.environment
  static let directory = NSTemporaryDirectory() + "lendpulse-faults-\(ProcessInfo.processInfo.processIdentifier)"
  static let models = Result { try SimulatedModels.make(in: directory) }

  /// Runs seeds on all cores, each on threads of its own; nothing is printed unless one fails.
  static func run(
    _ seeds: Range<UInt64>, mutation: Mutation? = nil, isDisturbed: Bool = true, stopAtProblem: Bool = false
  ) async throws -> [FaultRun.Report] {
    let models = try models.get()
    let queue = SeedQueue(seeds)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<ProcessInfo.processInfo.activeProcessorCount {
        group.addTask {
          await onThread {
            while let seed = queue.take() {
              CrashedSeed.note(seed)
              let report = FaultRun(
                seed: seed, models: models, modelsDirectory: directory, mutation: mutation, isDisturbed: isDisturbed
              ).run()
              CrashedSeed.note(nil)
              queue.put(report)
              if stopAtProblem, !report.problems.isEmpty { queue.close() }
            }
          }
        }
      }
    }
    return queue.all
  }

  static func expectNoProblem(_ reports: [FaultRun.Report]) {
    for report in reports where !report.problems.isEmpty {
      Issue.record(
        "make simulate-faults SEED=\(report.seed) shows:\n\(report.problems.prefix(4).joined(separator: "\n"))")
    }
  }

  static func describe(_ reports: [FaultRun.Report]) -> String {
    var faults: [Fault: Int] = [:]
    for report in reports { faults.merge(report.faults, uniquingKeysWith: +) }
    func sum(_ of: (FaultRun.Report) -> Int) -> Int { reports.reduce(0) { $0 + of($1) } }
    let list = Fault.allCases.map { "\($0.rawValue) \(faults[$0] ?? 0)" }.joined(separator: ", ")
    return
      "\(reports.count) seeds, \(faults.values.reduce(0, +)) faults (\(list)), \(sum { $0.processes }) processes,"
      + " \(sum { $0.restores }) restores, \(sum { $0.rebalances }) generations, \(sum { $0.records }) records,"
      + " \(sum { $0.controlRecords }) control records, \(sum { $0.snapshotsWritten }) snapshots written and"
      + " \(sum { $0.snapshotsTaken }) taken, \(Int(reports.reduce(0) { $0 + $1.seconds })) simulated seconds, \(sum { $0.switches }) switches"
  }

  @Test func `no seed loses, repeats or takes back anything`() async throws {
    let first = UInt64(Self.environment["LENDPULSE_FAULT_SEED"] ?? "") ?? 1
    let count = UInt64(Self.environment["LENDPULSE_FAULT_SEEDS"] ?? "") ?? 1_000
    let reports = try await Self.run(first..<first + count)
    Self.expectNoProblem(reports)
    print("faults: \(Self.describe(reports))")
    guard count >= 500 else { return }
    for fault in Fault.allCases {
      #expect(reports.contains { ($0.faults[fault] ?? 0) > 0 }, "no seed has \(fault)")
    }
    #expect(reports.contains { $0.snapshotsTaken > 0 })
    #expect(reports.contains { $0.controlRecords > 10 })
  }

  @Test func `an undisturbed run publishes what the log says`() async throws {
    let reports = try await Self.run(1..<60, isDisturbed: false)
    Self.expectNoProblem(reports)
    #expect(reports.allSatisfy { $0.faults.isEmpty })
    #expect(reports.contains { $0.records > 100 })
  }

  @Test func `a seed gives the same run again`() async throws {
    for seed in [3, 17, 40] as [UInt64] {
      let first = try await Self.run(seed..<seed + 1)
      let second = try await Self.run(seed..<seed + 1)
      #expect(first.map(\.switches) == second.map(\.switches))
      #expect(first.map(\.seconds) == second.map(\.seconds))
      #expect(first.map(\.stateHashes) == second.map(\.stateHashes))
    }
  }

  @Test(arguments: Mutation.allCases)
  func `each mistake is found`(mutation: Mutation) async throws {
    let reports = try await Self.run(1..<2_000, mutation: mutation, stopAtProblem: true)
    let caught = reports.first { !$0.problems.isEmpty }
    #expect(caught != nil, "\(mutation) was not found in \(reports.count) seeds")
    if let caught { print("\(mutation): seed \(caught.seed) of \(reports.count): \(caught.problems[0].prefix(90))") }
  }

  /// `make simulate-faults SEED=n`: with a line for everything that happens.
  @Test(.enabled(if: environment["LENDPULSE_FAULT_TRACE"] != nil))
  func `one seed`() throws {
    let seed = UInt64(Self.environment["LENDPULSE_FAULT_SEED"] ?? "") ?? 1
    let report = FaultRun(
      seed: seed, models: try Self.models.get(), modelsDirectory: Self.directory, trace: { print($0) }
    ).run()
    Self.expectNoProblem([report])
    print(Self.describe([report]))
  }

  /// `make simulate-faults`: without end, until a seed fails.
  @Test(.enabled(if: environment["LENDPULSE_FAULTS_WITHOUT_END"] != nil))
  func `without end`() async throws {
    var seed = UInt64(Self.environment["LENDPULSE_FAULT_SEED"] ?? "") ?? UInt64.random(in: 1 << 32..<1 << 62)
    print("from seed \(seed)")
    while true {
      let reports = try await Self.run(seed..<seed + 1_000, stopAtProblem: true)
      Self.expectNoProblem(reports)
      print(Self.describe(reports))
      fflush(nil)
      if reports.contains(where: { !$0.problems.isEmpty }) { return }
      seed += 1_000
    }
  }
}

/// Seeds to run, and what came of them.
private final class SeedQueue: Sendable {
  private let next: Atomic<UInt64>
  private let end: UInt64
  private let reports = Mutex<[FaultRun.Report]>([])

  init(_ seeds: Range<UInt64>) {
    next = Atomic(seeds.lowerBound)
    end = seeds.upperBound
  }

  func take() -> UInt64? {
    let seed = next.wrappingAdd(1, ordering: .relaxed).oldValue
    return seed < end ? seed : nil
  }

  func put(_ report: FaultRun.Report) { reports.withLock { $0.append(report) } }
  func close() { next.store(end, ordering: .relaxed) }
  var all: [FaultRun.Report] { reports.withLock { $0.sorted { $0.seed < $1.seed } } }
}

/// A broken invariant stops the process: the seeds that were running are printed then.
enum CrashedSeed {
  private static let running = Mutex<[UInt: UInt64]>([:])
  private static let isWatched = Atomic(false)

  static func note(_ seed: UInt64?) {
    if !isWatched.exchange(true, ordering: .relaxed) { signal(SIGILL, printSeeds) }
    running.withLock { $0[UInt(pthread_self())] = seed }
  }

  static var text: String { running.withLock { "seeds running: \($0.values.sorted())\n" } }
}

/// Called by the thread that traps.
private func printSeeds(_ number: Int32) {
  let text = CrashedSeed.text
  unsafe text.withCString { _ = unsafe write(2, $0, strlen($0)) }
  signal(number, SIG_DFL)
  raise(number)
}
