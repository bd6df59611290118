import Foundation

/// Clocks, for what is measured and never decided by.
enum Clocks {
  /// Processor time of this thread.
  static var threadNanoseconds: Int64 {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  static var monotonicSeconds: Double {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// The most memory that the process has held, in bytes.
  static var peakBytes: Int64 {
    var usage = rusage()
    // RUSAGE_SELF, which arrives as another type than the function takes.
    _ = unsafe getrusage(0, &usage)
    return Int64(usage.ru_maxrss) * 1024
  }

  /// Now, RFC 3339 in UTC.
  static var now: String { Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)) }
}
