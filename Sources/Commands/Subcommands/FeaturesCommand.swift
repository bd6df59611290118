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
    try StandardStreams.print(arguments.has("--json") ? FeatureListing.json : FeatureListing.table)
    return .done
  }
}

/// The catalogue as text and as JSON.
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

  static var json: String {
    var text = "{\"hash\":\(JSONText.quoted(FeatureCatalogue.hash)),\"features\":[\n"
    text += FeatureCatalogue.all.map { feature in
      let fields = [
        ("name", feature.name), ("window", feature.window), ("unit", feature.unit), ("meaning", feature.meaning),
        ("reason_code", feature.reasonCode),
      ]
      let texts = fields.map { "\(JSONText.quoted($0.0)):\(JSONText.quoted($0.1))" }
      return "{\(texts.joined(separator: ",")),\"protected\":\(feature.isProtected)}"
    }.joined(separator: ",\n")
    return text + "\n]}\n"
  }
}
