import Pipeline

/// The consumer group with cooperative rebalancing: membership by heartbeats, generations, partitions that move only when
/// they were given up.
final class SimulatedGroup {
  static let sessionTimeout: Int64 = 6_000_000_000
  static let rebalanceTimeout: Int64 = 30_000_000_000

  struct Member {
    let consumer: SimulatedConsumer
    var lastSeen: Int64
    var assigned: Set<Int32> = []
  }

  private enum Phase {
    case stable
    /// Members rejoin; the old generation may still commit.
    case preparing(since: Int64)
    /// All have joined, and the assignment is being made.
    case completing(until: Int64)
  }

  private let partitions: Int
  private let scheduler: Scheduler
  private let faults: FaultInjection
  private(set) var generation = 0
  private(set) var members: [Int: Member] = [:]
  private var nextMember = 1
  private var phase = Phase.stable
  /// Clients that are to become members, or to learn that they are none any more.
  private var consumers: [SimulatedConsumer] = []

  init(partitions: Int, scheduler: Scheduler, faults: FaultInjection) {
    self.partitions = partitions
    self.scheduler = scheduler
    self.faults = faults
  }

  func subscribe(_ consumer: SimulatedConsumer) { consumers.append(consumer) }

  func leave(_ consumer: SimulatedConsumer) {
    consumers.removeAll { $0 === consumer }
    if let id = consumer.memberID, members.removeValue(forKey: id) != nil { rebalance() }
  }

  func close() {
    consumers.removeAll()
    members.removeAll()
  }

  func released(_ partitions: [Int32], by consumer: SimulatedConsumer) {
    guard let id = consumer.memberID, members[id] != nil else { return }
    members[id]?.assigned.subtract(partitions)
    rebalance()
  }

  /// Whether offsets of this membership are taken.
  enum Verdict { case taken, rebalancing, unknownMember }

  func judge(member: Int, generation: Int) -> Verdict {
    guard members[member] != nil, generation == self.generation else { return .unknownMember }
    if case .completing = phase { return .rebalancing }
    return .taken
  }

  private func rebalance() {
    if case .stable = phase { phase = .preparing(since: scheduler.now) }
    if case .completing = phase { phase = .preparing(since: scheduler.now) }
  }

  // MARK: Time

  /// Heartbeats, sessions that end, and the next step of a rebalance.
  func advance() {
    let now = scheduler.now
    consumers.removeAll { $0.process.isDead }
    for (id, member) in members.sorted(by: { $0.key < $1.key }) {
      let process = member.consumer.process
      if !process.isDead, process.pausedUntil <= now { members[id]?.lastSeen = now }
      if now - (members[id]?.lastSeen ?? now) > Self.sessionTimeout {
        members[id] = nil
        rebalance()
      }
    }
    for consumer in consumers where consumer.process.pausedUntil <= now { attend(consumer) }
    switch phase {
    case .stable: break
    case .preparing(let since):
      let late = members.filter { $0.value.consumer.isAnswerAwaited }
      if late.isEmpty {
        phase = .completing(until: now + faults.assignmentDelay())
      } else if now - since > Self.rebalanceTimeout {
        for id in late.keys { members[id] = nil }
      }
    case .completing(let until): if now >= until { assign() }
    }
  }

  /// What a client's heartbeat tells it.
  private func attend(_ consumer: SimulatedConsumer) {
    if let id = consumer.memberID {
      guard members[id] == nil, faults.isNoticed() else { return }
      consumer.forgetMembership()
    }
    guard consumer.isReadyToJoin else { return }
    consumer.memberID = nextMember
    members[nextMember] = Member(consumer: consumer, lastSeen: scheduler.now)
    nextMember += 1
    rebalance()
  }

  // MARK: Assignment

  private func assign() {
    phase = .stable
    generation += 1
    let wanted = target()
    let taken = members.values.reduce(into: Set<Int32>()) { $0.formUnion($1.assigned) }
    for (id, member) in members.sorted(by: { $0.key < $1.key }) {
      let target = wanted[id] ?? []
      let revoked = member.assigned.subtracting(target).sorted()
      let added = target.subtracting(taken).sorted()
      members[id]?.assigned.formUnion(added)
      member.consumer.generationNumber = generation
      // What is revoked and not given up yet stays the member's: others get it in the next generation.
      if !revoked.isEmpty { member.consumer.receive(.revoked(revoked)) }
      if !added.isEmpty { member.consumer.receive(.assigned(added)) }
    }
  }

  /// Balanced, and as near as can be to what is.
  private func target() -> [Int: Set<Int32>] {
    let ids = members.keys.sorted()
    guard !ids.isEmpty else { return [:] }
    var kept: [Int: Set<Int32>] = [:]
    var free = Set((0..<Int32(partitions)).map { $0 })
    for (index, id) in ids.enumerated() {
      let quota = partitions / ids.count + (index < partitions % ids.count ? 1 : 0)
      kept[id] = Set((members[id]?.assigned ?? []).sorted().prefix(quota))
      free.subtract(kept[id] ?? [])
    }
    var left = free.sorted()
    for (index, id) in ids.enumerated() {
      let quota = partitions / ids.count + (index < partitions % ids.count ? 1 : 0)
      while (kept[id]?.count ?? 0) < quota, let partition = left.popLast() { kept[id]?.insert(partition) }
    }
    return kept
  }
}
