import Borrowers
import CRdKafka
import Pipeline
import Synchronization

/// The worker's consumer. One thread uses it; `wake` is for all.
@safe final class KafkaConsumer: InputConsumer {
  private let client: OpaquePointer
  private let queue: OpaquePointer
  private let context: ConsumerContext
  private let topic: String
  private var messages = unsafe [UnsafeMutablePointer<rd_kafka_message_t>?](repeating: nil, count: 512)
  private var held = 0
  private var isClosed = false
  /// The queue for `wake`, gone when the consumer is closed.
  private let waking: Mutex<UInt?>

  init(_ settings: KafkaSettings, _ pipeline: PipelineSettings, worker: Int, log: any EventLog) throws(BrokerError) {
    topic = pipeline.topics.borrowerEvents
    context = ConsumerContext(log: log)
    var configuration = try ClientConfiguration(
      settings, clientID: "\(pipeline.applicationID)-\(pipeline.instanceID)-\(worker)", context: context)
    try configuration.set("group.id", pipeline.applicationID)
    try configuration.set("enable.auto.commit", "false")
    try configuration.set("enable.auto.offset.store", "false")
    try configuration.set("isolation.level", "read_committed")
    try configuration.set("partition.assignment.strategy", "cooperative-sticky")
    try configuration.set("auto.offset.reset", "error")
    try configuration.set("allow.auto.create.topics", "false")
    try configuration.setDefault("session.timeout.ms", "6000", settings)
    try configuration.setDefault("heartbeat.interval.ms", "1500", settings)
    // Below this many queued records fetching would rest for a second; memory is bounded by the kilobytes.
    try configuration.setDefault("queued.min.messages", "1000000", settings)
    try configuration.setDefault("queued.max.messages.kbytes", "65536", settings)
    try configuration.setDefault("fetch.error.backoff.ms", "100", settings)
    // A partition that is begun waits for the answer that the broker holds back for the others.
    try configuration.setDefault("fetch.wait.max.ms", "100", settings)
    unsafe configuration.onRebalance(rebalanceCallback)
    unsafe client = try configuration.makeClient(RD_KAFKA_CONSUMER)
    unsafe rd_kafka_poll_set_consumer(client)
    unsafe queue = rd_kafka_queue_get_consumer(client)
    waking = Mutex(UInt(bitPattern: unsafe queue))
    let subscription = PartitionList(topic: topic, partitions: [-1])
    let failure = unsafe rd_kafka_subscribe(client, subscription.list)
    guard failure == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw KafkaFailure.make(failure, doing: "subscribe to \(topic)")
    }
  }

  deinit { close() }

  // MARK: Polling

  func poll(into records: inout [LogRecord], limit: Int, waitMilliseconds: Int) {
    records.removeAll(keepingCapacity: true)
    releaseMessages()
    let limit = unsafe min(limit, messages.count)
    unsafe messages.withUnsafeMutableBufferPointer { buffer in
      // It would wait for all of a batch: so it waits for one, and takes what else is there.
      if waitMilliseconds > 0 {
        held = max(0, unsafe rd_kafka_consume_batch_queue(queue, Int32(waitMilliseconds), buffer.baseAddress, 1))
        guard held > 0 else { return }
      }
      held += max(
        0, unsafe rd_kafka_consume_batch_queue(queue, 0, buffer.baseAddress! + held, limit - held))
    }
    for index in 0..<held {
      guard let message = unsafe messages[index] else { continue }
      if unsafe message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR {
        unsafe records.append(LogRecord(message))
      } else {
        unsafe note(message)
      }
    }
  }

  private func releaseMessages() {
    for index in 0..<held {
      if let message = unsafe messages[index] { unsafe rd_kafka_message_destroy(message) }
      unsafe messages[index] = nil
    }
    held = 0
  }

  private func note(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
    let code = unsafe message.pointee.err
    let partition = unsafe message.pointee.partition
    switch code {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
      context.notices.append(.outOfRange(partition))
    case RD_KAFKA_RESP_ERR__FATAL:
      context.notices.append(.failed(KafkaFailure.make(code, doing: "consume \(topic)")))
    case _ where KafkaFailure.isRefusal(code):
      context.notices.append(.failed(KafkaFailure.make(code, doing: "consume \(topic)")))
    default:
      // It recovers by itself: a leader that moves, a broker that is away, a poll that came late.
      let text = unsafe rd_kafka_message_errstr(message).map { unsafe String(cString: $0) } ?? ""
      context.report(level: 4, facility: "consumer", message: text)
    }
  }

  func takeNotices() -> [ConsumerNotice] {
    guard !context.notices.isEmpty else { return [] }
    defer { context.notices.removeAll() }
    return context.notices
  }

  // MARK: Partitions

  func accept(_ partitions: [Int32]) throws(BrokerError) {
    // From the end, as a number. Not as the logical offset: a seek while that is being looked up is undone when the
    // answer comes (the library then looks it up again). Nor paused: to pause and resume loses start offsets in some
    // versions. What comes before `begin` is dropped by the loop.
    let list = PartitionList(topic: topic, partitions: partitions)
    for (index, partition) in partitions.enumerated() {
      let bounds = unsafe try LogBounds.query(
        client, topic, partition, milliseconds: 2_000, doing: "find the end of \(topic)[\(partition)]")
      unsafe list.list.pointee.elems[index].offset = bounds.upperBound
    }
    if let error = unsafe KafkaFailure.take(rd_kafka_incremental_assign(client, list.list), doing: "assign") {
      throw error
    }
  }

  func release(_ partitions: [Int32]) throws(BrokerError) {
    let list = PartitionList(topic: topic, partitions: partitions)
    if let error = unsafe KafkaFailure.take(rd_kafka_incremental_unassign(client, list.list), doing: "unassign") {
      throw error
    }
  }

  func begin(_ partition: Int32, at offset: Int64) throws(BrokerError) {
    let list = PartitionList(topic: topic, partitions: [partition], offset: offset)
    if let error = unsafe KafkaFailure.take(rd_kafka_seek_partitions(client, list.list, 1_000), doing: "seek") {
      throw error
    }
    let failure = unsafe list.list.pointee.elems[0].err
    guard failure == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaFailure.make(failure, doing: "seek") }
  }

  func knownEnd(_ partition: Int32) -> Int64? {
    var (low, high): (Int64, Int64) = (-1, -1)
    guard unsafe rd_kafka_get_watermark_offsets(client, topic, partition, &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR,
      high >= 0
    else { return nil }
    return high
  }

  func generation() -> (any GroupGeneration)? {
    guard let metadata = unsafe rd_kafka_consumer_group_metadata(client) else { return nil }
    let generation = unsafe KafkaGeneration(metadata)
    return generation.isMember ? generation : nil
  }

  func wake() {
    waking.withLock { queue in
      if let queue { unsafe rd_kafka_queue_yield(OpaquePointer(bitPattern: queue)) }
    }
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    waking.withLock { $0 = nil }
    releaseMessages()
    context.isClosing = true
    unsafe rd_kafka_queue_destroy(queue)
    unsafe rd_kafka_consumer_close(client)
    unsafe rd_kafka_destroy(client)
  }
}

/// Callbacks of the consumer run within `poll` and `close`, on the loop's thread.
private final class ConsumerContext: ClientContext, @unchecked Sendable {
  // Touched by the loop's thread alone.
  var notices: [ConsumerNotice] = []
  var isClosing = false
}

/// Only notes what happened: the loop answers before it polls again, and librdkafka waits for that.
private func rebalanceCallback(
  _ client: OpaquePointer?, _ code: rd_kafka_resp_err_t,
  _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?, _ opaque: UnsafeMutableRawPointer?
) {
  guard let client = unsafe client, let opaque = unsafe opaque else { return }
  let context = unsafe Unmanaged<ConsumerContext>.fromOpaque(opaque).takeUnretainedValue()
  let partitions = unsafe list.map { unsafe PartitionList.partitions(of: $0) } ?? []
  switch code {
  case _ where context.isClosing:
    unsafe rd_kafka_assign(client, nil)
  case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS:
    context.notices.append(.assigned(partitions))
  case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS:
    context.notices.append(unsafe rd_kafka_assignment_lost(client) != 0 ? .lost(partitions) : .revoked(partitions))
  default:
    unsafe rd_kafka_assign(client, nil)
  }
}

extension LogRecord {
  /// Borrows from the message.
  init(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
    var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
    let timestamp = unsafe rd_kafka_message_timestamp(message, &kind)
    unsafe self.init(
      partition: message.pointee.partition, offset: message.pointee.offset,
      timestamp: EventTime(milliseconds: max(0, timestamp)),
      key: Self.bytes(message.pointee.key, message.pointee.key_len),
      value: Self.bytes(message.pointee.payload, message.pointee.len))
    var headers: OpaquePointer?
    guard unsafe rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR else { return }
    unsafe contentType = Self.header(headers, "content-type")
    unsafe traceparent = Self.header(headers, "traceparent")
  }

  private static func bytes(_ start: UnsafeMutableRawPointer?, _ count: Int) -> UnsafeBufferPointer<UInt8>? {
    guard let start = unsafe start else { return nil }
    return unsafe UnsafeBufferPointer(start: UnsafePointer(start.assumingMemoryBound(to: UInt8.self)), count: count)
  }

  private static func header(_ headers: OpaquePointer?, _ name: StaticString) -> UnsafeBufferPointer<UInt8>? {
    var value: UnsafeRawPointer?
    var count = 0
    guard
      unsafe rd_kafka_header_get_last(headers, name.cString, &value, &count) == RD_KAFKA_RESP_ERR_NO_ERROR,
      let start = unsafe value
    else { return nil }
    return unsafe UnsafeBufferPointer(start: start.assumingMemoryBound(to: UInt8.self), count: count)
  }
}

extension StaticString {
  /// Literals end in a zero.
  var cString: UnsafePointer<CChar> { unsafe UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self) }
}

/// The membership that a transaction's offsets are committed under.
@safe final class KafkaGeneration: GroupGeneration, @unchecked Sendable {
  // Immutable after init; destroyed with the last reference.
  let metadata: OpaquePointer

  init(_ metadata: OpaquePointer) { unsafe self.metadata = metadata }

  deinit { unsafe rd_kafka_consumer_group_metadata_destroy(metadata) }

  /// Whether it names a member and a generation. Without them the broker takes offsets unchecked, a dead worker's too;
  /// so a transaction is not handed over. The library shows them only in its serialised form: `CGMDv2:`, the generation,
  /// the group and a zero, the member.
  var isMember: Bool {
    var bytes: UnsafeMutableRawPointer?
    var count = 0
    if let error = unsafe rd_kafka_consumer_group_metadata_write(metadata, &bytes, &count) {
      unsafe rd_kafka_error_destroy(error)
      return false
    }
    guard let start = unsafe bytes else { return false }
    defer { unsafe rd_kafka_mem_free(nil, start) }
    let written = unsafe UnsafeRawBufferPointer(start: start, count: count)
    let magic = Array("CGMDv2:".utf8)
    guard count > magic.count + 4, unsafe written.prefix(magic.count).elementsEqual(magic) else { return false }
    let generation = unsafe written.loadUnaligned(fromByteOffset: magic.count, as: Int32.self)
    let names = unsafe written[(magic.count + 4)...]
    guard generation >= 0, let groupEnd = unsafe names.firstIndex(of: 0), groupEnd + 1 < count else { return false }
    return unsafe written[groupEnd + 1] != 0
  }
}
