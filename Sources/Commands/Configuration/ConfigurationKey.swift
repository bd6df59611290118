import Borrowers
import Pipeline
import Scoring

/// One key of the configuration: its name on the outside, and how its value gets into a `Configuration`.
struct ConfigurationKey: Sendable {
  /// Sections and key, joined by dots.
  var path: String
  /// Whether `--set` and the environment give the text itself; otherwise it is read as YAML.
  var isText: Bool
  var assign: @Sendable (inout Configuration, inout ConfigurationValue) -> Void

  /// `LENDPULSE_A_B` for `a.b`.
  var environmentName: String {
    "LENDPULSE_" + path.uppercased().replacing(".", with: "_")
  }

  static func named(_ path: String) -> ConfigurationKey? { all.first { $0.path == path } }

  /// Every key, in the order of the documentation.
  static let all: [ConfigurationKey] =
    general + kafkaSection + topicSection + runningSection + alertSection + leadSection + surroundings

  private static let general: [ConfigurationKey] = [
    text("application_id", \.applicationID, resourceName(countMax: 200)),
    optionalText("instance_id", \.instanceID, resourceName(countMax: 200)),
    text("state_directory", \.stateDirectory, path),
    optionalText("currency", \.currency, currencyCode),
  ]

  private static let kafkaSection: [ConfigurationKey] = [
    optionalText("kafka.bootstrap_servers", \.kafka.bootstrapServers, hostList),
    ConfigurationKey(path: KafkaProperties.path, isText: false) { configuration, value in
      KafkaProperties.read(&value).map { configuration.kafka.properties = $0 }
    },
  ]

  private static let topicSection: [ConfigurationKey] = [
    text("topics.borrower_events", \.topics.borrowerEvents, resourceName(countMax: 249)),
    text("topics.industry_indicators", \.topics.industryIndicators, resourceName(countMax: 249)),
    text("topics.alerts", \.topics.alerts, resourceName(countMax: 249)),
    text("topics.leads", \.topics.leads, resourceName(countMax: 249)),
    text("topics.scores", \.topics.scores, resourceName(countMax: 249)),
    text("topics.repayment_forecasts", \.topics.repaymentForecasts, resourceName(countMax: 249)),
    text("topics.dead_letters", \.topics.deadLetters, resourceName(countMax: 249)),
  ]

  private static let runningSection: [ConfigurationKey] = [
    optionalText("models", \.models, path),
    choice("output", \.output, [("json", .json), ("protobuf", .protobuf)]),
    integer("workers", \.workers, 0...256),
    // The broker ends a transaction that is open for 10 s.
    integer("commit_interval_ms", \.commitIntervalMilliseconds, 1...5_000),
    number("checkpoint.interval_s", \.checkpoint.intervalSeconds, 1...86_400),
    integer("checkpoint.changed_mib", \.checkpoint.changedMebibytes, 1...65_536),
    number("windows.allowed_lateness_s", \.windows.allowedLatenessSeconds, 0...604_800),
    number("windows.dedupe_days", \.windows.dedupeDays, 0...90),
    number("windows.idle_after_s", \.windows.idleAfterSeconds, 0...86_400),
    integer("memory.max_mib", \.memory.maxMebibytes, 0...16_777_216),
  ]

  private static let alertSection: [ConfigurationKey] = [
    number("alerts.bands.low", \.alerts.low, 0...1),
    number("alerts.bands.medium", \.alerts.medium, 0...1),
    number("alerts.bands.high", \.alerts.high, 0...1),
    number("alerts.bands.critical", \.alerts.critical, 0...1),
    choice("alerts.raise_at", \.alerts.raiseAt, severities),
    number("alerts.clear_margin", \.alerts.clearMargin, 0...1),
    number("alerts.cooldown_hours", \.alerts.cooldownHours, 0...8_760),
    number("alerts.loss_given_default", \.alerts.lossGivenDefault, 0...1),
    ConfigurationKey(path: "alerts.allow_protected", isText: false) { configuration, value in
      value.boolean().map { configuration.alerts.allowProtected = $0 }
    },
    ConfigurationKey(path: AlertRules.path, isText: false) { configuration, value in
      AlertRules.read(&value).map { configuration.alerts.rules = $0 }
    },
  ]

  private static let leadSection: [ConfigurationKey] = [
    number("leads.utilization_threshold", \.leads.utilizationThreshold, 0...10),
    number("leads.margin", \.leads.margin, 0...10),
    number("leads.overdue_at_most", \.leads.overdueAtMost, 0...1),
    number("leads.cooldown_days", \.leads.cooldownDays, 0...3_650),
    number("leads.valid_days", \.leads.validDays, 1...365),
    number("leads.update_share", \.leads.updateShare, 0...10),
  ]

  private static let surroundings: [ConfigurationKey] = [
    ConfigurationKey(path: "repayment.periods_days", isText: false) { configuration, value in
      RepaymentPeriods.read(&value).map { configuration.repayment.periodsDays = $0 }
    },
    integer("repayment.every_hours", \.repayment.everyHours, 1...744),
    text("http.listen", \.http.listen, hostAndPort),
    optionalText("http.advertised", \.http.advertised, hostAndPort),
    optionalText("http.token_file", \.http.tokenFile, path),
    choice("log.level", \.log.level, [("debug", .debug), ("info", .info), ("warning", .warning), ("error", .error)]),
    choice("log.format", \.log.format, [("text", .text), ("json", .json)]),
  ]

  static let severities: [(name: String, value: Severity)] = [
    ("low", .low), ("medium", .medium), ("high", .high), ("critical", .critical),
  ]
}

// MARK: Kinds of keys

extension ConfigurationKey {
  typealias Field<Value> = WritableKeyPath<Configuration, Value> & Sendable
  /// What is wrong with a text; nil: nothing.
  typealias TextRule = @Sendable (String) -> String?

  private static func text(_ path: String, _ field: Field<String>, _ rule: @escaping TextRule) -> ConfigurationKey {
    ConfigurationKey(path: path, isText: true) { configuration, value in
      guard let text = value.text() else { return }
      if let wrong = rule(text) { value.refuse(wrong) } else { configuration[keyPath: field] = text }
    }
  }

  private static func optionalText(
    _ path: String, _ field: Field<String?>, _ rule: @escaping TextRule
  ) -> ConfigurationKey {
    ConfigurationKey(path: path, isText: true) { configuration, value in
      if value.node.isNull {
        configuration[keyPath: field] = nil
        return
      }
      guard let text = value.text() else { return }
      if let wrong = rule(text) { value.refuse(wrong) } else { configuration[keyPath: field] = text }
    }
  }

  private static func integer(_ path: String, _ field: Field<Int>, _ range: ClosedRange<Int>) -> ConfigurationKey {
    ConfigurationKey(path: path, isText: false) { configuration, value in
      value.integer(range).map { configuration[keyPath: field] = $0 }
    }
  }

  private static func number(_ path: String, _ field: Field<Double>, _ range: ClosedRange<Double>) -> ConfigurationKey {
    ConfigurationKey(path: path, isText: false) { configuration, value in
      value.number(range).map { configuration[keyPath: field] = $0 }
    }
  }

  private static func choice<Choice: Sendable>(
    _ path: String, _ field: Field<Choice>, _ choices: [(name: String, value: Choice)]
  ) -> ConfigurationKey {
    ConfigurationKey(path: path, isText: true) { configuration, value in
      value.choice(choices).map { configuration[keyPath: field] = $0 }
    }
  }
}

// MARK: What a text may be

extension ConfigurationKey {
  private static let path: TextRule = { text in text.isEmpty ? "must name a path" : nil }

  private static let currencyCode: TextRule = { text in
    let isCode = text.utf8.count == 3 && text.utf8.allSatisfy { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
    return isCode ? nil : "must be a currency's three letters (ISO 4217), such as EUR"
  }

  /// What Kafka takes as a topic's name, with room for what is appended to it.
  private static func resourceName(countMax: Int) -> TextRule {
    { text in
      let isOfName = text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
      guard isOfName, !["", ".", ".."].contains(text), text.utf8.count <= countMax else {
        return "must be 1 to \(countMax) letters, digits, '.', '_' or '-'"
      }
      return nil
    }
  }

  private static let hostAndPort: TextRule = { text in
    HostAndPort(text) == nil ? "must be HOST:PORT with a port of 0 to 65535, such as 127.0.0.1:8080" : nil
  }

  private static let hostList: TextRule = { text in
    let hosts = text.split(separator: ",", omittingEmptySubsequences: false)
    let areWell = hosts.allSatisfy { HostAndPort(String($0).trimmingPrefix(while: \.isWhitespace)) != nil }
    return areWell ? nil : "must be HOST:PORT, several separated by commas"
  }
}

/// A host's name or address and a port; an IPv6 address stands in brackets.
struct HostAndPort: Equatable, Sendable {
  var host: String
  var port: UInt16

  init?(_ text: some StringProtocol) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    guard !host.isEmpty, !host.contains(where: \.isWhitespace) else { return nil }
    self.host = String(host)
    self.port = port
  }
}
