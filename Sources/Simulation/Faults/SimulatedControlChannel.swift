import Pipeline

/// A process's way to the control topic.
final class SimulatedControlChannel: ControlChannel, @unchecked Sendable {
  // Touched by the thread whose turn it is.
  private let broker: SimulatedBroker
  private var cluster: SimulatedCluster { broker.cluster }

  init(_ broker: SimulatedBroker) { self.broker = broker }

  func end() throws(BrokerError) -> Int64 {
    try broker.travel()
    return cluster.control.end
  }

  func read(from offset: Int64, limit: Int, waitMilliseconds: Int) throws(BrokerError) -> [ControlEntry] {
    try broker.travel()
    if cluster.faults.isBusy() { throw BrokerError(.retriable, "the leader moved") }
    if offset >= cluster.control.end {
      cluster.scheduler.rest(cluster.faults.pollWait(milliseconds: waitMilliseconds))
      try broker.travel()
    }
    let log = cluster.control
    return log.records[log.index(from: offset)...].prefix(min(limit, cluster.faults.batchSize())).compactMap { record in
      if broker.mutation == .skipControlRecords, record.offset % 4 == 3, record.offset + 1 < log.end { return nil }
      return ControlEntry(offset: record.offset, value: record.value ?? [])
    }
  }

  func append(_ value: [UInt8]) throws(BrokerError) -> Int64 {
    try broker.travel()
    let offset = cluster.control.append(SimulatedLog.Record(offset: 0, key: nil, value: value))
    try broker.travel()
    return offset
  }

  func close() {}
}
