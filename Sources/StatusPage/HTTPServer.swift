import CMicroHTTPD
import Glibc
import Pipeline
import Synchronization

/// Why the server could not start; one line that names the address.
public struct HTTPServerError: Error, CustomStringConvertible, Sendable {
  public var description: String
}

/// What the server asks for answers.
public protocol HTTPHandler: Sendable {
  /// Whether the answer never waits: it is then given on the server's own thread. Others have threads of their own.
  func isImmediate(_ request: HTTPRequest) -> Bool
  func answer(_ request: HTTPRequest) -> HTTPResponse
  /// The frames of the event stream.
  var stream: EventStream? { get }
}

/// The HTTP server: libmicrohttpd with one thread of its own, and four for answers that wait for something. At most 512
/// connections of 32 KiB (a longer header is refused), each closed after 15 s without progress; what comes beyond waits in
/// the listen queue. A body has at most 256 KiB.
@safe public final class HTTPServer: Sendable {
  static let connectionsMax: UInt32 = 512
  static let connectionMemoryBytes = 32 * 1024
  static let connectionTimeoutSeconds: UInt32 = 15
  static let bodyBytesMax = 256 * 1024
  private static let answerThreads = 4

  private let routes: Routes
  private let daemon: Mutex<DaemonHandle?>
  /// The port in use: the one asked for, or the one the system chose for port 0.
  public let port: Int

  /// Listens on `address`, as `host:port` or `[host]:port` with a numeric host.
  public init(address: String, handler: any HTTPHandler) throws(HTTPServerError) {
    routes = Routes(handler: handler)
    guard var socketAddress = parseSocketAddress(address) else {
      throw HTTPServerError(description: "http.listen: \(address) is not an address and a port, such as 127.0.0.1:8080")
    }
    let context = unsafe Unmanaged.passUnretained(routes).toOpaque()
    let started = unsafe withUnsafePointer(to: &socketAddress) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bound in
        unsafe microhttpd_start(
          answerRequest, requestCompleted, context, bound, Self.connectionsMax, Self.connectionMemoryBytes,
          Self.connectionTimeoutSeconds)
      }
    }
    guard let started = unsafe started else {
      let reason = unsafe String(cString: strerror(errno))
      throw HTTPServerError(description: "http.listen: cannot listen on \(address): \(reason)")
    }
    port = Int(unsafe microhttpd_port(started))
    daemon = unsafe Mutex(DaemonHandle(pointer: started))
    for _ in 0..<Self.answerThreads { startThread { [routes] in routes.answerWaiting() } }
  }

  deinit { stop() }

  /// Closes every connection; returns when the server's thread has ended.
  public func stop() {
    let ended = daemon.withLock { handle -> DaemonHandle? in
      defer { handle = nil }
      return handle
    }
    guard let ended else { return }
    routes.stop()
    unsafe MHD_stop_daemon(ended.pointer)
  }
}

/// libmicrohttpd's daemon; its functions may be called from any thread.
@safe private struct DaemonHandle: @unchecked Sendable {
  let pointer: OpaquePointer
}

/// libmicrohttpd's connection, valid while its request is not over.
@safe struct ConnectionHandle: @unchecked Sendable, Hashable {
  let pointer: OpaquePointer

  static func == (a: ConnectionHandle, b: ConnectionHandle) -> Bool { unsafe a.pointer == b.pointer }
  func hash(into hasher: inout Hasher) { unsafe hasher.combine(pointer) }
}

/// One request from its first header to its answer. The server's thread fills it; then one answering thread has it; then
/// the server's again.
private final class Exchange: @unchecked Sendable {
  var request: HTTPRequest
  var isTooLarge = false
  var isWaiting = false
  let answer = Mutex<HTTPResponse?>(nil)

  init(_ request: HTTPRequest) { self.request = request }
}

/// What the callbacks reach through their opaque pointer; lives as long as the server.
private final class Routes: Sendable {
  let handler: any HTTPHandler
  private let waiting = Mailbox<(Exchange, ConnectionHandle)>()
  /// Connections that rest until they are answered; nil once the server stops.
  private let resting = Mutex<Set<ConnectionHandle>?>([])

  init(handler: any HTTPHandler) { self.handler = handler }

  /// Lets the connection rest and has the answer made; false when the server stops.
  func answerLater(_ exchange: Exchange, _ connection: ConnectionHandle) -> Bool {
    let isTaken = resting.withLock { resting in
      guard resting != nil else { return false }
      resting?.insert(connection)
      unsafe MHD_suspend_connection(connection.pointer)
      return true
    }
    if isTaken { waiting.put((exchange, connection)) }
    return isTaken
  }

  func answerWaiting() {
    while let (exchange, connection) = waiting.take(waitMilliseconds: nil) {
      let answer = handler.answer(exchange.request)
      exchange.answer.withLock { $0 = answer }
      resting.withLock { resting in
        // Not there: the server stops and has woken it.
        guard resting?.remove(connection) != nil else { return }
        unsafe MHD_resume_connection(connection.pointer)
      }
    }
  }

  /// Every resting connection goes on: the server may not be stopped before.
  func stop() {
    waiting.close()
    handler.stream?.stop()
    resting.withLock { held in
      for connection in held ?? [] { unsafe MHD_resume_connection(connection.pointer) }
      held = nil
    }
  }
}

// MARK: Callbacks, on the server's thread

private func answerRequest(
  context: UnsafeMutableRawPointer?, connection: OpaquePointer?, url: UnsafePointer<CChar>?,
  method: UnsafePointer<CChar>?, version: UnsafePointer<CChar>?, upload: UnsafePointer<CChar>?,
  uploadSize: UnsafeMutablePointer<Int>?, state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
  guard let context = unsafe context, let connection = unsafe connection, let url = unsafe url,
    let method = unsafe method, let uploadSize = unsafe uploadSize, let state = unsafe state
  else { return microhttpd_no() }
  let routes = unsafe Unmanaged<Routes>.fromOpaque(context).takeUnretainedValue()
  let handle = unsafe ConnectionHandle(pointer: connection)
  guard let held = unsafe state.pointee else {
    let exchange = unsafe Exchange(readRequest(handle, method: String(cString: method), path: String(cString: url)))
    unsafe state.pointee = Unmanaged.passRetained(exchange).toOpaque()
    let announced = exchange.request.headers["content-length"].flatMap { Int($0) } ?? 0
    // Refused before it is sent.
    return announced > HTTPServer.bodyBytesMax ? queue(tooLarge, to: handle, exchange.request) : microhttpd_yes()
  }
  let exchange = unsafe Unmanaged<Exchange>.fromOpaque(held).takeUnretainedValue()
  if unsafe uploadSize.pointee > 0 {
    let count = unsafe uploadSize.pointee
    unsafe uploadSize.pointee = 0
    guard exchange.request.body.count + count <= HTTPServer.bodyBytesMax, let upload = unsafe upload else {
      exchange.isTooLarge = true
      exchange.request.body = []
      return microhttpd_yes()
    }
    if !exchange.isTooLarge {
      unsafe exchange.request.body.append(contentsOf: UnsafeRawBufferPointer(start: upload, count: count))
    }
    return microhttpd_yes()
  }
  if exchange.isTooLarge { return queue(tooLarge, to: handle, exchange.request) }
  if let answer = exchange.answer.withLock({ $0 }) { return queue(answer, to: handle, exchange.request, routes) }
  if exchange.isWaiting { return queue(ending, to: handle, exchange.request) }
  if routes.handler.isImmediate(exchange.request) {
    return queue(routes.handler.answer(exchange.request), to: handle, exchange.request, routes)
  }
  exchange.isWaiting = true
  guard routes.answerLater(exchange, handle) else { return queue(ending, to: handle, exchange.request) }
  return microhttpd_yes()
}

private let tooLarge = HTTPResponse.problem(
  413, "The body is too large", "A body has at most \(HTTPServer.bodyBytesMax) bytes")
private let ending = HTTPResponse.problem(503, "The process is ending", "Try again later").with("Retry-After", "5")

private func requestCompleted(
  context: UnsafeMutableRawPointer?, connection: OpaquePointer?, state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?,
  code: MHD_RequestTerminationCode
) {
  guard let state = unsafe state, let held = unsafe state.pointee else { return }
  unsafe Unmanaged<Exchange>.fromOpaque(held).release()
  unsafe state.pointee = nil
}

private func readRequest(_ connection: ConnectionHandle, method: String, path: String) -> HTTPRequest {
  var request = HTTPRequest(method: method, path: path)
  for name in HTTPRequest.headersRead {
    if let value = unsafe microhttpd_header(connection.pointer, name) {
      unsafe request.headers[name] = String(cString: value)
    }
  }
  let arguments = QueryArguments()
  unsafe microhttpd_arguments(connection.pointer, noteArgument, Unmanaged.passUnretained(arguments).toOpaque())
  request.query = arguments.values
  var text = [CChar](repeating: 0, count: 64)
  unsafe microhttpd_client(connection.pointer, &text, socklen_t(text.count))
  request.client = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  return request
}

private final class QueryArguments {
  var values: [String: String] = [:]
}

private func noteArgument(
  context: UnsafeMutableRawPointer?, kind: MHD_ValueKind, name: UnsafePointer<CChar>?, value: UnsafePointer<CChar>?
) -> MHD_Result {
  guard let context = unsafe context, let name = unsafe name else { return microhttpd_no() }
  let arguments = unsafe Unmanaged<QueryArguments>.fromOpaque(context).takeUnretainedValue()
  unsafe arguments.values[String(cString: name)] = value.map { unsafe String(cString: $0) } ?? ""
  return microhttpd_yes()
}

private func queue(
  _ answer: HTTPResponse, to connection: ConnectionHandle, _ request: HTTPRequest, _ routes: Routes? = nil
) -> MHD_Result {
  var answer = answer
  let made: OpaquePointer?
  if answer.isEventStream, request.method == "GET", let stream = routes?.handler.stream {
    if let watcher = stream.addWatcher(connection) {
      unsafe made = microhttpd_stream(readStream, Unmanaged.passRetained(watcher).toOpaque(), releaseStream)
    } else {
      answer = .problem(503, "Too many watch", "At most \(EventStream.watchersMax) may watch at once; try again later")
        .with("Retry-After", "10")
      unsafe made = answer.body.withUnsafeBytes { unsafe microhttpd_response($0.baseAddress, $0.count) }
    }
  } else {
    unsafe made = answer.body.withUnsafeBytes { unsafe microhttpd_response($0.baseAddress, $0.count) }
  }
  guard let response = unsafe made else { return microhttpd_no() }
  defer { unsafe MHD_destroy_response(response) }
  unsafe MHD_add_response_header(response, "Content-Type", answer.contentType)
  for (name, value) in answer.headers { unsafe MHD_add_response_header(response, name, value) }
  for (name, value) in securityHeaders { unsafe MHD_add_response_header(response, name, value) }
  return unsafe MHD_queue_response(connection.pointer, answer.status, response)
}

private let securityHeaders = [
  ("Cache-Control", "no-cache, private"), ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"),
  ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Resource-Policy", "same-origin"),
]

// MARK: Addresses

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
