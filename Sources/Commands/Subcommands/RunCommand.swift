import Disk
import Features
import Foundation
import Glibc
import Kafka
import Models
import Pipeline
import StatusPage

extension CommandDefinition {
  static let run = CommandDefinition(
    name: "run",
    summary: "the daemon: scores every borrower event of a Kafka topic, exactly once",
    details: """
      Reads the input topic as a member of the consumer group application_id, and publishes scores, alerts and leads in the
      transaction that commits the input's position. More processes share the partitions. SIGTERM or SIGINT: it finishes,
      commits, leaves the group and ends.
      """,
    options: [
      OptionDefinition.config.required(), .set,
      OptionDefinition(name: "--create-topics", meaning: "makes the input and output topics too when they are missing"),
    ],
    examples: [
      ("lendpulse run --config lendpulse.yaml", "serves until it is ended"),
      ("lendpulse run --config lendpulse.yaml --create-topics --set log.level=debug", "a first try"),
    ]
  ) { arguments throws(CommandFailure) in try DaemonRun(arguments).run() }
}

/// One run of the daemon from its configuration to its end.
private struct DaemonRun {
  private static let pollMilliseconds = 250
  private static let progressNanoseconds: Int64 = 60_000_000_000
  /// Less than the time after which a signal ends the process in any case.
  private static let stopMilliseconds = 4_000

  private let log: Log
  private let notification = ServiceNotification(environment: ProcessInfo.processInfo.environment)
  private let clock = SystemClock()
  private let startedAt: Int64
  /// Holds the instance's name for as long as the process lives.
  private let slot: InstanceSlot?
  private let settings: PipelineSettings
  private let kafka: KafkaSettings
  private let models: ModelSet
  private let listen: String
  private let memoryCap: MemoryCap?
  private let tokenFile: String?

  init(_ arguments: ParsedArguments) throws(CommandFailure) {
    startedAt = clock.monotonic
    let configuration = try Configuration.load(arguments)
    try configuration.requireForRun()
    log = Log(level: configuration.log.level, format: configuration.log.format)
    models = try loadModels(directory: configuration.models ?? "", command: "run")
    try Self.makeStateDirectory(configuration.stateDirectory)
    slot = configuration.instanceID == nil ? try Self.takeSlot(configuration.stateDirectory) : nil
    settings = PipelineSettings(configuration, instanceID: configuration.instanceID ?? slot?.instanceID ?? "")
    var kafka = KafkaSettings(configuration, bootstrapServers: try configuration.requireKafka())
    kafka.createsTopics = arguments.has("--create-topics")
    self.kafka = kafka
    listen = configuration.http.listen
    tokenFile = configuration.http.tokenFile
    if let tokenFile, unsafe access(tokenFile, R_OK) != 0 {
      throw .misused(
        "lendpulse run: http.token_file: \(tokenFile) cannot be read; make it, readable for this user, or leave the key out"
      )
    }
    memoryCap = Self.memoryCap(configuration, log)
  }

  /// Each partition gets a file of its own when its first borrower moves out.
  private static func memoryCap(_ configuration: Configuration, _ log: Log) -> MemoryCap? {
    let mebibytes = configuration.memory.maxMebibytes
    guard mebibytes > 0 else { return nil }
    let directory = configuration.stateDirectory
    return MemoryCap(budget: MemoryBudget(maxBytes: mebibytes << 20)) {
      do {
        return try LMDBDisk(directory: directory)
      } catch {
        log.record(.memoryCapUnmet(reason: "\(error)"))
        return nil
      }
    }
  }

  /// Snapshots, borrowers that move out of memory and the instance's name lie there.
  private static func makeStateDirectory(_ directory: String) throws(CommandFailure) {
    try? FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    guard unsafe access(directory, W_OK | X_OK) == 0 else {
      throw .misused(
        "lendpulse run: state_directory: \(directory) cannot be made or written; let this user write it, or name another"
      )
    }
  }

  private static func takeSlot(_ directory: String) throws(CommandFailure) -> InstanceSlot {
    do throws(InstanceSlot.SlotError) {
      return try InstanceSlot(directory: directory)
    } catch {
      throw .misused("lendpulse run: \(error.description)")
    }
  }

  func run() throws(CommandFailure) -> ExitStatus {
    log.record(.starting(version: Version.current, instance: settings.instanceID, workers: settings.workers))
    let present = ServingModels(models)
    log.record(.modelsServing(models: present.serving, digest: models.digest))
    for missing in present.missing {
      log.record(.outputOff(output: missing.outputs, reason: "no \(missing.kind) model is there"))
    }
    var settings = settings
    settings.engine.memoryCap = memoryCap
    let broker = KafkaBroker(settings: kafka, pipeline: settings, log: log)
    let daemon = Daemon(settings: settings, broker: broker, models: models, log: log)
    let serving = StatusServing(settings: settings, models: models, kafka: kafka, tokenFile: tokenFile)
    let server = try serving.serve(daemon, at: listen)
    defer { server.stop() }
    log.record(.httpListening(port: server.port))
    Interruption.watch { daemon.requestStop() }
    do throws(BrokerError) {
      try daemon.start()
    } catch {
      throw .broker(error, command: "run")
    }
    attend(daemon)
    if let signal = Interruption.signal { return try stop(daemon, signal) }
    throw .failed("lendpulse run: \(daemon.failure?.description ?? "all workers ended")")
  }

  /// Until a signal comes or the daemon ends by itself.
  private func attend(_ daemon: Daemon) {
    var isReady = false
    var progressAt = clock.monotonic
    var reported: UInt64 = 0
    while !Interruption.isRequested, !daemon.waitUntilEnded(waitMilliseconds: Self.pollMilliseconds) {
      let status = daemon.status
      if !isReady, status.isReady {
        isReady = true
        let milliseconds = Int((clock.monotonic - startedAt) / 1_000_000)
        log.record(
          .ready(partitions: status.partitions.count, borrowers: status.borrowers, milliseconds: milliseconds))
        notification.ready(status: Self.line(status))
      }
      guard clock.monotonic - progressAt >= Self.progressNanoseconds else { continue }
      progressAt = clock.monotonic
      notification.status(Self.line(status))
      guard status.totals.eventsAccepted != reported else { continue }
      reported = status.totals.eventsAccepted
      log.record(
        .progress(
          accepted: reported, deadLetters: status.totals.recordsDeadLettered, borrowers: status.borrowers,
          lag: status.lag))
    }
  }

  private func stop(_ daemon: Daemon, _ signal: Int32) throws(CommandFailure) -> ExitStatus {
    notification.stopping()
    log.record(.stopping(signal: signal == SIGINT ? "SIGINT" : "SIGTERM"))
    let stoppedAt = clock.monotonic
    // What is not committed by then is decided again at the next start: nothing is lost.
    daemon.stop(waitMilliseconds: Self.stopMilliseconds)
    if let failure = daemon.failure { throw .failed("lendpulse run: \(failure.description)") }
    log.record(.stopped(milliseconds: Int((clock.monotonic - stoppedAt) / 1_000_000)))
    return .interrupted(signal: signal)
  }

  /// One line for a service manager's status.
  private static func line(_ status: PipelineStatus) -> String {
    "\(status.partitions.count) partitions, \(status.borrowers) borrowers, lag \(status.lag), "
      + "\(status.totals.eventsAccepted) events"
  }
}
