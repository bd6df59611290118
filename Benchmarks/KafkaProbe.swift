import CRdKafka
import Foundation
import Synchronization

/// What a measurement asks of Kafka: where a group's committed positions stand, and when a committed record is seen.
@safe final class KafkaProbe {
  private let handle: OpaquePointer

  init(brokers: String, group: String) {
    let configuration = unsafe rd_kafka_conf_new()
    var reason = [CChar](repeating: 0, count: 512)
    let properties = [
      "bootstrap.servers": brokers, "group.id": group, "isolation.level": "read_committed",
      "enable.auto.commit": "false", "fetch.wait.max.ms": "5", "fetch.error.backoff.ms": "5",
    ]
    for (name, value) in properties {
      precondition(unsafe rd_kafka_conf_set(configuration, name, value, &reason, reason.count) == RD_KAFKA_CONF_OK)
    }
    guard let made = unsafe rd_kafka_new(RD_KAFKA_CONSUMER, configuration, &reason, reason.count) else {
      preconditionFailure("no Kafka client")
    }
    unsafe handle = made
    unsafe rd_kafka_poll_set_consumer(handle)
  }

  deinit { unsafe rd_kafka_destroy(handle) }

  /// The sum of the group's committed offsets: records read, scored, and published.
  func committed(topic: String, partitions: Int) -> Int64 {
    let list = unsafe rd_kafka_topic_partition_list_new(Int32(partitions))
    defer { unsafe rd_kafka_topic_partition_list_destroy(list) }
    for partition in 0..<partitions {
      unsafe rd_kafka_topic_partition_list_add(list, topic, Int32(partition))
    }
    guard unsafe rd_kafka_committed(handle, list, 5_000) == RD_KAFKA_RESP_ERR_NO_ERROR, let list = unsafe list else {
      return 0
    }
    var sum: Int64 = 0
    for index in 0..<Int(unsafe list.pointee.cnt) { sum += max(0, unsafe list.pointee.elems[index].offset) }
    return sum
  }

  /// Reads the end of a topic's partitions from now on.
  func follow(topic: String, partitions: Int) {
    let list = unsafe rd_kafka_topic_partition_list_new(Int32(partitions))
    for partition in 0..<partitions {
      let added = unsafe rd_kafka_topic_partition_list_add(list, topic, Int32(partition))
      var low: Int64 = 0
      var high: Int64 = 0
      unsafe rd_kafka_query_watermark_offsets(handle, topic, Int32(partition), &low, &high, 10_000)
      unsafe added?.pointee.offset = high
    }
    unsafe rd_kafka_assign(handle, list)
    unsafe rd_kafka_topic_partition_list_destroy(list)
  }

  /// The next committed record, at most so long waited for.
  func next(waitMilliseconds: Int32, _ body: (UnsafeRawBufferPointer) -> Void) -> Bool {
    guard let message = unsafe rd_kafka_consumer_poll(handle, waitMilliseconds) else { return false }
    defer { unsafe rd_kafka_message_destroy(message) }
    guard unsafe message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else { return false }
    unsafe body(UnsafeRawBufferPointer(start: message.pointee.payload, count: message.pointee.len))
    return true
  }
}

/// Reads committed scores on a thread of its own, and keeps how old the event of each was when it came.
final class LatencyReader: Sendable {
  private let latencies = Mutex<[Double]>([])
  private let isStopped = Atomic(false)
  private let hasEnded = DispatchSemaphore(value: 0)

  init(brokers: String, topic: String, partitions: Int) {
    let isReady = DispatchSemaphore(value: 0)
    Thread.detachNewThread { [self] in
      let probe = KafkaProbe(brokers: brokers, group: "latency-\(UUID().uuidString)")
      probe.follow(topic: topic, partitions: partitions)
      isReady.signal()
      while !isStopped.load(ordering: .relaxed) {
        unsafe _ = probe.next(waitMilliseconds: 100) { bytes in
          guard let sent = unsafe Self.sentNanoseconds(bytes) else { return }
          let latency = Double(Clocks.monotonic - sent) / 1e6
          latencies.withLock { $0.append(latency) }
        }
      }
      hasEnded.signal()
    }
    isReady.wait()
  }

  var count: Int { latencies.withLock { $0.count } }

  /// Sorted, in milliseconds.
  func end() -> [Double] {
    isStopped.store(true, ordering: .relaxed)
    hasEnded.wait()
    return latencies.withLock { $0.sorted() }
  }

  private static let marker = Array(#""triggering_event_id":"t"#.utf8)

  /// The event's id is `t<nanoseconds>-<number>`.
  private static func sentNanoseconds(_ bytes: UnsafeRawBufferPointer) -> Int64? {
    let needle = marker
    guard bytes.count > needle.count else { return nil }
    var at = 0
    while at + needle.count < bytes.count {
      if unsafe bytes[at] == needle[0], unsafe memcmp(bytes.baseAddress! + at, needle, needle.count) == 0 {
        var value: Int64 = 0
        var index = at + needle.count
        while index < bytes.count, case let digit = unsafe bytes[index], digit >= 48, digit <= 57 {
          value = value * 10 + Int64(digit - 48)
          index += 1
        }
        return value
      }
      at += 1
    }
    return nil
  }
}
