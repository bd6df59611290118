import Foundation
import Glibc

/// One HTTP request over a plain socket of this machine, on a thread of its own.
public struct WebClient: Sendable {
  public struct Answer: Sendable {
    /// 0: nothing came.
    public var status = 0
    /// By lower-case name.
    public var headers: [String: String] = [:]
    public var body = Data()

    public func object() throws -> [String: Any] {
      guard let object = try JSONSerialization.jsonObject(with: body) as? [String: Any] else {
        throw CocoaError(.fileReadCorruptFile)
      }
      return object
    }
  }

  public var port: Int
  public var token: String?

  public init(port: Int, token: String? = nil) {
    self.port = port
    self.token = token
  }

  public func ask(_ method: String, _ path: String, _ body: String = "") async -> Answer {
    var head = "\(method) \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    if let token { head += "Authorization: Bearer \(token)\r\n" }
    if !body.isEmpty { head += "Content-Length: \(body.utf8.count)\r\n" }
    let request = head + "\r\n" + body
    let port = port
    return await onThread { Self.parse(Self.exchange(port, request)) }
  }

  private static func exchange(_ port: Int, _ request: String) -> Data {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    unsafe inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
    let connected = unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard connected == 0 else { return Data() }
    _ = unsafe send(descriptor, request, request.utf8.count, Int32(MSG_NOSIGNAL))
    var received = Data()
    var chunk = [UInt8](repeating: 0, count: 1 << 14)
    while true {
      let count = unsafe recv(descriptor, &chunk, chunk.count, 0)
      if count <= 0 { return received }
      received.append(contentsOf: chunk[..<count])
    }
  }

  private static func parse(_ bytes: Data) -> Answer {
    var answer = Answer()
    guard let end = bytes.range(of: Data("\r\n\r\n".utf8)) else { return answer }
    let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
    answer.status = lines[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      if parts.count == 2 { answer.headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces) }
    }
    answer.body = bytes[end.upperBound...]
    return answer
  }
}

/// A loopback port that nobody listened on when it was asked for.
public struct FreePort: Sendable {
  public let port: Int

  public init() throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    unsafe inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bound -> Bool in
        unsafe bind(descriptor, bound, size) == 0 && getsockname(descriptor, bound, &size) == 0
      }
    }
    guard isBound else { throw CocoaError(.fileReadUnknown) }
    port = Int(UInt16(bigEndian: address.sin_port))
  }
}
