import Glibc
import StatusPage
import Testing

/// One exchange over a plain socket: what a client sends, and all that comes back until the server closes.
private func exchange(port: Int, _ request: String) -> String {
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
  }
  return String(decoding: received, as: UTF8.self)
}

@Suite struct HTTPServerTests {
  @Test func `a path is answered with its body and type`() throws {
    let server = try HTTPServer(address: "127.0.0.1:0") { request in
      request.path == "/healthz" ? HTTPResponse(contentType: "text/plain", body: "ok\n") : .problem(404, "Not found")
    }
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

  @Test func `only reading is served`() throws {
    let server = try HTTPServer(address: "127.0.0.1:0") { _ in HTTPResponse(contentType: "text/plain", body: "ok\n") }
    defer { server.stop() }
    let answer = exchange(
      port: server.port, "DELETE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    #expect(answer.hasPrefix("HTTP/1.1 405 "))
    #expect(answer.contains("Allow: GET, HEAD\r\n"))
  }

  @Test func `a taken port and a wrong address are named`() throws {
    let server = try HTTPServer(address: "127.0.0.1:0") { _ in .problem(404, "Not found") }
    defer { server.stop() }
    #expect(throws: HTTPServerError.self) {
      try HTTPServer(address: "127.0.0.1:\(server.port)") { _ in .problem(404, "Not found") }
    }
    let wrong = #expect(throws: HTTPServerError.self) {
      try HTTPServer(address: "nowhere") { _ in .problem(404, "Not found") }
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
