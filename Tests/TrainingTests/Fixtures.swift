import Borrowers
import Foundation
import History
import Simulation
import Testing

@testable import Training

#if DEBUG
  /// Kernels are 10 to 400 times slower in a debug build: training as a whole is tested in release builds.
  let isReleaseBuild = false
#else
  let isReleaseBuild = true
#endif

func date(_ text: String) -> EventTime { EventTime(date: text) ?? EventTime(rfc3339: text)! }

/// One borrower's event in a hand-made history.
func event(
  _ kind: EventKind, _ time: String, _ amount: Double = .nan, loan: String? = nil, platform: String = "card",
  days: Double = .nan, minimum: Double = .nan, due: String? = nil, id: String? = nil, borrower: String = "A"
) -> BorrowerEvent {
  var event = BorrowerEvent()
  event.kind = kind
  event.occurredAt = date(time)
  event.eventID = event.appendText(id ?? "\(kind)-\(time)-\(amount)-\(loan ?? "")-\(platform)")
  event.borrowerID = event.appendText(borrower)
  event.platform = event.appendText(platform)
  if let loan { event.loanID = event.appendText(loan) }
  event.amount = amount
  event.daysPastDue = days
  event.minimumDue = minimum
  if let due { event.dueAt = date(due) }
  return event
}

func borrower(_ events: [BorrowerEvent]) -> BorrowerEvents {
  BorrowerEvents(borrowerID: Array("A".utf8), events)
}

/// The history of a simulated world.
func simulated(_ borrowers: Int, days: Int, seed: UInt64 = 3) -> [BorrowerEvent] {
  var world = World(seed: seed, borrowers: borrowers, days: days)
  var events: [BorrowerEvent] = []
  var event = BorrowerEvent()
  while world.next(into: &event) { events.append(event) }
  return events
}

/// Files of one test, in a folder of its own.
struct Workplace {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("lendpulse-\(UUID().uuidString)")
  init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

  func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

  func write(_ name: String, _ text: String) throws -> String {
    try Data(text.utf8).write(to: folder.appendingPathComponent(name))
    return path(name)
  }

  /// Every file below, by its path, with its bytes.
  func contents(_ name: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    let root = folder.appendingPathComponent(name)
    for path in try FileManager.default.subpathsOfDirectory(atPath: root.path) {
      if let data = FileManager.default.contents(atPath: root.appendingPathComponent(path).path) { files[path] = data }
    }
    return files
  }

  /// The same less what clocks said: what the same training writes again.
  func lastingContents(_ name: String) throws -> [String: Data] {
    try contents(name).reduce(into: [:]) { lasting, file in
      guard file.key.hasSuffix("manifest.json"),
        var manifest = try JSONSerialization.jsonObject(with: file.value) as? [String: Any]
      else { return lasting[file.key] = file.value }
      #expect(manifest.removeValue(forKey: "measured") != nil)
      lasting[file.key] = try JSONSerialization.data(withJSONObject: manifest, options: .sortedKeys)
    }
  }

  func remove() { try? FileManager.default.removeItem(at: folder) }
}
