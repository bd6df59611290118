import Borrowers

/// Why a condition could not be read: one line that says where and what would mend it.
public struct RuleError: Error, Equatable, Sendable, CustomStringConvertible {
  /// From 1, in characters of the condition.
  public var position: Int
  public var message: String
  public var description: String { "at character \(position): \(message)" }
}

/// The language of manual rules:
///
///     condition  = term { "or" term }
///     term       = factor { "and" factor }
///     factor     = "not" factor | "(" condition ")" | comparison
///     comparison = name ("==" | "!=" | "<" | "<=" | ">" | ">=") value | name "in" "[" value { "," value } "]"
///     value      = number | "text" | 'text' | true | false
struct RuleParser {
  private enum Token: Equatable {
    case name(String)
    case number(Double)
    case text(String)
    case symbol(String)
    case end
  }

  /// The longest condition, in bytes.
  static let lengthMax = 4_096

  private var tokens: [(token: Token, position: Int)] = []
  private var next = 0
  private var program = RuleProgram()
  private let allowProtected: Bool
  /// How deep the stack is, and how deep parentheses and `not`s are nested.
  private var stackDepth = 0
  private var nesting = 0

  static func compile(_ text: String, allowProtected: Bool) throws(RuleError) -> RuleProgram {
    guard text.utf8.count <= lengthMax else {
      throw RuleError(position: 1, message: "the condition is over \(lengthMax) bytes; split it into several rules")
    }
    var parser = RuleParser(allowProtected: allowProtected)
    try parser.scan(text)
    try parser.condition()
    guard parser.token == .end else { throw parser.unexpected("`and`, `or` or the end") }
    return parser.program
  }

  private init(allowProtected: Bool) { self.allowProtected = allowProtected }

  // MARK: Scanning

  private mutating func scan(_ text: String) throws(RuleError) {
    let characters = Array(text)
    var index = 0
    while index < characters.count {
      let character = characters[index]
      let start = index
      if character.isWhitespace {
        index += 1
      } else if Self.isNameStart(character) {
        while index < characters.count, Self.isNameStart(characters[index]) || Self.isDigit(characters[index]) {
          index += 1
        }
        tokens.append((.name(String(characters[start..<index])), start + 1))
      } else if Self.isDigit(character) || character == "-" || character == "." {
        while index < characters.count, Self.isNumberPart(characters, index) { index += 1 }
        let digits = String(characters[start..<index])
        guard let value = Double(digits), value.isFinite else {
          throw RuleError(position: start + 1, message: "\(digits) is not a number")
        }
        tokens.append((.number(value), start + 1))
      } else if character == "\"" || character == "'" {
        index += 1
        while index < characters.count, characters[index] != character { index += 1 }
        guard index < characters.count else {
          throw RuleError(position: start + 1, message: "the text that begins here has no closing \(character)")
        }
        tokens.append((.text(String(characters[start + 1..<index])), start + 1))
        index += 1
      } else {
        try scanSymbol(characters, &index)
      }
    }
    tokens.append((.end, characters.count + 1))
  }

  private mutating func scanSymbol(_ characters: [Character], _ index: inout Int) throws(RuleError) {
    let start = index
    let two = String(characters[index..<min(index + 2, characters.count)])
    if ["==", "!=", "<=", ">="].contains(two) {
      tokens.append((.symbol(two), start + 1))
      index += 2
      return
    }
    let one = String(characters[index])
    guard ["<", ">", "(", ")", "[", "]", ","].contains(one) else {
      let advice = one == "=" ? "; equality is `==`" : ""
      throw RuleError(position: start + 1, message: "`\(one)` has no meaning here\(advice)")
    }
    tokens.append((.symbol(one), start + 1))
    index += 1
  }

  private static func isNameStart(_ character: Character) -> Bool {
    character == "_" || (character.isASCII && character.isLetter)
  }
  private static func isDigit(_ character: Character) -> Bool { character.isASCII && character.isNumber }
  private static func isNumberPart(_ characters: [Character], _ index: Int) -> Bool {
    let character = characters[index]
    if isDigit(character) || character == "." || character == "e" || character == "E" { return true }
    // A sign begins a number or an exponent.
    guard character == "-" || character == "+" else { return false }
    return index == 0 || !isDigit(characters[index - 1]) && characters[index - 1] != "."
  }

  // MARK: Parsing

  private var token: Token { tokens[next].token }
  private var position: Int { tokens[next].position }

  private func unexpected(_ expected: String) -> RuleError {
    let found =
      switch token {
      case .name(let name): "`\(name)`"
      case .number(let value): "\(value)"
      case .text(let text): "\"\(text)\""
      case .symbol(let symbol): "`\(symbol)`"
      case .end: "the end"
      }
    return RuleError(position: position, message: "\(expected) should stand here, not \(found)")
  }

  private mutating func condition() throws(RuleError) {
    try term()
    while token == .name("or") {
      next += 1
      try term()
      emit(.or, pops: 2)
    }
  }

  private mutating func term() throws(RuleError) {
    try factor()
    while token == .name("and") {
      next += 1
      try factor()
      emit(.and, pops: 2)
    }
  }

  private mutating func factor() throws(RuleError) {
    nesting += 1
    defer { nesting -= 1 }
    guard nesting <= RuleProgram.depthMax, stackDepth < RuleProgram.depthMax else {
      throw RuleError(position: position, message: "conditions are nested more than \(RuleProgram.depthMax) deep")
    }
    if token == .name("not") {
      next += 1
      try factor()
      emit(.not, pops: 1)
    } else if token == .symbol("(") {
      next += 1
      try condition()
      guard token == .symbol(")") else { throw unexpected("`)`") }
      next += 1
    } else {
      try comparison()
    }
  }

  private mutating func emit(_ instruction: RuleProgram.Instruction, pops: Int) {
    program.instructions.append(instruction)
    stackDepth += 1 - pops
  }

  private mutating func comparison() throws(RuleError) {
    guard case .name(let name) = token else { throw unexpected("a name, `not` or `(`") }
    let field = try field(name)
    next += 1
    if token == .name("in") {
      next += 1
      return try membership(field)
    }
    guard case .symbol(let symbol) = token, let comparison = Self.comparisons[symbol] else {
      throw unexpected("a comparison (== != < <= > >=) or `in`")
    }
    next += 1
    switch field.kind {
    case .number:
      guard case .number(let value) = token else { throw unexpected("a number, as \(name) is one,") }
      emit(.compareNumber(field, comparison, value), pops: 0)
    case .truth:
      guard token == .name("true") || token == .name("false") else { throw unexpected("`true` or `false`") }
      guard comparison == .equal || comparison == .notEqual else { throw onlyEquality(name) }
      emit(.compareNumber(field, comparison, token == .name("true") ? 1 : 0), pops: 0)
    case .text:
      guard case .text(let text) = token else { throw unexpected("a text in quotes, as \(name) is one,") }
      guard comparison == .equal || comparison == .notEqual else { throw onlyEquality(name) }
      emit(.compareText(field, Murmur.hash32(Array(text.utf8)), isEqual: comparison == .equal), pops: 0)
    }
    next += 1
  }

  private static let comparisons: [String: RuleProgram.Comparison] = [
    "==": .equal, "!=": .notEqual, "<": .less, "<=": .lessOrEqual, ">": .greater, ">=": .greaterOrEqual,
  ]

  private func onlyEquality(_ name: String) -> RuleError {
    RuleError(position: position, message: "\(name) can only be compared with == and !=")
  }

  private mutating func membership(_ field: RuleField) throws(RuleError) {
    guard token == .symbol("[") else { throw unexpected("`[`") }
    let numbersStart = program.numbers.count
    let hashesStart = program.hashes.count
    repeat {
      next += 1
      switch (field.kind, token) {
      case (.number, .number(let value)): program.numbers.append(value)
      case (.text, .text(let text)): program.hashes.append(Murmur.hash32(Array(text.utf8)))
      case (.truth, .name("true")): program.numbers.append(1)
      case (.truth, .name("false")): program.numbers.append(0)
      default: throw unexpected(field.kind == .text ? "a text in quotes" : "a number")
      }
      next += 1
    } while token == .symbol(",")
    guard token == .symbol("]") else { throw unexpected("`,` or `]`") }
    next += 1
    if field.kind == .text {
      emit(.inTexts(field, start: hashesStart, end: program.hashes.count), pops: 0)
    } else {
      emit(.inNumbers(field, start: numbersStart, end: program.numbers.count), pops: 0)
    }
  }

  private func field(_ name: String) throws(RuleError) -> RuleField {
    guard let field = RuleField(name: name) else {
      let known = RuleField.allCases.filter { allowProtected || !$0.isProtected }.map(\.name)
      throw RuleError(
        position: position, message: "nothing is called \(name); there are: \(known.joined(separator: ", "))")
    }
    guard allowProtected || !field.isProtected else {
      throw RuleError(
        position: position,
        message: "\(name) is a protected attribute: refused unless alerts.allow_protected is true")
    }
    return field
  }
}
