import CRdKafka
import Pipeline
import Synchronization

/// What callbacks of one client reach by their opaque pointer. librdkafka calls the log callback from any of its threads,
/// all others from the thread that polls, flushes or closes.
class ClientContext: @unchecked Sendable {
  // Subclasses add state that only the polling thread touches; what stands here is behind a lock.
  private let log: any EventLog
  private let limiter = Mutex(MessageLimiter())
  private let newestError = Mutex<BrokerError?>(nil)

  init(log: any EventLog) { self.log = log }

  final func report(level: Int32, facility: String, message: String) {
    guard let suppressed = limiter.withLock({ $0.admit(at: SystemClock().monotonic) }) else { return }
    let name: LogLevel = level <= 3 ? .error : level == 4 ? .warning : level <= 6 ? .info : .debug
    let line = message.split(whereSeparator: \.isNewline).joined(separator: " ")
    log.record(
      .brokerMessage(
        level: name, facility: facility, message: suppressed == 0 ? line : "\(line) (\(suppressed) more not shown)"))
  }

  final func note(_ error: BrokerError) { newestError.withLock { $0 = error } }
  final var newest: BrokerError? { newestError.withLock { $0 } }
}

/// At most ten messages of a client in ten seconds; the next one says how many were left out.
struct MessageLimiter {
  private var windowStart = Int64.min / 2
  private var admitted = 0
  private var suppressed = 0

  mutating func admit(at now: Int64) -> Int? {
    if now - windowStart > 10_000_000_000 {
      windowStart = now
      admitted = 0
    }
    guard admitted < 10 else {
      suppressed += 1
      return nil
    }
    admitted += 1
    defer { suppressed = 0 }
    return suppressed
  }
}

/// Makes clients. A configuration object is ours until a client takes it over.
@safe struct ClientConfiguration: ~Copyable {
  private var conf: OpaquePointer?
  private let context: ClientContext

  /// The configuration's own properties come first, so that those we depend on win; refused ones are an error.
  init(_ settings: KafkaSettings, clientID: String, context: ClientContext) throws(BrokerError) {
    unsafe conf = rd_kafka_conf_new()
    self.context = context
    for (name, value) in settings.properties {
      if let reason = KafkaSettings.refusal(of: name) {
        throw BrokerError(.invalidSetting, "kafka.properties.\(name) cannot be set: \(reason)")
      }
      try set(name, value)
    }
    try set("bootstrap.servers", settings.bootstrapServers)
    try set("client.id", settings.advertised.map { "\(clientID);\($0)" } ?? clientID)
    try set("log.connection.close", "false")
    try set("socket.nagle.disable", "true")
    unsafe rd_kafka_conf_set_opaque(conf, Unmanaged.passUnretained(context).toOpaque())
    unsafe rd_kafka_conf_set_log_cb(conf, logCallback)
  }

  deinit { if let conf = unsafe conf { unsafe rd_kafka_conf_destroy(conf) } }

  /// All that is wrong with the configuration's own properties, one line each.
  static func problems(of settings: KafkaSettings) -> [String] {
    guard let conf = unsafe rd_kafka_conf_new() else { return [] }
    defer { unsafe rd_kafka_conf_destroy(conf) }
    return settings.properties.compactMap { name, value in
      var problem = [CChar](repeating: 0, count: 512)
      guard unsafe rd_kafka_conf_set(conf, name, value, &problem, problem.count) != RD_KAFKA_CONF_OK else { return nil }
      return "kafka.properties.\(name): \(text(problem)); see librdkafka's CONFIGURATION"
    }
  }

  func set(_ name: String, _ value: String) throws(BrokerError) {
    var problem = [CChar](repeating: 0, count: 512)
    guard unsafe rd_kafka_conf_set(conf, name, value, &problem, problem.count) == RD_KAFKA_CONF_OK else {
      throw BrokerError(
        .invalidSetting, "kafka.properties.\(name): \(text(problem)); see librdkafka's CONFIGURATION")
    }
  }

  /// Sets a default that the configuration may have chosen otherwise.
  func setDefault(_ name: String, _ value: String, _ settings: KafkaSettings) throws(BrokerError) {
    if !settings.properties.contains(where: { $0.name == name }) { try set(name, value) }
  }

  func onRebalance(
    _ callback:
      @convention(c) (
        OpaquePointer?, rd_kafka_resp_err_t, UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?,
        UnsafeMutableRawPointer?
      ) -> Void
  ) { unsafe rd_kafka_conf_set_rebalance_cb(conf, callback) }

  func onDelivery(
    _ callback:
      @convention(c) (OpaquePointer?, UnsafePointer<rd_kafka_message_t>?, UnsafeMutableRawPointer?) -> Void
  ) { unsafe rd_kafka_conf_set_dr_msg_cb(conf, callback) }

  func onError() { unsafe rd_kafka_conf_set_error_cb(conf, errorCallback) }

  /// Makes the client, which the caller destroys.
  mutating func makeClient(_ type: rd_kafka_type_t) throws(BrokerError) -> OpaquePointer {
    var problem = [CChar](repeating: 0, count: 512)
    guard let client = unsafe rd_kafka_new(type, conf, &problem, problem.count) else {
      throw BrokerError(.invalidSetting, "kafka.properties: \(text(problem))")
    }
    unsafe conf = nil
    return unsafe client
  }
}

/// The text of a buffer that C wrote, up to its zero.
func text(_ buffer: [CChar]) -> String {
  String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Called by any thread of librdkafka.
private func logCallback(
  _ client: OpaquePointer?, _ level: Int32, _ facility: UnsafePointer<CChar>?, _ message: UnsafePointer<CChar>?
) {
  guard let opaque = unsafe client.flatMap({ unsafe rd_kafka_opaque($0) }), let message = unsafe message else { return }
  unsafe Unmanaged<ClientContext>.fromOpaque(opaque).takeUnretainedValue().report(
    level: level, facility: unsafe facility.map { unsafe String(cString: $0) } ?? "", message: String(cString: message))
}

/// Called by the thread that polls.
private func errorCallback(
  _ client: OpaquePointer?, _ code: Int32, _ reason: UnsafePointer<CChar>?, _ opaque: UnsafeMutableRawPointer?
) {
  guard let opaque = unsafe opaque else { return }
  let text = unsafe reason.map { unsafe String(cString: $0) } ?? ""
  let context = unsafe Unmanaged<ClientContext>.fromOpaque(opaque).takeUnretainedValue()
  let error = rd_kafka_resp_err_t(rawValue: code)
  let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
  // A refusal says more than the broken connections that follow it.
  if context.newest?.kind != .authentication {
    context.note(BrokerError(KafkaFailure.isRefusal(error) ? .authentication : .unreachable, line))
  }
}
