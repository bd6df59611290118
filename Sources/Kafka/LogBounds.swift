import CRdKafka
import Pipeline

/// Asks for the ends of a partition's log.
enum LogBounds {
  /// The first offset that is there, and the one behind the last, as the client's isolation shows them.
  ///
  /// Where it fails the topic's leaders are looked up again: the library asks the leader that it knew, and by itself would
  /// look for another one only minutes later. So the next try finds a leader that has moved.
  static func query(
    _ client: OpaquePointer, _ topic: String, _ partition: Int32, milliseconds: Int32, doing: String
  ) throws(BrokerError) -> Range<Int64> {
    var (low, high): (Int64, Int64) = (-1, -1)
    let failure = unsafe rd_kafka_query_watermark_offsets(client, topic, partition, &low, &high, milliseconds)
    guard failure == RD_KAFKA_RESP_ERR_NO_ERROR else {
      unsafe lookUpLeaders(client, topic, milliseconds)
      throw KafkaFailure.make(failure, doing: doing)
    }
    return max(0, low)..<max(0, low, high)
  }

  private static func lookUpLeaders(_ client: OpaquePointer, _ topic: String, _ milliseconds: Int32) {
    guard let handle = unsafe rd_kafka_topic_new(client, topic, nil) else { return }
    defer { unsafe rd_kafka_topic_destroy(handle) }
    var answer: UnsafePointer<rd_kafka_metadata>?
    // What it says goes into the client's own cache.
    guard unsafe rd_kafka_metadata(client, 0, handle, &answer, milliseconds) == RD_KAFKA_RESP_ERR_NO_ERROR else {
      return
    }
    unsafe rd_kafka_metadata_destroy(answer)
  }
}
