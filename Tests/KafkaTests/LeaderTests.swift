import CRdKafka
import Pipeline
import Testing

@testable import Kafka

/// What becomes of questions when a partition's leader moves.
@Suite(.serialized) struct LeaderTests {
  @Test func `the bounds of a log are found again after its leader has moved`() async throws {
    try await onThread {
      var pipeline = PipelineSettings()
      pipeline.topics.borrowerEvents = "events"
      var settings = KafkaSettings()
      settings.bootstrapServers = "127.0.0.1:1"  // The cluster's own client connects nowhere.
      var configuration = try ClientConfiguration(
        settings, clientID: "cluster", context: ClientContext(log: SilentLog()))
      try configuration.set("log_level", "0")
      let client = unsafe try configuration.makeClient(RD_KAFKA_PRODUCER)
      defer { unsafe rd_kafka_destroy(client) }
      let cluster = unsafe try #require(rd_kafka_mock_cluster_new(client, 2))
      defer { unsafe rd_kafka_mock_cluster_destroy(cluster) }
      #expect(unsafe rd_kafka_mock_topic_create(cluster, "events", 1, 2) == RD_KAFKA_RESP_ERR_NO_ERROR)
      #expect(unsafe rd_kafka_mock_partition_set_leader(cluster, "events", 0, 1) == RD_KAFKA_RESP_ERR_NO_ERROR)
      settings.bootstrapServers = unsafe String(cString: rd_kafka_mock_cluster_bootstraps(cluster))

      let reader = try KafkaReader(settings, pipeline, worker: 0, log: SilentLog())
      defer { reader.close() }
      #expect(try reader.bounds(.input, 0) == 0..<0)
      for leader in [2, 1] as [Int32] {
        #expect(unsafe rd_kafka_mock_partition_set_leader(cluster, "events", 0, leader) == RD_KAFKA_RESP_ERR_NO_ERROR)
        var bounds: Range<Int64>?
        for _ in 0..<3 where bounds == nil {
          do throws(BrokerError) {
            bounds = try reader.bounds(.input, 0)
          } catch {
            #expect(error.kind == .retriable)
          }
        }
        #expect(bounds == 0..<0)
      }
    }
  }
}
