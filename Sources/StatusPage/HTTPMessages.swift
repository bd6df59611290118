import Borrowers
import Scoring

/// One request with its whole body.
public struct HTTPRequest: Sendable {
  public var method: String
  /// Without the query; percent-escapes are decoded.
  public var path: String
  public var query: [String: String] = [:]
  /// The values of the headers that are looked at, by lower-case name.
  public var headers: [String: String] = [:]
  public var body: [UInt8] = []
  /// The numeric address; empty where it is not known.
  public var client = ""

  /// The headers that are looked at.
  static let headersRead = ["authorization", "if-match", "if-none-match", "content-type", "content-length"]

  public init(
    method: String, path: String, query: [String: String] = [:], headers: [String: String] = [:], body: [UInt8] = []
  ) {
    self.method = method
    self.path = path
    self.query = query
    self.headers = headers
    self.body = body
  }
}

public struct HTTPResponse: Sendable {
  public var status: UInt32
  public var contentType: String
  public var headers: [(name: String, value: String)] = []
  public var body: [UInt8]
  /// Instead of a body: the events of a stream.
  var isEventStream = false

  public init(status: UInt32 = 200, contentType: String, body: String) {
    self.init(status: status, contentType: contentType, bytes: Array(body.utf8))
  }

  public init(status: UInt32 = 200, contentType: String, bytes: [UInt8]) {
    self.status = status
    self.contentType = contentType
    body = bytes
  }

  /// An error as RFC 9457 asks for: `title` names the kind, `detail` says what would mend it.
  package static func problem(
    _ status: UInt32, _ title: String, _ detail: String = "", extra: [(key: String, value: JSONText)] = []
  ) -> HTTPResponse {
    var fields: [(key: String, value: JSONText)] = [
      ("type", .text("about:blank")), ("title", .text(title)), ("status", .number(Double(status))),
    ]
    if !detail.isEmpty { fields.append(("detail", .text(detail))) }
    return HTTPResponse(
      status: status, contentType: "application/problem+json",
      body: JSONText.object(fields + extra).canonical + "\n")
  }

  static func json(_ value: JSONText, status: UInt32 = 200) -> HTTPResponse {
    HTTPResponse(status: status, contentType: "application/json", body: value.canonical + "\n")
  }

  static func text(_ text: String, status: UInt32 = 200) -> HTTPResponse {
    HTTPResponse(status: status, contentType: "text/plain; charset=utf-8", body: text + "\n")
  }

  func with(_ name: String, _ value: String) -> HTTPResponse {
    var response = self
    response.headers.append((name, value))
    return response
  }

  /// With a strong entity tag of its body; 304 without it where the request has it already.
  func tagged(for request: HTTPRequest) -> HTTPResponse {
    guard status == 200, !isEventStream, request.method == "GET" || request.method == "HEAD" else { return self }
    let hash = unsafe body.withUnsafeBufferPointer { unsafe Murmur.hash128($0) }
    let tag = "\"" + String(decoding: hash.hexadecimal, as: UTF8.self) + "\""
    guard HTTPRequest.names(tag, in: request.headers["if-none-match"]) else { return with("ETag", tag) }
    var unchanged = HTTPResponse(status: 304, contentType: contentType, bytes: [])
    unchanged.headers = headers + [("ETag", tag)]
    return unchanged
  }
}

extension HTTPRequest {
  /// Whether a list of entity tags holds one, weak or strong.
  static func names(_ tag: String, in list: String?) -> Bool {
    guard let list else { return false }
    return list.split(separator: ",").contains { one in
      var text = Substring(one.filter { $0 != " " })
      if text.hasPrefix("W/") { text = text.dropFirst(2) }
      return text == "*" || text == tag
    }
  }

  /// A whole number of the query within a range; `fallback` where it is not named. Nil when it is none.
  func integer(_ name: String, _ range: ClosedRange<Int64>, fallback: Int64) -> Int64? {
    guard let text = query[name] else { return fallback }
    guard let value = Int64(text), range.contains(value) else { return nil }
    return value
  }
}

extension JSONText {
  /// `null` where it is not finite.
  static func real(_ value: Double) -> JSONText { value.isFinite ? .number(value) : .null }
  static func whole(_ value: some BinaryInteger) -> JSONText { .number(Double(value)) }
  static func bytes(_ value: [UInt8]) -> JSONText { .text(String(decoding: value, as: UTF8.self)) }
  static func name(_ value: StaticString) -> JSONText { .text(value.description) }
  static func time(_ value: EventTime) -> JSONText { .text(value.text) }
}
