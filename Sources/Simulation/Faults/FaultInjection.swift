import Pipeline

/// What was done to a run, for the report.
public enum Fault: String, CaseIterable, Sendable {
  case crash, pause, cleanStop, instanceAdded, instanceReplaced
  case requestLost, answerLost, recordRefused, offsetsRefused, fenced, transactionTimedOut, unstablePosition, busy
}

/// Decides, from the seed, what goes wrong when. Each run has its own mixture, so that some see much of one kind.
final class FaultInjection {
  /// Chances in ten thousand of each call.
  struct Chances {
    var crash = 0
    var pause = 0
    var lost = 0
    var refused = 0
    var busy = 0
  }

  private var random: RandomSource
  private(set) var counts: [Fault: Int] = [:]
  /// Off when the run is to come to its end.
  var isOn = true
  private let chances: Chances
  private let scheduler: Scheduler
  private let slowness: Int64
  let fetchMax: Int

  init(seed: UInt64, scheduler: Scheduler) {
    random = RandomSource(seed: RandomSource.mix(seed ^ 0xfa17))
    self.scheduler = scheduler
    var chances = Chances()
    if random.happens(0.7) { chances.crash = random.integer(1...40) }
    if random.happens(0.6) { chances.pause = random.integer(1...30) }
    if random.happens(0.5) { chances.lost = random.integer(50...1_000) }
    if random.happens(0.5) { chances.refused = random.integer(50...2_000) }
    if random.happens(0.4) { chances.busy = random.integer(50...2_000) }
    self.chances = chances
    slowness = Int64(random.integer(1...40))
    fetchMax = random.integer(1...60)
  }

  func count(_ fault: Fault) { counts[fault, default: 0] += 1 }

  private func happens(_ chance: Int) -> Bool { isOn && chance > 0 && random.integer(0...9_999) < chance }

  /// Before or behind a call: a kill or a pause.
  func disturb(_ process: SimulatedProcess) {
    guard !process.isDead else { return }
    if happens(chances.crash) {
      count(.crash)
      process.kill()
    } else if happens(chances.pause) {
      count(.pause)
      pause(process)
    }
  }

  /// Short ones, ones past the session's timeout, and ones past the transaction's as well.
  func pause(_ process: SimulatedProcess) {
    let seconds = [0.2, 1, 5, 7, 9, 12, 25][random.integer(0...6)] * random.uniform(0.8, 1.2)
    process.pausedUntil = scheduler.now + Int64(seconds * 1e9)
  }

  func isLost(_ fault: Fault) -> Bool {
    guard happens(chances.lost) else { return false }
    count(fault)
    return true
  }

  func isRefused(_ fault: Fault) -> Bool {
    guard happens(chances.refused) else { return false }
    count(fault)
    return true
  }

  func isBusy() -> Bool {
    guard happens(chances.busy) else { return false }
    count(.busy)
    return true
  }

  // MARK: Time

  /// Of a call, one way: mostly short, now and then a second or more.
  func delay() -> Int64 {
    let base = Int64(random.integer(20_000...200_000)) * slowness
    return random.happens(0.01) ? base * 200 : base
  }

  func markerDelay() -> Int64 { delay() * (random.happens(0.2) ? 50 : 1) }
  func assignmentDelay() -> Int64 { Int64(random.integer(0...400)) * 1_000_000 }
  /// A poll that waits ends when there is something, or a little later.
  func pollWait(milliseconds: Int) -> Int64 { Int64(milliseconds) * Int64(random.integer(1_000_000...4_000_000)) }
  func isNoticed() -> Bool { random.happens(0.3) }
  func compacts() -> Bool { random.happens(0.1) }
  func batchSize() -> Int { random.integer(1...40) }

  func shuffled<Element>(_ elements: [Element]) -> [Element] {
    var elements = elements
    for index in elements.indices.dropFirst().reversed() { elements.swapAt(index, random.integer(0...index)) }
    return elements
  }
}
