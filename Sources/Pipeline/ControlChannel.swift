import Synchronization

/// The control topic: a log of one partition that every instance reads from its beginning and any may append to.
public protocol ControlChannel: AnyObject, Sendable {
  /// The offset behind the last record.
  func end() throws(BrokerError) -> Int64
  /// The records from `offset` on, in order, at most `limit`; waits at most `waitMilliseconds` for the first. Used by one
  /// thread at a time.
  func read(from offset: Int64, limit: Int, waitMilliseconds: Int) throws(BrokerError) -> [ControlEntry]
  /// Appends a record and waits until all replicas have it; returns its offset. Used by one thread at a time.
  func append(_ value: [UInt8]) throws(BrokerError) -> Int64
  func close()
}

/// A record of the control topic as it lies there.
public struct ControlEntry: Equatable, Sendable {
  public var offset: Int64
  public var value: [UInt8]

  public init(offset: Int64, value: [UInt8]) {
    self.offset = offset
    self.value = value
  }
}

/// A control topic that lives as long as the process: where there is no Kafka.
public final class ProcessControlChannel: ControlChannel {
  private let entries = Mutex<[ControlEntry]>([])

  public init() {}

  public func end() throws(BrokerError) -> Int64 { entries.withLock { Int64($0.count) } }

  public func read(from offset: Int64, limit: Int, waitMilliseconds: Int) throws(BrokerError) -> [ControlEntry] {
    entries.withLock { Array($0.dropFirst(Int(max(0, offset))).prefix(limit)) }
  }

  public func append(_ value: [UInt8]) throws(BrokerError) -> Int64 {
    entries.withLock { entries in
      entries.append(ControlEntry(offset: Int64(entries.count), value: value))
      return Int64(entries.count - 1)
    }
  }

  public func close() {}
}

extension Broker {
  /// Of the process alone, where a broker has none.
  public func makeControlChannel() throws(BrokerError) -> any ControlChannel { ProcessControlChannel() }
}
