import Foundation

/// Where things are: the source tree, and what was built with the tests.
public enum Repository {
  public static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// The `lendpulse` built beside the tests that run; `LENDPULSE_BINARY` names another.
  public static var binary: String {
    if let named = ProcessInfo.processInfo.environment["LENDPULSE_BINARY"] { return named }
    let tests = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    let beside = tests.deletingLastPathComponent().appendingPathComponent("lendpulse").path
    if FileManager.default.isExecutableFile(atPath: beside) { return beside }
    return root.appendingPathComponent(".build/debug/lendpulse").path
  }

  public static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
  }

  /// The paths of all files that belong to the project, sorted: no build products, no version control.
  public static func files() -> [String] {
    let enumerator = FileManager.default.enumerator(at: root, includingPropertiesForKeys: [.isRegularFileKey])
    var found: [String] = []
    let prefix = root.path + "/"
    while let url = enumerator?.nextObject() as? URL {
      let path = String(url.path.dropFirst(prefix.count))
      let top = path.split(separator: "/").first.map(String.init) ?? ""
      if top == ".git" || top.hasPrefix(".build") || top == ".swiftpm" || url.lastPathComponent == "__pycache__" {
        enumerator?.skipDescendants()
      } else if (try? url.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile) == true {
        found.append(path)
      }
    }
    return found.sorted()
  }

  /// The full path of a tool, where it is installed.
  public static func tool(_ name: String) -> String? {
    let directories = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
    return (directories + ["/usr/bin", "/bin"]).map { $0 + "/" + name }
      .first { FileManager.default.isExecutableFile(atPath: $0) }
  }
}

/// A directory of one test, gone with it.
public final class TemporaryDirectory: Sendable {
  public let path: String

  public init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("lendpulse-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  public func file(_ name: String) -> String { path + "/" + name }

  public func write(_ name: String, _ text: String) throws -> String {
    try text.write(toFile: file(name), atomically: true, encoding: .utf8)
    return file(name)
  }
}
