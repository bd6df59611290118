import Dispatch
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import StatusPage

/// Answers by a closure, on the server's own thread or on one for answers that wait.
private struct ClosureHandler: HTTPHandler {
  var isQuick = true
  var stream: EventStream?
  var body: @Sendable (HTTPRequest) -> HTTPResponse

  func isImmediate(_ request: HTTPRequest) -> Bool { isQuick }
  func answer(_ request: HTTPRequest) -> HTTPResponse { body(request) }
}

private let fine = ClosureHandler { _ in HTTPResponse(contentType: "text/plain", body: "ok\n") }

/// One exchange over a plain socket: what a client sends, and all that comes back until the server closes.
private func exchange(port: Int, _ request: String, until end: String? = nil) -> String {
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
  guard connected == 0 else { return "" }
  _ = unsafe send(descriptor, request, request.utf8.count, 0)
  var received: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 4096)
  while true {
    let count = unsafe recv(descriptor, &chunk, chunk.count, 0)
    if count <= 0 { break }
    received += chunk[..<count]
    if let end, String(decoding: received, as: UTF8.self).contains(end) { break }
  }
  return String(decoding: received, as: UTF8.self)
}

/// Closed until it is opened.
private final class Gate: Sendable {
  private let semaphore = DispatchSemaphore(value: 0)

  func open() { semaphore.signal() }
  func wait() { semaphore.wait() }
}

private final class Counter: Sendable {
  private let value = Mutex(0)

  func next() -> Int {
    value.withLock { value in
      value += 1
      return value
    }
  }
}

@Suite struct HTTPServerTests {
  @Test func `a path is answered with its body and type`() throws {
    let handler = ClosureHandler { request in
      request.path == "/healthz" ? HTTPResponse(contentType: "text/plain", body: "ok\n") : .problem(404, "Not found")
    }
    let server = try HTTPServer(address: "127.0.0.1:0", handler: handler)
    defer { server.stop() }
    let answer = exchange(
      port: server.port, "GET /healthz?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
    #expect(answer.hasSuffix("\r\n\r\nok\n"))
    #expect(answer.contains("Content-Type: text/plain\r\n"))
    let missing = exchange(port: server.port, "GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    #expect(missing.hasPrefix("HTTP/1.1 404 "))
    #expect(missing.contains("application/problem+json"))
  }

  @Test func `an answer that waits does not keep others waiting`() async throws {
    let gate = Gate()
    let handler = ClosureHandler(isQuick: false) { request in
      if request.path == "/slow" { gate.wait() }
      return HTTPResponse(contentType: "text/plain", body: String(decoding: request.body, as: UTF8.self) + "\n")
    }
    let server = try HTTPServer(address: "127.0.0.1:0", handler: handler)
    let port = server.port
    let slow = Task.detached {
      await onThread { exchange(port: port, "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") }
    }
    let quick = await onThread {
      exchange(
        port: port, "PUT /quick HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody")
    }
    #expect(quick.hasSuffix("\r\n\r\nbody\n"))
    gate.open()
    #expect(await slow.value.hasPrefix("HTTP/1.1 200 "))
    server.stop()
  }

  @Test func `too large a body is refused before and after it is sent, and too long a header`() async throws {
    let server = try HTTPServer(address: "127.0.0.1:0", handler: fine)
    defer { server.stop() }
    let port = server.port
    let announced = await onThread {
      exchange(
        port: port, "PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n")
    }
    #expect(announced.hasPrefix("HTTP/1.1 413 "))
    let piece = String(repeating: "x", count: 50_000)
    let pieces = String(repeating: "c350\r\n\(piece)\r\n", count: 6) + "0\r\n\r\n"
    let sent = await onThread {
      exchange(
        port: port, "PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces)
    }
    #expect(sent.hasPrefix("HTTP/1.1 413 "))
    let header = await onThread {
      exchange(
        port: port,
        "GET / HTTP/1.1\r\nHost: x\r\nX-Long: \(String(repeating: "y", count: 40_000))\r\nConnection: close\r\n\r\n")
    }
    #expect(header.hasPrefix("HTTP/1.1 431 ") || header.hasPrefix("HTTP/1.1 414 ") || header.isEmpty)
  }

  @Test func `a stream gives frames to whoever watches, and ends with the server`() async throws {
    let count = Counter()
    let stream = EventStream { isFirst in ["event: tick\ndata: \(count.next()) \(isFirst)\n\n"] }
    let handler = ClosureHandler(stream: stream) { _ in
      var response = HTTPResponse(contentType: "text/event-stream", bytes: [])
      response.isEventStream = true
      return response
    }
    let server = try HTTPServer(address: "127.0.0.1:0", handler: handler)
    let port = server.port
    let request = "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
    let first = await onThread { exchange(port: port, request, until: "data: 2 false") }
    #expect(first.contains("text/event-stream"))
    #expect(first.contains("data: 1 true"))
    let watching = Task.detached { await onThread { exchange(port: port, request, until: "never") } }
    await onThread { while stream.watchers == 0 { usleep(1_000) } }
    server.stop()
    // It ends, whatever came until then.
    _ = await watching.value
  }

  @Test func `a taken port and a wrong address are named`() throws {
    let server = try HTTPServer(address: "127.0.0.1:0", handler: fine)
    defer { server.stop() }
    #expect(throws: HTTPServerError.self) {
      try HTTPServer(address: "127.0.0.1:\(server.port)", handler: fine)
    }
    let wrong = #expect(throws: HTTPServerError.self) {
      try HTTPServer(address: "nowhere", handler: fine)
    }
    #expect(wrong?.description.contains("nowhere") == true)
  }
}

@Suite struct MetricsTextTests {
  @Test func `families, labels and histograms are written as Prometheus reads them`() {
    var metrics = MetricsText()
    metrics.family("a_total", .counter, "What\nit counts")
    metrics.sample("a_total", [("type", "x\"y\\z")], 3)
    metrics.family("b_seconds", .histogram, "How long")
    metrics.histogram("b_seconds", bounds: [0.5, 1], buckets: [1, 2, 3], sum: 7.25)
    #expect(
      metrics.text == """
        # HELP a_total What\\nit counts
        # TYPE a_total counter
        a_total{type="x\\"y\\\\z"} 3
        # HELP b_seconds How long
        # TYPE b_seconds histogram
        b_seconds_bucket{le="0.5"} 1
        b_seconds_bucket{le="1"} 3
        b_seconds_bucket{le="+Inf"} 6
        b_seconds_sum 7.25
        b_seconds_count 6

        """)
  }
}
