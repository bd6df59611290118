// YAML read into a small tree whose every node knows its line, through libyaml's events. Anchors, aliases, tags and a
// second document are refused: nothing in a configuration needs them.

import CYAML

/// One value of a YAML file.
struct YAMLNode: Equatable, Sendable {
  enum Content: Equatable, Sendable {
    /// `isPlain`: written without quotes, so that `null`, numbers and booleans mean themselves.
    case scalar(String, isPlain: Bool)
    case sequence([YAMLNode])
    case mapping([YAMLEntry])
  }

  var content: Content
  /// Counted from 1.
  var line: Int

  /// Nothing after the colon, `null` or `~`.
  var isNull: Bool {
    guard case .scalar(let text, isPlain: true) = content else { return false }
    return ["", "~", "null", "Null", "NULL"].contains(text)
  }

  /// What it is, in words for an error.
  var kind: String {
    switch content {
    case .scalar: isNull ? "nothing" : "a single value"
    case .sequence: "a list"
    case .mapping: "a mapping"
    }
  }
}

/// A key of a mapping with its value.
struct YAMLEntry: Equatable, Sendable {
  var key: String
  var line: Int
  var value: YAMLNode
}

/// Something that a YAML file may not say here.
struct YAMLProblem: Error, Equatable, Sendable {
  var line: Int
  var message: String
}

/// Reads one document. What can be read is returned although there are problems, so that they are all told at once.
struct YAMLReader: ~Copyable {
  static let bytesMax = 1 << 20
  static let depthMax = 32

  private var events: YAMLEvents
  private(set) var problems: [YAMLProblem] = []

  /// Nil when the document is empty.
  static func read(_ bytes: [UInt8]) -> (root: YAMLNode?, problems: [YAMLProblem]) {
    guard bytes.count <= bytesMax else {
      return (nil, [YAMLProblem(line: 1, message: "the file is larger than 1 MiB; a configuration is not")])
    }
    var reader = YAMLReader(events: YAMLEvents(bytes))
    do throws(YAMLProblem) {
      let root = try reader.readDocument()
      return (root, reader.problems)
    } catch {
      return (nil, reader.problems + [error])
    }
  }

  private init(events: consuming YAMLEvents) { self.events = events }

  private mutating func readDocument() throws(YAMLProblem) -> YAMLNode? {
    var root: YAMLNode?
    while true {
      let event = try events.next()
      switch event.kind {
      case .streamEnd: return root
      case .boundary: continue
      default:
        guard root == nil else {
          throw YAMLProblem(line: event.line, message: "a second document begins here; keep to one")
        }
        root = try readNode(event, depth: 0)
      }
    }
  }

  private mutating func readNode(_ event: YAMLEvents.Event, depth: Int) throws(YAMLProblem) -> YAMLNode {
    guard depth < Self.depthMax else {
      throw YAMLProblem(line: event.line, message: "nested over \(Self.depthMax) deep")
    }
    if event.hasAnchor {
      problems.append(YAMLProblem(line: event.line, message: "anchors (&) and aliases (*) are not read; write it out"))
    }
    if event.hasTag {
      problems.append(YAMLProblem(line: event.line, message: "tags (!) are not read; leave the tag out"))
    }
    switch event.kind {
    case .scalar(let text, let isPlain):
      return YAMLNode(content: .scalar(text, isPlain: isPlain), line: event.line)
    case .sequenceStart: return try readSequence(event, depth)
    case .mappingStart: return try readMapping(event, depth)
    default: return YAMLNode(content: .scalar("", isPlain: true), line: event.line)
    }
  }

  private mutating func readSequence(_ start: YAMLEvents.Event, _ depth: Int) throws(YAMLProblem) -> YAMLNode {
    var elements: [YAMLNode] = []
    while true {
      let event = try events.next()
      if event.kind == .sequenceEnd { return YAMLNode(content: .sequence(elements), line: start.line) }
      elements.append(try readNode(event, depth: depth + 1))
    }
  }

  private mutating func readMapping(_ start: YAMLEvents.Event, _ depth: Int) throws(YAMLProblem) -> YAMLNode {
    var entries: [YAMLEntry] = []
    while true {
      let event = try events.next()
      if event.kind == .mappingEnd { return YAMLNode(content: .mapping(entries), line: start.line) }
      let key = try readNode(event, depth: depth + 1)
      let value = try readNode(events.next(), depth: depth + 1)
      guard case .scalar(let name, _) = key.content else {
        problems.append(YAMLProblem(line: key.line, message: "a key must be a single word, not \(key.kind)"))
        continue
      }
      if let first = entries.first(where: { $0.key == name }) {
        problems.append(YAMLProblem(line: key.line, message: "\(name): stands on line \(first.line) already; keep one"))
        continue
      }
      entries.append(YAMLEntry(key: name, line: key.line, value: value))
    }
  }
}

/// The owner of a libyaml parser. The parser keeps its own address and the input's, so both stay where they are.
@safe private struct YAMLEvents: ~Copyable {
  enum Kind: Equatable {
    case boundary, streamEnd, alias, sequenceStart, sequenceEnd, mappingStart, mappingEnd
    case scalar(String, isPlain: Bool)
  }

  struct Event {
    var kind: Kind
    var line: Int
    var hasAnchor = false
    var hasTag = false
  }

  private let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
  private let input: UnsafeMutableBufferPointer<UInt8>

  init(_ bytes: [UInt8]) {
    unsafe input = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(bytes.count, 1))
    _ = unsafe input.initialize(from: bytes)
    guard unsafe yaml_parser_initialize(parser) == 1 else { fatalError("libyaml: no memory for a parser") }
    unsafe yaml_parser_set_input_string(parser, input.baseAddress, bytes.count)
  }

  deinit {
    unsafe yaml_parser_delete(parser)
    unsafe parser.deallocate()
    unsafe input.deallocate()
  }

  mutating func next() throws(YAMLProblem) -> Event {
    var event = unsafe yaml_event_t()
    guard unsafe yaml_parser_parse(parser, &event) == 1 else { throw failure }
    defer { unsafe yaml_event_delete(&event) }
    return unsafe Self.translate(event)
  }

  private var failure: YAMLProblem {
    let problem = unsafe parser.pointee.problem.map { unsafe String(cString: $0) } ?? "cannot be read"
    // Of an encoding error libyaml gives the byte only.
    let line = unsafe parser.pointee.error == YAML_READER_ERROR ? lineOfByte : Int(parser.pointee.problem_mark.line) + 1
    return YAMLProblem(line: line, message: "not valid YAML: \(problem)")
  }

  private var lineOfByte: Int {
    let end = unsafe min(parser.pointee.problem_offset, input.count)
    return unsafe 1 + input[..<end].count { $0 == UInt8(ascii: "\n") }
  }

  private static func translate(_ event: yaml_event_t) -> Event {
    let line = unsafe Int(event.start_mark.line) + 1
    switch unsafe event.type {
    case YAML_STREAM_END_EVENT: return Event(kind: .streamEnd, line: line)
    case YAML_ALIAS_EVENT: return Event(kind: .alias, line: line, hasAnchor: true)
    case YAML_SCALAR_EVENT:
      let scalar = unsafe event.data.scalar
      let text = unsafe String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
      return unsafe Event(
        kind: .scalar(text, isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE), line: line,
        hasAnchor: scalar.anchor != nil, hasTag: scalar.tag != nil)
    case YAML_SEQUENCE_START_EVENT:
      return unsafe Event(
        kind: .sequenceStart, line: line, hasAnchor: event.data.sequence_start.anchor != nil,
        hasTag: event.data.sequence_start.tag != nil)
    case YAML_SEQUENCE_END_EVENT: return Event(kind: .sequenceEnd, line: line)
    case YAML_MAPPING_START_EVENT:
      return unsafe Event(
        kind: .mappingStart, line: line, hasAnchor: event.data.mapping_start.anchor != nil,
        hasTag: event.data.mapping_start.tag != nil)
    case YAML_MAPPING_END_EVENT: return Event(kind: .mappingEnd, line: line)
    default: return Event(kind: .boundary, line: line)
    }
  }
}
