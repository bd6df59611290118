import Borrowers
import Foundation
import Models
import Scoring
import Simulation
import TestSupport

/// Resident memory for a borrower, of a process that holds a whole engine with every borrower scored at every event. The
/// events come from another process through a pipe, so that the world's own memory does not count.
enum Memory {
  static let group = "Memory of a borrower"

  static func measure(borrowers: Int, days: Int, models: String, into report: inout Report) async throws {
    let child = try ChildProcess(
      CommandLine.arguments[0],
      ["memory-of", "--borrowers", "\(borrowers)", "--days", "\(days)", "--models", models])
    let status = try await child.wait(within: 7_200)
    guard status == 0 else {
      throw BenchmarkFailed(description: "the process that holds the borrowers ended: \(child.standardError)")
    }
    let fields = child.standardOutput.split(separator: " ").compactMap { Double($0.trimmingCharacters(in: .newlines)) }
    report.add(group, "borrowers", fields[0], "borrowers")
    report.add(group, "events each, over \(days) days", fields[1] / fields[0], "events")
    report.add(group, "resident bytes for a borrower (process, engine, all)", fields[2] / fields[0], "bytes")
    report.add(group, "of these, borrowers' bytes by the engine's own count", fields[3] / fields[0], "bytes")
  }

  /// Prints borrowers, events, the growth of resident bytes, and the engine's own count.
  static func child(borrowers: Int, days: Int, models directory: String) throws {
    let pipe = Pipe()
    let feeder = Process()
    feeder.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
    feeder.arguments = ["world", "--borrowers", "\(borrowers)", "--days", "\(days)"]
    feeder.standardOutput = pipe
    try feeder.run()
    let models = try ModelSet.load(directory: directory)
    let before = Clocks.residentBytes()
    var engine = PartitionEngine(partition: 0, configuration: EngineConfiguration(), models: models)
    engine.take(.settings(DecisionSettings(), controlID: "file:bench"))
    engine.take(.models(version: models.version, digest: models.digest))
    var decoder = EventDecoder()
    var event = BorrowerEvent()
    var outputs = OutputBatch()
    var offset: Int64 = 0
    var pending: [UInt8] = []
    let descriptor = pipe.fileHandleForReading.fileDescriptor
    var chunk = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let size = unsafe read(descriptor, &chunk, chunk.count)
      guard size > 0 else { break }
      pending += chunk[0..<size]
      var start = 0
      unsafe pending.withUnsafeBufferPointer { bytes in
        while let end = unsafe bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
          let line = unsafe UnsafeBufferPointer(rebasing: bytes[start..<end])
          do throws(DecodingError) {
            unsafe try decoder.decode(
              line, key: nil, contentType: nil, recordTimestamp: .distantFuture, into: &event)
          } catch {
            preconditionFailure("a simulated event is not valid: \(error)")
          }
          let source = RecordSource(offset: offset, timestamp: event.occurredAt)
          engine.moveWatermark(occurredAt: event.occurredAt, recordTimestamp: event.occurredAt)
          while engine.step(source, &outputs) { if outputs.entries.count > 1_000 { outputs.removeAll() } }
          unsafe _ = engine.apply(event, source, traceparent: UnsafeBufferPointer(start: nil, count: 0), &outputs)
          if outputs.entries.count > 1_000 { outputs.removeAll() }
          offset += 1
          start = end + 1
        }
      }
      pending.removeFirst(start)
    }
    print(engine.borrowers, offset, Clocks.residentBytes() - before, engine.stateBytes)
  }

  /// Writes a world's events to standard output.
  static func writeWorld(borrowers: Int, days: Int) throws {
    var world = World(seed: 1, borrowers: borrowers, days: days)
    var event = BorrowerEvent()
    var bytes = ByteBuffer(capacity: 1 << 20)
    while world.next(into: &event) {
      event.encode(.json, into: &bytes)
      bytes.append(UInt8(ascii: "\n"))
      if bytes.count > 1 << 19 {
        unsafe try FileHandle.standardOutput.write(contentsOf: Data(buffer: bytes.bytes))
        bytes.removeAll()
      }
    }
    unsafe try FileHandle.standardOutput.write(contentsOf: Data(buffer: bytes.bytes))
  }
}
