import Borrowers
import Features
import Foundation
import Models
import Scoring

/// What a restart costs beside Kafka: the states of a simulated world's borrowers, under as many other ids as are asked for,
/// are taken as records of the state topic, written as a snapshot to a file, and taken back from it. One thread.
enum Restore {
  static let group = "Restore, one thread, no Kafka"

  static func measure(borrowers: Int, models directory: String, into report: inout Report) throws {
    let models = try ModelSet.load(directory: directory)
    let records = try states(models)
    var engine = PartitionEngine(partition: 0, configuration: EngineConfiguration(), models: models)
    let fromTopic = try seconds {
      for number in 0..<borrowers {
        let record = records[number % records.count]
        try unsafe Array("restored-\(number)".utf8).withUnsafeBufferPointer { key in
          try unsafe record.withUnsafeBufferPointer { try unsafe engine.restore(key: key, value: $0) }
        }
      }
      _ = engine.finishRestore()
    }
    report.add(group, "borrowers", Double(engine.borrowers), "borrowers")
    report.add(
      group, "bytes of a borrower's record", Double(records.map(\.count).reduce(0, +) / records.count), "bytes")
    report.add(group, "records of the state topic taken", fromTopic, "s")
    try measureSnapshot(&engine, models, into: &report)
  }

  private static func measureSnapshot(
    _ engine: inout PartitionEngine, _ models: ModelSet, into report: inout Report
  ) throws {
    let path = NSTemporaryDirectory() + "lendpulse-bench-\(ProcessInfo.processInfo.processIdentifier).snapshot"
    defer { unsafe unlink(path) }
    let descriptor = unsafe open(path, O_RDWR | O_CREAT, 0o600)
    guard descriptor >= 0 else { throw BenchmarkFailed(description: "\(path) cannot be written") }
    defer { close(descriptor) }
    var size = 0
    let writing = seconds {
      unsafe engine.encodeSnapshot(inputOffset: 0, journalOffset: 0) { piece in
        _ = unsafe Murmur.hash128(piece)
        size += unsafe write(descriptor, piece.baseAddress, piece.count)
      }
    }
    report.add(group, "snapshot written", writing, "s")
    report.add(group, "snapshot's size", Double(size) / 1e6, "MB")
    let hash = engine.stateHash()
    var restored = PartitionEngine(partition: 0, configuration: EngineConfiguration(), models: models)
    let reading = try seconds {
      guard let start = unsafe mmap(nil, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, descriptor, 0),
        unsafe start != MAP_FAILED
      else { throw BenchmarkFailed(description: "\(path) cannot be read") }
      let bytes = unsafe UnsafeRawBufferPointer(start: start, count: size)
      _ = unsafe Murmur.hash128(bytes.assumingMemoryBound(to: UInt8.self))
      try unsafe restored.restoreSnapshot(bytes)
    }
    report.add(group, "snapshot taken back", reading, "s")
    guard restored.stateHash() == hash else { throw BenchmarkFailed(description: "the snapshot holds another state") }
  }

  /// Records of the state topic: 5,000 borrowers of 90 days.
  private static func states(_ models: ModelSet) throws -> [[UInt8]] {
    let events = EventFile(borrowers: 5_000, days: 90)
    var engine = PartitionEngine(partition: 0, configuration: EngineConfiguration(), models: models)
    engine.take(.settings(DecisionSettings(), controlID: "file:bench"))
    engine.take(.models(version: models.version, digest: models.digest))
    var decoder = EventDecoder()
    var event = BorrowerEvent()
    var outputs = OutputBatch()
    outputs.isMuted = true
    for index in 0..<events.count {
      unsafe try decoder.decode(
        events.value(index), key: nil, contentType: nil, recordTimestamp: events.times[index], into: &event)
      let source = RecordSource(offset: Int64(index), timestamp: events.times[index])
      engine.moveWatermark(occurredAt: event.occurredAt, recordTimestamp: source.timestamp)
      while engine.step(source, &outputs) {}
      _ = unsafe engine.apply(event, source, traceparent: UnsafeBufferPointer(start: nil, count: 0), &outputs)
    }
    outputs = OutputBatch()
    let end = Int64(events.count)
    while engine.hasPendingSteps, engine.step(RecordSource(offset: end, timestamp: .distantPast), &outputs) {}
    outputs.removeAll()
    while engine.writeSlice(inputOffset: end, journalOffset: 0, maxBytes: 1 << 20, &outputs) {}
    return outputs.entries.filter { $0.valueCount > 0 && $0.keyCount > 0 }.map { entry in
      unsafe Array(outputs.bytes.bytes[Int(entry.valueStart)..<Int(entry.valueStart + entry.valueCount)])
    }
  }

  private static func seconds(_ work: () throws -> Void) rethrows -> Double {
    let start = Clocks.threadCPU
    try work()
    return (Clocks.threadCPU - start) / 1e9
  }
}
