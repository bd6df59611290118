import Testing

@testable import Borrowers

@Suite struct NumberTests {
  static func parse(_ text: String) -> Double? {
    let bytes = Array(text.utf8)
    return unsafe bytes.withUnsafeBufferPointer { buffer in
      var index = 0
      guard let value = try? JSONScanner.scanNumber(unsafe InputBytes(buffer), &index), index == buffer.count else {
        return nil
      }
      return value
    }
  }

  static func written(_ value: Double) -> String {
    var buffer = ByteBuffer()
    buffer.append(number: value)
    return unsafe String(decoding: buffer.bytes, as: UTF8.self)
  }

  static func written(_ value: Float) -> String {
    var buffer = ByteBuffer()
    buffer.append(number: value)
    return unsafe String(decoding: buffer.bytes, as: UTF8.self)
  }

  /// The digits of a number's text without point, zeros at its ends and exponent.
  static func digits(_ text: String) -> String {
    var digits = Array(text.prefix { $0 != "e" && $0 != "E" }.filter(\.isNumber))
    while digits.last == "0" { digits.removeLast() }
    while digits.first == "0" { digits.removeFirst() }
    return String(digits)
  }

  @Test(arguments: [
    "0", "-0", "1", "0.1", "1250.00", "1e22", "1e23", "9007199254740993", "9007199254740993.0000000000000000001",
    "2.2250738585072011e-308", "2.2250738585072014e-308", "4.9406564584124654e-324", "2.4703282292062327e-324",
    "2.4703282292062328e-324", "1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "1e400",
    "1e-400", "-1e400", "123456789012345678901234567890", "0.000000000000000000000000000000012345",
    "179769313486231580793728971405301e276", "7.8459735791271921e65", "3.518437208883201171875e13",
    "62.5364939768271845828", "8.10109172351e-10", "1.50000000000000011102230246251565", "5e-324", "1e-323",
    "6.631236846766476e-316", "3.2378839133029012895883524125015321748630094231e-319", "1e9999999999", "0e9999999999",
    "2.22507385850720212418870147920222032907240528279439037814303133837435107319244194686754406432563881851382188218502438069999947733013005649884107791928741341929297200970481951993067993290969042784064731682041565926728632933630474670123316852983422152744517260835859654566319282835244787787799894310779783833699159288594555213714181128458251145584319223079897504395086859412457230891738946169368372321191373658977977723286698840356390251044443035457396733706583981055420456693824658413747607155981176573877626747665912387199931904006317334709003012790188175203447190250028061277777916798391090578584006464715943810511489154282775041174682194133952466682503431306181587829379004205392375072083366693241580002758391118854188641513168478436313080237596295773983001708984375e-308",
  ]) func `decimals read as Swift reads them`(text: String) throws {
    let value = try #require(Self.parse(text))
    let expected = try #require(Double(text))
    #expect(value.bitPattern == expected.bitPattern, "\(text)")
  }

  @Test(arguments: ["", "-", "+1", "01", "-01", "1.", ".5", "1e", "1e+", "0x10", "1_000", "NaN", "Infinity", "1.e5"])
  func `what is no JSON number is refused`(text: String) {
    #expect(text.isEmpty || Self.parse(text) == nil)
  }

  @Test func `random decimals read as Swift reads them`() throws {
    let seed: UInt64 = 20_261_011
    print("seed \(seed)")
    var random = SeededGenerator(seed: seed)
    for _ in 0..<20_000 {
      var text = ""
      for position in 0..<Int.random(in: 1...24, using: &random) {
        text += position == 0 ? "\(Int.random(in: 1...9, using: &random))" : "\(Int.random(in: 0...9, using: &random))"
      }
      if Bool.random(using: &random) {
        text.insert(".", at: text.index(text.startIndex, offsetBy: 1))
        text += "0"
      }
      if Bool.random(using: &random) { text += "e\(Int.random(in: -345...310, using: &random))" }
      let value = try #require(Self.parse(text))
      let expected = try #require(Double(text))
      #expect(value.bitPattern == expected.bitPattern, "\(text)")
    }
  }

  @Test func `the middle between two doubles rounds to even, and a hair beside it to the nearer one`() throws {
    var random = SeededGenerator(seed: 7)
    for _ in 0..<300 {
      // m * 2^e with 54 significant bits has an exact decimal of few digits for these exponents.
      let odd = UInt64.random(in: (1 << 53)..<(1 << 54), using: &random) | 1
      let shift = Int.random(in: 0...8, using: &random)
      let middle = "\(odd << UInt64(shift))"
      for text in [
        middle, middle + ".0000000000000000000000000001", middle + "." + String(repeating: "0", count: 900) + "1",
      ] {
        #expect(Self.parse(text)?.bitPattern == Double(text)?.bitPattern, "\(text)")
      }
    }
  }

  @Test func `random doubles are written with Swift's digits and read back as themselves`() throws {
    let seed: UInt64 = 4
    print("seed \(seed)")
    var random = SeededGenerator(seed: seed)
    for round in 0..<20_000 {
      var value = Double(bitPattern: random.next())
      if round % 4 == 1 { value = Double.random(in: 0...1, using: &random) }
      if round % 4 == 2 { value = Double(Int64.random(in: -(1 << 60)...(1 << 60), using: &random)) }
      if round % 4 == 3 { value = (Double.random(in: 0...1e7, using: &random) * 1000).rounded() / 1000 }
      guard value.isFinite else { continue }
      let text = Self.written(value)
      #expect(Double(text)?.bitPattern == value.bitPattern, "\(value)")
      #expect(Self.parse(text)?.bitPattern == value.bitPattern, "\(value)")
      #expect(Self.digits(text) == Self.digits("\(value)"), "\(value) written as \(text)")
    }
  }

  @Test func `random floats are written with Swift's digits and read back as themselves`() {
    var random = SeededGenerator(seed: 5)
    for _ in 0..<20_000 {
      let value = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
      guard value.isFinite else { continue }
      let text = Self.written(value)
      #expect(Float(text)?.bitPattern == value.bitPattern, "\(value)")
      #expect(Self.digits(text) == Self.digits("\(value)"), "\(value) written as \(text)")
    }
  }

  @Test(arguments: [
    (0.0, "0"), (-0.0, "-0"), (1250.0, "1250"), (1250.5, "1250.5"), (12.34, "12.34"), (0.01, "0.01"), (0.1, "0.1"),
    (-12.5, "-12.5"), (1e15, "1000000000000000"), (1e20, "100000000000000000000"), (1e21, "1e+21"), (1e-6, "0.000001"),
    (1.5e-7, "1.5e-7"), (.leastNonzeroMagnitude, "5e-324"), (1.7976931348623157e308, "1.7976931348623157e+308"),
    (9_007_199_254_740_992, "9007199254740992"), (1_000_000.0, "1000000"), (0.30000000000000004, "0.30000000000000004"),
    (999_999_999_999.99, "999999999999.99"), (100.25, "100.25"), (123.456, "123.456"),
  ]) func `numbers are written plainly`(value: Double, text: String) {
    #expect(Self.written(value) == text)
  }
}
