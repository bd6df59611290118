import Models

/// The folder's models, or one line that says what is wrong with it.
func loadModels(directory: String, command: String) throws(CommandFailure) -> ModelSet {
  do throws(ModelError) {
    return try ModelSet.load(directory: directory)
  } catch {
    throw .misused("lendpulse \(command): \(error.description)")
  }
}

/// Which models serve, and what is off without those that do not.
struct ServingModels: Sendable {
  var serving: [(kind: String, version: String)] = []
  var missing: [(kind: String, outputs: String)] = []

  init(_ models: ModelSet) {
    let kinds = [
      ("overdue", models.overdue?.version, "overdue probabilities and alerts by the model"),
      ("demand", models.demand?.version, "borrowing forecasts"),
      ("utilization", models.utilization?.version, "predicted utilization and leads"),
      ("repayment", models.repayment?.version, "repayment forecasts"),
    ]
    for (kind, version, outputs) in kinds {
      if let version { serving.append((kind, version)) } else { missing.append((kind, outputs)) }
    }
  }

  /// One line for each model that is not there.
  var notes: [String] { missing.map { "no \($0.kind) model is there: off are \($0.outputs)" } }
}
