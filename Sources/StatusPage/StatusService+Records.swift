import Borrowers
import Pipeline
import Scoring

// Alerts, leads and borrowers.
extension StatusService {
  static let limitMax: Int64 = Int64(PipelineStatus.recentMax)

  func alerts(_ request: HTTPRequest) -> HTTPResponse {
    list(request, "alerts", pipeline.status.recentAlerts) { Self.value($0) }
  }

  func leads(_ request: HTTPRequest) -> HTTPResponse {
    list(request, "leads", pipeline.status.recentLeads) { Self.value($0) }
  }

  /// The newest first: `limit` of them (50 unless it is named), those behind `after` ones that were told before.
  private func list<Record>(
    _ request: HTTPRequest, _ name: String, _ records: [Record], _ value: (Record) -> JSONText
  ) -> HTTPResponse {
    guard let limit = request.integer("limit", 1...Self.limitMax, fallback: 50),
      let after = request.integer("after", 0...Self.limitMax * 16, fallback: 0)
    else {
      return .problem(
        400, "The page cannot be told", "limit is a whole number from 1 to \(Self.limitMax), after one from 0")
    }
    let rest = records.reversed().dropFirst(Int(after))
    var fields: [(key: String, value: JSONText)] = [(name, .list(rest.prefix(Int(limit)).map(value)))]
    if rest.count > Int(limit) { fields.append(("next", .text("/v1/\(name)?limit=\(limit)&after=\(after + limit)"))) }
    return .json(.object(fields))
  }

  /// The record as it is published in JSON.
  static func value(_ alert: AlertRecord) -> JSONText {
    parsed { alert.encode(.json, into: &$0) }
  }

  static func value(_ lead: LeadRecord) -> JSONText {
    parsed { lead.encode(.json, into: &$0) }
  }

  private static func parsed(_ encode: (inout ByteBuffer) -> Void) -> JSONText {
    var buffer = ByteBuffer(capacity: 2_048)
    encode(&buffer)
    let text = unsafe String(decoding: buffer.bytes, as: UTF8.self)
    return (try? JSONText.parse(text).get()) ?? .null
  }

  // MARK: One borrower

  func borrowerRoute(_ request: HTTPRequest, _ rest: String, _ reading: Bool) -> HTTPResponse {
    let suffix = "/alert-override"
    if rest.hasSuffix(suffix) {
      return allow(request.method == "PUT" || request.method == "DELETE", "PUT, DELETE") {
        overrideAlert(request, Array(rest.dropLast(suffix.count).utf8))
      }
    }
    return allow(reading, "GET, HEAD") { readable(request) { borrower(request, Array(rest.utf8)) } }
  }

  private func borrower(_ request: HTTPRequest, _ id: [UInt8]) -> HTTPResponse {
    guard (1...64).contains(id.count) else {
      return .problem(404, "No borrower has this id", "A borrower_id has 1 to 64 bytes")
    }
    guard let answer = pipeline.borrower(id, waitMilliseconds: Self.answerMilliseconds) else { return Self.starting }
    if case .found(let view) = answer { return .json(Self.value(view)) }
    return refusal(answer, request)
  }

  /// Why there is no view.
  func refusal(_ answer: BorrowerAnswer, _ request: HTTPRequest) -> HTTPResponse {
    switch answer {
    case .found: return .problem(500, "The borrower is held")
    case .unknown(let partition):
      return .problem(
        404, "No borrower has this id", "Partition \(partition) is held here and has no event of it",
        extra: [("partition", .whole(partition))])
    case .notReady(let partition):
      return .problem(
        503, "The borrower's partition is not live", "Partition \(partition) is being restored or given up"
      )
      .with("Retry-After", "2")
    case .late:
      return .problem(503, "The loop did not answer in time", "It is busy; try again").with("Retry-After", "1")
    case .elsewhere(let partition): return elsewhere(partition, request)
    }
  }

  private func elsewhere(_ partition: Int32, _ request: HTTPRequest) -> HTTPResponse {
    switch sources.owner(partition) {
    case .instance(let address):
      if request.query["forward"] == "true", request.method == "GET", !address.isEmpty,
        let answer = sources.fetch(address, Self.escaped(request.path))
      {
        return answer
      }
      let response = HTTPResponse.problem(
        421, "Another instance holds this borrower",
        address.isEmpty
          ? "It advertises no address; set http.advertised there" : "Ask \(address), or add ?forward=true",
        extra: [("partition", .whole(partition)), ("owner", address.isEmpty ? .null : .text(address))])
      return address.isEmpty
        ? response : response.with("Location", "http://\(address)\(Self.escaped(request.path))")
    case .nobody:
      return .problem(503, "Nobody holds this borrower at the moment", "Partition \(partition) is being assigned")
        .with("Retry-After", "2")
    case .unknown(let reason):
      return .problem(503, "It cannot be told who holds this borrower", reason).with("Retry-After", "5")
    }
  }

  static let starting = HTTPResponse.problem(503, "The daemon is starting", "Try again in a moment")
    .with("Retry-After", "1")

  /// As it stands in a request line.
  static func escaped(_ path: String) -> String {
    var text = ""
    for byte in path.utf8 {
      let isPlain =
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        || "-._~/".utf8.contains(byte)
      if isPlain {
        text.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        let digits = String(byte, radix: 16, uppercase: true)
        text += "%" + (digits.count == 1 ? "0" : "") + digits
      }
    }
    return text
  }
}
