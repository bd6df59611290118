import CRdKafka
import Pipeline

/// Owns a list of partitions of one topic.
@safe struct PartitionList: ~Copyable {
  let list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

  init(topic: String, partitions: [Int32], offset: Int64 = Int64(RD_KAFKA_OFFSET_INVALID)) {
    unsafe list = rd_kafka_topic_partition_list_new(Int32(partitions.count))
    for partition in partitions {
      unsafe rd_kafka_topic_partition_list_add(list, topic, partition).pointee.offset = offset
    }
  }

  deinit { unsafe rd_kafka_topic_partition_list_destroy(list) }

  static func partitions(of list: UnsafePointer<rd_kafka_topic_partition_list_t>) -> [Int32] {
    unsafe (0..<Int(list.pointee.cnt)).map { unsafe list.pointee.elems[$0].partition }
  }
}
