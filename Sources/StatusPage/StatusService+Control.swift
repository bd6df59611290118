import Borrowers
import Models
import Pipeline
import Scoring

// What is asked for: thresholds, overrides, models. Each goes to the control topic, with the token's name and why.
extension StatusService {
  func thresholds() -> HTTPResponse {
    guard let control = pipeline.control else { return Self.starting }
    return .json(Self.value(control.settings, id: control.settingsID))
  }

  static func value(_ settings: DecisionSettings, id: String) -> JSONText {
    guard case .object(let fields)? = try? JSONText.parse(settings.json).get() else { return .null }
    return .object([("control_id", .text(id))] + fields)
  }

  /// Of the body, the keys of `alerts` and `leads` that are named; all others stay as they are in force.
  func putThresholds(_ request: HTTPRequest) -> HTTPResponse {
    operate(request) { name, control in
      let tagged = HTTPResponse.json(Self.value(control.settings, id: control.settingsID)).tagged(
        for: HTTPRequest(method: "GET", path: request.path))
      if let wanted = request.headers["if-match"],
        !HTTPRequest.names(tagged.headers.first { $0.name == "ETag" }?.value ?? "", in: wanted)
      {
        return .problem(412, "The thresholds are others by now", "Read them again with GET /v1/thresholds")
      }
      return Self.proposal(request, over: control.settings) { settings, why in
        guard settings != control.settings else {
          return .json(Self.value(settings, id: control.settingsID))
        }
        return submitted(control, .settings(settings), by: name, why: why) { record in
          .json(Self.value(settings, id: record.id))
        }
      }
    }
  }

  func preview(_ request: HTTPRequest) -> HTTPResponse {
    readable(request) {
      guard let control = pipeline.control else { return Self.starting }
      return Self.proposal(request, over: control.settings) { settings, _ in
        guard let answer = pipeline.preview(settings, waitMilliseconds: Self.previewMilliseconds) else {
          return Self.starting
        }
        return .json(Self.value(answer))
      }
    }
  }

  /// Reads settings, and `why`, from a body.
  private static func proposal(
    _ request: HTTPRequest, over base: DecisionSettings, _ body: (DecisionSettings, String) -> HTTPResponse
  ) -> HTTPResponse {
    let text = String(decoding: request.body, as: UTF8.self)
    guard case .success(.object(var fields)) = JSONText.parse(text) else {
      return .problem(
        400, "The body is not a JSON object", "Give the keys of alerts and leads that are to change, and why")
    }
    var why = ""
    if let index = fields.firstIndex(where: { $0.key == "why" }) {
      guard case .text(let reason) = fields.remove(at: index).value else {
        return .problem(422, "The thresholds cannot be taken", "why: must be a text")
      }
      why = reason
    }
    // As it is read: so that what was read can be sent back.
    fields.removeAll { $0.key == "control_id" }
    do throws(SettingsError) {
      return body(try DecisionSettings(json: JSONText.object(fields).canonical, over: base), why)
    } catch {
      let problems = error.problems.map {
        JSONText.object([("key", .text($0.keyPath)), ("message", .text($0.message))])
      }
      return .problem(
        422, "The thresholds cannot be taken", error.description, extra: [("errors", .list(problems))])
    }
  }

  static func value(_ answer: PreviewAnswer) -> JSONText {
    let counts = answer.counts
    func alerts(_ status: AlertStatus) -> JSONText { .whole(counts.alerts[Int(status.rawValue)]) }
    func leads(_ status: LeadStatus) -> JSONText { .whole(counts.leads[Int(status.rawValue)]) }
    func level(_ severity: Severity) -> JSONText { .whole(counts.alertLevelsAfter[Int(severity.rawValue)]) }
    func change(_ before: Double, _ after: Double) -> JSONText {
      .object([("before", .real(before)), ("after", .real(after)), ("change", .real(after - before))])
    }
    return .object([
      ("borrowers", .whole(counts.borrowers)), ("complete", .truth(answer.isComplete)),
      ("partitions", .list(answer.partitions.map { .whole($0) })),
      (
        "alerts",
        .object([
          ("open_before", .whole(counts.alertsOpenBefore)), ("open_after", .whole(counts.alertsOpenAfter)),
          ("raised", alerts(.raised)), ("escalated", alerts(.escalated)), ("eased", alerts(.eased)),
          ("cleared", alerts(.cleared)),
          (
            "levels_after",
            .object([
              ("low", level(.low)), ("medium", level(.medium)), ("high", level(.high)), ("critical", level(.critical)),
            ])
          ),
        ])
      ),
      (
        "leads",
        .object([
          ("open_before", .whole(counts.leadsOpenBefore)), ("open_after", .whole(counts.leadsOpenAfter)),
          ("opened", leads(.opened)), ("updated", leads(.updated)), ("withdrawn", leads(.withdrawn)),
        ])
      ),
      ("expected_loss", change(counts.expectedLossBefore, counts.expectedLossAfter)),
      ("expected_loss_alerted", change(counts.alertedLossBefore, counts.alertedLossAfter)),
      ("expected_lending", change(counts.expectedLendingBefore, counts.expectedLendingAfter)),
    ])
  }

  // MARK: Overrides

  /// PUT: `{"action": "snooze"|"override", "severity": …, "until": …, "why": …}`. DELETE lifts what was decided.
  func overrideAlert(_ request: HTTPRequest, _ id: [UInt8]) -> HTTPResponse {
    operate(request) { name, control in
      guard (1...64).contains(id.count) else {
        return .problem(404, "No borrower has this id", "A borrower_id has 1 to 64 bytes")
      }
      guard let answer = pipeline.borrower(id, waitMilliseconds: Self.answerMilliseconds) else { return Self.starting }
      guard case .found(let view) = answer else { return refusal(answer, request) }
      let why: String
      let wanted: AlertOverride
      if request.method == "DELETE" {
        why = request.query["why"] ?? ""
        wanted = AlertOverride(action: .lift, until: view.time, borrowerID: id, salt: Self.salt())
      } else {
        switch Self.readOverride(request.body, id, view) {
        case .failure(let refusal): return refusal.response
        case .success(let read): (wanted, why) = read
        }
      }
      return submitted(control, .alertOverride(partition: view.partition, wanted), by: name, why: why) { record in
        .json(
          .object([
            ("control_id", .text(record.id)), ("action", .name(wanted.action.name)),
            ("severity", .name(wanted.severity.name)), ("until", .time(wanted.until)),
          ]))
      }
    }
  }

  private static func readOverride(
    _ body: [UInt8], _ id: [UInt8], _ view: BorrowerView
  ) -> Result<(AlertOverride, String), AccessTokens.Refusal> {
    func refuse(_ detail: String) -> Result<(AlertOverride, String), AccessTokens.Refusal> {
      .failure(.init(.problem(422, "The override cannot be taken", detail)))
    }
    guard case .success(.object(let fields)) = JSONText.parse(String(decoding: body, as: UTF8.self)) else {
      return .failure(
        .init(.problem(400, "The body is not a JSON object", "Give action, until, why; of an override its severity")))
    }
    var texts: [String: String] = [:]
    for (key, value) in fields {
      guard ["action", "severity", "until", "why"].contains(key), case .text(let text) = value else {
        return refuse("\(key): is no field of an override, or no text")
      }
      texts[key] = text
    }
    guard let action = texts["action"].flatMap(AlertOverride.Action.init(name:)), action != .lift else {
      return refuse("action: must be snooze or override; DELETE lifts it")
    }
    let severity = texts["severity"].flatMap(Severity.init(name:))
    if action == .force, severity == nil { return refuse("severity: must be none, low, medium, high or critical") }
    guard let until = texts["until"].flatMap({ EventTime(rfc3339: $0) }), until > view.time, until < .end else {
      return refuse("until: must be an RFC 3339 time behind the borrower's, \(view.time.text)")
    }
    let one = AlertOverride(
      action: action, severity: action == .force ? severity ?? .none : .none, until: until, borrowerID: id,
      salt: salt())
    return .success((one, texts["why"] ?? ""))
  }

  private static func salt() -> [UInt8] {
    var random = SystemRandomNumberGenerator()
    return (0..<AlertOverride.saltBytes).map { _ in UInt8.random(in: 0...255, using: &random) }
  }

  // MARK: Models

  func models() -> HTTPResponse {
    .json(.object([("serving", .text(modelsVersion)), ("models", sources.models())]))
  }

  /// The champions of the models folder become those in force: of every partition at one point of its log.
  func reloadModels(_ request: HTTPRequest) -> HTTPResponse {
    operate(request) { name, control in
      do {
        guard let record = try control.reloadModels(by: name, why: Self.why(request)) else {
          return .json(.object([("changed", .truth(false)), ("models", .text(control.models.version))]))
        }
        guard case .models(let version, let digest) = record.content else { return .problem(500, "No models") }
        return .json(
          .object([
            ("changed", .truth(true)), ("models", .text(version)), ("digest", .text(digest)),
            ("control_id", .text(record.id)),
          ]))
      } catch let error as ModelError {
        return .problem(409, "The models cannot serve", error.description)
      } catch let error as BrokerError {
        return Self.problem(error)
      } catch {
        return .problem(500, "The models cannot serve", "\(error)")
      }
    }
  }

  private static func why(_ request: HTTPRequest) -> String {
    guard case .success(.object(let fields)) = JSONText.parse(String(decoding: request.body, as: UTF8.self)),
      case .text(let why)? = fields.first(where: { $0.key == "why" })?.value
    else { return request.query["why"] ?? "" }
    return why
  }

  // MARK: The audit list

  /// The newest first.
  func audit(_ request: HTTPRequest) -> HTTPResponse {
    guard let control = pipeline.control else { return Self.starting }
    guard let limit = request.integer("limit", 1...1_000, fallback: 50),
      let before = request.integer("before", 0...Int64(1) << 52, fallback: Int64(1) << 52)
    else {
      return .problem(400, "The page cannot be told", "limit is a whole number from 1 to 1000, before an offset")
    }
    let records = control.audit(before: before, limit: Int(limit))
    var fields: [(key: String, value: JSONText)] = [
      (
        "control",
        .list(
          records.map { record in
            guard case .object(let fields)? = try? JSONText.parse(record.json).get() else { return .null }
            return .object([("offset", .whole(record.offset)), ("control_id", .text(record.id))] + fields)
          })
      )
    ]
    if records.count == Int(limit), let last = records.last {
      fields.append(("next", .text("/v1/control?limit=\(limit)&before=\(last.offset)")))
    }
    return .json(.object(fields))
  }

  // MARK: Who may

  private func operate(_ request: HTTPRequest, _ body: (String, ControlCenter) -> HTTPResponse) -> HTTPResponse {
    switch tokens.check(request, for: .operate) {
    case .failure(let refusal): return refusal.response
    case .success(let name):
      guard let control = pipeline.control else { return Self.starting }
      return body(name, control)
    }
  }

  private func submitted(
    _ control: ControlCenter, _ content: ControlRecord.Content, by name: String, why: String,
    _ body: (ControlRecord) -> HTTPResponse
  ) -> HTTPResponse {
    do throws(BrokerError) {
      let record = try control.submit(content, by: name, why: why)
      control.awaitRead(record, waitMilliseconds: 2_000)
      return body(record)
    } catch {
      return Self.problem(error)
    }
  }

  private static func problem(_ error: BrokerError) -> HTTPResponse {
    .problem(503, "The control topic could not be written", error.description).with("Retry-After", "5")
  }
}
