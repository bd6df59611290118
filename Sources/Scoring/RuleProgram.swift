import Borrowers
import Features

/// A rule's condition, compiled to a flat program in postfix order. Evaluation allocates nothing: the stack is the bits
/// of one word.
struct RuleProgram: Equatable {
  enum Comparison: UInt8 { case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual }

  enum Instruction: Equatable {
    case compareNumber(RuleField, Comparison, Double)
    /// Of two texts by their hash: equal, or known and different.
    case compareText(RuleField, UInt32, isEqual: Bool)
    /// Ranges of `numbers` and `hashes`.
    case inNumbers(RuleField, start: Int, end: Int)
    case inTexts(RuleField, start: Int, end: Int)
    case and, or, not
  }

  /// The stack is a word of bits.
  static let depthMax = 60

  var instructions: [Instruction] = []
  var numbers: [Double] = []
  var hashes: [UInt32] = []

  /// The first that the condition names.
  var firstField: RuleField {
    for instruction in instructions {
      switch instruction {
      case .compareNumber(let field, _, _), .compareText(let field, _, _), .inNumbers(let field, _, _),
        .inTexts(let field, _, _):
        return field
      case .and, .or, .not: continue
      }
    }
    preconditionFailure("a compiled condition has a comparison")
  }

  /// A comparison with a value that is unknown is false.
  func evaluate(_ facts: borrowing RuleFacts) -> Bool {
    var stack: UInt64 = 0
    for instruction in instructions {
      let result: Bool
      switch instruction {
      case .compareNumber(let field, let comparison, let constant):
        result = Self.compare(facts.number(field), comparison, constant)
      case .compareText(let field, let hash, let isEqual):
        let value = facts.text(field)
        result = value != 0 && (value == hash) == isEqual
      case .inNumbers(let field, let start, let end):
        let value = facts.number(field)
        result = numbers[start..<end].contains(value)
      case .inTexts(let field, let start, let end):
        let value = facts.text(field)
        result = value != 0 && hashes[start..<end].contains(value)
      case .and:
        result = stack & 3 == 3
        stack >>= 2
      case .or:
        result = stack & 3 != 0
        stack >>= 2
      case .not:
        result = stack & 1 == 0
        stack >>= 1
      }
      stack = stack << 1 | (result ? 1 : 0)
    }
    return stack & 1 == 1
  }

  @inline(__always) private static func compare(_ value: Double, _ comparison: Comparison, _ constant: Double) -> Bool {
    switch comparison {
    case .equal: value == constant
    // NaN is unequal to all: unknown is not "different".
    case .notEqual: value < constant || value > constant
    case .less: value < constant
    case .lessOrEqual: value <= constant
    case .greater: value > constant
    case .greaterOrEqual: value >= constant
    }
  }
}

/// The rules of the settings in force, compiled once.
struct RuleSet {
  struct Rule {
    var name: [UInt8]
    var text: String
    var severity: Severity
    var program: RuleProgram
  }

  /// What fires is a word of bits.
  static let countMax = 64

  var rules: [Rule] = []

  init() {}

  /// The settings were validated: a rule that does not compile is a broken invariant.
  init(_ settings: AlertSettings) {
    precondition(settings.rules.count <= Self.countMax, "settings are validated before they are taken")
    rules = settings.rules.map { rule in
      do throws(RuleError) {
        return Rule(
          name: Array(rule.name.utf8), text: rule.when, severity: rule.severity,
          program: try RuleParser.compile(rule.when, allowProtected: settings.allowProtected))
      } catch {
        preconditionFailure("settings are validated before they are taken: rule \(rule.name): \(error.message)")
      }
    }
  }

  /// Bit i: rule i fires.
  func evaluate(_ facts: borrowing RuleFacts) -> UInt64 {
    var fired: UInt64 = 0
    for index in 0..<rules.count where rules[index].program.evaluate(facts) { fired |= 1 << UInt64(index) }
    return fired
  }

  func level(_ fired: UInt64) -> Severity {
    var level = Severity.none
    var rest = fired
    while rest != 0 {
      level = max(level, rules[rest.trailingZeroBitCount].severity)
      rest &= rest - 1
    }
    return level
  }
}
