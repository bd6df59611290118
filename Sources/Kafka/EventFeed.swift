import Borrowers
import CRdKafka
import Pipeline

/// Writes records to one topic as the lender's systems would: for the demo, which brings its own events. One thread.
@safe public final class EventFeed {
  private let client: OpaquePointer
  private let context: ClientContext
  private let topic: String
  private let topicHandle: OpaquePointer

  public init(settings: KafkaSettings, topic: String, log: any EventLog) throws(BrokerError) {
    self.topic = topic
    context = ClientContext(log: log)
    var configuration = try ClientConfiguration(settings, clientID: "\(topic)-feed", context: context)
    // Repeats and changes of order would be those of the feed, and not of the daemon that is shown.
    try configuration.set("enable.idempotence", "true")
    try configuration.set("partitioner", "murmur2_random")
    try configuration.set("linger.ms", "5")
    configuration.onError()
    unsafe client = try configuration.makeClient(RD_KAFKA_PRODUCER)
    guard let handle = unsafe rd_kafka_topic_new(client, topic, nil) else {
      unsafe rd_kafka_destroy(client)
      throw KafkaFailure.make(rd_kafka_last_error(), doing: "topic \(topic)")
    }
    unsafe topicHandle = handle
  }

  deinit {
    unsafe rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING)
    unsafe rd_kafka_topic_destroy(topicHandle)
    unsafe rd_kafka_destroy(client)
  }

  /// Queues one record; the bytes are copied. Waits while the queue is full.
  public func send(
    key: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>, timestamp: EventTime
  ) throws(BrokerError) {
    var values = unsafe [rd_kafka_vu_t](repeating: rd_kafka_vu_t(), count: 5)
    unsafe values[0].vtype = RD_KAFKA_VTYPE_RKT
    unsafe values[0].u.rkt = topicHandle
    unsafe values[1].vtype = RD_KAFKA_VTYPE_MSGFLAGS
    unsafe values[1].u.i = Int32(RD_KAFKA_MSG_F_COPY)
    unsafe values[2].vtype = RD_KAFKA_VTYPE_KEY
    unsafe values[2].u.mem.ptr = UnsafeMutableRawPointer(mutating: key.baseAddress)
    unsafe values[2].u.mem.size = key.count
    unsafe values[3].vtype = RD_KAFKA_VTYPE_VALUE
    unsafe values[3].u.mem.ptr = UnsafeMutableRawPointer(mutating: value.baseAddress)
    unsafe values[3].u.mem.size = value.count
    unsafe values[4].vtype = RD_KAFKA_VTYPE_TIMESTAMP
    unsafe values[4].u.i64 = timestamp.milliseconds
    while let error = unsafe rd_kafka_produceva(client, values, values.count) {
      let isFull = unsafe rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL
      let failure = unsafe KafkaFailure.take(error, doing: "write to \(topic)")
      guard isFull else { throw failure ?? BrokerError(.fatal, "write to \(topic)") }
      unsafe rd_kafka_poll(client, 50)
    }
    unsafe rd_kafka_poll(client, 0)
  }

  /// Waits until what was queued is written; returns whether all is.
  public func flush(waitMilliseconds: Int) -> Bool {
    unsafe rd_kafka_flush(client, Int32(waitMilliseconds)) == RD_KAFKA_RESP_ERR_NO_ERROR
  }
}
