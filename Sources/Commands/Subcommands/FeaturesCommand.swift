import Features
import Foundation

extension CommandDefinition {
  static let features = CommandDefinition(
    name: "features",
    summary: "lists the features: name, window, unit, meaning",
    options: [OptionDefinition(name: "--json", meaning: "as JSON, with the catalogue's hash and reason codes")],
    examples: [
      ("lendpulse features", "a table to read"),
      ("lendpulse features --json", "the same for a program"),
    ]
  ) { arguments throws(CommandFailure) in
    try StandardStreams.print(arguments.has("--json") ? FeatureCatalogue.json() : FeatureListing.table)
    return .done
  }
}

/// The catalogue as text.
enum FeatureListing {
  static var table: String {
    let header = ["NAME", "WINDOW", "UNIT", "MEANING"]
    let rows = FeatureCatalogue.all.map { feature in
      [
        feature.name, feature.window.isEmpty ? "-" : feature.window, feature.unit,
        feature.meaning + (feature.isProtected ? " (protected: in no model unless asked for)" : ""),
      ]
    }
    return TextTable.render([header] + rows)
  }
}
