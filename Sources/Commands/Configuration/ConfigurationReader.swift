import Foundation

/// Reads a configuration out of its three layers: the file, over it the environment, over it `--set`. All problems of
/// all layers are told at once, those of the file first, in the order of its lines.
struct ConfigurationReader {
  private var configuration = Configuration()
  private var problems: [ConfigurationProblem] = []
  /// Where the value in force of each key came from.
  private var origins: [String: ConfigurationOrigin] = [:]
  /// The conditions of `alerts.rules`, in the order of the rules in force.
  private var conditions: [(key: String, origin: ConfigurationOrigin)] = []

  /// `settings` are the values of `--set`, in order; the last of a key wins.
  static func read(
    file: String?, settings: [String], environment: [String: String]
  ) throws(ConfigurationProblems) -> Configuration {
    var bytes: [UInt8]?
    if let file {
      do {
        bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: file)))
      } catch {
        let message = "cannot be read (\(FileProblem.reason(error))); name a YAML file with --config"
        throw ConfigurationProblems(problems: [
          ConfigurationProblem(origin: .unset, key: file, message: message)
        ])
      }
    }
    return try read(bytes: bytes, file: file ?? "", settings: settings, environment: environment)
  }

  /// The same with the file's bytes at hand.
  static func read(
    bytes: [UInt8]?, file: String, settings: [String], environment: [String: String]
  ) throws(ConfigurationProblems) -> Configuration {
    var reader = ConfigurationReader()
    if let directory = environment["STATE_DIRECTORY"]?.split(separator: ":").first {
      reader.configuration.stateDirectory = String(directory)
    }
    if let bytes { reader.take(file: file, bytes) }
    reader.take(environment: environment)
    for setting in settings { reader.take(setting: setting) }
    let checks = ConfigurationChecks(
      configuration: reader.configuration, origins: reader.origins, conditions: reader.conditions)
    let problems = reader.problems + checks.problems
    guard problems.isEmpty else { throw ConfigurationProblems(problems: sorted(problems)) }
    return reader.configuration
  }

  // MARK: Layers

  private mutating func take(file: String, _ bytes: [UInt8]) {
    let (root, yamlProblems) = YAMLReader.read(bytes)
    problems += yamlProblems.map {
      ConfigurationProblem(origin: .file(file, line: $0.line), key: "", message: $0.message)
    }
    guard let root, !root.isNull else { return }
    take(section: "", root, file)
  }

  /// A mapping of keys and sections below the prefix (`alerts.bands.`).
  private mutating func take(section prefix: String, _ node: YAMLNode, _ file: String) {
    guard case .mapping(let entries) = node.content else {
      // A section whose keys are all commented out.
      if node.isNull { return }
      let key = String(prefix.dropLast())
      refuse(.file(file, line: node.line), key, "must be a mapping of keys, not \(node.kind)")
      return
    }
    for entry in entries {
      let path = prefix + entry.key
      if let key = ConfigurationKey.named(path) {
        assign(key, entry.value, .file(file, line: entry.line))
      } else if ConfigurationKey.all.contains(where: { $0.path.hasPrefix(path + ".") }) {
        take(section: path + ".", entry.value, file)
      } else {
        refuse(.file(file, line: entry.line), path, "is unknown" + Self.suggestion(prefix: prefix, entry.key))
      }
    }
  }

  private mutating func take(environment: [String: String]) {
    let propertyPrefix = "LENDPULSE_KAFKA_PROPERTIES_"
    for key in ConfigurationKey.all {
      guard let text = environment[key.environmentName] else { continue }
      take(key, text, .environment(key.environmentName))
    }
    for name in environment.keys.sorted() where name.hasPrefix(propertyPrefix) {
      let property = name.dropFirst(propertyPrefix.count).lowercased().replacing("_", with: ".")
      takeProperty(property, environment[name] ?? "", .environment(name))
    }
  }

  private mutating func take(setting: String) {
    guard let equals = setting.firstIndex(of: "="), equals != setting.startIndex else {
      // What is behind `--set` may be a secret: only what stands before a '=' is told.
      refuse(.flag, "", "needs KEY=VALUE, such as --set log.level=debug")
      return
    }
    let path = String(setting[..<equals])
    let text = String(setting[setting.index(after: equals)...])
    if path.hasPrefix(KafkaProperties.path + ".") {
      takeProperty(String(path.dropFirst(KafkaProperties.path.count + 1)), text, .flag)
    } else if let key = ConfigurationKey.named(path) {
      take(key, text, .flag)
    } else if ConfigurationKey.all.contains(where: { $0.path.hasPrefix(path + ".") }) {
      refuse(.flag, path, "is a section; set one of its keys, such as \(Self.firstKey(below: path))=…")
    } else {
      let suggestion = Suggestion.phrase(for: path, among: ConfigurationKey.all.map(\.path))
      refuse(.flag, path, "is unknown" + suggestion)
    }
  }

  private mutating func take(_ key: ConfigurationKey, _ text: String, _ origin: ConfigurationOrigin) {
    if key.isText {
      assign(key, YAMLNode(content: .scalar(text, isPlain: true), line: 1), origin)
      return
    }
    let (root, yamlProblems) = YAMLReader.read([UInt8](text.utf8))
    problems += yamlProblems.map { ConfigurationProblem(origin: origin, key: key.path, message: $0.message) }
    guard yamlProblems.isEmpty else { return }
    assign(key, root ?? YAMLNode(content: .scalar("", isPlain: true), line: 1), origin)
  }

  private mutating func takeProperty(_ name: String, _ text: String, _ origin: ConfigurationOrigin) {
    var value = ConfigurationValue(
      key: "\(KafkaProperties.path).\(name)", node: YAMLNode(content: .scalar(text, isPlain: false), line: 1),
      origin: origin)
    if let property = KafkaProperties.readProperty(name, &value) {
      configuration.kafka.properties.removeAll { $0.name == name }
      configuration.kafka.properties.append(property)
    }
    problems += value.problems
  }

  private mutating func assign(_ key: ConfigurationKey, _ node: YAMLNode, _ origin: ConfigurationOrigin) {
    var value = ConfigurationValue(key: key.path, node: node, origin: origin)
    key.assign(&configuration, &value)
    problems += value.problems
    origins[key.path] = origin
    if key.path == AlertRules.path { conditions = value.parts }
  }

  // MARK: Problems

  private mutating func refuse(_ origin: ConfigurationOrigin, _ key: String, _ message: String) {
    problems.append(ConfigurationProblem(origin: origin, key: key, message: message))
  }

  /// A neighbour of nearly this name, or the section where a key of this name stands.
  private static func suggestion(prefix: String, _ name: String) -> String {
    let inside = ConfigurationKey.all.map(\.path).filter { $0.hasPrefix(prefix) }.map {
      String($0.dropFirst(prefix.count).prefix { $0 != "." })
    }
    if let near = Suggestion.nearest(to: name, among: inside) { return "; did you mean \(prefix)\(near)?" }
    let elsewhere = ConfigurationKey.all.map(\.path).first { $0 == name || $0.hasSuffix("." + name) }
    return elsewhere.map { "; did you mean \($0)?" } ?? ""
  }

  private static func firstKey(below section: String) -> String {
    ConfigurationKey.all.map(\.path).first { $0.hasPrefix(section + ".") } ?? section
  }

  /// The file's by line, then the others in the order they were found.
  private static func sorted(_ problems: [ConfigurationProblem]) -> [ConfigurationProblem] {
    func line(_ problem: ConfigurationProblem) -> Int {
      if case .file(_, let line) = problem.origin { return line }
      return .max
    }
    return problems.enumerated().sorted { (line($0.element), $0.offset) < (line($1.element), $1.offset) }.map(\.element)
  }
}
