import Foundation
import Kafka
import Pipeline

extension PipelineSettings {
  init(_ configuration: Configuration, instanceID: String) {
    self.init()
    applicationID = configuration.applicationID
    self.instanceID = instanceID
    topics = configuration.topics
    // One for each core that this process may use.
    workers = configuration.workers == 0 ? ProcessInfo.processInfo.activeProcessorCount : configuration.workers
    commitIntervalMilliseconds = Int64(configuration.commitIntervalMilliseconds)
    checkpointIntervalMilliseconds = Int64((configuration.checkpoint.intervalSeconds * 1_000).rounded())
    checkpointChangedBytes = configuration.checkpoint.changedMebibytes << 20
    idleAfterMilliseconds = Int64((configuration.windows.idleAfterSeconds * 1_000).rounded())
    modelsDirectory = configuration.models ?? ""
    stateDirectory = configuration.stateDirectory
    engine = configuration.engineConfiguration
  }
}

extension KafkaSettings {
  init(_ configuration: Configuration, bootstrapServers: String) {
    self.init()
    self.bootstrapServers = bootstrapServers
    properties = configuration.kafka.properties.map { ($0.name, $0.value) }
    advertised = configuration.http.advertised
  }
}

extension CommandFailure {
  /// A setting that the client refuses is bad configuration; all else failed while running.
  static func broker(_ error: BrokerError, command: String) -> CommandFailure {
    let line = "lendpulse \(command): \(error.description)"
    return error.kind == .invalidSetting ? .misused(line) : .failed(line)
  }
}
