import Borrowers
import Pipeline
import Testing

@testable import Commands

@Suite struct LineIdentityTests {
  private func identity(_ line: String) -> LineIdentity {
    let bytes = Array(line.utf8)
    return unsafe bytes.withUnsafeBufferPointer { unsafe LineIdentity(tolerant: $0) }
  }

  @Test func `a number that no double holds hides neither borrower nor time`() {
    let wanted = LineIdentity(borrowerID: Array("B 1e5".utf8), occurredAt: EventTime(milliseconds: 1_767_225_600_000))
    #expect(identity(#"{"borrower_id":"B 1e5","amount":1e400,"occurred_at":1767225600000}"#) == wanted)
    #expect(identity(#"{"amount":-2.5E+999,"occurred_at":"2026-01-01T00:00:00Z","borrower_id":"B 1e5"}"#) == wanted)
  }

  @Test func `what is no JSON has neither`() {
    for line in [
      #"{"borrower_id":"B","amount":1e}"#, #"{"borrower_id":"B","amount":01e400}"#, #"{"borrower_id":"B"#, "1e400",
    ] {
      #expect(identity(line) == LineIdentity())
    }
  }
}
