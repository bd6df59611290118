import Borrowers
import Simulation

/// Events of a simulated world as they lie on the wire (JSON), in memory one after the other.
struct EventFile: ~Copyable {
  var bytes = ByteBuffer(capacity: 1 << 24)
  /// Where each event ends.
  var ends: [Int] = []
  var times: [EventTime] = []

  init(borrowers: Int, days: Int, seed: UInt64 = 1) {
    var world = World(seed: seed, borrowers: borrowers, days: days)
    var event = BorrowerEvent()
    while world.next(into: &event) {
      event.encode(.json, into: &bytes)
      ends.append(bytes.count)
      times.append(event.occurredAt)
    }
  }

  var count: Int { ends.count }

  func value(_ index: Int) -> UnsafeBufferPointer<UInt8> {
    let start = index == 0 ? 0 : ends[index - 1]
    return unsafe UnsafeBufferPointer(rebasing: bytes.bytes[start..<ends[index]])
  }
}
