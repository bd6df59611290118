import Foundation
import TestSupport
import Testing

/// An independent program that these tests compare with. Where it is missing the test is left out with a printed line,
/// except in CI.
struct ExternalTool: Sendable {
  let path: String

  /// The repository's own folder.
  static let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  static let schemas = repository.appending(path: "schemas")

  static func protoc() async throws -> ExternalTool? {
    try await find(["protoc"], arguments: ["--version"], package: "protobuf-compiler")
  }

  /// A Python with `jsonschema` of draft 2020-12.
  static func python() async throws -> ExternalTool? {
    try await find(
      ["/usr/bin/python3", "python3"], arguments: ["-c", "from jsonschema import Draft202012Validator"],
      package: "python3-jsonschema")
  }

  private static func find(_ names: [String], arguments: [String], package: String) async throws -> ExternalTool? {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
    for name in names {
      let paths = name.hasPrefix("/") ? [name] : folders.map { "\($0)/\(name)" }
      for path in paths where FileManager.default.isExecutableFile(atPath: path) {
        let tool = ExternalTool(path: path)
        if try await tool.run(arguments).status == 0 { return tool }
      }
    }
    let isCI = ProcessInfo.processInfo.environment["CI"] != nil
    #expect(!isCI, "\(names.last!) is not there: install \(package)")
    print("left out: \(names.last!) is not there; install \(package) to include it")
    return nil
  }

  struct Result {
    var status: Int32
    var output: Data
    var errors: String
  }

  /// Runs the program on a thread of its own, since waiting for it blocks.
  func run(_ arguments: [String], input: Data = Data(), folder: URL? = nil) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(with: Swift.Result { try runBlocking(arguments, input: input, folder: folder) })
      }
    }
  }

  private func runBlocking(_ arguments: [String], input: Data, folder: URL?) throws -> Result {
    // Files instead of pipes: nothing can wait for the other side.
    try Self.withTemporaryFolder { temporary in
      let files = ["input", "output", "errors"].map { temporary.appending(path: $0) }
      try input.write(to: files[0])
      for file in files[1...] { try Data().write(to: file) }
      let process = Process()
      process.executableURL = URL(filePath: path)
      process.arguments = arguments
      process.currentDirectoryURL = folder
      process.standardInput = try FileHandle(forReadingFrom: files[0])
      process.standardOutput = try FileHandle(forWritingTo: files[1])
      process.standardError = try FileHandle(forWritingTo: files[2])
      try process.runToEnd()
      return Result(
        status: process.terminationStatus, output: try Data(contentsOf: files[1]),
        errors: String(decoding: try Data(contentsOf: files[2]), as: UTF8.self))
    }
  }

  static func withTemporaryFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "lendpulse-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
  }
}
