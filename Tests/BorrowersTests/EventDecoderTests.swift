import Borrowers
import Testing

@Suite struct EventDecoderTests {
  static func event(_ fields: String, type: String = "repayment") -> String {
    #"{"event_id":"E1","borrower_id":"B1","type":"\#(type)","occurred_at":"2026-10-11T12:13:14.123Z",\#(fields)}"#
  }

  @Test func `a repayment is read whole`() throws {
    let event = try decode(
      #"{"event_id":"01JD2ZK6Q8","borrower_id":"B0001234","type":"repayment","#
        + #""occurred_at":"2026-10-11T12:13:14.123Z","amount":1250.00,"loan_id":"L77","platform":"cash-loan"}"#,
      key: "B0001234")
    #expect(event.kind == .repayment)
    #expect(event.string(event.eventID) == "01JD2ZK6Q8")
    #expect(event.string(event.borrowerID) == "B0001234")
    #expect(event.string(event.loanID) == "L77")
    #expect(event.string(event.platform) == "cash-loan")
    #expect(event.occurredAt.milliseconds == 1_791_720_794_123)
    #expect(event.amount == 1250)
    #expect(event.detail == .absent)
    #expect(event.daysPastDue.isNaN)
    #expect(event.dueAt == .distantPast)
  }

  @Test(arguments: [
    ("profile_updated", #""profile":{}"#), ("credit_score_updated", #""score":650"#), ("assets_updated", #""x":1"#),
    ("limit_changed", #""credit_limit":5000"#), ("loan_applied", #""amount":10"#),
    ("drawdown", #""amount":10,"loan_id":"L""#),
    ("installment_due", #""amount":10,"loan_id":"L","due_at":"2027-01-01T00:00:00Z""#),
    ("statement_issued", #""balance":-3.5"#), ("repayment", #""amount":10"#),
    ("payment_missed", #""days_past_due":1.0"#),
    ("purchase", #""amount":10"#), ("page_view", #""page":"/""#), ("search", #""topic":null"#),
    ("session_started", #""channel":"app""#), ("wealth_transaction", #""amount":-10"#),
    ("bank_transaction", #""amount":-10"#), ("borrower_erased", #""amount":"ignored""#),
  ]) func `every type is read`(type: String, fields: String) throws {
    let event = try decode(Self.event(fields, type: type))
    #expect(event.kind.name.description == type)
    #expect(event.string(event.platform) == "default")
  }

  @Test func `every type's fields go where they belong`() throws {
    var event = try decode(
      Self.event(#""score":650.5,"bureau":"A","amount":"no matter""#, type: "credit_score_updated"))
    #expect(event.amount == 650.5)
    #expect(event.string(event.detail) == "A")
    event = try decode(
      Self.event(#""balance":-20,"minimum_due":5,"due_at":1791720794123"#, type: "statement_issued"))
    #expect(event.amount == -20)
    #expect(event.minimumDue == 5)
    #expect(event.dueAt.milliseconds == 1_791_720_794_123)
    event = try decode(
      Self.event(
        #""profile":{"birth_year":1990,"region":"N","household_region":"H","education":"e","occupation":"o","#
          + #""marital_status":"m","gender":"f","monthly_income":3200.5,"marketing_consent":true,"other":[1]}"#,
        type: "profile_updated"))
    #expect(event.profile.birthYear == 1990)
    #expect(event.profile.monthlyIncome == 3200.5)
    #expect(event.profile.marketingConsent == true)
    let strings = [
      event.profile.region, event.profile.householdRegion, event.profile.education, event.profile.occupation,
      event.profile.maritalStatus, event.profile.gender,
    ].map { event.string($0) }
    #expect(strings == ["N", "H", "e", "o", "m", "f"])
  }

  @Test func `a reused event keeps nothing of the one before`() throws {
    var decoder = EventDecoder()
    let first = Self.event(#""amount":1,"loan_id":"L","installments":3,"product":"p""#, type: "drawdown")
    _ = try decode(Array(first.utf8), with: &decoder)
    let event = try decode(Array(Self.event(#""page":"home""#, type: "page_view").utf8), with: &decoder)
    #expect(event.amount.isNaN)
    #expect(event.installments.isNaN)
    #expect(event.loanID == .absent)
    #expect(event.string(event.detail) == "home")
  }

  @Test func `escapes, white space and characters beyond ASCII are read`() throws {
    let event = try decode(
      " {\n\t\"event\\u005fid\" : \"E\\u00e9\\ud83d\\ude00\\n\\\"\\/\" ,\r\"borrower_id\":\"贷款人é\",\"type\":\"rep\\u0061yment\","
        + "\"occurred_at\":\"2026-10-11T12:13:14\\u005a\",\"amount\" :1E2 , \"nested\":{\"a\":[1,{\"b\":[]},\"]\",{}]}}\n",
      key: "贷款人é")
    #expect(event.string(event.eventID) == "Eé😀\n\"/")
    #expect(event.string(event.borrowerID) == "贷款人é")
    #expect(event.amount == 100)
  }

  @Test func `the last value of a repeated field counts, and null makes it missing`() throws {
    #expect(try decode(Self.event(#""amount":"x","amount":2,"amount":3"#)).amount == 3)
    #expect(
      failure { try decode(Self.event(#""amount":2,"amount":null"#)) } == DecodingError(.missingField, field: "amount"))
    let event = try decode(
      Self.event(#""profile":{"region":"N"},"profile":{"gender":"f"}"#, type: "profile_updated"))
    #expect(event.profile.region == .absent)
    #expect(event.string(event.profile.gender) == "f")
  }

  @Test func `the time may be whole milliseconds`() throws {
    for text in ["1791720794123", "1791720794123.0", "1.791720794123e12"] {
      let event = try decode(
        #"{"event_id":"E1","borrower_id":"B1","type":"search","occurred_at":\#(text)}"#)
      #expect(event.occurredAt.milliseconds == 1_791_720_794_123)
    }
  }

  @Test(arguments: [
    (#""amount":1"#, "repaymint", "unknown_type", "type"), (#""x":1"#, "repayment", "missing_field", "amount"),
    (#""amount":"1""#, "repayment", "wrong_type", "amount"), (#""amount":true"#, "repayment", "wrong_type", "amount"),
    (#""amount":[1]"#, "repayment", "wrong_type", "amount"), (#""amount":{}"#, "repayment", "wrong_type", "amount"),
    (#""amount":-0.01"#, "repayment", "out_of_range", "amount"),
    (#""amount":1e400"#, "repayment", "out_of_range", "amount"),
    (#""amount":1.1e15"#, "repayment", "out_of_range", "amount"),
    (#""amount":-1e16"#, "bank_transaction", "out_of_range", "amount"),
    (#""amount":1,"loan_id":7"#, "repayment", "wrong_type", "loan_id"),
    (#""amount":1"#, "drawdown", "missing_field", "loan_id"),
    (#""amount":1,"loan_id":"L""#, "installment_due", "missing_field", "due_at"),
    (#""amount":1,"loan_id":"L","due_at":"soon""#, "installment_due", "invalid_time", "due_at"),
    (#""amount":1,"loan_id":"L","due_at":1e14"#, "installment_due", "time_out_of_range", "due_at"),
    (#""amount":1,"loan_id":"L","due_at":false"#, "installment_due", "wrong_type", "due_at"),
    (#""x":1"#, "page_view", "missing_field", "page"), (#""x":1"#, "profile_updated", "missing_field", "profile"),
    (#""profile":3"#, "profile_updated", "wrong_type", "profile"),
    (#""profile":{"gender":1}"#, "profile_updated", "wrong_type", "gender"),
    (#""profile":{"marketing_consent":"yes"}"#, "profile_updated", "wrong_type", "marketing_consent"),
    (#""profile":{"birth_year":-1}"#, "profile_updated", "out_of_range", "birth_year"),
    (#""days_past_due":-1"#, "payment_missed", "out_of_range", "days_past_due"),
    (#""platform":1,"amount":1"#, "repayment", "wrong_type", "platform"),
    (#""event_id":"","amount":1"#, "repayment", "out_of_range", "event_id"),
    (#""event_id":null,"amount":1"#, "repayment", "missing_field", "event_id"),
    (#""type":5,"amount":1"#, "repayment", "wrong_type", "type"),
    (#""occurred_at":"1989-12-31T23:59:59.999Z","amount":1"#, "repayment", "time_out_of_range", "occurred_at"),
    (#""occurred_at":"2100-01-01T00:00:00Z","amount":1"#, "repayment", "time_out_of_range", "occurred_at"),
    (#""occurred_at":1791807200001,"amount":1"#, "repayment", "time_out_of_range", "occurred_at"),
    (#""occurred_at":1e300,"amount":1"#, "repayment", "time_out_of_range", "occurred_at"),
    (#""occurred_at":1791720794123.5,"amount":1"#, "repayment", "invalid_time", "occurred_at"),
    (#""occurred_at":"2026-10-11","amount":1"#, "repayment", "invalid_time", "occurred_at"),
  ]) func `a field against its rule is named`(fields: String, type: String, code: String, field: String) throws {
    let error = try #require(failure { try decode(Self.event(fields, type: type)) })
    #expect(error.code.name.description == code)
    #expect(error.field.description == field)
  }

  @Test func `limits are inclusive`() throws {
    #expect(try decode(Self.event(#""amount":1e15"#)).amount == 1e15)
    #expect(try decode(Self.event(#""amount":-1e15"#, type: "bank_transaction")).amount == -1e15)
    _ = try decode(Self.event(#""amount":1,"occurred_at":1791807200000"#))
    let id = String(repeating: "i", count: 64)
    _ = try decode(Self.event(#""amount":1,"event_id":"\#(id)""#))
    #expect(failure { try decode(Self.event(#""amount":1,"event_id":"\#(id)i""#)) }?.code == .outOfRange)
    // 64 bytes, not 64 characters.
    #expect(
      failure { try decode(Self.event(#""amount":1,"event_id":"\#(String(repeating: "é", count: 33))""#)) }?.code
        == .outOfRange)
  }

  @Test(arguments: [
    ("{", "invalid_json"), ("[]", "wrong_type"), ("null", "wrong_type"), ("nul", "invalid_json"), ("7", "wrong_type"),
    ("{}x", "invalid_json"), ("{} {}", "invalid_json"), (#"{"a":1,}"#, "invalid_json"), (#"{"a"}"#, "invalid_json"),
    (#"{"a":}"#, "invalid_json"), (#"{a:1}"#, "invalid_json"), (#"{"a":01}"#, "invalid_json"),
    (#"{"a":+1}"#, "invalid_json"), (#"{"a":NaN}"#, "invalid_json"), (#"{"a":-Infinity}"#, "invalid_json"),
    (#"{"a":tru}"#, "invalid_json"), (#"{"a":truex}"#, "invalid_json"), (#"{"a":"\x"}"#, "invalid_json"),
    (#"{"a":"\u12g4"}"#, "invalid_json"), (#"{"a":"\ud800"}"#, "invalid_json"), (#"{"a":"\udc00"}"#, "invalid_json"),
    (#"{"a":"\ud800\u0041"}"#, "invalid_json"), (#"{"a":"\ud8"#, "invalid_json"), ("{\"a\":\"\t\"}", "invalid_json"),
    ("{\"a\":\"\u{0}\"}", "invalid_json"), ("\u{FEFF}{}", "invalid_json"), (#"{'a':1}"#, "invalid_json"),
    (#"{"a":[1,]}"#, "invalid_json"), (#"{"a":[1}"#, "invalid_json"), (#"{"a":{"b":1]}"#, "invalid_json"),
    (#"{"a":1 "b":2}"#, "invalid_json"), (#"{"a":[1 2]}"#, "invalid_json"), (#"{,"a":1}"#, "invalid_json"),
    (#"{"a":/**/1}"#, "invalid_json"), ("{}", "missing_field"), (#"{"a":"abc"#, "invalid_json"),
    (#"{"a":1.}"#, "invalid_json"), (#"{"a":1e}"#, "invalid_json"), (#"{"a":-}"#, "invalid_json"),
    (" ", "invalid_json"),
  ]) func `broken JSON is refused`(text: String, code: String) {
    #expect(failure { try decode(text) }?.code.name.description == code)
  }

  @Test(
    arguments: [
      [0xFF], [0xC0, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80],
      [0xC3], [0xE2, 0x82], [0x80], [0xF5, 0x80, 0x80, 0x80],
    ] as [[UInt8]]) func `wrong UTF-8 is refused wherever it stands in a string`(bytes: [UInt8])
  {
    for (before, after) in [(#"{"a":""#, #""}"#), (#"{""#, #"":1}"#), (#"{"event_id":"abcdefgh"#, #"abcdefghi"}"#)] {
      let text = Array(before.utf8) + bytes + Array(after.utf8)
      #expect(failure { try decode(text) }?.code == .invalidUTF8)
    }
  }

  @Test func `nesting is limited to 64 levels, the record's own included`() throws {
    func nested(_ depth: Int) -> String {
      Self.event(
        #""amount":1,"x":"# + String(repeating: "[", count: depth) + String(repeating: "]", count: depth))
    }
    _ = try decode(nested(63))
    #expect(failure { try decode(nested(64)) }?.code == .tooDeep)
    #expect(failure { try decode(nested(10_000)) }?.code == .tooDeep)
    let open = #"{"a":"# + String(repeating: #"{"a":"#, count: 10_000)
    #expect(failure { try decode(open) }?.code == .tooDeep)
    #expect(failure { try decode(String(repeating: "[", count: 10_000)) }?.code == .tooDeep)
  }

  @Test func `empty, tombstone, oversized and foreign values have their own codes`() {
    #expect(failure { try decode(nil as [UInt8]?) }?.code == .emptyValue)
    #expect(failure { try decode([]) }?.code == .emptyValue)
    let padding = String(repeating: " ", count: 1 << 20)
    #expect(failure { try decode(padding) }?.code == .invalidJSON)
    #expect(failure { try decode(padding + " ") }?.code == .tooLarge)
    let value = Array(Self.event(#""amount":1"#).utf8)
    for type in ["text/plain", "", "application/jsonp", "application/avro;json"] {
      #expect(failure { try decode(value, contentType: type) }?.code == .unsupportedContentType)
    }
    for type in ["application/json", "Application/JSON; charset=utf-8", " application/json ;x"] {
      #expect(failure { try decode(value, contentType: type) } == nil)
    }
    #expect(failure { try decode(value, contentType: "application/x-protobuf") }?.code == .invalidProtobuf)
  }

  @Test func `a record's key is its borrower`() throws {
    let text = Self.event(#""amount":1"#)
    _ = try decode(text, key: "B1")
    #expect(failure { try decode(text, key: "B2") } == DecodingError(.keyMismatch, field: "borrower_id"))
    #expect(failure { try decode(text, key: "") }?.code == .keyMismatch)
  }

  @Test func `a record without key lies where the default partitioner puts it`() throws {
    let event = try decode(Self.event(#""amount":1"#))
    let right = Murmur.partition(of: Array("B1".utf8), count: 5)
    for partition in 0..<5 {
      let isRight =
        (try? EventDecoder.checkPlacement(event, hasKey: false, partition: partition, partitionCount: 5)) != nil
      #expect(isRight == (partition == right))
      try EventDecoder.checkPlacement(event, hasKey: true, partition: partition, partitionCount: 5)
    }
  }
}
