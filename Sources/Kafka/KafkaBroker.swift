import Pipeline
import Synchronization

/// Kafka by librdkafka, or its embedded mock cluster.
public final class KafkaBroker: Broker {
  private let settings: KafkaSettings
  private let pipeline: PipelineSettings
  private let log: any EventLog
  private let topicBytesMax = Mutex(TopicAdministration.inputBytesMaxDefault + TopicAdministration.deadLetterExtraBytes)

  public init(settings: KafkaSettings, pipeline: PipelineSettings, log: any EventLog) {
    self.settings = settings
    self.pipeline = pipeline
    self.log = log
  }

  public var deadLetterBytesMax: Int { topicBytesMax.withLock { $0 } }

  public func prepare() throws(BrokerError) -> Int {
    let administration = try TopicAdministration(settings: settings, pipeline: pipeline)
    let prepared = try administration.prepare()
    topicBytesMax.withLock { $0 = prepared.deadLetterBytesMax }
    return prepared.partitions
  }

  public func makeConsumer(worker: Int) throws(BrokerError) -> any InputConsumer {
    try KafkaConsumer(settings, pipeline, worker: worker, log: log)
  }

  public func makeProducer(worker: Int) throws(BrokerError) -> any TransactionProducer {
    try KafkaProducer(settings, pipeline, worker: worker, messageBytesMax: deadLetterBytesMax, log: log)
  }

  public func makeReader(worker: Int) throws(BrokerError) -> any LogReader {
    try KafkaReader(settings, pipeline, worker: worker, log: log)
  }
}
