import Kafka
import Pipeline

extension CommandDefinition {
  static let topics = CommandDefinition(
    name: "topics",
    summary: "makes the topics that are missing, or says what is wrong with what is there",
    choices: [
      ChoiceDefinition(name: "create", meaning: "makes what is missing; what is there stays as it is"),
      ChoiceDefinition(name: "check", meaning: "names all that is wrong; exit status 1 when anything is"),
    ],
    options: [
      OptionDefinition.config.required(), .set,
      OptionDefinition(
        name: "--partitions", value: "N",
        meaning: "of an input topic that is made (default: the broker's default), or that must be there"),
    ],
    examples: [
      ("lendpulse topics create --config lendpulse.yaml --partitions 12", "makes all, the input with 12 partitions"),
      ("lendpulse topics check --config lendpulse.yaml", "before the first start, and after a change"),
    ]
  ) { arguments throws(CommandFailure) in
    let report = try reportOnTopics(arguments)
    try StandardStreams.print(report.lines.map { $0 + "\n" }.joined())
    return report.isGood ? .done : .failed
  }
}

private func reportOnTopics(_ arguments: ParsedArguments) throws(CommandFailure) -> (lines: [String], isGood: Bool) {
  let partitions = try arguments.integer("--partitions", 1...10_000)
  let configuration = try Configuration.load(arguments)
  var settings = KafkaSettings(configuration, bootstrapServers: try configuration.requireKafka())
  settings.createsTopics = true
  settings.partitions = partitions
  // Topics do not depend on which instance asks.
  let pipeline = PipelineSettings(configuration, instanceID: "administration")
  do throws(BrokerError) {
    let administration = try TopicAdministration(settings: settings, pipeline: pipeline)
    if arguments.choice == "create" {
      let made = try administration.create()
      return (made.isEmpty ? ["all topics are there"] : made.map { "made \($0)" }, true)
    }
    let problems = try administration.check()
    return (problems.isEmpty ? ["nothing is wrong with the topics"] : problems, problems.isEmpty)
  } catch {
    throw .broker(error, command: "topics")
  }
}
