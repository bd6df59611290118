import Models
import Pipeline
import Scoring
import StatusPage

/// Serves health, metrics and status of a daemon over HTTP until the server is stopped.
func serveStatus(
  of daemon: Daemon, at address: String, models: ModelSet, topic: String
) throws(CommandFailure) -> HTTPServer {
  let build = StatusService.Build(version: Version.current, modelsVersion: models.version, topic: topic)
  var onDemand: ForecastOnDemand?
  if let model = models.repayment {
    onDemand = { forecaster, platform, start, days in
      forecaster.forecast(model, platform: platform, start: start, days: days)
    }
  }
  let service = StatusService(build: build, forecast: onDemand) { daemon.status }
  do throws(HTTPServerError) {
    return try HTTPServer(address: address) { service.answer($0) }
  } catch {
    throw .failed("lendpulse: \(error.description)")
  }
}
