import Testing

@testable import Commands

@Suite struct CommandLineTests {
  static let definition = CommandDefinition(
    name: "work", summary: "works",
    choices: [ChoiceDefinition(name: "fast", meaning: ""), ChoiceDefinition(name: "slow", meaning: "")],
    options: [
      OptionDefinition(name: "--input", value: "FILE", isRequired: true, meaning: "what to read"),
      OptionDefinition(name: "--set", value: "KEY=VALUE", repeats: true, meaning: "a key"),
      OptionDefinition(name: "--quiet", meaning: "says nothing"),
    ],
    examples: [("lendpulse work fast --input a", "works fast")]
  ) { _ in .done }

  private func problem(_ arguments: String...) -> String? {
    do throws(CommandFailure) {
      _ = try ParsedArguments(arguments, for: Self.definition)
      return nil
    } catch {
      #expect(error.status == .misused)
      #expect(error.lines.count == 1)
      return error.lines[0].replacing(" (lendpulse work --help shows its use)", with: "")
    }
  }

  @Test func `a value may stand behind a space or an equals sign`() throws {
    let arguments = try ParsedArguments(
      ["fast", "--input", "-", "--set=a=b", "--set", "c=d", "--quiet"], for: Self.definition)
    #expect(arguments["--input"] == "-")
    #expect(arguments.all("--set") == ["a=b", "c=d"])
    #expect(arguments.has("--quiet"))
    #expect(arguments.choice == "fast")
  }

  @Test func `every mistake is named with what would mend it`() {
    #expect(problem("fast", "--inptu", "x") == "lendpulse work: unknown option --inptu; did you mean --input?")
    #expect(problem("fast", "-i", "x") == "lendpulse work: unknown option -i; options begin with two hyphens")
    #expect(problem("fast") == "lendpulse work: --input FILE is required")
    #expect(problem("fast", "--input") == "lendpulse work: --input needs a value: --input FILE")
    #expect(problem("fast", "--input", "--quiet") == "lendpulse work: --input needs a value: --input FILE")
    #expect(problem("fast", "--input=") == "lendpulse work: --input has an empty value")
    #expect(problem("fast", "--input=a", "--input=b") == "lendpulse work: --input is given twice; it takes one value")
    #expect(problem("fast", "--input=a", "--quiet=1") == "lendpulse work: --quiet takes no value")
    #expect(problem("--input=a") == "lendpulse work: say fast or slow")
    #expect(problem("fsat", "--input=a") == "lendpulse work: unknown: fsat; say fast or slow; did you mean fast?")
    #expect(problem("fast", "slow", "--input=a") == "lendpulse work: unexpected argument slow: fast was said already")
  }

  @Test func `every command has a help with its options and examples`() {
    for command in Commands.all {
      #expect(command.help.hasPrefix("Usage: lendpulse \(command.name)"))
      #expect(command.help.contains("Examples:"))
      for option in command.options { #expect(command.help.contains("  \(option.spelling)  ")) }
    }
  }

  @Test func `a mistyped word finds its neighbour, and nothing far`() {
    #expect(Suggestion.nearest(to: "trian", among: ["train", "run"]) == "train")
    #expect(Suggestion.nearest(to: "zzz", among: ["train", "run"]) == nil)
    #expect(Suggestion.editDistance(Array("ca".utf8), Array("abc".utf8)) == 3)
    #expect(Suggestion.editDistance(Array("kitten".utf8), Array("sitting".utf8)) == 3)
    #expect(Suggestion.editDistance([], Array("ab".utf8)) == 2)
  }

  @Test func `the time left follows the share that is done, once enough is`() {
    var remaining = RemainingTime()
    let second: Int64 = 1_000_000_000
    #expect(remaining.estimate(phase: "a", share: 0, now: 0) == nil)
    #expect(remaining.estimate(phase: "a", share: 0.5, now: second) == nil)
    #expect(remaining.estimate(phase: "a", share: 0.25, now: 10 * second) == "30 s")
    #expect(remaining.estimate(phase: "b", share: 0.5, now: 20 * second) == nil)
    #expect(remaining.estimate(phase: "b", share: 0.51, now: 40 * second) == nil)
    #expect(remaining.estimate(phase: "b", share: 0.75, now: 320 * second) == "5 min")
    #expect(remaining.estimate(phase: "b", share: nil, now: 400 * second) == nil)
    #expect(RemainingTime.text(7_300) == "2 h 2 min" && RemainingTime.text(0.2) == "1 s")
  }
}
