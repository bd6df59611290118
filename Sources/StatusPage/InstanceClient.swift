import Glibc

/// Fetches a path of another instance, for a request that is to be forwarded: one GET, answered within 3 s, of at most 4 MiB.
public enum InstanceClient {
  private static let seconds = 3
  private static let bytesMax = 4 << 20

  /// Nil when it does not answer, or not in HTTP. What it forwards is not forwarded again: `path` has no query.
  public static func fetch(_ address: String, _ path: String) -> HTTPResponse? {
    guard let colon = address.lastIndex(of: ":") else { return nil }
    var host = String(address[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
    guard let descriptor = connect(host, String(address[address.index(after: colon)...])) else { return nil }
    defer { close(descriptor) }
    let request = "GET \(path) HTTP/1.1\r\nHost: \(address)\r\nConnection: close\r\n\r\n"
    let sent = unsafe send(descriptor, request, request.utf8.count, Int32(MSG_NOSIGNAL))
    guard sent == request.utf8.count else { return nil }
    return receive(descriptor).flatMap(parse)
  }

  private static func connect(_ host: String, _ port: String) -> Int32? {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard unsafe getaddrinfo(host, port, &hints, &found) == 0, let list = unsafe found else { return nil }
    defer { unsafe freeaddrinfo(list) }
    var next: UnsafeMutablePointer<addrinfo>? = unsafe list
    while let one = unsafe next {
      unsafe next = one.pointee.ai_next
      let descriptor = unsafe socket(
        one.pointee.ai_family, one.pointee.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), one.pointee.ai_protocol)
      guard descriptor >= 0 else { continue }
      var limit = timeval(tv_sec: seconds, tv_usec: 0)
      for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
        unsafe setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
      }
      if unsafe Glibc.connect(descriptor, one.pointee.ai_addr, one.pointee.ai_addrlen) == 0 { return descriptor }
      close(descriptor)
    }
    return nil
  }

  private static func receive(_ descriptor: Int32) -> [UInt8]? {
    var received: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      let count = unsafe recv(descriptor, &chunk, chunk.count, 0)
      guard count >= 0, received.count + count <= bytesMax else { return nil }
      if count == 0 { return received }
      received += chunk[..<count]
    }
  }

  static func parse(_ bytes: [UInt8]) -> HTTPResponse? {
    let separator = Array("\r\n\r\n".utf8)
    guard
      let end = bytes.indices.first(where: { $0 + 4 <= bytes.count && Array(bytes[$0..<$0 + 4]) == separator })
    else { return nil }
    let lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n")
    guard let first = lines.first?.split(separator: " "), first.count > 1, first[0].hasPrefix("HTTP/1."),
      let status = UInt32(first[1])
    else { return nil }
    var contentType = "application/json"
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      // Nobody here sends it in pieces.
      if parts.count == 2, parts[0].lowercased() == "transfer-encoding" { return nil }
      if parts.count == 2, parts[0].lowercased() == "content-type" {
        contentType = String(parts[1].drop { $0 == " " })
      }
    }
    return HTTPResponse(status: status, contentType: contentType, bytes: Array(bytes[(end + 4)...]))
  }
}
