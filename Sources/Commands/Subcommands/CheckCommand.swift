import Foundation
import Kafka

extension CommandDefinition {
  static let check = CommandDefinition(
    name: "check",
    summary: "says all that is wrong with a configuration, at once",
    details: """
      Reads the file, the environment (LENDPULSE_A_B for a.b) and --set as `run` would, and names every unknown key, wrong
      type and value out of range with its line. Nothing is connected to.
      """,
    options: [OptionDefinition.config.required(), .set],
    examples: [
      ("lendpulse check --config lendpulse.yaml", "lists what is wrong; exit status 2 when anything is"),
      ("lendpulse check --config lendpulse.yaml --set log.level=debug", "the same with one key over the file's"),
    ]
  ) { arguments throws(CommandFailure) in
    let configuration = try Configuration.load(arguments)
    try configuration.requireForRun()
    try StandardStreams.print("\(arguments.required("--config")): nothing is wrong with it\n")
    return .done
  }
}

extension Configuration {
  /// Of `--config` and `--set`, and the environment.
  static func load(_ arguments: ParsedArguments) throws(CommandFailure) -> Configuration {
    do throws(ConfigurationProblems) {
      return try ConfigurationReader.read(
        file: arguments["--config"], settings: arguments.all("--set"),
        environment: ProcessInfo.processInfo.environment)
    } catch {
      throw CommandFailure(lines: error.problems.map(\.description), status: .misused)
    }
  }

  /// What has no default and the daemon needs, and what librdkafka refuses: all at once.
  func requireForRun() throws(CommandFailure) {
    var lines: [String] = []
    if kafka.bootstrapServers == nil {
      lines.append(
        "kafka.bootstrap_servers: is not set in the file, LENDPULSE_KAFKA_BOOTSTRAP_SERVERS or --set; name a broker, such as 127.0.0.1:9092"
      )
    }
    if models == nil {
      lines.append(
        "models: is not set in the file, LENDPULSE_MODELS or --set; name the folder of models, such as /var/lib/lendpulse/models"
      )
    }
    lines += KafkaSettings(self, bootstrapServers: kafka.bootstrapServers ?? "").problems
    guard lines.isEmpty else { throw CommandFailure(lines: lines, status: .misused) }
  }

  func requireKafka() throws(CommandFailure) -> String {
    guard let servers = kafka.bootstrapServers else {
      throw .misused("kafka.bootstrap_servers: is not set; name a broker, such as 127.0.0.1:9092")
    }
    return servers
  }
}
