import Borrowers
import CRdKafka
import Pipeline

/// Reads logs by assignment, outside the group's membership: the restoring thread's alone.
@safe final class KafkaReader: LogReader {
  private let client: OpaquePointer
  private let queue: OpaquePointer
  /// Asks for offsets without regard to transactions: the read-committed client would be told the last stable offset,
  /// and miss what a transaction has committed whose marker is still on its way.
  private let offsets: OpaquePointer
  private let context: ClientContext
  let pipeline: PipelineSettings
  private var messages = unsafe [UnsafeMutablePointer<rd_kafka_message_t>?](repeating: nil, count: 1_024)
  private var isClosed = false

  static let answerMilliseconds: Int32 = 10_000

  init(_ settings: KafkaSettings, _ pipeline: PipelineSettings, worker: Int, log: any EventLog) throws(BrokerError) {
    self.pipeline = pipeline
    context = ClientContext(log: log)
    let clientID = "\(pipeline.applicationID)-\(pipeline.instanceID)-\(worker)-restore"
    var reading = try ClientConfiguration(settings, clientID: clientID, context: context)
    // For the group's committed offsets alone: it never subscribes, so it is no member.
    try reading.set("group.id", pipeline.applicationID)
    try reading.set("enable.auto.commit", "false")
    try reading.set("enable.auto.offset.store", "false")
    try reading.set("isolation.level", "read_committed")
    try reading.set("auto.offset.reset", "error")
    try reading.set("enable.partition.eof", "true")
    try reading.set("allow.auto.create.topics", "false")
    try reading.setDefault("queued.min.messages", "1000000", settings)
    // One log after the other is read: the next one is not asked for before the broker has answered for the last.
    try reading.setDefault("fetch.wait.max.ms", "10", settings)
    try reading.setDefault("fetch.message.max.bytes", "4194304", settings)
    unsafe client = try reading.makeClient(RD_KAFKA_CONSUMER)
    unsafe rd_kafka_poll_set_consumer(client)
    unsafe queue = rd_kafka_queue_get_consumer(client)
    var asking = try ClientConfiguration(settings, clientID: clientID, context: context)
    try asking.set("group.id", pipeline.applicationID)
    try asking.set("enable.auto.commit", "false")
    try asking.set("isolation.level", "read_uncommitted")
    try asking.set("allow.auto.create.topics", "false")
    unsafe offsets = try asking.makeClient(RD_KAFKA_CONSUMER)
  }

  deinit { close() }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    unsafe rd_kafka_queue_destroy(queue)
    unsafe rd_kafka_consumer_close(client)
    unsafe rd_kafka_destroy(client)
    unsafe rd_kafka_destroy(offsets)
  }

  func committed(_ partition: Int32) throws(BrokerError) -> CommittedOffset? {
    let list = PartitionList(topic: pipeline.topics.borrowerEvents, partitions: [partition])
    let doing = "read the committed position of partition \(partition)"
    // A read-committed client asks for stable offsets, and is told of a transaction over them by an error.
    let failure = unsafe rd_kafka_committed(client, list.list, Self.answerMilliseconds)
    guard failure == RD_KAFKA_RESP_ERR_NO_ERROR else { throw KafkaFailure.make(failure, doing: doing) }
    let element = unsafe list.list.pointee.elems[0]
    guard unsafe element.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw unsafe KafkaFailure.make(element.err, doing: doing)
    }
    guard unsafe element.offset >= 0 else { return nil }
    let metadata = unsafe element.metadata.map {
      unsafe String(decoding: UnsafeRawBufferPointer(start: $0, count: element.metadata_size), as: UTF8.self)
    }
    return unsafe CommittedOffset(offset: element.offset, metadata: metadata ?? "")
  }

  /// Nil where the topic is not there.
  func partitionCount(of topic: String) throws(BrokerError) -> Int? {
    guard let handle = unsafe rd_kafka_topic_new(offsets, topic, nil) else {
      throw KafkaFailure.make(rd_kafka_last_error(), doing: "topic \(topic)")
    }
    defer { unsafe rd_kafka_topic_destroy(handle) }
    var answer: UnsafePointer<rd_kafka_metadata>?
    let failure = unsafe rd_kafka_metadata(offsets, 0, handle, &answer, Self.answerMilliseconds)
    guard failure == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata = unsafe answer else {
      throw KafkaFailure.make(failure, doing: "read the partitions of \(topic)")
    }
    defer { unsafe rd_kafka_metadata_destroy(metadata) }
    guard unsafe metadata.pointee.topic_cnt == 1, unsafe metadata.pointee.topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR
    else { return nil }
    return unsafe Int(metadata.pointee.topics[0].partition_cnt)
  }

  func bounds(_ log: SourceLog, _ partition: Int32) throws(BrokerError) -> Range<Int64> {
    try bounds(ofTopic: pipeline.name(of: log), partition)
  }

  func bounds(ofTopic topic: String, _ partition: Int32) throws(BrokerError) -> Range<Int64> {
    unsafe try LogBounds.query(
      offsets, topic, partition, milliseconds: Self.answerMilliseconds,
      doing: "read the bounds of \(topic)[\(partition)]")
  }

  func partitions(of log: SourceLog) throws(BrokerError) -> Int {
    let name = pipeline.name(of: log)
    guard let topic = unsafe rd_kafka_topic_new(offsets, name, nil) else {
      throw KafkaFailure.make(rd_kafka_last_error(), doing: "topic \(name)")
    }
    defer { unsafe rd_kafka_topic_destroy(topic) }
    var metadata: UnsafePointer<rd_kafka_metadata>?
    let failure = unsafe rd_kafka_metadata(offsets, 0, topic, &metadata, Self.answerMilliseconds)
    guard failure == RD_KAFKA_RESP_ERR_NO_ERROR, let metadata = unsafe metadata else {
      throw KafkaFailure.make(failure, doing: "read the partitions of \(name)")
    }
    defer { unsafe rd_kafka_metadata_destroy(metadata) }
    guard unsafe metadata.pointee.topic_cnt == 1 else { return 0 }
    let one = unsafe metadata.pointee.topics[0]
    return unsafe one.err == RD_KAFKA_RESP_ERR_NO_ERROR ? Int(one.partition_cnt) : 0
  }

  func read(
    _ log: SourceLog, _ partition: Int32, _ range: Range<Int64>, while isWanted: () -> Bool,
    _ body: (LogRecord) throws -> Void
  ) throws {
    try unsafe readMessages(pipeline.name(of: log), partition, range, while: isWanted) { message in
      try unsafe body(LogRecord(message))
    }
  }

  func readMessages(
    _ topic: String, _ partition: Int32, _ range: Range<Int64>, while isWanted: () -> Bool,
    _ body: (UnsafeMutablePointer<rd_kafka_message_t>) throws -> Void
  ) throws {
    guard !range.isEmpty else { return }
    let list = PartitionList(topic: topic, partitions: [partition], offset: range.lowerBound)
    let failure = unsafe rd_kafka_assign(client, list.list)
    guard failure == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw KafkaFailure.make(failure, doing: "read \(topic)[\(partition)]")
    }
    defer { unsafe rd_kafka_assign(client, nil) }
    var next = range.lowerBound
    while next < range.upperBound, isWanted() {
      let held = fetch(waitMilliseconds: 100)
      defer { release(held) }
      for index in 0..<held {
        guard next < range.upperBound, let message = unsafe messages[index] else { break }
        switch unsafe message.pointee.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
          // A record at or past the end: everything before it was seen, gaps included.
          next = unsafe message.pointee.offset + 1
          if unsafe message.pointee.offset < range.upperBound { try unsafe body(message) }
        case RD_KAFKA_RESP_ERR__PARTITION_EOF:
          // Where the next fetch begins: behind the markers and aborted records, which are not shown. Before the end,
          // an open transaction is waited for.
          next = unsafe max(next, message.pointee.offset)
        case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
          throw BrokerError(
            .outOfRange,
            "\(topic)[\(partition)]: offset \(next) is not in the topic any more; its retention is too short")
        case let code where KafkaFailure.kind(of: code) != .retriable && KafkaFailure.kind(of: code) != .fatal:
          throw KafkaFailure.make(code, doing: "read \(topic)[\(partition)]")
        default:
          break  // It recovers by itself.
        }
      }
    }
  }

  private func fetch(waitMilliseconds: Int32) -> Int {
    unsafe messages.withUnsafeMutableBufferPointer { buffer in
      let first = max(0, unsafe rd_kafka_consume_batch_queue(queue, waitMilliseconds, buffer.baseAddress, 1))
      guard first > 0 else { return 0 }
      return first
        + max(0, unsafe rd_kafka_consume_batch_queue(queue, 0, buffer.baseAddress! + first, buffer.count - first))
    }
  }

  private func release(_ held: Int) {
    for index in 0..<held {
      if let message = unsafe messages[index] { unsafe rd_kafka_message_destroy(message) }
      unsafe messages[index] = nil
    }
  }
}
