import CMicroHTTPD
import Glibc
import Synchronization

/// One request, without its body: every path served here is read only.
public struct HTTPRequest: Sendable {
  public var method: String
  /// Without the query.
  public var path: String
  /// Of the query, those that are known by name.
  public var parameters: [String: String]

  /// Parameters that a request may have.
  static let parameterNames = ["platform", "start", "end"]

  public init(method: String, path: String, parameters: [String: String] = [:]) {
    self.method = method
    self.path = path
    self.parameters = parameters
  }
}

public struct HTTPResponse: Sendable {
  public var status: UInt32
  public var contentType: String
  public var body: [UInt8]

  public init(status: UInt32 = 200, contentType: String, body: String) {
    self.status = status
    self.contentType = contentType
    self.body = Array(body.utf8)
  }

  /// An error as RFC 9457 asks for.
  public static func problem(_ status: UInt32, _ title: String) -> HTTPResponse {
    HTTPResponse(
      status: status, contentType: "application/problem+json",
      body: "{\"title\":\"\(title)\",\"status\":\(status)}\n")
  }
}

/// Why the server could not start; one line that names the address.
public struct HTTPServerError: Error, CustomStringConvertible, Sendable {
  public var description: String
}

/// The HTTP server: libmicrohttpd with one thread of its own. At most 256 connections of 32 KiB, each closed after 15 s
/// without progress; what comes beyond waits in the listen queue.
@safe public final class HTTPServer: Sendable {
  /// Called on the server's thread, one request at a time.
  public typealias Handler = @Sendable (HTTPRequest) -> HTTPResponse

  static let connectionsMax: UInt32 = 256
  static let connectionMemoryBytes = 32 * 1024
  static let connectionTimeoutSeconds: UInt32 = 15

  private let routes: Routes
  private let daemon: Mutex<DaemonHandle?>
  /// The port in use: the one asked for, or the one the system chose for port 0.
  public let port: Int

  /// Listens on `address`, as `host:port` or `[host]:port` with a numeric host.
  public init(address: String, handler: @escaping Handler) throws(HTTPServerError) {
    routes = Routes(handler: handler)
    guard var socketAddress = parseSocketAddress(address) else {
      throw HTTPServerError(description: "http.listen: \(address) is not an address and a port, such as 127.0.0.1:8080")
    }
    let context = unsafe Unmanaged.passUnretained(routes).toOpaque()
    let started = unsafe withUnsafePointer(to: &socketAddress) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bound in
        unsafe microhttpd_start(
          answerRequest, context, bound, Self.connectionsMax, Self.connectionMemoryBytes,
          Self.connectionTimeoutSeconds)
      }
    }
    guard let started = unsafe started else {
      let reason = unsafe String(cString: strerror(errno))
      throw HTTPServerError(description: "http.listen: cannot listen on \(address): \(reason)")
    }
    port = Int(unsafe microhttpd_port(started))
    daemon = unsafe Mutex(DaemonHandle(pointer: started))
  }

  deinit { stop() }

  /// Closes every connection; returns when the server's thread has ended.
  public func stop() {
    let ended = daemon.withLock { handle -> DaemonHandle? in
      defer { handle = nil }
      return handle
    }
    if let ended { unsafe MHD_stop_daemon(ended.pointer) }
  }
}

/// libmicrohttpd's daemon; its functions may be called from any thread.
@safe private struct DaemonHandle: @unchecked Sendable {
  let pointer: OpaquePointer
}

/// What the callback reaches through its opaque pointer; lives as long as the server.
private final class Routes: Sendable {
  let handler: HTTPServer.Handler
  init(handler: @escaping HTTPServer.Handler) { self.handler = handler }
}

/// Called by libmicrohttpd on its own thread.
private func answerRequest(
  context: UnsafeMutableRawPointer?, connection: OpaquePointer?, url: UnsafePointer<CChar>?,
  method: UnsafePointer<CChar>?, version: UnsafePointer<CChar>?, upload: UnsafePointer<CChar>?,
  uploadSize: UnsafeMutablePointer<Int>?, state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
  guard let context = unsafe context, let url = unsafe url, let method = unsafe method else { return microhttpd_no() }
  var request = unsafe HTTPRequest(method: String(cString: method), path: String(cString: url))
  for name in HTTPRequest.parameterNames {
    guard let value = unsafe microhttpd_argument(connection, name) else { continue }
    unsafe request.parameters[name] = String(cString: value)
  }
  let isHead = request.method == "HEAD"
  let routes = unsafe Unmanaged<Routes>.fromOpaque(context).takeUnretainedValue()
  let answer =
    request.method == "GET" || isHead ? routes.handler(request) : .problem(405, "Only GET and HEAD are served here")
  let response = unsafe answer.body.withUnsafeBytes { unsafe microhttpd_response($0.baseAddress, $0.count) }
  defer { unsafe MHD_destroy_response(response) }
  unsafe MHD_add_response_header(response, "Content-Type", answer.contentType)
  unsafe MHD_add_response_header(response, "Cache-Control", "no-store")
  unsafe MHD_add_response_header(response, "X-Content-Type-Options", "nosniff")
  if answer.status == 405 { unsafe MHD_add_response_header(response, "Allow", "GET, HEAD") }
  return unsafe MHD_queue_response(connection, answer.status, response)
}

/// The numeric address and port of `text`.
private func parseSocketAddress(_ text: String) -> sockaddr_storage? {
  guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
  var host = String(text[..<colon])
  if host == "localhost" { host = "127.0.0.1" }
  var storage = sockaddr_storage()
  if host.hasPrefix("["), host.hasSuffix("]") {
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = port.bigEndian
    guard unsafe inet_pton(AF_INET6, String(host.dropFirst().dropLast()), &address.sin6_addr) == 1 else { return nil }
    unsafe withUnsafeMutableBytes(of: &storage) { target in
      unsafe withUnsafeBytes(of: address) { unsafe target.copyMemory(from: $0) }
    }
    return storage
  }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = port.bigEndian
  guard unsafe inet_pton(AF_INET, host, &address.sin_addr) == 1 else { return nil }
  unsafe withUnsafeMutableBytes(of: &storage) { target in
    unsafe withUnsafeBytes(of: address) { unsafe target.copyMemory(from: $0) }
  }
  return storage
}
