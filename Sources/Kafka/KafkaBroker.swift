import Pipeline
import Synchronization

/// Kafka by librdkafka, or its embedded mock cluster.
public final class KafkaBroker: Broker {
  let settings: KafkaSettings
  let pipeline: PipelineSettings
  let log: any EventLog
  private let topicBytesMax = Mutex(TopicAdministration.inputBytesMaxDefault + TopicAdministration.deadLetterExtraBytes)
  private let stateRetention = Mutex<Int64>(86_400_000)

  public init(settings: KafkaSettings, pipeline: PipelineSettings, log: any EventLog) {
    self.settings = settings
    self.pipeline = pipeline
    self.log = log
  }

  public var deadLetterBytesMax: Int { topicBytesMax.withLock { $0 } }
  public var stateDeleteRetentionMilliseconds: Int64 { stateRetention.withLock { $0 } }

  public func prepare() throws(BrokerError) -> Int {
    let administration = try TopicAdministration(settings: settings, pipeline: pipeline)
    let prepared = try administration.prepare()
    topicBytesMax.withLock { $0 = prepared.deadLetterBytesMax }
    if !settings.isEmbedded {
      let retention = try administration.configuration(of: pipeline.stateTopic)["delete.retention.ms"]
      if let milliseconds = retention.flatMap({ Int64($0) }) { stateRetention.withLock { $0 = milliseconds } }
    }
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

  public func makeControlChannel() throws(BrokerError) -> any ControlChannel {
    try KafkaControlChannel(settings, pipeline, log: log)
  }
}
