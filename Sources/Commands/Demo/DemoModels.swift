import Foundation

/// The models that ship with lendpulse.
enum DemoModels {
  /// The first of these that is there: `$LENDPULSE_DEMO_MODELS`, `../share/lendpulse/demo-models` beside the executable's
  /// folder, `demo/models` of a source tree that the executable was built in.
  static func directory(executable: String, environment: [String: String]) -> String? {
    candidates(executable: executable, environment: environment).first { path in
      var isDirectory: ObjCBool = false
      return unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
    }
  }

  static func candidates(executable: String, environment: [String: String]) -> [String] {
    if let named = environment["LENDPULSE_DEMO_MODELS"], !named.isEmpty { return [named] }
    var folder = URL(fileURLWithPath: executable).deletingLastPathComponent()
    var paths = [folder.deletingLastPathComponent().appendingPathComponent("share/lendpulse/demo-models").path]
    // A build's folder lies a few levels below the source tree.
    for _ in 0..<6 where folder.path != "/" {
      paths.append(folder.appendingPathComponent("demo/models").path)
      folder = folder.deletingLastPathComponent()
    }
    return paths
  }

  /// The path of this process's executable, links followed.
  static var executable: String {
    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
  }
}
