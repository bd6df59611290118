import Borrowers
import Synchronization
import Testing

@testable import Commands
@testable import Pipeline

@Suite struct LogTests {
  private static let time = EventTime(milliseconds: 1_700_000_000_123)

  @Test func `a line of text quotes what would be ambiguous`() {
    let event = PipelineEvent.failed(worker: 1, reason: "it said \"no\"\nand a=b")
    #expect(
      LogLine.format(event, at: Self.time, suppressed: 0, as: .text)
        == "2023-11-14T22:13:20.123Z error   failed worker=1 reason=\"it said \\\"no\\\"\\nand a=b\"")
  }

  @Test func `a line of JSON keeps numbers numbers`() {
    let event = DaemonEvent.ready(partitions: 4, borrowers: 12, milliseconds: 30)
    #expect(
      LogLine.format(event, at: Self.time, suppressed: 7, as: .json)
        == "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"info\",\"event\":\"ready\",\"partitions\":4,"
        + "\"borrowers\":12,\"milliseconds\":30,\"suppressed\":7}")
  }

  @Test func `a flood of one event is held back and counted, and others pass`() {
    var limit = LogRateLimit()
    var passed = 0
    for _ in 0..<100 where limit.admit("dead_letter", now: 0) != nil { passed += 1 }
    #expect(passed == 20)
    #expect(limit.admit("restored", now: 0) == 0)
    #expect(limit.admit("dead_letter", now: 1_000_000_000) == 80)
    #expect(limit.admit("dead_letter", now: 1_000_000_001) == nil)
  }

  @Test func `what is below the level is not written`() {
    let lines = Mutex<[String]>([])
    let log = Log(level: .warning, format: .text) { line in lines.withLock { $0.append(line) } }
    log.record(PipelineEvent.workerStarted(worker: 0))
    log.record(PipelineEvent.producerDelayed(worker: 0, reason: "no broker"))
    #expect(lines.withLock { $0.count } == 1)
  }

  @Test func `no event of the pipeline has room for a borrower or a value`() {
    // The fields of the events that concern one record: where it is and what was wrong, nothing of what it holds.
    let letter = PipelineEvent.deadLetter(worker: 0, partition: 1, offset: 2, code: "invalid_json")
    #expect(letter.fields.map(\.name.description) == ["worker", "partition", "offset", "code"])
  }
}
