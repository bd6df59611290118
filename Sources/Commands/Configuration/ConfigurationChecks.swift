import Pipeline
import Scoring

/// What concerns several keys at once. A problem is told where the later of the keys was set.
struct ConfigurationChecks {
  var configuration: Configuration
  var origins: [String: ConfigurationOrigin]
  /// Where the condition of each rule stands; empty for the default rules.
  var conditions: [(key: String, origin: ConfigurationOrigin)]

  var problems: [ConfigurationProblem] { bandProblems + topicProblems + ruleProblems }

  private var bandProblems: [ConfigurationProblem] {
    let alerts = configuration.alerts
    let bands = [("low", alerts.low), ("medium", alerts.medium), ("high", alerts.high), ("critical", alerts.critical)]
    return zip(bands, bands.dropFirst()).filter { $0.1 >= $1.1 }.map { lower, upper in
      let keys = ["alerts.bands.\(upper.0)", "alerts.bands.\(lower.0)"]
      return problem(keys, "\(upper.0) (\(upper.1)) must be greater than \(lower.0) (\(lower.1)): bands ascend")
    }
  }

  private var topicProblems: [ConfigurationProblem] {
    let topics = configuration.topics
    let named = [
      ("topics.borrower_events", topics.borrowerEvents), ("topics.industry_indicators", topics.industryIndicators),
      ("topics.alerts", topics.alerts), ("topics.leads", topics.leads), ("topics.scores", topics.scores),
      ("topics.repayment_forecasts", topics.repaymentForecasts), ("topics.dead_letters", topics.deadLetters),
    ]
    var found: [ConfigurationProblem] = []
    for (index, topic) in named.enumerated() {
      if let other = named[..<index].first(where: { $0.1 == topic.1 }) {
        found.append(problem([topic.0, other.0], "names the same topic as \(other.0): \(topic.1)"))
      } else if configuration.internalTopics.contains(topic.1) {
        found.append(problem([topic.0], "\(topic.1) is one of lendpulse's internal topics; choose another name"))
      }
    }
    return found
  }

  /// What the conditions say is judged by the engine that will read them.
  private var ruleProblems: [ConfigurationProblem] {
    zip(conditions, configuration.alerts.rules).flatMap { condition, rule in
      var settings = DecisionSettings()
      settings.alerts.allowProtected = configuration.alerts.allowProtected
      settings.alerts.rules = [rule]
      return settings.validate().filter { $0.keyPath.hasSuffix(".when") }.map {
        ConfigurationProblem(origin: condition.origin, key: condition.key, message: $0.message)
      }
    }
  }

  /// A problem at the first of `keys` that was set at all.
  private func problem(_ keys: [String], _ message: String) -> ConfigurationProblem {
    let set = keys.first { origins[$0] != nil } ?? keys[0]
    return ConfigurationProblem(origin: origins[set] ?? .unset, key: set, message: message)
  }
}
