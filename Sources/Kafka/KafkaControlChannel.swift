import Borrowers
import CRdKafka
import Pipeline
import Synchronization

/// The control topic: a consumer that belongs to no group, and an idempotent producer.
@safe final class KafkaControlChannel: ControlChannel, @unchecked Sendable {
  // `read`, `end` and `close` are the following thread's (before it starts, the starting one's); `append` is guarded by its
  // caller, and the producer's callbacks run within it.
  private let reading: OpaquePointer
  private let queue: OpaquePointer
  private let readingContext: ClientContext
  private let writing: OpaquePointer
  private let writingContext: DeliveryContext
  private let topic: String
  private var next: Int64 = -1
  private let isClosed = Mutex(false)

  private static let answerMilliseconds: Int32 = 10_000

  init(_ settings: KafkaSettings, _ pipeline: PipelineSettings, log: any EventLog) throws(BrokerError) {
    topic = pipeline.controlTopic
    readingContext = ClientContext(log: log)
    writingContext = DeliveryContext(log: log)
    let clientID = "\(pipeline.applicationID)-\(pipeline.instanceID)-control"
    var consumer = try ClientConfiguration(settings, clientID: clientID, context: readingContext)
    // It never subscribes, so it is no member.
    try consumer.set("group.id", pipeline.applicationID)
    try consumer.set("enable.auto.commit", "false")
    try consumer.set("enable.auto.offset.store", "false")
    try consumer.set("isolation.level", "read_committed")
    try consumer.set("auto.offset.reset", "error")
    try consumer.set("allow.auto.create.topics", "false")
    var producer = try ClientConfiguration(settings, clientID: clientID, context: writingContext)
    try producer.set("enable.idempotence", "true")
    try producer.set("allow.auto.create.topics", "false")
    try producer.set("message.timeout.ms", "10000")
    unsafe producer.onDelivery(controlDelivered)
    unsafe reading = try consumer.makeClient(RD_KAFKA_CONSUMER)
    unsafe rd_kafka_poll_set_consumer(reading)
    unsafe queue = rd_kafka_queue_get_consumer(reading)
    unsafe writing = try producer.makeClient(RD_KAFKA_PRODUCER)
  }

  deinit { close() }

  func close() {
    let wasClosed = isClosed.withLock { closed in
      defer { closed = true }
      return closed
    }
    guard !wasClosed else { return }
    unsafe rd_kafka_queue_destroy(queue)
    unsafe rd_kafka_consumer_close(reading)
    unsafe rd_kafka_destroy(reading)
    unsafe rd_kafka_destroy(writing)
  }

  func end() throws(BrokerError) -> Int64 {
    unsafe try LogBounds.query(reading, topic, 0, milliseconds: Self.answerMilliseconds, doing: "read \(topic)")
      .upperBound
  }

  func read(from offset: Int64, limit: Int, waitMilliseconds: Int) throws(BrokerError) -> [ControlEntry] {
    if next != offset {
      let list = PartitionList(topic: topic, partitions: [0], offset: offset)
      let failure = unsafe rd_kafka_assign(reading, list.list)
      guard failure == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaFailure.make(failure, doing: "read \(topic)") }
      next = offset
    }
    var entries: [ControlEntry] = []
    while entries.count < limit {
      let wait = entries.isEmpty ? Int32(waitMilliseconds) : 0
      guard let message = unsafe rd_kafka_consumer_poll(reading, wait) else { break }
      defer { unsafe rd_kafka_message_destroy(message) }
      switch unsafe message.pointee.err {
      case RD_KAFKA_RESP_ERR_NO_ERROR:
        guard unsafe message.pointee.offset >= next else { continue }
        let record = unsafe LogRecord(message)
        next = record.offset + 1
        entries.append(ControlEntry(offset: record.offset, value: unsafe record.value.map { unsafe Array($0) } ?? []))
      case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        next = -1
        throw BrokerError(
          .outOfRange, "\(topic): offset \(offset) is not in the topic any more; it is to be kept for ever")
      case let code where KafkaFailure.kind(of: code) != .retriable:
        next = -1
        throw KafkaFailure.make(code, doing: "read \(topic)")
      default: break  // It recovers by itself.
      }
    }
    return entries
  }

  func append(_ value: [UInt8]) throws(BrokerError) -> Int64 {
    guard !isClosed.withLock({ $0 }) else { throw BrokerError(.unreachable, "\(topic): the process is ending") }
    writingContext.delivered = nil
    try send(value)
    _ = unsafe rd_kafka_flush(writing, Self.answerMilliseconds + 2_000)
    guard let delivered = writingContext.delivered else {
      throw BrokerError(.unknownOutcome, "write \(topic): no answer came; it may have been written")
    }
    return try delivered.get()
  }

  private func send(_ value: [UInt8]) throws(BrokerError) {
    let error = unsafe value.withUnsafeBufferPointer { bytes in
      var values = unsafe [rd_kafka_vu_t](repeating: rd_kafka_vu_t(), count: 4)
      return unsafe topic.withCString { name in
        unsafe values[0].vtype = RD_KAFKA_VTYPE_TOPIC
        unsafe values[0].u.cstr = name
        unsafe values[1].vtype = RD_KAFKA_VTYPE_PARTITION
        unsafe values[1].u.i32 = 0
        unsafe values[2].vtype = RD_KAFKA_VTYPE_MSGFLAGS
        unsafe values[2].u.i = Int32(RD_KAFKA_MSG_F_COPY)
        unsafe values[3].vtype = RD_KAFKA_VTYPE_VALUE
        unsafe values[3].u.mem.ptr = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
        unsafe values[3].u.mem.size = bytes.count
        return unsafe rd_kafka_produceva(writing, values, values.count)
      }
    }
    if let failure = unsafe KafkaFailure.take(error, doing: "write \(topic)") { throw failure }
  }
}

/// Delivery reports come within `flush`, on the appending thread.
private final class DeliveryContext: ClientContext, @unchecked Sendable {
  // Touched by the appending thread alone.
  var delivered: Result<Int64, BrokerError>?
}

private func controlDelivered(
  _ client: OpaquePointer?, _ message: UnsafePointer<rd_kafka_message_t>?, _ opaque: UnsafeMutableRawPointer?
) {
  guard let message = unsafe message, let opaque = unsafe opaque else { return }
  let context = unsafe Unmanaged<DeliveryContext>.fromOpaque(opaque).takeUnretainedValue()
  let code = unsafe message.pointee.err
  context.delivered =
    code == RD_KAFKA_RESP_ERR_NO_ERROR
    ? unsafe .success(message.pointee.offset) : .failure(KafkaFailure.make(code, doing: "write the control topic"))
}
