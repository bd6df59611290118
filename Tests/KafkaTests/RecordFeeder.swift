import CRdKafka
import Glibc
import Pipeline
import Scoring
import Testing

@testable import Kafka

/// The embedded broker, or the real one that LENDPULSE_TEST_BROKERS names, with a pipeline of its own on it.
final class TestCluster {
  let pipeline: PipelineSettings
  let settings: KafkaSettings
  private let embedded: EmbeddedBroker?

  static var real: String? { unsafe getenv("LENDPULSE_TEST_BROKERS").map { unsafe String(cString: $0) } }

  init(isReal: Bool, partitions: Int) throws {
    var pipeline = PipelineSettings()
    pipeline.applicationID = "t\(UInt32.random(in: 0 ... .max))"
    pipeline.topics.borrowerEvents = pipeline.applicationID + "-events"
    pipeline.topics.scores = pipeline.applicationID + "-scores"
    pipeline.topics.alerts = pipeline.applicationID + "-alerts"
    pipeline.topics.leads = pipeline.applicationID + "-leads"
    pipeline.topics.deadLetters = pipeline.applicationID + "-dead"
    pipeline.topics.repaymentForecasts = pipeline.applicationID + "-forecasts"
    pipeline.topics.industryIndicators = pipeline.applicationID + "-indicators"
    self.pipeline = pipeline
    var settings = KafkaSettings()
    if isReal {
      embedded = nil
      settings.bootstrapServers = try #require(Self.real)
      settings.partitions = partitions
      settings.createsTopics = true
    } else {
      let broker = try EmbeddedBroker(pipeline: pipeline, partitions: partitions)
      embedded = broker
      settings.bootstrapServers = broker.bootstrapServers
      settings.isEmbedded = true
    }
    self.settings = settings
  }

  /// Writes records to the input, by an ordinary producer.
  func feed(_ records: [(partition: Int32, key: String, value: String)]) throws {
    var configuration = try ClientConfiguration(settings, clientID: "feed", context: ClientContext(log: SilentLog()))
    let client = unsafe try configuration.makeClient(RD_KAFKA_PRODUCER)
    defer { unsafe rd_kafka_destroy(client) }
    let topic = unsafe rd_kafka_topic_new(client, pipeline.topics.borrowerEvents, nil)
    defer { unsafe rd_kafka_topic_destroy(topic) }
    for record in records {
      var value = Array(record.value.utf8)
      let key = Array(record.key.utf8)
      let failure = unsafe rd_kafka_produce(
        topic, record.partition, Int32(RD_KAFKA_MSG_F_COPY), &value, value.count, key, key.count, nil)
      #expect(failure == 0)
    }
    #expect(unsafe rd_kafka_flush(client, 10_000) == RD_KAFKA_RESP_ERR_NO_ERROR)
  }
}

/// librdkafka blocks: a test that calls it runs on a thread of its own, or it would starve the others.
func onThread<Success>(_ body: @escaping @Sendable () throws -> Success) async throws -> Success
where Success: Sendable {
  try await withCheckedThrowingContinuation { continuation in
    let box = unsafe Unmanaged.passRetained(Job { continuation.resume(with: Result(catching: body)) }).toOpaque()
    var thread = pthread_t()
    _ = unsafe pthread_create(
      &thread, nil,
      { argument in
        unsafe Unmanaged<Job>.fromOpaque(argument!).takeRetainedValue().run()
        return nil
      }, box)
    pthread_detach(thread)
  }
}

private final class Job: Sendable {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}
