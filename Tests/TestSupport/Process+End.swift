import Foundation

extension Process {
  /// Starts it and waits until it has ended; `meanwhile` runs in between. `waitUntilExit` would take a core all the while.
  public func runToEnd(_ meanwhile: () throws -> Void = {}) throws {
    let end = DispatchSemaphore(value: 0)
    terminationHandler = { _ in end.signal() }
    try run()
    try meanwhile()
    end.wait()
  }
}
