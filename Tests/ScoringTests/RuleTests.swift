import Borrowers
import Features
import Testing

@testable import Scoring

@Suite struct RuleTests {
  private static func facts() -> RuleFacts {
    var facts = RuleFacts()
    facts.daysPastDue = 35
    facts.amountPastDue = 120.5
    facts.exposure = 900
    facts.now = time(day: 100)
    facts.information.creditLimit = 1_000
    facts.information.creditScore = 612
    facts.information.birthYear = 1990
    facts.information.region = Murmur.hash32(Array("north".utf8))
    facts.information.gender = Murmur.hash32(Array("female".utf8))
    facts.information.marketingConsent = true
    return facts
  }

  @Test(
    "a condition is true or false of a borrower",
    arguments: [
      ("days_past_due >= 35", true), ("days_past_due > 35", false), ("days_past_due == 35", true),
      ("days_past_due != 35", false), ("amount_past_due < 120.6", true), ("amount_past_due <= 1.205e2", true),
      ("exposure == 900 and credit_limit == 1000", true), ("utilization >= 0.9", true), ("utilization > 0.9", false),
      ("age == 36", true), ("birth_year < -5", false), ("region == \"north\"", true), ("region == 'south'", false),
      ("region != 'south'", true), ("region in ['south', 'north']", true), ("credit_score in [611, 612]", true),
      ("credit_score in [1]", false), ("marketing_consent == true", true), ("marketing_consent != true", false),
      ("not days_past_due > 35", true), ("not (days_past_due > 30 or exposure > 0)", false),
      ("days_past_due > 90 or days_past_due > 30 and exposure > 1000", false),
      ("(days_past_due > 90 or days_past_due > 30) and exposure > 100", true),
    ])
  func conditions(_ condition: String, _ expected: Bool) throws {
    #expect(try RuleParser.compile(condition, allowProtected: false).evaluate(Self.facts()) == expected)
  }

  @Test(
    "a comparison with something unknown is false",
    arguments: [
      "deposits >= 0", "deposits < 0", "deposits == 0", "deposits != 0", "deposits in [0]", "education == 'x'",
      "education != 'x'", "education in ['x']", "monthly_income != 1", "property_value <= 1e300",
    ])
  func unknown(_ condition: String) throws {
    #expect(try !RuleParser.compile(condition, allowProtected: false).evaluate(Self.facts()))
  }

  @Test func `use of the limit is unknown without a limit`() throws {
    var facts = Self.facts()
    facts.information.creditLimit = 0
    #expect(try !RuleParser.compile("utilization > 0", allowProtected: false).evaluate(facts))
  }

  @Test(
    "what cannot be read is refused with its place",
    arguments: [
      ("days_past_due >", 16, "a number"), ("shoe_size > 4", 1, "there are: days_past_due"),
      ("days_past_due = 4", 15, "equality is `==`"), ("region == 4", 11, "a text in quotes"),
      ("region < 'a'", 10, "== and !="), ("(exposure > 1", 14, "`)`"), ("exposure > 1 exposure", 14, "`and`, `or`"),
      ("region in []", 12, "a text in quotes"), ("region == 'north", 11, "closing"), ("", 1, "a name"),
      ("gender == 'male'", 1, "protected"), ("exposure > 1 and household_region == 'x'", 18, "allow_protected"),
      ("marketing_consent == 1", 22, "`true` or `false`"), ("exposure > 1..2", 12, "not a number"),
    ])
  func refused(_ condition: String, _ position: Int, _ part: String) {
    do throws(RuleError) {
      _ = try RuleParser.compile(condition, allowProtected: false)
      Issue.record("taken: \(condition)")
    } catch {
      #expect(error.position == position, "\(error)")
      #expect(error.message.contains(part), "\(error)")
      #expect(!error.description.contains("\n"))
    }
  }

  @Test func `protected attributes are read where they are allowed`() throws {
    #expect(try RuleParser.compile("gender == 'female'", allowProtected: true).evaluate(Self.facts()))
  }

  @Test func `deep nesting is refused and does not trap`() {
    let deep = String(repeating: "(", count: 1_000) + "exposure > 1" + String(repeating: ")", count: 1_000)
    #expect(throws: RuleError.self) { try RuleParser.compile(deep, allowProtected: false) }
    let wide = Array(repeating: "exposure > 1", count: 200).joined(separator: " and ")
    #expect(throws: Never.self) { try RuleParser.compile(wide, allowProtected: false) }
  }
}
