import Borrowers
import CRdKafka
import Pipeline
import Scoring

/// Reads what was published, for a replay that verifies it.
extension KafkaReader: PublishedReader {
  func partitions(of topic: OutputTopic) throws(BrokerError) -> Int {
    try partitionCount(of: pipeline.name(of: topic)) ?? 0
  }

  func bounds(of topic: OutputTopic, _ partition: Int32) throws(BrokerError) -> Range<Int64> {
    try bounds(ofTopic: pipeline.name(of: topic), partition)
  }

  func read(
    _ topic: OutputTopic, _ partition: Int32, _ range: Range<Int64>, while isWanted: () -> Bool,
    _ body: (PublishedRecord) throws -> Void
  ) throws {
    var headers = ByteBuffer(capacity: 1_024)
    try unsafe readMessages(pipeline.name(of: topic), partition, range, while: isWanted) { message in
      headers.removeAll()
      unsafe Self.append(message, to: &headers)
      let record = unsafe LogRecord(message)
      unsafe try body(
        PublishedRecord(
          partition: record.partition, offset: record.offset, key: record.key, value: record.value,
          headers: headers.bytes))
    }
  }

  private static func append(_ message: UnsafeMutablePointer<rd_kafka_message_t>, to bytes: inout ByteBuffer) {
    var headers: OpaquePointer?
    guard unsafe rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR else { return }
    var index = 0
    while true {
      var name: UnsafePointer<CChar>?
      var value: UnsafeRawPointer?
      var count = 0
      guard
        unsafe rd_kafka_header_get_all(headers, index, &name, &value, &count) == RD_KAFKA_RESP_ERR_NO_ERROR,
        let name = unsafe name
      else { return }
      let nameBytes = unsafe Array(String(cString: name).utf8)
      bytes.append(littleEndian: UInt16(truncatingIfNeeded: nameBytes.count))
      bytes.append(nameBytes)
      bytes.append(littleEndian: UInt32(count))
      if let start = unsafe value {
        unsafe bytes.append(UnsafeBufferPointer(start: start.assumingMemoryBound(to: UInt8.self), count: count))
      }
      index += 1
    }
  }
}

/// What a replay reads by, and what it found of the topics.
public struct ReplaySource {
  public var logs: any LogReader
  public var published: any PublishedReader
  /// Of the input.
  public var partitions: Int
  /// The largest record that the dead-letter topic takes.
  public var deadLetterBytesMax: Int
}

extension KafkaBroker {
  /// Makes no topic: throws where the input or the journal is not there.
  public func openReplay() throws(BrokerError) -> ReplaySource {
    let surveyed = try surveyForReplay()
    let reader = try KafkaReader(settings, pipeline, worker: 0, log: log)
    return ReplaySource(
      logs: reader, published: reader, partitions: surveyed.partitions, deadLetterBytesMax: surveyed.deadLetterBytesMax)
  }

  private func surveyForReplay() throws(BrokerError) -> (partitions: Int, deadLetterBytesMax: Int) {
    let administration = try TopicAdministration(settings: settings, pipeline: pipeline)
    let there = try administration.partitionCounts()
    let input = pipeline.topics.borrowerEvents
    for name in [input, pipeline.journalTopic] where there[name] == nil {
      throw BrokerError(
        .missingTopic,
        "missing topic \(name): a replay reads what was decided from it; name the application_id and topics of `run`")
    }
    let bytesMax =
      there[pipeline.topics.deadLetters] == nil
      ? TopicAdministration.inputBytesMaxDefault + TopicAdministration.deadLetterExtraBytes
      : try administration.largestRecord(of: pipeline.topics.deadLetters)
    return (there[input] ?? 0, bytesMax)
  }
}
