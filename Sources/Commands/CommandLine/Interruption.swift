import Glibc
import Synchronization

/// SIGINT and SIGTERM. A command that watches `isRequested` stops cleanly by itself; one that does not is ended at once.
/// Whatever a command does, the process is gone 4.5 s after the first signal, and at once after a second.
enum Interruption {
  private static let graceMilliseconds = 4_500
  private static let signalNumber = Atomic<Int32>(0)
  private static let isWatched = Atomic<Bool>(false)
  private static let atEnd = Mutex<(@Sendable () -> Void)?>(nil)
  private static let wake = Mutex<(@Sendable () -> Void)?>(nil)

  /// The signal that was sent; nil: none yet.
  static var signal: Int32? {
    let number = signalNumber.load(ordering: .acquiring)
    return number == 0 ? nil : number
  }
  static var isRequested: Bool { signalNumber.load(ordering: .relaxed) != 0 }

  /// From now on the command stops by itself; `onSignal` is called once, on another thread.
  static func watch(onSignal: (@Sendable () -> Void)? = nil) {
    wake.withLock { $0 = onSignal }
    isWatched.store(true, ordering: .releasing)
    if isRequested { onSignal?() }
  }

  /// What is done before the process ends without the command's own doing, such as giving the terminal back.
  static func restoreAtEnd(_ restore: @escaping @Sendable () -> Void) { atEnd.withLock { $0 = restore } }

  /// To be called first, while there is one thread: those made later inherit that the signals are blocked.
  static func install() {
    _ = Glibc.signal(SIGPIPE, SIG_IGN)
    var signals = signalsToWaitFor()
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    var thread = pthread_t()
    let failure = unsafe pthread_create(&thread, nil, { unsafe interruptionThread($0) }, nil)
    precondition(failure == 0, "no thread can be started: \(failure)")
    pthread_detach(thread)
  }

  fileprivate static func waitForSignals() -> Never {
    var signals = signalsToWaitFor()
    var number: Int32 = 0
    while unsafe sigwait(&signals, &number) != 0 {}
    signalNumber.store(number, ordering: .releasing)
    guard isWatched.load(ordering: .acquiring) else { _exit(128 + number) }
    wake.withLock { $0 }?()
    var patience = timespec(tv_sec: graceMilliseconds / 1_000, tv_nsec: graceMilliseconds % 1_000 * 1_000_000)
    _ = unsafe sigtimedwait(&signals, nil, &patience)
    atEnd.withLock { $0 }?()
    _exit(128 + number)
  }

  private static func signalsToWaitFor() -> sigset_t {
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe sigaddset(&signals, SIGINT)
    unsafe sigaddset(&signals, SIGTERM)
    return signals
  }
}

/// A function and no closure: a thread of C calls it.
private func interruptionThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  Interruption.waitForSignals()
}
