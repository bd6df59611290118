import CRdKafka
import Foundation

/// One record to write: as a lender's system would.
public struct FeedRecord: Sendable {
  public var key: [UInt8]?
  /// nil: a tombstone.
  public var value: [UInt8]?
  /// Milliseconds since 1970; the record's Kafka timestamp.
  public var timestamp: Int64
  /// -1: where Kafka's default partitioner puts the key.
  public var partition: Int32
  public var headers: [(name: String, value: [UInt8])]

  public init(
    key: [UInt8]?, value: [UInt8]?, timestamp: Int64, partition: Int32 = -1,
    headers: [(name: String, value: [UInt8])] = []
  ) {
    self.headers = headers
    self.key = key
    self.value = value
    self.timestamp = timestamp
    self.partition = partition
  }
}

/// Writes records in order by an idempotent producer, with timestamps of their own.
@safe public final class Feeder {
  public struct Failed: Error, CustomStringConvertible { public var description: String }

  /// The first record that the broker refused. Written by callbacks, which run inside `rd_kafka_poll` and `rd_kafka_flush` on
  /// the caller's own thread; it lives as long as the handle.
  private final class Failure { var text: String? }

  private let handle: OpaquePointer
  private let failure = Failure()

  /// `requestsInFlightMax` 1 for brokers that are killed: where a leader dies with several requests under way, librdkafka
  /// 2.0 may find its own sequence numbers rewound, and ends the producer.
  public init(brokers: String, requestsInFlightMax: Int = 5) throws {
    let configuration = unsafe rd_kafka_conf_new()
    let properties = [
      "bootstrap.servers": brokers, "enable.idempotence": "true", "partitioner": "murmur2", "linger.ms": "2",
      "message.max.bytes": "4000000", "queue.buffering.max.messages": "1000000",
      "max.in.flight": "\(requestsInFlightMax)",
    ]
    var reason = [CChar](repeating: 0, count: 512)
    unsafe rd_kafka_conf_set_dr_msg_cb(configuration, Self.delivered)
    unsafe rd_kafka_conf_set_opaque(configuration, Unmanaged.passUnretained(failure).toOpaque())
    for (name, value) in properties {
      guard unsafe rd_kafka_conf_set(configuration, name, value, &reason, reason.count) == RD_KAFKA_CONF_OK else {
        throw Failed(description: "\(name): \(Self.text(reason))")
      }
    }
    guard let handle = unsafe rd_kafka_new(RD_KAFKA_PRODUCER, configuration, &reason, reason.count) else {
      throw Failed(description: Self.text(reason))
    }
    unsafe self.handle = handle
  }

  deinit { unsafe rd_kafka_destroy(handle) }

  private static func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  /// Returns when the broker has them all.
  public func write(_ records: [FeedRecord], to topic: String) throws {
    try enqueue(records, to: topic)
    guard unsafe rd_kafka_flush(handle, 60_000) == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw Failed(description: "\(unsafe rd_kafka_outq_len(handle)) records were not written within 60 s")
    }
    if let text = failure.text { throw Failed(description: "\(topic): \(text)") }
  }

  private static let delivered:
    @convention(c) (OpaquePointer?, UnsafePointer<rd_kafka_message_t>?, UnsafeMutableRawPointer?) -> Void = {
      _, message, context in
      guard let message = unsafe message, let context = unsafe context else { return }
      let code = unsafe message.pointee.err
      guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
      unsafe Unmanaged<Failure>.fromOpaque(context).takeUnretainedValue().text = String(cString: rd_kafka_err2str(code))
    }

  /// Makes a topic with settings of its own, one replica.
  public func makeTopic(_ name: String, partitions: Int, settings: [String: String]) throws {
    var reason = [CChar](repeating: 0, count: 512)
    var topic = unsafe rd_kafka_NewTopic_new(name, Int32(partitions), 1, &reason, reason.count)
    guard unsafe topic != nil else { throw Failed(description: "\(name): \(Self.text(reason))") }
    defer { unsafe rd_kafka_NewTopic_destroy(topic) }
    for (name, value) in settings { unsafe rd_kafka_NewTopic_set_config(topic, name, value) }
    let queue = unsafe rd_kafka_queue_new(handle)
    defer { unsafe rd_kafka_queue_destroy(queue) }
    unsafe rd_kafka_CreateTopics(handle, &topic, 1, nil, queue)
    guard let event = unsafe rd_kafka_queue_poll(queue, 30_000) else {
      throw Failed(description: "\(name): the broker does not answer")
    }
    defer { unsafe rd_kafka_event_destroy(event) }
    var count = 0
    let results = unsafe rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
    for index in 0..<count {
      let result = unsafe results?[index]
      guard unsafe rd_kafka_topic_result_error(result) != RD_KAFKA_RESP_ERR_NO_ERROR else { continue }
      throw Failed(
        description: "\(name): "
          + (unsafe rd_kafka_topic_result_error_string(result).map { unsafe String(cString: $0) } ?? ""))
    }
  }

  /// Hands the records over; they are on their way when it returns.
  public func enqueue(_ records: [FeedRecord], to topic: String) throws {
    guard let topicHandle = unsafe rd_kafka_topic_new(handle, topic, nil) else {
      throw Failed(description: "no handle of topic \(topic)")
    }
    defer { unsafe rd_kafka_topic_destroy(topicHandle) }
    for record in records { try unsafe produce(record, topicHandle) }
    unsafe rd_kafka_poll(handle, 0)
  }

  private func produce(_ record: FeedRecord, _ topic: OpaquePointer) throws {
    while true {
      let code: rd_kafka_resp_err_t = unsafe (record.key ?? []).withUnsafeBytes { key in
        unsafe (record.value ?? []).withUnsafeBytes { value in
          var fields = unsafe [Self.field(RD_KAFKA_VTYPE_RKT), Self.field(RD_KAFKA_VTYPE_PARTITION)]
          unsafe fields[0].u.rkt = topic
          unsafe fields[1].u.i32 = record.partition
          var timestamp = unsafe Self.field(RD_KAFKA_VTYPE_TIMESTAMP)
          unsafe timestamp.u.i64 = record.timestamp
          var flags = unsafe Self.field(RD_KAFKA_VTYPE_MSGFLAGS)
          unsafe flags.u.i = Int32(RD_KAFKA_MSG_F_COPY)
          unsafe fields += [timestamp, flags]
          if record.key != nil { unsafe fields.append(Self.memory(RD_KAFKA_VTYPE_KEY, key)) }
          if record.value != nil { unsafe fields.append(Self.memory(RD_KAFKA_VTYPE_VALUE, value)) }
          var owned: [UnsafeMutableRawBufferPointer] = unsafe []
          defer { for index in unsafe owned.indices { unsafe owned[index].deallocate() } }
          for header in record.headers {
            unsafe owned.append(Self.copy(Array(header.name.utf8) + [0]))
            unsafe owned.append(Self.copy(header.value))
            var field = unsafe Self.field(RD_KAFKA_VTYPE_HEADER)
            unsafe field.u.header.name = UnsafePointer(
              owned[owned.count - 2].baseAddress!.assumingMemoryBound(to: CChar.self))
            unsafe field.u.header.val = UnsafeRawPointer(owned[owned.count - 1].baseAddress)
            unsafe field.u.header.size = header.value.count
            unsafe fields.append(field)
          }
          guard let error = unsafe rd_kafka_produceva(handle, fields, fields.count) else {
            return RD_KAFKA_RESP_ERR_NO_ERROR
          }
          defer { unsafe rd_kafka_error_destroy(error) }
          return unsafe rd_kafka_error_code(error)
        }
      }
      if code == RD_KAFKA_RESP_ERR_NO_ERROR { return }
      guard code == RD_KAFKA_RESP_ERR__QUEUE_FULL else {
        throw Failed(description: unsafe String(cString: rd_kafka_err2str(code)))
      }
      unsafe rd_kafka_poll(handle, 100)
    }
  }

  private static func copy(_ bytes: [UInt8]) -> UnsafeMutableRawBufferPointer {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    unsafe copy.copyBytes(from: bytes)
    return unsafe copy
  }

  private static func field(_ type: rd_kafka_vtype_t) -> rd_kafka_vu_t {
    var field = unsafe rd_kafka_vu_t()
    unsafe field.vtype = type
    return unsafe field
  }

  private static func memory(_ type: rd_kafka_vtype_t, _ bytes: UnsafeRawBufferPointer) -> rd_kafka_vu_t {
    var field = unsafe Self.field(type)
    unsafe field.u.mem.ptr = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
    unsafe field.u.mem.size = bytes.count
    return unsafe field
  }
}
