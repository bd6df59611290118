import Borrowers
import Models
import Pipeline
import Scoring

/// What should be there: each partition's input and journal, as they were committed, decided once more from the beginning
/// by a plain engine, with no worker, no transaction and no recovery.
struct LogReplay {
  /// By topic and key, in order; of dead letters, by partition.
  private(set) var outputs: [String: [String]] = [:]
  private(set) var hashes: [Int32: String] = [:]
  /// In words, beside the hash.
  private(set) var details: [Int32: String] = [:]
  private(set) var settings: [Int32: DecisionSettings] = [:]
  private(set) var modelsDigests: [Int32: String] = [:]
  private(set) var entries: [Int32: [JournalRecord]] = [:]
  /// The journal in words.
  private(set) var journals: [Int32: [String]] = [:]

  static let topics: [OutputTopic] = [.scores, .alerts, .leads, .deadLetters, .platformDaily]

  init(_ cluster: SimulatedCluster, _ configuration: EngineConfiguration, models: [ModelSet]) throws {
    for partition in 0..<Int32(cluster.partitions) {
      try replay(partition, cluster, configuration, models)
    }
  }

  /// What a subscriber to committed records finds, in the same form.
  static func published(_ cluster: SimulatedCluster) -> [String: [String]] {
    var found: [String: [String]] = [:]
    for topic in topics {
      for log in cluster.published(topic) {
        for record in log.committed { add(topic, record.key, record.value, record.headers, to: &found) }
      }
    }
    return found.mapValues { $0 }
  }

  private static func add(
    _ topic: OutputTopic, _ key: [UInt8]?, _ value: [UInt8]?, _ headers: [UInt8], to found: inout [String: [String]]
  ) {
    var name = "\(topic) of \(key.map { String(decoding: $0, as: UTF8.self) } ?? "nobody")"
    if topic == .platformDaily, let value, value.count > 6 {
      // All partitions write to its one; the order among them is nobody's. Behind version and kind stands whose it is.
      name += " from partition \(value[2])"
      found[name, default: []].append("\(value)")
      return
    }
    let text = value.map { String(decoding: $0, as: UTF8.self) } ?? "tombstone"
    found[name, default: []].append(headers.isEmpty ? text : "\(text) \(String(decoding: headers, as: UTF8.self))")
  }

  private mutating func replay(
    _ partition: Int32, _ cluster: SimulatedCluster, _ configuration: EngineConfiguration, _ models: [ModelSet]
  ) throws {
    var engine = PartitionEngine(partition: partition, configuration: configuration, models: models[0])
    var decoding = RecordDecoding(
      inputTopic: configuration.inputTopic, partitions: cluster.partitions, deadLetterBytesMax: 4_096)
    var batch = OutputBatch()
    var lent = LentBytes()
    var entries = try cluster.log(.journal, partition).committed.map { record in
      guard let value = record.value, let entry = unsafe value.withUnsafeBufferPointer({ unsafe JournalRecord($0) })
      else { throw BrokerError(.unfitTopic, "a journal entry cannot be read") }
      return entry
    }[...]
    self.entries[partition] = Array(entries)
    journals[partition] = entries.map { entry in
      switch entry.entry {
      case .control(let offset, let id, .settings): "\(entry.precedes) settings \(id.prefix(12)) at \(offset)"
      case .control(let offset, _, .models(_, let digest)):
        "\(entry.precedes) models \(digest.prefix(6)) at \(offset)"
      case .control(let offset, _, .alertOverride): "\(entry.precedes) override at \(offset)"
      default: "\(entry.precedes) \(entry.entry)"
      }
    }
    var inputOffset: Int64 = 0
    func take(_ entry: JournalRecord) {
      let boundary = RecordSource(offset: inputOffset - 1, timestamp: engine.watermark)
      engine.take(entry.entry)
      if let digest = entry.entry.models?.digest, let named = models.first(where: { $0.digest == digest }) {
        engine.use(named)
      }
      while engine.step(boundary, &batch) {}
    }
    for record in cluster.log(.input, partition).committed {
      while let entry = entries.first, entry.precedes <= record.offset {
        take(entry)
        entries.removeFirst()
      }
      let lentRecord = lent.lend(record, partition: partition)
      if let failure = decoding.decode(lentRecord) {
        decoding.appendDeadLetter(lentRecord, failure, &batch)
      } else {
        let source = RecordSource(offset: record.offset, timestamp: lentRecord.timestamp)
        engine.moveWatermark(occurredAt: decoding.event.occurredAt, recordTimestamp: lentRecord.timestamp)
        while engine.step(source, &batch) {}
        let none = unsafe UnsafeBufferPointer<UInt8>(start: nil, count: 0)
        _ = unsafe engine.apply(decoding.event, source, traceparent: none, &batch)
      }
      lent.takeBack()
      inputOffset = record.offset + 1
    }
    entries.forEach(take)
    for record in SimulatedProducer.records(of: batch) where Self.topics.contains(record.topic) {
      Self.add(record.topic, record.key, record.value, record.headers, to: &outputs)
    }
    hashes[partition] = engine.stateHash()
    settings[partition] = engine.settings
    modelsDigests[partition] = engine.modelsDigest
    details[partition] =
      "\(engine.borrowers) borrowers, watermark \(engine.watermark.milliseconds), models \(engine.modelsDigest?.prefix(6) ?? "") bytes \(engine.stateBytes)"
  }
}
