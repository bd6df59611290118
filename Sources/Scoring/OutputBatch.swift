import Borrowers

/// Where an output record goes; the broker maps it to a topic's configured name.
public enum OutputTopic: UInt8, Sendable, CaseIterable {
  case scores, alerts, leads, repaymentForecasts, deadLetters, state, journal, platformDaily
}

/// The records of one transaction, in order, in one run of bytes: kept until its commit is known, so that a confirmed
/// abort publishes the same bytes again.
public struct OutputBatch: ~Copyable {
  /// One record. Ranges index `bytes`.
  public struct Entry: Sendable {
    public var topic: OutputTopic
    /// For `state` and `journal` the partition to write to; -1: by Kafka's default partitioner over the key.
    public var partition: Int32
    public var keyStart: Int32
    /// -1: no key.
    public var keyCount: Int32
    public var valueStart: Int32
    /// -1: a tombstone.
    public var valueCount: Int32
    /// Extra headers (traceparent; all of a dead letter's): repeated [u16 name length, name, u32 value length, value],
    /// little-endian.
    public var headersStart: Int32
    public var headersCount: Int32

    @inlinable public init(
      topic: OutputTopic, partition: Int32, keyStart: Int32, keyCount: Int32, valueStart: Int32, valueCount: Int32,
      headersStart: Int32, headersCount: Int32
    ) {
      self.topic = topic
      self.partition = partition
      self.keyStart = keyStart
      self.keyCount = keyCount
      self.valueStart = valueStart
      self.valueCount = valueCount
      self.headersStart = headersStart
      self.headersCount = headersCount
    }
  }

  public var entries: [Entry] = []
  public var bytes = ByteBuffer(capacity: 1 << 16)
  /// While the log is applied again up to the committed position, decisions are made and nothing is written.
  public var isMuted = false
  /// The alerts, leads and forecasts among the entries, decoded: for the live view. Few, beside the scores.
  public var alerts: [AlertRecord] = []
  public var leads: [LeadRecord] = []
  public var forecasts: [RepaymentForecastRecord] = []

  public init() {}

  public var isEmpty: Bool { entries.isEmpty }

  public mutating func removeAll() {
    entries.removeAll(keepingCapacity: true)
    bytes.removeAll()
    alerts.removeAll(keepingCapacity: true)
    leads.removeAll(keepingCapacity: true)
    forecasts.removeAll(keepingCapacity: true)
  }
}
