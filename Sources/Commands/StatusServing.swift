import Kafka
import Models
import Pipeline
import Scoring
import StatusPage
import Synchronization

/// What a server of a daemon's status is made of.
struct StatusServing {
  var settings: PipelineSettings
  var models: ModelSet
  /// Nil: no other instance is asked for (the demo's is alone).
  var kafka: KafkaSettings?
  var tokenFile: String?

  /// Serves the page, health, metrics and the interface of a daemon over HTTP until the server is stopped.
  func serve(_ daemon: Daemon, at address: String) throws(CommandFailure) -> HTTPServer {
    let build = StatusService.Build(
      version: Version.current, modelsVersion: models.version, topic: settings.topics.borrowerEvents,
      advertised: kafka?.advertised)
    let service = StatusService(
      build: build, pipeline: daemon, sources: sources(daemon), tokens: AccessTokens(path: tokenFile))
    do throws(HTTPServerError) {
      return try HTTPServer(address: address, handler: service)
    } catch {
      throw .failed("lendpulse: \(error.description)")
    }
  }

  private func sources(_ daemon: Daemon) -> StatusService.Sources {
    var sources = StatusService.Sources()
    let directory = settings.modelsDirectory
    sources.models = { ModelsFolder.value(directory: directory, serving: daemon.control?.models.version ?? "") }
    sources.fetch = { InstanceClient.fetch($0, $1) }
    sources.forecast = { [models] forecaster, platform, start, days in
      let model = daemon.control?.models.repayment ?? models.repayment
      return model.flatMap { forecaster.forecast($0, platform: platform, start: start, days: days) }
    }
    guard let kafka else { return sources }
    let group = GroupSource(settings: settings, kafka: kafka)
    sources.owner = { group.owner(of: $0) }
    return sources
  }
}

/// Connects to the brokers when somebody asks for the first time.
private final class GroupSource: Sendable {
  private let settings: PipelineSettings
  private let kafka: KafkaSettings
  private let directory = Mutex<GroupDirectory?>(nil)

  init(settings: PipelineSettings, kafka: KafkaSettings) {
    self.settings = settings
    self.kafka = kafka
  }

  func owner(of partition: Int32) -> PartitionOwner {
    do throws(BrokerError) {
      let found: Result<GroupDirectory, BrokerError> = directory.withLock { held in
        do throws(BrokerError) {
          if let held { return .success(held) }
          let one = try GroupDirectory(settings: kafka, pipeline: settings)
          held = one
          return .success(one)
        } catch {
          return .failure(error)
        }
      }
      switch try found.get().holder(of: partition) {
      case .member(let address): return .instance(address: address)
      case .nobody: return .nobody
      }
    } catch {
      return .unknown(reason: error.description)
    }
  }
}

/// The models folder, as `GET /v1/models` tells of it.
enum ModelsFolder {
  static func value(directory: String, serving: String) -> Scoring.JSONText {
    guard let entries = try? ModelRegistry.entries(directory: directory, verify: false) else { return .list([]) }
    let versions = serving.split(separator: "+").map(String.init)
    return .list(entries.map { value($0, isServing: versions.contains($0.version)) })
  }

  private static func value(_ entry: ModelRegistry.Entry, isServing: Bool) -> Scoring.JSONText {
    var fields: [(key: String, value: Scoring.JSONText)] = [
      ("kind", .text(entry.kind.rawValue)), ("version", .text(entry.version)), ("champion", .truth(entry.isChampion)),
      ("serving", .truth(isServing)),
    ]
    if let problem = entry.problem { fields.append(("problem", .text(problem.description))) }
    guard let manifest = entry.manifest else { return .object(fields) }
    fields += [
      ("created", .text(manifest.created)), ("horizon_days", .number(Double(manifest.horizonDays))),
      ("examples", .number(Double(manifest.data.examples))), ("borrowers", .number(Double(manifest.data.borrowers))),
      ("data_from", .text(manifest.data.from)), ("data_to", .text(manifest.data.to)),
      ("metrics", metrics(manifest.metrics)),
      (
        "candidates",
        .list(
          manifest.candidates.map {
            .object([("name", .text($0.name)), ("chosen", .truth($0.chosen)), ("metrics", metrics($0.metrics))])
          })
      ), ("card", .text(manifest.trainingCard)),
    ]
    return .object(fields)
  }

  private static func metrics(_ figures: [String: Double]) -> Scoring.JSONText {
    .object(figures.sorted { $0.key < $1.key }.filter { $0.value.isFinite }.map { ($0.key, .number($0.value)) })
  }
}
