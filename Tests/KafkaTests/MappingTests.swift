import CRdKafka
import Pipeline
import Testing

@testable import Kafka

struct MappingTests {
  @Test(arguments: [
    (RD_KAFKA_RESP_ERR__FENCED, BrokerError.Kind.fenced), (RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, .fenced),
    (RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, .retriable), (RD_KAFKA_RESP_ERR__STATE, .retriable),
    (RD_KAFKA_RESP_ERR__AUTHENTICATION, .authentication),
    (RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, .authentication),
    (RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, .missingTopic), (RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, .outOfRange),
    (RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, .fatal),
  ])
  func `an error code calls for its recovery`(code: rd_kafka_resp_err_t, kind: BrokerError.Kind) {
    let error = KafkaFailure.make(code, doing: "commit")
    #expect(error.kind == kind)
    #expect(error.description.hasPrefix("commit: "))
    #expect(!error.description.contains("\n"))
  }

  @Test func `properties that exactly-once depends on are refused with their reason`() {
    for name in ["enable.auto.commit", "isolation.level", "transactional.id", "group.id", "acks", "partitioner"] {
      #expect(KafkaSettings.refusal(of: name) != nil)
      var settings = KafkaSettings()
      settings.properties = [(name, "x")]
      let error = #expect(throws: BrokerError.self) {
        try KafkaBroker(settings: settings, pipeline: PipelineSettings(), log: SilentLog()).prepare()
      }
      #expect(error?.kind == .invalidSetting)
      #expect(error?.description.contains("kafka.properties.\(name)") == true)
    }
    #expect(KafkaSettings.refusal(of: "security.protocol") == nil)
  }

  @Test func `a property that librdkafka does not know is named`() {
    var settings = KafkaSettings()
    settings.properties = [("no.such.property", "1")]
    let error = #expect(throws: BrokerError.self) {
      try KafkaBroker(settings: settings, pipeline: PipelineSettings(), log: SilentLog()).prepare()
    }
    #expect(error?.description.contains("no.such.property") == true)
  }

  @Test func `messages of the client are limited, and the next says how many were left out`() {
    var limiter = MessageLimiter()
    for index in 0..<10 { #expect(limiter.admit(at: Int64(index)) == 0) }
    for index in 10..<17 { #expect(limiter.admit(at: Int64(index)) == nil) }
    #expect(limiter.admit(at: 20_000_000_000) == 7)
  }

  @Test func `a topic that is kept for ever and is not is listed with what it must be`() {
    let plan = TopicPlan.all(PipelineSettings()).first { $0.name == "lendpulse-journal" }!
    let problems = TopicAdministration.problems(
      of: plan, ["cleanup.policy": "compact", "retention.ms": "604800000", "retention.bytes": "-1"],
      inputBytesMax: 1_000)
    #expect(problems.count == 2)
  }
}
