import Glibc
import Pipeline
import Synchronization

/// The tokens of `http.token_file`, read anew when the file changes. A line is a token of the role `operate`, or
/// `name:role:token` with the role `read` or `operate`; `#` begins a comment. As soon as one has the role `read`, reading
/// about borrowers wants a token too.
public final class AccessTokens: Sendable {
  public enum Role: Sendable { case read, operate }

  struct Token: Sendable {
    var name: String
    var role: Role
    var secret: [UInt8]
  }

  private struct Held {
    var stamp = ""
    var tokens: [Token] = []
  }

  private let path: String?
  private let held = Mutex(Held())
  private let failures = Mutex(FailureLimit())
  private let clock: any Clock

  /// Nil: there are no tokens, and nothing may be changed.
  public init(path: String?, clock: any Clock = SystemClock()) {
    self.path = path
    self.clock = clock
  }

  /// The refusal of a request; its caller's name when there is none.
  func check(_ request: HTTPRequest, for role: Role) -> Result<String, Refusal> {
    let tokens = current()
    if role == .read, !tokens.contains(where: { $0.role == .read }) { return .success("anybody") }
    guard path != nil else {
      return .failure(
        Refusal(
          .problem(
            403, "Nothing may be changed here",
            "http.token_file is not configured; name a file of tokens in the configuration")))
    }
    let now = clock.monotonic
    guard failures.withLock({ $0.admits(request.client, at: now) }) else {
      return .failure(
        Refusal(
          .problem(429, "Too many refused tokens", "Try again in a minute").with("Retry-After", "60")))
    }
    guard let header = request.headers["authorization"], header.lowercased().hasPrefix("bearer ") else {
      return .failure(Refusal(unauthorized("The request has no bearer token")))
    }
    let given = Array(header.utf8.dropFirst(7).drop { $0 == 0x20 })
    // Every token is compared, so that the time tells nothing.
    var found: Token?
    for token in tokens where Self.areEqual(token.secret, given) { found = token }
    guard let found else {
      failures.withLock { $0.note(request.client, at: now) }
      return .failure(Refusal(unauthorized("The bearer token is not known here")))
    }
    guard role == .read || found.role == .operate else {
      return .failure(Refusal(.problem(403, "This token may only read", "Use a token of the role operate")))
    }
    return .success(found.name)
  }

  struct Refusal: Error {
    var response: HTTPResponse
    init(_ response: HTTPResponse) { self.response = response }
  }

  private func unauthorized(_ detail: String) -> HTTPResponse {
    HTTPResponse.problem(401, "A token is needed", detail).with("WWW-Authenticate", "Bearer realm=\"lendpulse\"")
  }

  /// In a time that depends on the lengths alone.
  static func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    var difference = UInt8(a.count == b.count && !a.isEmpty ? 0 : 1)
    for index in b.indices { difference |= b[index] ^ (a.isEmpty ? 0 : a[index % a.count]) }
    return difference == 0
  }

  // MARK: The file

  private func current() -> [Token] {
    guard let path else { return [] }
    var information = stat()
    guard unsafe stat(path, &information) == 0 else {
      held.withLock { $0 = Held() }
      return []
    }
    let stamp =
      "\(information.st_ino) \(information.st_size) \(information.st_mtim.tv_sec).\(information.st_mtim.tv_nsec)"
    return held.withLock { held in
      if held.stamp != stamp {
        held.stamp = stamp
        held.tokens = Self.parse(Self.read(path))
      }
      return held.tokens
    }
  }

  /// At most 64 KiB.
  private static func read(_ path: String) -> String {
    guard let file = unsafe fopen(path, "re") else { return "" }
    defer { unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 64 << 10)
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes.prefix(count), as: UTF8.self)
  }

  static func parse(_ text: String) -> [Token] {
    var tokens: [Token] = []
    for line in text.split(whereSeparator: \.isNewline) {
      var line = line.drop(while: \.isWhitespace)
      while line.last?.isWhitespace == true { line.removeLast() }
      guard !line.isEmpty, !line.hasPrefix("#") else { continue }
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      if parts.count == 3, let role = role(parts[1]), !parts[2].isEmpty {
        tokens.append(Token(name: String(parts[0]), role: role, secret: Array(parts[2].utf8)))
      } else {
        tokens.append(Token(name: "operator", role: .operate, secret: Array(line.utf8)))
      }
    }
    return tokens
  }

  private static func role(_ text: Substring) -> Role? {
    switch text {
    case "read": .read
    case "operate": .operate
    default: nil
    }
  }
}

/// Ten refused tokens of an address, then one each ten seconds. Of at most 1,024 addresses; the oldest are forgotten.
struct FailureLimit {
  static let burst = 10.0
  static let nanosecondsEach = 10_000_000_000.0
  static let addressesMax = 1_024

  private var buckets: [String: (failures: Double, at: Int64)] = [:]

  func admits(_ address: String, at now: Int64) -> Bool { level(address, at: now) + 1 <= Self.burst }

  mutating func note(_ address: String, at now: Int64) {
    if buckets.count >= Self.addressesMax, buckets[address] == nil,
      let oldest = buckets.min(by: { $0.value.at < $1.value.at })?.key
    {
      buckets[oldest] = nil
    }
    buckets[address] = (level(address, at: now) + 1, now)
  }

  private func level(_ address: String, at now: Int64) -> Double {
    guard let bucket = buckets[address] else { return 0 }
    return max(0, bucket.failures - Double(now - bucket.at) / Self.nanosecondsEach)
  }
}
