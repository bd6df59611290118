import Foundation
import TestSupport

/// The built executable, which lies beside the test bundle.
enum Program {
  struct Outcome {
    var status: Int32
    var output: String
    var errors: String

    var outputLines: [Substring] { output.split(separator: "\n") }
    var errorLines: [Substring] { errors.split(separator: "\n") }
  }

  /// Runs it to its end. It waits for a process: on a thread of its own, so that no other test starves.
  static func run(
    _ arguments: [String], environment: [String: String] = [:], input: String? = nil,
    whileRunning: (@Sendable (Process) -> Void)? = nil
  ) async throws -> Outcome {
    try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread {
        continuation.resume(
          with: Result { try runAndWait(arguments, environment: environment, input: input, whileRunning) })
      }
    }
  }

  private static func runAndWait(
    _ arguments: [String], environment: [String: String], input: String?, _ whileRunning: ((Process) -> Void)?
  ) throws -> Outcome {
    let folder = TestFolder.make()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    // Files and no pipes: nothing can fill up.
    for name in ["in", "out", "err"] { _ = FileManager.default.createFile(atPath: "\(folder)/\(name)", contents: nil) }
    if let input { try Data(input.utf8).write(to: URL(fileURLWithPath: "\(folder)/in")) }
    let process = Process()
    process.executableURL = executable
    process.arguments = arguments
    process.environment = environment
    process.standardInput = FileHandle(forReadingAtPath: "\(folder)/in")
    process.standardOutput = FileHandle(forWritingAtPath: "\(folder)/out")
    process.standardError = FileHandle(forWritingAtPath: "\(folder)/err")
    try process.runToEnd { whileRunning?(process) }
    return Outcome(
      status: process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus,
      output: try String(contentsOfFile: "\(folder)/out", encoding: .utf8),
      errors: try String(contentsOfFile: "\(folder)/err", encoding: .utf8))
  }

  /// Returns when the program has a handler of the signal, or has ended.
  static func awaitHandler(of signal: Int32, in process: Process) {
    let path = "/proc/\(process.processIdentifier)/status"
    while let status = try? String(contentsOfFile: path, encoding: .utf8),
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("SigCgt:") }),
      let mask = UInt64(line.dropFirst(7).trimmingCharacters(in: .whitespaces), radix: 16),
      mask & 1 << UInt64(signal - 1) == 0
    { sched_yield() }
  }

  private static let executable: URL = {
    let runner = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? runner
    var folder = URL(fileURLWithPath: bundle).deletingLastPathComponent()
    for _ in 0..<4 where !FileManager.default.fileExists(atPath: folder.appendingPathComponent("lendpulse").path) {
      folder = folder.deletingLastPathComponent()
    }
    return folder.appendingPathComponent("lendpulse")
  }()
}
