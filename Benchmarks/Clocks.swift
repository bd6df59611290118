import Foundation

enum Clocks {
  /// Nanoseconds of CPU that this thread has used.
  static var threadCPU: Double { Double(clock_gettime_nsec(CLOCK_THREAD_CPUTIME_ID)) }

  /// Nanoseconds of a clock that only goes forward.
  static var monotonic: Int64 { clock_gettime_nsec(CLOCK_MONOTONIC) }

  /// Milliseconds since 1970.
  static var now: Int64 { clock_gettime_nsec(CLOCK_REALTIME) / 1_000_000 }

  private static func clock_gettime_nsec(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// Seconds of CPU that a process has used, all its threads together, in steps of a hundredth.
  static func cpuSeconds(of process: Int32) -> Double {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
      let name = text.lastIndex(of: ")")
    else { return 0 }
    let fields = text[text.index(after: name)...].split(separator: " ")
    return ((Double(fields[11]) ?? 0) + (Double(fields[12]) ?? 0)) / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  /// Bytes of memory that a process holds now.
  static func residentBytes(of process: String = "self") -> Int {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/statm", encoding: .utf8) else { return 0 }
    return (Int(text.split(separator: " ")[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE)))
  }
}
