import CRdKafka
import Pipeline

extension TopicAdministration {
  /// Makes topics with the broker's default replication. One that appeared meanwhile is no error. -1: the broker's default.
  func create(_ wanted: [(plan: TopicPlan, partitions: Int)], inputBytesMax: Int) throws(BrokerError) {
    var topics: [OpaquePointer?] = unsafe []
    defer { for index in unsafe topics.indices { unsafe rd_kafka_NewTopic_destroy(topics[index]) } }
    for (plan, partitions) in wanted {
      var problem = [CChar](repeating: 0, count: 512)
      guard let topic = unsafe rd_kafka_NewTopic_new(plan.name, Int32(partitions), -1, &problem, problem.count) else {
        throw BrokerError(.unfitTopic, "\(plan.name): \(text(problem))")
      }
      unsafe topics.append(topic)
      for (name, value) in plan.configuration(inputBytesMax: inputBytesMax) {
        unsafe rd_kafka_NewTopic_set_config(topic, name, value)
      }
    }
    let event = unsafe try request(RD_KAFKA_ADMIN_OP_CREATETOPICS, doing: "make topics") { options, queue in
      unsafe rd_kafka_CreateTopics(client, &topics, topics.count, options, queue)
    }
    defer { unsafe rd_kafka_event_destroy(event) }
    var count = 0
    let results = unsafe rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count)
    for index in 0..<count {
      let result = unsafe results?[index]
      let code = unsafe rd_kafka_topic_result_error(result)
      guard code != RD_KAFKA_RESP_ERR_NO_ERROR, code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS else { continue }
      let name = unsafe String(cString: rd_kafka_topic_result_name(result))
      let text = unsafe rd_kafka_topic_result_error_string(result).map { unsafe String(cString: $0) } ?? ""
      throw BrokerError(
        KafkaFailure.isRefusal(code) ? .authentication : .unfitTopic, "make topic \(name): \(text)")
    }
  }

  /// The settings of a topic, by name.
  func configuration(of topic: String) throws(BrokerError) -> [String: String] {
    var resource = unsafe rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic)
    defer { unsafe rd_kafka_ConfigResource_destroy(resource) }
    let event = unsafe try request(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, doing: "read the settings of \(topic)") {
      options, queue in unsafe rd_kafka_DescribeConfigs(client, &resource, 1, options, queue)
    }
    defer { unsafe rd_kafka_event_destroy(event) }
    var count = 0
    let results = unsafe rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event), &count)
    guard count == 1, let result = unsafe results?[0] else { return [:] }
    let code = unsafe rd_kafka_ConfigResource_error(result)
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw KafkaFailure.make(code, doing: "read the settings of \(topic)")
    }
    var entryCount = 0
    let entries = unsafe rd_kafka_ConfigResource_configs(result, &entryCount)
    var configuration: [String: String] = [:]
    for index in 0..<entryCount {
      guard let entry = unsafe entries?[index], let value = unsafe rd_kafka_ConfigEntry_value(entry) else { continue }
      unsafe configuration[String(cString: rd_kafka_ConfigEntry_name(entry))] = String(cString: value)
    }
    return configuration
  }

  /// Sends a request and waits for its event, which the caller destroys.
  private func request(
    _ operation: rd_kafka_admin_op_t, doing: String, _ send: (OpaquePointer?, OpaquePointer?) -> Void
  ) throws(BrokerError) -> OpaquePointer {
    let options = unsafe rd_kafka_AdminOptions_new(client, operation)
    defer { unsafe rd_kafka_AdminOptions_destroy(options) }
    var problem = [CChar](repeating: 0, count: 256)
    unsafe rd_kafka_AdminOptions_set_request_timeout(options, 15_000, &problem, problem.count)
    let queue = unsafe rd_kafka_queue_new(client)
    defer { unsafe rd_kafka_queue_destroy(queue) }
    unsafe send(options, queue)
    guard let event = unsafe rd_kafka_queue_poll(queue, 20_000) else {
      throw BrokerError(.unreachable, "\(doing): the broker does not answer")
    }
    let code = unsafe rd_kafka_event_error(event)
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
      let text = unsafe rd_kafka_event_error_string(event).map { unsafe String(cString: $0) } ?? ""
      unsafe rd_kafka_event_destroy(event)
      throw BrokerError(KafkaFailure.kind(of: code), "\(doing): \(text)")
    }
    return unsafe event
  }
}
