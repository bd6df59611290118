import Foundation

/// A program started by a test: its output as it comes, its end, signals to it. Whoever waits does so on a thread of its
/// own, so that no thread of the concurrency pool ever blocks.
public final class ChildProcess: @unchecked Sendable {  // All that changes is guarded by `condition`.
  public struct TimedOut: Error, CustomStringConvertible {
    public var description: String
  }

  private let process = Process()
  private let condition = NSCondition()
  private var output = Data()
  private var errorOutput = Data()
  private var lines = 0
  private var openPipes = 0
  /// Its exit status, 128 + n where signal n ended it; nil while it runs.
  private var status: Int32?

  public var identifier: Int32 { process.processIdentifier }

  /// Starts `path`. `environment` is added to that of the tests; `input` is written to standard input, which then ends.
  public init(
    _ path: String, _ arguments: [String], environment: [String: String] = [:], directory: String? = nil,
    input: Data? = nil
  ) throws {
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
    process.currentDirectoryURL = URL(fileURLWithPath: directory ?? FileManager.default.currentDirectoryPath)
    let standardOutput = Pipe()
    let standardError = Pipe()
    let standardInput = input.map { _ in Pipe() }
    process.standardOutput = standardOutput
    process.standardError = standardError
    if let standardInput {
      process.standardInput = standardInput
    } else {
      process.standardInput = FileHandle.nullDevice
    }
    openPipes = 2
    try process.run()
    follow(standardOutput.fileHandleForReading, isError: false)
    follow(standardError.fileHandleForReading, isError: true)
    if let standardInput, let input {
      Thread.detachNewThread {
        try? standardInput.fileHandleForWriting.write(contentsOf: input)
        try? standardInput.fileHandleForWriting.close()
      }
    }
    Thread.detachNewThread { [weak self, identifier = process.processIdentifier] in
      let status = Self.awaitEnd(of: identifier)
      self?.noteEnd(status)
    }
  }

  /// Foundation's own wait takes a core, and goes on until the last process has ended that inherited its socket: daemons
  /// that a program starts and leaves would be waited for. Nil where Foundation has collected the status already.
  private static func awaitEnd(of identifier: pid_t) -> Int32? {
    var information = unsafe siginfo_t()
    while unsafe waitid(P_PID, id_t(identifier), &information, WEXITED | WNOWAIT) != 0 {
      guard errno == EINTR else { return nil }
    }
    let status = unsafe information._sifields._sigchld.si_status
    return unsafe information.si_code == CLD_EXITED ? status : 128 + status
  }

  private func noteEnd(_ status: Int32?) {
    var status = status
    if status == nil {
      process.waitUntilExit()
      status = process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
    }
    update { $0.status = status }
  }

  private func follow(_ handle: FileHandle, isError: Bool) {
    Thread.detachNewThread { [self] in
      while true {
        let data = handle.availableData
        if data.isEmpty { break }
        update { child in
          if isError {
            child.errorOutput += data
          } else {
            child.output += data
            child.lines += data.count { $0 == UInt8(ascii: "\n") }
          }
        }
      }
      update { $0.openPipes -= 1 }
    }
  }

  private func update(_ change: (ChildProcess) -> Void) {
    condition.lock()
    change(self)
    condition.broadcast()
    condition.unlock()
  }

  /// Standard output so far.
  public var standardOutput: String { locked { String(decoding: output, as: UTF8.self) } }
  /// Standard error so far.
  public var standardError: String { locked { String(decoding: errorOutput, as: UTF8.self) } }
  public var isRunning: Bool { locked { status == nil } }

  private func locked<Value>(_ read: () -> Value) -> Value {
    condition.lock()
    defer { condition.unlock() }
    return read()
  }

  public func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  /// Waits for the program's end and that of its output; returns its exit status, -n where signal n ended it.
  @discardableResult
  public func wait(within seconds: Double = 60) async throws -> Int32 {
    try await wait(within: seconds, for: "to end") { $0.status != nil && $0.openPipes == 0 }
    return locked { status ?? -1 }
  }

  /// Waits until what was printed, on either output, holds `text`.
  public func wait(within seconds: Double = 60, toPrint text: String) async throws {
    let wanted = Data(text.utf8)
    try await wait(within: seconds, for: "to print '\(text)'") { child in
      let found = child.output.range(of: wanted) != nil || child.errorOutput.range(of: wanted) != nil
      return found || (child.status != nil && child.openPipes == 0)
    }
    if !standardOutput.contains(text) && !standardError.contains(text) {
      throw TimedOut(description: "ended without printing '\(text)':\n\(standardOutput)\(standardError)")
    }
  }

  /// Waits until so many lines stand on standard output.
  public func wait(forLines count: Int, within seconds: Double = 60) async throws {
    try await wait(within: seconds, for: "to print \(count) lines") { $0.lines >= count }
  }

  private func wait(
    within seconds: Double, for what: String, _ isReached: @escaping @Sendable (ChildProcess) -> Bool
  ) async throws {
    let reached = await onThread { [self] in
      let deadline = Date(timeIntervalSinceNow: seconds)
      condition.lock()
      defer { condition.unlock() }
      while !isReached(self) {
        if !condition.wait(until: deadline) { return isReached(self) }
      }
      return true
    }
    if !reached {
      throw TimedOut(
        description: "\(process.executableURL?.lastPathComponent ?? "") was waited for \(what) for \(seconds) s:\n"
          + standardOutput.suffix(4_000) + standardError.suffix(4_000))
    }
  }

  deinit { if status == nil { kill(process.processIdentifier, SIGKILL) } }
}

/// What a program that has ended left behind.
public struct Finished: Sendable {
  public var status: Int32
  public var output: String
  public var errors: String
}

/// Runs a program to its end.
public func run(
  _ path: String, _ arguments: [String], environment: [String: String] = [:], directory: String? = nil,
  input: Data? = nil, within seconds: Double = 60
) async throws -> Finished {
  let child = try ChildProcess(path, arguments, environment: environment, directory: directory, input: input)
  let status: Int32
  do {
    status = try await child.wait(within: seconds)
  } catch {
    child.send(SIGKILL)
    throw error
  }
  return Finished(status: status, output: child.standardOutput, errors: child.standardError)
}

/// Does blocking work on a thread of its own.
public func onThread<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
  await withCheckedContinuation { continuation in
    Thread.detachNewThread { continuation.resume(returning: work()) }
  }
}
