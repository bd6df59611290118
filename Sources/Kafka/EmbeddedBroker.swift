import CRdKafka
import Pipeline

/// A broker within the process, for the demo and quick tests: librdkafka's mock cluster, which speaks the real protocol
/// over loopback. It keeps 5 MiB of each partition, and has no isolation, no compaction and no offsets of transactions:
/// a restart begins anew, and nothing about exactly-once is proved on it.
@safe public final class EmbeddedBroker: @unchecked Sendable {
  // Set once; only `deinit` uses them again.
  private let client: OpaquePointer
  private let cluster: OpaquePointer
  private let context: ClientContext
  public let bootstrapServers: String

  /// One broker with these topics.
  public init(topics: [(name: String, partitions: Int)], log: any EventLog = SilentLog()) throws(BrokerError) {
    context = ClientContext(log: log)
    var settings = KafkaSettings()
    settings.bootstrapServers = "127.0.0.1:1"  // Its own client connects nowhere.
    var configuration = try ClientConfiguration(settings, clientID: "embedded-broker", context: context)
    try configuration.set("log_level", "0")
    unsafe client = try configuration.makeClient(RD_KAFKA_PRODUCER)
    guard let cluster = unsafe rd_kafka_mock_cluster_new(client, 1) else {
      unsafe rd_kafka_destroy(client)
      throw BrokerError(.fatal, "the embedded broker cannot listen on a loopback port")
    }
    unsafe self.cluster = cluster
    bootstrapServers = unsafe String(cString: rd_kafka_mock_cluster_bootstraps(cluster))
    for topic in topics {
      let failure = unsafe rd_kafka_mock_topic_create(cluster, topic.name, Int32(topic.partitions), 1)
      guard failure == RD_KAFKA_RESP_ERR_NO_ERROR else {
        throw KafkaFailure.make(failure, doing: "make \(topic.name) in the embedded broker")
      }
    }
  }

  /// With every topic of the pipeline, the input in `partitions` partitions.
  public convenience init(pipeline: PipelineSettings, partitions: Int, log: any EventLog = SilentLog())
    throws(BrokerError)
  {
    try self.init(topics: TopicPlan.all(pipeline).map { ($0.name, $0.partitions(input: partitions)) }, log: log)
  }

  deinit {
    unsafe rd_kafka_mock_cluster_destroy(cluster)
    unsafe rd_kafka_destroy(client)
  }
}
