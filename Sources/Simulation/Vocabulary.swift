/// The words of the world's events, by index.
enum Vocabulary {
  static let platforms: [[UInt8]] = bytes(["card", "cash-loan", "shop-credit"])
  static let card = 0

  static let regions: [[UInt8]] = bytes(["north", "east", "south", "west", "centre", "coast", "capital"])
  static let education: [[UInt8]] = bytes(["high_school", "vocational", "university", "graduate_school", "other"])
  static let occupations: [[UInt8]] = bytes([
    "office", "trade", "health", "teaching", "transport", "self_employed", "factory", "retired", "student",
  ])
  static let maritalStatus: [[UInt8]] = bytes(["single", "married", "divorced", "widowed"])
  static let genders: [[UInt8]] = bytes(["female", "male"])

  static let channels: [[UInt8]] = bytes(["app", "web", "branch"])
  static let bureaus: [[UInt8]] = bytes(["central", "northern"])
  static let products: [[UInt8]] = bytes(["revolving", "one_month", "instalments"])
  static let categories: [[UInt8]] = bytes([
    "groceries", "electronics", "travel", "clothing", "health", "furniture", "fuel", "games",
  ])
  /// From `borrowingPages` on: of somebody who thinks about borrowing; from `hardshipPages` on: of somebody in need.
  static let pages: [[UInt8]] = bytes([
    "home", "account", "offers", "statement", "loan-calculator", "rates", "credit-limit", "apply", "payment-plan",
    "hardship-help", "late-fees",
  ])
  static let borrowingPages = 4
  static let hardshipPages = 8
  static let topics: [[UInt8]] = bytes([
    "opening hours", "card design", "loan for a car", "instalment loan", "raise my limit", "pay later", "cannot pay",
  ])
  static let borrowingTopics = 2
  static let hardshipTopics = 6

  private static func bytes(_ words: [String]) -> [[UInt8]] { words.map { Array($0.utf8) } }
}
