import Glibc
import Synchronization

/// SIGINT and SIGTERM. A command that watches `isRequested` stops cleanly by itself; one that does not is ended at once.
/// Whatever a command does, the process is gone 4.5 s after the first signal, and at once after a second.
enum Interruption {
  private static let graceMilliseconds: Int32 = 4_500
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

  /// Handlers and no blocked signals: libraries start threads of their own before `main`, and the kernel gives a signal that
  /// one thread does not block to that thread. Both are taken even where they are inherited as ignored or blocked, as a shell's
  /// background jobs inherit SIGINT: who sends one wants an end.
  static func install() {
    _ = Glibc.signal(SIGPIPE, SIG_IGN)
    var ends: [Int32] = [-1, -1]
    let made = unsafe pipe(&ends)
    precondition(made == 0, "no pipe can be made: \(errno)")
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    let (reading, writing) = (ends[0], ends[1])
    signalPipe.store(writing, ordering: .releasing)
    var thread = pthread_t()
    let argument = unsafe UnsafeMutableRawPointer(bitPattern: Int(reading))
    let failure = unsafe pthread_create(&thread, nil, { unsafe interruptionThread($0) }, argument)
    precondition(failure == 0, "no thread can be started: \(failure)")
    pthread_detach(thread)
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    for number in [SIGINT, SIGTERM] {
      unsafe sigaddset(&signals, number)
      var action = sigaction()
      unsafe action.__sigaction_handler.sa_handler = tellOfSignal
      unsafe sigemptyset(&action.sa_mask)
      action.sa_flags = SA_RESTART
      unsafe sigaction(number, &action, nil)
    }
    unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  }

  /// Where the handlers write; -1 before there is one.
  fileprivate static let signalPipe = Atomic<Int32>(-1)

  fileprivate static func waitForSignals(_ reading: Int32) -> Never {
    let number = next(reading)
    signalNumber.store(number, ordering: .releasing)
    guard isWatched.load(ordering: .acquiring) else { _exit(128 + number) }
    wake.withLock { $0 }?()
    var waiting = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
    while unsafe poll(&waiting, 1, graceMilliseconds) < 0, errno == EINTR {}
    atEnd.withLock { $0 }?()
    _exit(128 + number)
  }

  private static func next(_ reading: Int32) -> Int32 {
    var number: UInt8 = 0
    while unsafe read(reading, &number, 1) != 1 {}
    return Int32(number)
  }
}

/// Nothing but a write is safe in a handler.
private func tellOfSignal(_ number: Int32) {
  let before = errno
  var byte = UInt8(truncatingIfNeeded: number)
  _ = unsafe write(Interruption.signalPipe.load(ordering: .relaxed), &byte, 1)
  errno = before
}

/// A function and no closure: a thread of C calls it.
private func interruptionThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  Interruption.waitForSignals(Int32(truncatingIfNeeded: Int(bitPattern: argument)))
}
