import Foundation
import Kafka
import Models
import Pipeline
import StatusPage

extension CommandDefinition {
  static let demo = CommandDefinition(
    name: "demo",
    summary: "the whole system on this machine with no set-up: broker, simulated borrowers, models, daemon",
    details: """
      An embedded broker that speaks Kafka's protocol, five thousand simulated borrowers whose days pass in seconds, models
      that ship with lendpulse, and the daemon that scores them. On a terminal it draws a live view; elsewhere it writes
      plain lines. The embedded broker keeps everything in memory and nothing on disk.
      """,
    options: [
      OptionDefinition(
        name: "--seconds", value: "N", meaning: "ends by itself after so long; default: until it is ended"),
      OptionDefinition(
        name: "--port", value: "P",
        meaning: "serves the web page and the interface on 127.0.0.1:P; default: 8080, or any where that is taken"),
      OptionDefinition(
        name: "--brokers", value: "HOST:PORT",
        meaning: "a real Kafka in place of the embedded one; topics demo-… are made"),
    ],
    examples: [
      ("lendpulse demo", "until q or Ctrl-C"),
      ("lendpulse demo --seconds 30 | cat", "half a minute, as plain lines, with a summary"),
      ("lendpulse demo --brokers 127.0.0.1:9092", "the same through a Kafka of yours"),
    ]
  ) { arguments throws(CommandFailure) in try DemoRun(arguments).run() }
}

/// One run of the demo.
private struct DemoRun {
  private static let frameMilliseconds = 125
  private static let stopMilliseconds = 4_000
  private static let partitions = 4

  private let seconds: Int?
  private let brokers: String?
  private let port: Int?
  private let models: ModelSet
  private let modelsDirectory: String
  private let isLive: Bool
  private let isColoured: Bool
  private let log: DemoLog
  private let clock = SystemClock()

  init(_ arguments: ParsedArguments) throws(CommandFailure) {
    let environment = ProcessInfo.processInfo.environment
    seconds = try arguments.integer("--seconds", 1...86_400)
    brokers = arguments["--brokers"]
    port = try arguments.integer("--port", 0...65_535)
    if let brokers, brokers.split(separator: ",").contains(where: { HostAndPort($0) == nil }) {
      throw arguments.misuse("--brokers must be HOST:PORT, not \(brokers)")
    }
    guard let directory = DemoModels.directory(executable: DemoModels.executable, environment: environment) else {
      throw .failed("lendpulse demo: its models are not there; set LENDPULSE_DEMO_MODELS to a folder of models")
    }
    models = try loadModels(directory: directory, command: "demo")
    modelsDirectory = directory
    isLive = Terminal.isLive(environment: environment)
    isColoured = Terminal.isColoured(environment: environment)
    log = DemoLog(forwardingTo: isLive ? nil : Log(level: .warning, format: .text), isEmbedded: brokers == nil)
  }

  func run() throws(CommandFailure) -> ExitStatus {
    // Of its own for each run, so that a second one on the same Kafka begins anew.
    let name = brokers == nil ? "demo" : "demo-" + String(UInt32.random(in: 0...UInt32.max), radix: 36)
    let settings = pipelineSettings(name: name)
    let embedded = try embeddedBroker(settings)
    // The broker goes last: the daemon and the feed talk to it until they have ended.
    defer { withExtendedLifetime(embedded) {} }
    var kafka = KafkaSettings()
    kafka.bootstrapServers = brokers ?? embedded?.bootstrapServers ?? ""
    kafka.isEmbedded = embedded != nil
    kafka.createsTopics = true
    kafka.partitions = Self.partitions
    let broker = KafkaBroker(settings: kafka, pipeline: settings, log: log)
    let daemon = Daemon(settings: settings, broker: broker, models: models, log: log)
    let server = try serve(daemon, settings)
    defer { server.stop() }
    Interruption.watch { daemon.requestStop() }
    let feed = DemoFeed()
    do throws(BrokerError) {
      try daemon.start()
    } catch {
      throw .broker(error, command: "demo")
    }
    feed.start(settings: kafka, topic: settings.topics.borrowerEvents, log: log)
    let end = watch(daemon, feed, name: name, page: "http://127.0.0.1:\(server.port)/")
    stop(daemon, feed)
    if let failure = daemon.failure ?? feed.progress.failure { throw .broker(failure, command: "demo") }
    for line in end { StandardStreams.reportOutput(line) }
    return Interruption.signal.map { .interrupted(signal: $0) } ?? .done
  }

  /// The page: on the port that was asked for, or on the usual one, or on any where that is taken.
  private func serve(_ daemon: Daemon, _ settings: PipelineSettings) throws(CommandFailure) -> HTTPServer {
    let serving = StatusServing(settings: settings, models: models)
    guard port == nil else { return try serving.serve(daemon, at: "127.0.0.1:\(port ?? 0)") }
    if let server = try? serving.serve(daemon, at: Configuration().http.listen) { return server }
    return try serving.serve(daemon, at: "127.0.0.1:0")
  }

  private func embeddedBroker(_ settings: PipelineSettings) throws(CommandFailure) -> EmbeddedBroker? {
    guard brokers == nil else { return nil }
    do throws(BrokerError) {
      return try EmbeddedBroker(pipeline: settings, partitions: Self.partitions, log: log)
    } catch {
      throw .broker(error, command: "demo")
    }
  }

  private func stop(_ daemon: Daemon, _ feed: DemoFeed) {
    feed.stop()
    daemon.stop(waitMilliseconds: Self.stopMilliseconds)
    let deadline = clock.monotonic + 1_000_000_000
    while !feed.progress.hasEnded, clock.monotonic < deadline { Thread.sleep(forTimeInterval: 0.01) }
  }

  private func pipelineSettings(name: String) -> PipelineSettings {
    var configuration = Configuration()
    configuration.nameTopics(prefix: name)
    var settings = PipelineSettings(configuration, instanceID: "demo")
    // The simulator, the embedded broker and the view want a core too.
    settings.workers = max(1, min(Self.partitions, settings.workers - 1))
    settings.idleAfterMilliseconds = 0
    // Each demo begins anew.
    settings.stateDirectory = nil
    settings.modelsDirectory = modelsDirectory
    return settings
  }

  // MARK: What is shown

  /// Shows the pipeline until time is up, a key or signal ends it, or it fails; returns the summary's lines.
  private func watch(_ daemon: Daemon, _ feed: DemoFeed, name: String, page: String?) -> [String] {
    var state = DemoState()
    state.broker = brokers ?? "embedded broker"
    state.acceleration = DemoPace.acceleration
    state.page = page
    var observer = DemoObserver(state)
    let startedAt = clock.monotonic
    let terminal = isLive ? Terminal() : nil
    if let terminal { Interruption.restoreAtEnd { terminal.restore() } }
    defer { terminal?.restore() }
    if terminal == nil, let page { StandardStreams.reportOutput("the live page: \(page)") }
    var shown = state
    while !Interruption.isRequested {
      let status = daemon.status
      let elapsed = Double(clock.monotonic - startedAt) / 1e9
      feed.note(scored: status.totals.eventsAccepted + status.totals.eventsRepeated + status.totals.recordsDeadLettered)
      let progress = feed.progress
      observer.observe(status, at: elapsed, eventTime: progress.eventTime, warning: log.warning)
      if let seconds, elapsed >= Double(seconds) { break }
      if progress.failure != nil || daemon.waitUntilEnded(waitMilliseconds: 0) { break }
      if let terminal {
        let size = Terminal.size
        Terminal.show(DemoView(columns: size.columns, rows: size.rows, isColoured: isColoured).lines(observer.state))
        if let key = terminal.key(waitMilliseconds: Self.frameMilliseconds), key == UInt8(ascii: "q") { break }
      } else {
        printPlain(observer.state, &shown)
        Thread.sleep(forTimeInterval: Double(Self.frameMilliseconds) / 1_000)
      }
    }
    let topics = brokers.map { ["the topics \(name)-* stay at \($0); delete them when you like"] } ?? []
    return DemoText.summary(observer.state) + topics
  }

  /// A line a second, and with it the newest alert and lead where new ones came.
  private func printPlain(_ state: DemoState, _ shown: inout DemoState) {
    guard Int(state.elapsedSeconds) > Int(shown.elapsedSeconds) else { return }
    StandardStreams.reportOutput(DemoText.progress(state))
    if state.status.recentAlertsTotal > shown.status.recentAlertsTotal, let alert = state.alerts.first {
      StandardStreams.reportOutput(DemoText.alert(alert))
    }
    if state.status.recentLeadsTotal > shown.status.recentLeadsTotal, let lead = state.leads.first {
      StandardStreams.reportOutput(DemoText.lead(lead))
    }
    shown = state
  }
}

extension Configuration {
  /// Every topic and the application's id begin with the prefix.
  fileprivate mutating func nameTopics(prefix: String) {
    applicationID = "\(prefix)-lendpulse"
    topics.borrowerEvents = "\(prefix)-\(topics.borrowerEvents)"
    topics.industryIndicators = "\(prefix)-\(topics.industryIndicators)"
    topics.alerts = "\(prefix)-\(topics.alerts)"
    topics.leads = "\(prefix)-\(topics.leads)"
    topics.scores = "\(prefix)-\(topics.scores)"
    topics.repaymentForecasts = "\(prefix)-\(topics.repaymentForecasts)"
    topics.deadLetters = "\(prefix)-\(topics.deadLetters)"
  }
}
