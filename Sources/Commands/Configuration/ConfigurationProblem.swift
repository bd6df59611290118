/// Where a value of the configuration came from.
enum ConfigurationOrigin: Equatable, Sendable {
  case file(String, line: Int)
  /// `--set`.
  case flag
  /// The variable's name.
  case environment(String)
  case unset
}

/// One thing wrong with a configuration. Its description is one line and shows no value of `kafka.properties`.
struct ConfigurationProblem: Error, Equatable, CustomStringConvertible, Sendable {
  var origin: ConfigurationOrigin
  /// The key with its sections, joined by dots; empty where it is about the file as a whole.
  var key: String
  var message: String

  var description: String {
    let about = key.isEmpty ? message : "\(key): \(message)"
    return switch origin {
    case .file(let path, let line): "\(path):\(line): \(about)"
    case .flag: "--set \(about)"
    case .environment(let name): "\(name): \(about)"
    case .unset: about
    }
  }
}

/// All that is wrong with a configuration.
struct ConfigurationProblems: Error, Equatable, Sendable {
  var problems: [ConfigurationProblem]
}
