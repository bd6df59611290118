import CRdKafka
import Pipeline
import Synchronization

/// Who holds which partition: from the consumer group's description, in which each member's `client.id` carries the address
/// that it advertises. A description is used for at most 5 s. Any thread may ask; one at a time asks the brokers.
@safe public final class GroupDirectory: @unchecked Sendable {
  // The client is used with `state` locked, and destroyed with the last reference.
  public enum Holder: Equatable, Sendable {
    /// Empty where it advertises none.
    case member(address: String)
    case nobody
  }

  private struct State {
    var holders: [Int32: String] = [:]
    var describedAt = Int64.min / 2
  }

  private static let ageMaxNanoseconds: Int64 = 5_000_000_000
  private static let answerMilliseconds: Int32 = 4_000

  private let client: OpaquePointer
  private let context: ClientContext
  private let group: String
  private let topic: String
  private let state = Mutex(State())

  public init(settings: KafkaSettings, pipeline: PipelineSettings) throws(BrokerError) {
    group = pipeline.applicationID
    topic = pipeline.topics.borrowerEvents
    context = ClientContext(log: SilentLog())
    var configuration = try ClientConfiguration(
      settings, clientID: "\(pipeline.applicationID)-directory", context: context)
    unsafe client = try configuration.makeClient(RD_KAFKA_PRODUCER)
  }

  deinit { unsafe rd_kafka_destroy(client) }

  public func holder(of partition: Int32) throws(BrokerError) -> Holder {
    let found: Result<String?, BrokerError> = state.withLock { state in
      let now = SystemClock().monotonic
      if now - state.describedAt > Self.ageMaxNanoseconds {
        do throws(BrokerError) {
          state.holders = try describe()
          state.describedAt = now
        } catch {
          return .failure(error)
        }
      }
      return .success(state.holders[partition])
    }
    return try found.get().map { .member(address: $0) } ?? .nobody
  }

  /// The address that a client's id carries: behind the first `;`.
  static func address(ofClientID id: String) -> String {
    guard let separator = id.firstIndex(of: ";") else { return "" }
    return String(id[id.index(after: separator)...])
  }

  private func describe() throws(BrokerError) -> [Int32: String] {
    let options = unsafe rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS)
    defer { unsafe rd_kafka_AdminOptions_destroy(options) }
    var problem = [CChar](repeating: 0, count: 256)
    unsafe rd_kafka_AdminOptions_set_request_timeout(options, Self.answerMilliseconds, &problem, problem.count)
    let queue = unsafe rd_kafka_queue_new(client)
    defer { unsafe rd_kafka_queue_destroy(queue) }
    unsafe group.withCString { name in
      var names = unsafe [Optional(name)]
      unsafe rd_kafka_DescribeConsumerGroups(client, &names, 1, options, queue)
    }
    guard let event = unsafe rd_kafka_queue_poll(queue, Self.answerMilliseconds + 1_000) else {
      throw BrokerError(.unreachable, "describe the group \(group): the broker does not answer")
    }
    defer { unsafe rd_kafka_event_destroy(event) }
    let code = unsafe rd_kafka_event_error(event)
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw KafkaFailure.make(code, doing: "describe the group \(group)")
    }
    var count = 0
    let groups = unsafe rd_kafka_DescribeConsumerGroups_result_groups(
      rd_kafka_event_DescribeConsumerGroups_result(event), &count)
    guard count == 1, let described = unsafe groups?[0] else { return [:] }
    if let error = unsafe rd_kafka_ConsumerGroupDescription_error(described),
      unsafe rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR
    {
      throw unsafe KafkaFailure.make(rd_kafka_error_code(error), doing: "describe the group \(group)")
    }
    return unsafe holders(described)
  }

  private func holders(_ described: OpaquePointer) -> [Int32: String] {
    var holders: [Int32: String] = [:]
    for index in 0..<(unsafe rd_kafka_ConsumerGroupDescription_member_count(described)) {
      guard let member = unsafe rd_kafka_ConsumerGroupDescription_member(described, index),
        let id = unsafe rd_kafka_MemberDescription_client_id(member),
        let assignment = unsafe rd_kafka_MemberDescription_assignment(member),
        let list = unsafe rd_kafka_MemberAssignment_partitions(assignment)
      else { continue }
      let address = unsafe Self.address(ofClientID: String(cString: id))
      for place in 0..<Int(unsafe list.pointee.cnt) {
        let element = unsafe list.pointee.elems[place]
        guard unsafe String(cString: element.topic) == topic else { continue }
        unsafe holders[element.partition] = address
      }
    }
    return holders
  }
}
