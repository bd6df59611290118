// What librdkafka's errors mean for us: the one place where they are mapped.

import CRdKafka
import Pipeline

enum KafkaFailure {
  /// Takes over an error object; nil when there is none. `doing` begins the line: `commit`.
  ///
  /// Order matters: fenced and unknown outcomes first, then what must be aborted, then what may be tried again.
  static func take(_ error: OpaquePointer?, doing: String) -> BrokerError? {
    guard let error = unsafe error else { return nil }
    defer { unsafe rd_kafka_error_destroy(error) }
    let code = unsafe rd_kafka_error_code(error)
    let text = unsafe String(cString: rd_kafka_error_string(error))
    if isFencing(code) { return BrokerError(.fenced, describe(code, text, doing: doing)) }
    if isRefusal(code) { return BrokerError(.authentication, describe(code, text, doing: doing)) }
    if unsafe rd_kafka_error_is_fatal(error) != 0 {
      // The producer is of no use any more; a new one and the committed position say what became of the transaction.
      return BrokerError(.unknownOutcome, describe(code, text, doing: doing))
    }
    if unsafe rd_kafka_error_txn_requires_abort(error) != 0 {
      return BrokerError(.abortable, describe(code, text, doing: doing))
    }
    if unsafe rd_kafka_error_is_retriable(error) != 0 {
      return BrokerError(.retriable, describe(code, text, doing: doing))
    }
    return BrokerError(kind(of: code), describe(code, text, doing: doing))
  }

  static func make(_ code: rd_kafka_resp_err_t, doing: String) -> BrokerError {
    BrokerError(kind(of: code), describe(code, unsafe String(cString: rd_kafka_err2str(code)), doing: doing))
  }

  static func kind(of code: rd_kafka_resp_err_t) -> BrokerError.Kind {
    if isFencing(code) { return .fenced }
    if isRefusal(code) { return .authentication }
    switch code {
    case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__RESOLVE,
      RD_KAFKA_RESP_ERR__NODE_UPDATE, RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__WAIT_COORD,
      RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
      RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT,
      RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, RD_KAFKA_RESP_ERR__STATE,
      RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS, RD_KAFKA_RESP_ERR__IN_PROGRESS, RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
      RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
      RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS:
      return .retriable
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
      RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      return .missingTopic
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
      return .outOfRange
    case RD_KAFKA_RESP_ERR__INVALID_ARG, RD_KAFKA_RESP_ERR_INVALID_CONFIG:
      return .invalidSetting
    default:
      return .fatal
    }
  }

  private static func isFencing(_ code: rd_kafka_resp_err_t) -> Bool {
    switch code {
    case RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
      RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID:
      true
    default: false
    }
  }

  static func isRefusal(_ code: rd_kafka_resp_err_t) -> Bool {
    switch code {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
      RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
      RD_KAFKA_RESP_ERR__SSL:
      true
    default: false
    }
  }

  private static func describe(_ code: rd_kafka_resp_err_t, _ text: String, doing: String) -> String {
    let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
    let name = unsafe String(cString: rd_kafka_err2name(code))
    if isFencing(code) {
      return "\(doing): the transactional id is another producer's now (\(name)): either a transaction took over 10 s,"
        + " or another process has the same instance_id"
    }
    switch code {
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      return
        "\(doing): the broker's access lists refuse a topic (\(line)); allow this user Read, Write and Describe on it"
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
      return "\(doing): the broker's access lists refuse the consumer group; allow this user Read on application_id"
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
      return
        "\(doing): the broker's access lists refuse the transactional id; allow this user Write on ids that begin with"
        + " application_id"
    default:
      return "\(doing): \(line) (\(name))"
    }
  }
}
