import Pipeline

/// How to reach the brokers.
public struct KafkaSettings: Sendable {
  public var bootstrapServers = "127.0.0.1:9092"
  /// Any property of librdkafka, by its name; `refused` ones are not taken.
  public var properties: [(name: String, value: String)] = []
  /// This process's HTTP address as others reach it; travels in the client's id, so that the group's description says
  /// who holds which partition. Nil: none.
  public var advertised: String?
  /// Makes the input and output topics when they are missing; the internal ones are always made.
  public var createsTopics = false
  /// Partitions of topics that are made; nil: the broker's default.
  public var partitions: Int?
  /// An embedded broker has all its topics from the start, and knows no administration.
  public var isEmbedded = false
  /// How long a broker may take to answer at the start.
  public var startTimeoutMilliseconds = 15_000

  public init() {}

  /// Properties that exactly-once, the loop or recovery depend on, and why each is not for the configuration.
  public static let refused: [(name: String, reason: String)] = [
    ("acks", "a transaction needs all replicas"),
    ("allow.auto.create.topics", "topics are made with their own settings"),
    ("auto.commit.enable", "offsets are committed in the transaction"),
    ("auto.commit.interval.ms", "offsets are committed in the transaction"),
    ("auto.offset.reset", "a position outside the log stops its partition"),
    ("bootstrap.servers", "it is kafka.bootstrap_servers"),
    ("client.id", "it carries http.advertised"),
    ("consume.callback.max.messages", "the loop polls by itself"),
    ("delivery.report.only.error", "the journal's offsets come from delivery reports"),
    ("dr_cb", "the journal's offsets come from delivery reports"),
    ("dr_msg_cb", "the journal's offsets come from delivery reports"),
    ("enable.auto.commit", "offsets are committed in the transaction"),
    ("enable.auto.offset.store", "offsets are committed in the transaction"),
    ("enable.gapless.guarantee", "a failed record aborts its transaction"),
    ("enable.idempotence", "a transaction needs it"),
    ("enable.partition.eof", "recovery sets it"),
    ("group.id", "it is application_id"),
    ("group.instance.id", "a restart would keep its partitions from others"),
    ("group.protocol", "the loop answers cooperative rebalances"),
    ("isolation.level", "only committed input is decided on"),
    ("max.in.flight", "a transaction's records keep their order"),
    ("max.in.flight.requests.per.connection", "a transaction's records keep their order"),
    ("message.send.max.retries", "a failed record aborts its transaction"),
    ("metadata.broker.list", "it is kafka.bootstrap_servers"),
    ("partition.assignment.strategy", "the loop answers cooperative rebalances"),
    ("partitioner", "all records of a borrower lie in one partition"),
    ("request.required.acks", "a transaction needs all replicas"),
    ("retries", "a failed record aborts its transaction"),
    ("transactional.id", "it follows from application_id and instance_id"),
  ]

  /// All that librdkafka refuses of `properties`, one line each.
  public var problems: [String] { ClientConfiguration.problems(of: self) }

  /// Why a property is not for the configuration; nil when it is.
  public static func refusal(of property: String) -> String? { refused.first { $0.name == property }?.reason }
}
