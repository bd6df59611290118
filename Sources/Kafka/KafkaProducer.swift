import Borrowers
import CRdKafka
import Glibc
import Pipeline
import Scoring

/// The worker's transactional producer: the committing thread's alone.
@safe final class KafkaProducer: TransactionProducer {
  private let client: OpaquePointer
  private let context: ProducerContext
  private let inputTopic: String
  private let transactionalID: String
  private let format: RecordFormat
  /// By `OutputTopic.rawValue`.
  private var topics: [OpaquePointer] = unsafe []
  private var values = unsafe [rd_kafka_vu_t](repeating: rd_kafka_vu_t(), count: valuesMax)
  private var headerNames = ByteBuffer()
  private var isClosed = false

  /// Topic, partition, key, value, flags, opaque, and headers.
  private static let headersMax = 16
  private static let valuesMax = 6 + headersMax

  init(
    _ settings: KafkaSettings, _ pipeline: PipelineSettings, worker: Int, messageBytesMax: Int, log: any EventLog
  ) throws(BrokerError) {
    inputTopic = pipeline.topics.borrowerEvents
    format = pipeline.engine.format
    transactionalID = "\(pipeline.applicationID)-\(pipeline.instanceID)-\(worker)"
    context = ProducerContext(log: log)
    var configuration = try ClientConfiguration(settings, clientID: transactionalID, context: context)
    try configuration.set("transactional.id", transactionalID)
    try configuration.set("enable.idempotence", "true")
    try configuration.set("partitioner", "murmur2_random")
    try configuration.set("allow.auto.create.topics", "false")
    try configuration.set("message.max.bytes", String(max(messageBytesMax, 1_000_000)))
    try configuration.setDefault("transaction.timeout.ms", "10000", settings)
    try configuration.setDefault("linger.ms", "2", settings)
    // A transaction that begins while the broker still ends the one before is asked for again after this; the library's
    // 100 ms would be most of an event's latency.
    try configuration.setDefault("retry.backoff.ms", "5", settings)
    try configuration.setDefault("batch.num.messages", "100000", settings)
    // A batch of outputs is bounded by the loop.
    try configuration.set("queue.buffering.max.messages", "2000000")
    try configuration.set("queue.buffering.max.kbytes", "1048576")
    unsafe configuration.onDelivery(deliveryCallback)
    unsafe client = try configuration.makeClient(RD_KAFKA_PRODUCER)
    for topic in OutputTopic.allCases {
      guard let handle = unsafe rd_kafka_topic_new(client, pipeline.name(of: topic), nil) else {
        throw KafkaFailure.make(rd_kafka_last_error(), doing: "topic \(pipeline.name(of: topic))")
      }
      unsafe topics.append(handle)
    }
  }

  deinit { close() }

  func open() throws(BrokerError) {
    let failure = unsafe KafkaFailure.take(
      rd_kafka_init_transactions(client, 10_000), doing: "open transactional id \(transactionalID)")
    if let failure { throw failure }
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    // What was not committed is not wanted: without this, ending would wait for it.
    unsafe rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING)
    for index in unsafe topics.indices { unsafe rd_kafka_topic_destroy(topics[index]) }
    unsafe rd_kafka_destroy(client)
  }

  // MARK: One transaction

  func commit(_ outputs: borrowing OutputBatch, _ offsets: inout [PartitionOffset], _ generation: any GroupGeneration)
    throws(BrokerError)
  {
    guard let generation = generation as? KafkaGeneration else { preconditionFailure("a generation of another broker") }
    if let error = unsafe KafkaFailure.take(rd_kafka_begin_transaction(client), doing: "begin") { throw error }
    do throws(BrokerError) {
      try publish(outputs)
      try readJournalOffsets(&offsets)
      if !offsets.isEmpty { try send(offsets, generation) }
      try commit()
    } catch {
      guard error.kind == .abortable || error.kind == .retriable else { throw error }
      try abort()
      throw BrokerError(.abortable, error.description)
    }
  }

  private func publish(_ outputs: borrowing OutputBatch) throws(BrokerError) {
    context.journalOffsets.removeAll(keepingCapacity: true)
    context.deliveryFailure = nil
    let bytes = unsafe outputs.bytes.bytes
    for index in outputs.entries.indices {
      let count = unsafe describe(outputs.entries[index], bytes)
      while true {
        let error = unsafe values.withUnsafeBufferPointer { values in
          unsafe rd_kafka_produceva(client, values.baseAddress, count)
        }
        guard let error = unsafe error else { break }
        guard unsafe rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL else {
          let failure = unsafe KafkaFailure.take(error, doing: "publish")!
          // Nothing but this record is wrong: the transaction can still be aborted.
          throw failure.kind == .fenced || failure.kind == .unknownOutcome
            ? failure : BrokerError(.abortable, failure.description)
        }
        unsafe rd_kafka_error_destroy(error)
        unsafe rd_kafka_poll(client, 100)
      }
    }
    unsafe rd_kafka_poll(client, 0)
  }

  /// Fills `values` with one record; returns how many are used. The bytes are copied by librdkafka.
  private func describe(_ entry: OutputBatch.Entry, _ bytes: UnsafeBufferPointer<UInt8>) -> Int {
    let base = bytes.baseAddress
    var count = 0
    func add(_ type: rd_kafka_vtype_t, _ fill: (inout rd_kafka_vu_t) -> Void) {
      unsafe values[count].vtype = type
      unsafe fill(&values[count])
      count += 1
    }
    unsafe add(RD_KAFKA_VTYPE_RKT) { unsafe $0.u.rkt = topics[Int(entry.topic.rawValue)] }
    if entry.partition >= 0 { unsafe add(RD_KAFKA_VTYPE_PARTITION) { unsafe $0.u.i32 = entry.partition } }
    unsafe add(RD_KAFKA_VTYPE_MSGFLAGS) { unsafe $0.u.i = Int32(RD_KAFKA_MSG_F_COPY) }
    if entry.keyCount >= 0 {
      unsafe add(RD_KAFKA_VTYPE_KEY) {
        unsafe $0.u.mem.ptr = Self.pointer(base, entry.keyStart)
        unsafe $0.u.mem.size = Int(entry.keyCount)
      }
    }
    if entry.valueCount >= 0 {
      unsafe add(RD_KAFKA_VTYPE_VALUE) {
        unsafe $0.u.mem.ptr = Self.pointer(base, entry.valueStart)
        unsafe $0.u.mem.size = Int(entry.valueCount)
      }
    }
    if entry.topic == .journal {
      // Told apart from all others in the delivery report: its offset is part of the position.
      unsafe add(RD_KAFKA_VTYPE_OPAQUE) {
        unsafe $0.u.ptr = UnsafeMutableRawPointer(bitPattern: Int(entry.partition) + 1)
      }
    }
    if let schema = entry.topic.schema, entry.valueCount >= 0 {
      addHeader("content-type", format.contentType, &count)
      addHeader("schema", schema, &count)
    }
    if entry.headersCount > 0 {
      let start = Int(entry.headersStart)
      unsafe addHeaders(UnsafeBufferPointer(rebasing: bytes[start..<(start + Int(entry.headersCount))]), &count)
    }
    return count
  }

  private func addHeader(_ name: StaticString, _ value: StaticString, _ count: inout Int) {
    unsafe values[count].vtype = RD_KAFKA_VTYPE_HEADER
    unsafe values[count].u.header.name = name.cString
    unsafe values[count].u.header.val = UnsafeRawPointer(value.utf8Start)
    unsafe values[count].u.header.size = value.utf8CodeUnitCount
    count += 1
  }

  /// [u16 name length, name, u32 value length, value] again and again. Names need a zero behind them.
  private func addHeaders(_ bytes: UnsafeBufferPointer<UInt8>, _ count: inout Int) {
    let raw = UnsafeRawBufferPointer(bytes)
    headerNames.removeAll()
    _ = unsafe headerNames.reserve(bytes.count)  // So that no name moves while the record is being described.
    var offset = 0
    while offset < bytes.count {
      precondition(count < Self.valuesMax, "a record has more than \(Self.headersMax) headers")
      let nameCount = Int(UInt16(littleEndian: unsafe raw.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
      let nameStart = headerNames.count
      unsafe headerNames.append(UnsafeBufferPointer(rebasing: bytes[(offset + 2)..<(offset + 2 + nameCount)]))
      headerNames.append(UInt8(0))
      offset += 2 + nameCount
      let valueCount = Int(UInt32(littleEndian: unsafe raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
      offset += 4
      unsafe values[count].vtype = RD_KAFKA_VTYPE_HEADER
      unsafe values[count].u.header.name = UnsafeRawPointer(headerNames.bytes.baseAddress! + nameStart)
        .assumingMemoryBound(to: CChar.self)
      unsafe values[count].u.header.val = UnsafeRawPointer(bytes.baseAddress! + offset)
      unsafe values[count].u.header.size = valueCount
      count += 1
      offset += valueCount
    }
  }

  private static func pointer(_ base: UnsafePointer<UInt8>?, _ offset: Int32) -> UnsafeMutableRawPointer? {
    unsafe base.map { unsafe UnsafeMutableRawPointer(mutating: $0 + Int(offset)) }
  }

  // MARK: Offsets, commit, abort

  /// The position's journal offset lies behind the entries of this transaction, and is known when they are delivered.
  private func readJournalOffsets(_ offsets: inout [PartitionOffset]) throws(BrokerError) {
    guard offsets.contains(where: { $0.journalEntries > 0 }) else { return }
    let failure = unsafe rd_kafka_flush(client, 10_000)
    guard failure == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw BrokerError(.abortable, KafkaFailure.make(failure, doing: "write the journal").description)
    }
    for index in offsets.indices where offsets[index].journalEntries > 0 {
      guard let last = context.journalOffsets[offsets[index].partition] else {
        let reason = context.deliveryFailure ?? "no offset came back"
        throw BrokerError(.abortable, "write the journal: \(reason)")
      }
      offsets[index].position.journalOffset = last + 1
    }
  }

  private func send(_ offsets: [PartitionOffset], _ generation: KafkaGeneration) throws(BrokerError) {
    let list = PartitionList(topic: inputTopic, partitions: offsets.map(\.partition))
    for (index, offset) in offsets.enumerated() {
      unsafe list.list.pointee.elems[index].offset = offset.position.inputOffset
      let metadata = offset.position.metadata
      // Freed with the list, by free().
      unsafe list.list.pointee.elems[index].metadata = UnsafeMutableRawPointer(strdup(metadata))
      unsafe list.list.pointee.elems[index].metadata_size = metadata.utf8.count
    }
    var attempts = 0
    while let error = unsafe KafkaFailure.take(
      rd_kafka_send_offsets_to_transaction(client, list.list, generation.metadata, -1), doing: "send offsets")
    {
      attempts += 1
      guard error.kind == .retriable, attempts < 10 else { throw error }
    }
  }

  private func commit() throws(BrokerError) {
    // It can be called again while it is not known how it ended: the library goes on where it was.
    while let error = unsafe KafkaFailure.take(rd_kafka_commit_transaction(client, -1), doing: "commit") {
      if error.kind != .retriable {
        throw error.kind == .fatal ? BrokerError(.unknownOutcome, error.description) : explained(error)
      }
    }
  }

  /// Which record failed says more than that the transaction did.
  private func explained(_ error: BrokerError) -> BrokerError {
    guard let failure = context.deliveryFailure else { return error }
    return BrokerError(error.kind, "\(error.description): \(failure)")
  }

  private func abort() throws(BrokerError) {
    while let error = unsafe KafkaFailure.take(rd_kafka_abort_transaction(client, -1), doing: "abort") {
      if error.kind != .retriable {
        throw error.kind == .fenced ? error : BrokerError(.unknownOutcome, error.description)
      }
    }
  }
}

/// Delivery reports come within `poll`, `flush`, `commit` and `abort`, on the committing thread.
private final class ProducerContext: ClientContext, @unchecked Sendable {
  // Touched by the committing thread alone.
  var journalOffsets: [Int32: Int64] = [:]
  var deliveryFailure: String?
}

private func deliveryCallback(
  _ client: OpaquePointer?, _ message: UnsafePointer<rd_kafka_message_t>?, _ opaque: UnsafeMutableRawPointer?
) {
  guard let message = unsafe message else { return }
  let failed = unsafe message.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR
  let tag = unsafe Int(bitPattern: message.pointee._private)
  guard failed || tag != 0, let opaque = unsafe opaque else { return }
  let context = unsafe Unmanaged<ProducerContext>.fromOpaque(opaque).takeUnretainedValue()
  if failed {
    let code = unsafe message.pointee.err
    guard code != RD_KAFKA_RESP_ERR__PURGE_QUEUE, code != RD_KAFKA_RESP_ERR__PURGE_INFLIGHT else { return }
    let topic = unsafe message.pointee.rkt.map { unsafe String(cString: rd_kafka_topic_name($0)) } ?? ""
    context.deliveryFailure = "a record for \(topic): \(unsafe String(cString: rd_kafka_err2str(code)))"
  } else {
    let partition = Int32(tag - 1)
    context.journalOffsets[partition] = unsafe max(context.journalOffsets[partition] ?? -1, message.pointee.offset)
  }
}
