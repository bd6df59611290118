import Borrowers
import Foundation
import TestSupport
import Testing

@testable import History

/// Files of one test, in a folder of its own.
struct Workplace {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("lendpulse-\(UUID().uuidString)")
  init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

  func write(_ name: String, _ text: String) throws -> String {
    let url = folder.appendingPathComponent(name)
    try Data(text.utf8).write(to: url)
    return url.path
  }

  func remove() { try? FileManager.default.removeItem(at: folder) }
}

func line(_ id: String, _ borrower: String, _ time: String, _ rest: String) -> String {
  #"{"event_id":"\#(id)","borrower_id":"\#(borrower)","occurred_at":"\#(time)",\#(rest)}"# + "\n"
}

/// `borrower: event ids in order` of a whole history.
private func ids(_ history: EventHistory) -> [String: [String]] {
  var result: [String: [String]] = [:]
  history.forEachBorrower { events in
    result[String(decoding: events.borrowerID, as: UTF8.self)] = (0..<events.count).map {
      events[$0].string(events[$0].eventID) ?? ""
    }
  }
  return result
}

func gzip(_ path: String) throws -> Data {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/bin/gzip")
  process.arguments = ["-c", path]
  let pipe = Pipe()
  process.standardOutput = pipe
  var data = Data()
  try process.runToEnd { data = pipe.fileHandleForReading.readDataToEndOfFile() }
  return data
}

private let sample =
  line("a2", "A", "2026-01-02T00:00:00Z", #""type":"repayment","amount":5"#)
  + line("b1", "B", "2026-01-01T00:00:00Z", #""type":"page_view","page":"p""#)
  + line("a1", "A", "2026-01-01T00:00:00Z", #""type":"drawdown","amount":7.25,"loan_id":"L1""#)
  + line("a3", "A", "2026-01-02T00:00:00Z", #""type":"search""#)

@Test func `a history groups events by borrower in the order of event time and then of arrival`() throws {
  let place = try Workplace()
  defer { place.remove() }
  let history = try EventHistory(.ndjson(path: place.write("h.ndjson", sample)))
  #expect(ids(history) == ["A": ["a1", "a2", "a3"], "B": ["b1"]])
  #expect(history.summary.events == 4)
  #expect(history.summary.earliest.text == "2026-01-01T00:00:00.000Z")
  #expect(history.summary.latest.text == "2026-01-02T00:00:00.000Z")
}

@Test func `a gzip history of several members reads as its plain text does`() throws {
  let place = try Workplace()
  defer { place.remove() }
  let first = try gzip(place.write("1", String(sample.prefix(150))))
  let second = try gzip(place.write("2", String(sample.dropFirst(150))))
  let path = place.folder.appendingPathComponent("h.ndjson.gz")
  try (first + second).write(to: path)
  let history = try EventHistory(.ndjson(path: path.path))
  #expect(ids(history) == ["A": ["a1", "a2", "a3"], "B": ["b1"]])
}

@Test func `a gzip history that is cut short is refused with its name`() throws {
  let place = try Workplace()
  defer { place.remove() }
  let whole = try gzip(place.write("1", String(repeating: sample, count: 500)))
  let path = place.folder.appendingPathComponent("cut.ndjson.gz")
  try whole.prefix(whole.count / 2).write(to: path)
  let error = #expect(throws: HistoryError.self) { try EventHistory(.ndjson(path: path.path)) }
  #expect(error?.kind == .failed)
  #expect(error?.description.contains("cut.ndjson.gz") == true)
  #expect(error?.description.contains("\n") == false)
}

@Test func `bad lines are counted and the first ones told with their line and code`() throws {
  let place = try Workplace()
  defer { place.remove() }
  let huge = #"{"event_id":""# + String(repeating: "x", count: 1 << 20) + "\"}\n"
  let text =
    "not json\n\n" + sample + huge + line("x", "A", "2026-01-01T00:00:00Z", #""type":"repayment","amount":-1"#)
    + line("y", "A", "2026-01-01T00:00:00Z", #""type":"nonsense""#)
  var options = HistoryOptions()
  options.reportedBadLines = 3
  let history = try EventHistory(.ndjson(path: place.write("h.ndjson", text)), options: options)
  #expect(history.summary.badLines == 4)
  #expect(history.summary.events == 4)
  #expect(
    history.summary.firstBadLines.map(\.description) == [
      "line 1: invalid_json", "line 7: too_large", "line 8: out_of_range (amount)",
    ])
}

@Test func `repeats are left out and an erasure takes everything up to it`() throws {
  let place = try Workplace()
  defer { place.remove() }
  let text =
    line("1", "A", "2026-01-01T00:00:00Z", #""type":"search""#)
    + line("2", "A", "2026-01-02T00:00:00Z", #""type":"search""#)
    + line("2", "A", "2026-01-02T00:00:00Z", #""type":"search""#)
    + line("3", "A", "2026-01-03T00:00:00Z", #""type":"borrower_erased""#)
    + line("2", "A", "2026-01-04T00:00:00Z", #""type":"search""#)
    + line("4", "A", "2026-01-05T00:00:00Z", #""type":"search""#)
    + line("4", "A", "2026-01-20T00:00:00Z", #""type":"search""#)
    + line("5", "A", "2026-01-02T12:00:00Z", #""type":"search""#)
    + line("6", "B", "2026-01-02T12:00:00Z", #""type":"borrower_erased""#)
  let history = try EventHistory(.ndjson(path: place.write("h.ndjson", text)))
  // The second "4" is over the dedupe window after the first; "5" came late, from before the erasure.
  #expect(ids(history) == ["A": ["2", "4", "4"]])
}

@Test func `what spills to temporary files comes back as from memory, in the same order`() throws {
  var events: [BorrowerEvent] = []
  for index in 0..<3000 {
    var event = BorrowerEvent()
    event.kind = index % 7 == 0 ? .profileUpdated : .statementIssued
    event.occurredAt = EventTime(milliseconds: 1_700_000_000_000 + Int64((index * 7919) % 3000) * 60_000)
    event.eventID = event.appendText("e\(index)")
    event.borrowerID = event.appendText("b\(index % 171)")
    event.platform = event.appendText("card")
    event.amount = Double(index) / 4
    if index % 7 == 0 {
      event.profile.region = event.appendText("north")
      event.profile.marketingConsent = index % 2 == 0
      event.profile.birthYear = 1980
    } else {
      event.dueAt = event.occurredAt + 1000
      event.minimumDue = 3
    }
    events.append(event)
  }
  func walk(_ options: HistoryOptions) throws -> (HistorySummary, [String]) {
    let history = try EventHistory(events: events, options: options)
    var told: [String] = []
    history.forEachBorrower { group in
      for index in 0..<group.count {
        let e = group[index]
        told.append(
          "\(e.string(e.borrowerID)!) \(e.string(e.eventID)!) \(e.kind) \(e.occurredAt.milliseconds) \(e.amount) "
            + "\(e.dueAt.milliseconds) \(e.minimumDue) \(e.string(e.profile.region) ?? "-") "
            + "\(String(describing: e.profile.marketingConsent)) \(e.profile.birthYear)")
      }
    }
    return (history.summary, told)
  }
  var small = HistoryOptions()
  small.memoryLimit = 4096
  let (inMemory, first) = try walk(HistoryOptions())
  let (spilled, second) = try walk(small)
  #expect(!inMemory.isSpilled && spilled.isSpilled)
  #expect(first.count == 3000)
  #expect(first == second)
}

@Test func `sources are told apart, and one that is not there is bad usage`() throws {
  #expect(try HistorySource("-") == .standardInput)
  #expect(try HistorySource("a/b.ndjson.gz") == .ndjson(path: "a/b.ndjson.gz"))
  #expect(try HistorySource("sqlite:x.db") == .sqlite(path: "x.db"))
  let address = try HistorySource("postgresql://user:secret@host/db")
  #expect(address.description == "postgresql://host/db")
  for hidden in ["user:se?cret@host/db", "host/db?password=se@cret", "host?password=secret", "user:sec@ret@host"] {
    #expect(!(try HistorySource("postgresql://\(hidden)").description.contains("ret")))
  }
  for source in [HistorySource.sqlite(path: "x.db"), .ndjson(path: "/nowhere/at/all.ndjson"), .ndjson(path: "/")] {
    let error = #expect(throws: HistoryError.self) { try EventHistory(source) }
    #expect(error?.kind == .usage)
  }
}
