import Borrowers
import Pipeline
import Scoring
import Testing

@testable import Kafka

/// Consumer, producer and reader together, on the embedded broker, and on a real one where there is one.
@Suite(.serialized) struct ClusterTests {
  static let kinds = TestCluster.real == nil ? [false] : [false, true]

  @Test(arguments: kinds)
  func `records come in, outputs and offsets go out in a transaction, and are read back`(isReal: Bool) async throws {
    try await onThread {
      let cluster = try TestCluster(isReal: isReal, partitions: 2)
      let broker = KafkaBroker(settings: cluster.settings, pipeline: cluster.pipeline, log: SilentLog())
      #expect(try broker.prepare() == 2)
      try cluster.feed((0..<10).map { (Int32($0 % 2), "B\($0)", "value \($0)") })

      let consumer = try broker.makeConsumer(worker: 0)
      let read = try Self.consume(10, from: consumer)
      #expect(read.map(\.partition).filter { $0 == 0 }.count == 5)
      #expect(Set(read.map(\.value)) == Set((0..<10).map { "value \($0)" }))
      #expect(read.filter { $0.partition == 1 }.map(\.offset) == [0, 1, 2, 3, 4])

      let producer = try broker.makeProducer(worker: 0)
      try producer.open()
      var batch = OutputBatch()
      for record in read { Self.append(record, to: &batch) }
      Self.appendJournal("an entry", partition: 1, to: &batch)
      var offsets = [
        PartitionOffset(
          partition: 0, position: Position(inputOffset: 5, journalOffset: 0, steps: 2, watermark: .distantPast)),
        PartitionOffset(
          partition: 1, position: Position(inputOffset: 5, journalOffset: 0, steps: 0, watermark: .distantPast),
          journalEntries: 1),
      ]
      let generation = try #require(consumer.generation())
      try producer.commit(batch, &offsets, generation)
      #expect(offsets[1].position.journalOffset == 1)

      let reader = try broker.makeReader(worker: 0)
      let journal = try reader.bounds(.journal, 1)
      #expect(journal.lowerBound == 0 && journal.upperBound >= 1)
      var entries: [String] = []
      try reader.read(.journal, 1, journal, while: { true }) { record in
        unsafe entries.append(String(decoding: record.value!, as: UTF8.self))
      }
      #expect(entries == ["an entry"])
      var input: [Int64] = []
      try reader.read(.input, 0, 2..<5, while: { true }) { input.append($0.offset) }
      #expect(input == [2, 3, 4])
      if isReal {
        // The embedded broker keeps no offsets of transactions.
        let committed = try #require(try reader.committed(0))
        #expect(
          Position(inputOffset: committed.offset, metadata: committed.metadata)
            == Position(inputOffset: 5, journalOffset: 0, steps: 2, watermark: .distantPast))
      }
      reader.close()
      producer.close()
      consumer.close()
    }
  }

  @Test(.enabled(if: TestCluster.real != nil))
  func `an aborted transaction is not seen, and the same can be published again`() async throws {
    try await onThread {
      let cluster = try TestCluster(isReal: true, partitions: 1)
      let broker = KafkaBroker(settings: cluster.settings, pipeline: cluster.pipeline, log: SilentLog())
      _ = try broker.prepare()
      try cluster.feed([(0, "B", "value")])
      let consumer = try broker.makeConsumer(worker: 0)
      _ = try Self.consume(1, from: consumer)
      let stale = try #require(consumer.generation())
      let producer = try broker.makeProducer(worker: 0)
      try producer.open()

      // Another member joins: the generation we hold is of the past.
      let other = try broker.makeConsumer(worker: 1)
      var current = consumer.generation()
      var records: [LogRecord] = []
      for _ in 0..<200 {
        for one in [consumer, other] {
          one.poll(into: &records, limit: 10, waitMilliseconds: 20)
          for notice in one.takeNotices() {
            switch notice {
            case .assigned(let partitions): try one.accept(partitions)
            case .revoked(let partitions), .lost(let partitions): try one.release(partitions)
            default: break
            }
          }
        }
        if let other = other.generation() as? KafkaGeneration, other.isMember {
          current = consumer.generation()
          break
        }
      }
      var batch = OutputBatch()
      Self.appendJournal("an entry", partition: 0, to: &batch)
      var offsets = [
        PartitionOffset(
          partition: 0, position: Position(inputOffset: 1, journalOffset: 0, steps: 0, watermark: .distantPast),
          journalEntries: 1)
      ]
      let error = #expect(throws: BrokerError.self) { try producer.commit(batch, &offsets, stale) }
      #expect(error?.kind == .abortable, "\(error?.description ?? "")")
      try producer.commit(batch, &offsets, try #require(current))
      let reader = try broker.makeReader(worker: 0)
      var entries = 0
      try reader.read(.journal, 0, try reader.bounds(.journal, 0), while: { true }) { _ in entries += 1 }
      #expect(entries == 1)
      #expect(offsets[0].position.journalOffset > 1, "behind the aborted entry and its marker")

      // A second producer of the same id takes over: the first one is fenced.
      let successor = try broker.makeProducer(worker: 0)
      try successor.open()
      let fenced = #expect(throws: BrokerError.self) { try producer.commit(batch, &offsets, try #require(current)) }
      #expect(fenced?.kind == .fenced, "\(fenced?.description ?? "")")
      for one in [producer, successor] { one.close() }
      reader.close()
      consumer.close()
      other.close()
    }
  }

  @Test(.enabled(if: TestCluster.real != nil))
  func `topics are made as the contract says, and what is wrong with them is listed`() async throws {
    try await onThread {
      let cluster = try TestCluster(isReal: true, partitions: 3)
      let administration = try TopicAdministration(settings: cluster.settings, pipeline: cluster.pipeline)
      #expect(try administration.check().count == 11)
      let made = try administration.create()
      #expect(Set(made) == Set(TopicPlan.all(cluster.pipeline).map(\.name)))
      #expect(try administration.check() == [])
      #expect(try administration.create() == [])
      var other = cluster.pipeline
      other.applicationID += "x"
      other.topics.deadLetters = other.topics.scores
      let problems = try TopicAdministration(settings: cluster.settings, pipeline: other).check()
      #expect(problems.contains { $0.contains("cleanup.policy is compact and must be delete") })
      #expect(problems.contains { $0.contains("max.message.bytes") })
    }
  }

  @Test func `an unreachable broker is one line that names its address`() async throws {
    let error = try await onThread { () -> BrokerError? in
      var settings = KafkaSettings()
      settings.bootstrapServers = "127.0.0.1:1"
      settings.startTimeoutMilliseconds = 300
      let broker = KafkaBroker(settings: settings, pipeline: PipelineSettings(), log: SilentLog())
      do throws(BrokerError) { _ = try broker.prepare() } catch { return error }
      return nil
    }
    #expect(error?.kind == .unreachable)
    #expect(error?.description.contains("127.0.0.1:1") == true)
    #expect(error?.description.contains("\n") == false)
  }

  @Test func `an input topic that is missing is named`() async throws {
    let error = try await onThread { () -> BrokerError? in
      let embedded = try EmbeddedBroker(topics: [("something-else", 1)])
      var settings = KafkaSettings()
      settings.bootstrapServers = embedded.bootstrapServers
      settings.isEmbedded = true
      let broker = KafkaBroker(settings: settings, pipeline: PipelineSettings(), log: SilentLog())
      do throws(BrokerError) { _ = try broker.prepare() } catch { return error }
      return nil
    }
    #expect(error?.kind == .missingTopic)
    #expect(error?.description.contains("borrower-events") == true)
  }

  // MARK: Steps

  struct Read: Sendable {
    var partition: Int32
    var offset: Int64
    var key: String
    var value: String
  }

  static func consume(_ count: Int, from consumer: any InputConsumer) throws -> [Read] {
    var read: [Read] = []
    var records: [LogRecord] = []
    var starting: Set<Int32> = []
    for _ in 0..<600 where read.count < count {
      consumer.poll(into: &records, limit: 100, waitMilliseconds: 50)
      for record in records where !starting.contains(record.partition) {
        unsafe read.append(
          Read(
            partition: record.partition, offset: record.offset,
            key: String(decoding: record.key!, as: UTF8.self), value: String(decoding: record.value!, as: UTF8.self)))
      }
      for notice in consumer.takeNotices() {
        guard case .assigned(let partitions) = notice else { continue }
        try consumer.accept(partitions)
        starting.formUnion(partitions)
      }
      for partition in starting.sorted() {
        do throws(BrokerError) {
          try consumer.begin(partition, at: 0)
          starting.remove(partition)
        } catch { #expect(error.kind == .retriable) }
      }
    }
    return read
  }

  static func append(_ record: Read, to batch: inout OutputBatch) {
    let start = batch.bytes.count
    batch.bytes.append(Array(record.key.utf8))
    let middle = batch.bytes.count
    batch.bytes.append(Array(record.value.utf8))
    batch.entries.append(
      OutputBatch.Entry(
        topic: .scores, partition: -1, keyStart: Int32(start), keyCount: Int32(middle - start),
        valueStart: Int32(middle), valueCount: Int32(batch.bytes.count - middle), headersStart: 0, headersCount: 0))
  }

  static func appendJournal(_ entry: String, partition: Int32, to batch: inout OutputBatch) {
    let start = batch.bytes.count
    batch.bytes.append(Array(entry.utf8))
    batch.entries.append(
      OutputBatch.Entry(
        topic: .journal, partition: partition, keyStart: 0, keyCount: -1, valueStart: Int32(start),
        valueCount: Int32(batch.bytes.count - start), headersStart: 0, headersCount: 0))
  }
}
