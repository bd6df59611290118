import Borrowers
import Foundation
import Testing

@Suite struct EncodingTests {
  @Test func `a score has the contract's fields in their order`() {
    var score = ScoreRecord()
    score.context.borrowerID = Array("B1".utf8)
    score.context.platform = Array("default".utf8)
    score.context.modelVersion = Array("v1".utf8)
    score.context.asOf = EventTime(milliseconds: 1_791_720_794_123)
    score.context.triggeringEventID = Array("E\"1".utf8)
    score.context.sourceTopic = Array("borrower-events".utf8)
    score.context.sourceOffset = 42
    score.overdueProbability = 0.25
    score.overdueBasis = .owing
    #expect(
      String(decoding: encoded { score.encode(.json, into: &$0) }, as: UTF8.self)
        == #"{"borrower_id":"B1","platform":"default","scope":"borrower","horizon_days":30,"model_version":"v1","#
        + #""as_of":"2026-10-11T12:13:14.123Z","trigger":"event","triggering_event_id":"E\"1","#
        + #""source":{"topic":"borrower-events","partition":0,"offset":42},"#
        + #""overdue_probability":0.25,"overdue_basis":"owing"}"#)
  }

  @Test func `random events are read back as they were, in both formats`() throws {
    let seed: UInt64 = 99
    print("seed \(seed)")
    var records = RandomRecords(seed: seed)
    var decoder = EventDecoder()
    for _ in 0..<1500 {
      let event = records.event()
      for format in [RecordFormat.json, .protobuf] {
        let value = encoded { event.encode(format, into: &$0) }
        let key = unsafe event.withBytes(of: event.borrowerID) { unsafe Array($0) }
        let read = try decode(value, key: key, contentType: format.contentType.description, with: &decoder)
        #expect(read.summary == event.summary, "\(String(decoding: value, as: UTF8.self))")
      }
    }
  }

  @Test func `random indicators are read back as they were, in both formats`() throws {
    var records = RandomRecords(seed: 12)
    var decoder = IndustryIndicatorDecoder()
    for _ in 0..<300 {
      let indicator = records.indicator()
      for format in [RecordFormat.json, .protobuf] {
        let value = ExactBytes(encoded { indicator.encode(format, into: &$0) })
        let type = ExactBytes(Array(format.contentType.description.utf8))
        var read = IndustryIndicator()
        unsafe try decoder.decode(value.buffer, contentType: type.buffer, into: &read)
        #expect(read == indicator)
      }
    }
  }

  @Test(arguments: [
    (#"{"series":"s","date":"2026-10-11"}"#, "missing_field"),
    (#"{"series":"","date":"2026-10-11","value":1}"#, "out_of_range"),
    (#"{"series":"s","date":"2026-10-1","value":1}"#, "invalid_time"),
    (#"{"series":"s","date":"2026-02-29","value":1}"#, "invalid_time"),
    (#"{"series":"s","date":20261011,"value":1}"#, "wrong_type"),
    (#"{"series":"s","date":"2100-01-01","value":1}"#, "time_out_of_range"),
    (#"{"series":"s","date":"2026-10-11","value":1e16}"#, "out_of_range"), (#"{"series":"s"#, "invalid_json"),
    ("", "empty_value"),
  ]) func `a broken indicator is refused`(text: String, code: String) throws {
    var decoder = IndustryIndicatorDecoder()
    var indicator = IndustryIndicator()
    let value = ExactBytes(Array(text.utf8))
    let error = #expect(throws: DecodingError.self) {
      unsafe try decoder.decode(value.buffer, contentType: nil, into: &indicator)
    }
    #expect(error?.code.name.description == code)
  }

  @Test func `random records are JSON with the same strings and numbers`() throws {
    var records = RandomRecords(seed: 2)
    for _ in 0..<300 {
      let alert = records.alert()
      let value = encoded { alert.encode(.json, into: &$0) }
      let object = try JSONValue(value)
      #expect(object["borrower_id"]?.string == String(decoding: alert.context.borrowerID, as: UTF8.self))
      #expect(object["exposure"]?.number == alert.exposure)
      #expect(
        object["previous_probability"]?.number
          == (alert.previousProbability.isNaN ? nil : alert.previousProbability))
      let reasons = try #require(object["reasons"]?.array)
      #expect(reasons.map { $0["text"]?.string } == alert.reasons.map(\.text))
      for (written, reason) in zip(reasons, alert.reasons) where reason.value.isNaN {
        #expect(written["value"] == .null)
      }
    }
  }
}
