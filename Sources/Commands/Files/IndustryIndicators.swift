import Borrowers
import Foundation

/// One point of a series of industry repayment history.
struct IndustryIndicator: Equatable, Sendable {
  var series: String
  /// 00:00 UTC of the day.
  var date: EventTime
  var value: Double
}

/// Reads `{"series","date","value"}`, one JSON a line; names the first line that is not.
enum IndustryIndicators {
  static func read(path: String, command: String) throws(CommandFailure) -> [IndustryIndicator] {
    var input = try LineInput(path: path, command: command)
    var indicators: [IndustryIndicator] = []
    var number = 0
    while let line = unsafe try input.next() {
      number += 1
      guard let indicator = unsafe parse(Data(line)) else {
        throw .failed(
          "lendpulse \(command): \(path):\(number): no industry indicator; it must be like "
            + "{\"series\":\"industry_repayment_rate\",\"date\":\"2026-10-11\",\"value\":0.953}")
      }
      indicators.append(indicator)
    }
    return indicators
  }

  private static func parse(_ line: Data) -> IndustryIndicator? {
    guard let object = try? JSONSerialization.jsonObject(with: line) as? [String: Any],
      let series = object["series"] as? String, (1...64).contains(series.utf8.count),
      let date = (object["date"] as? String).flatMap({ EventTime(date: $0) }),
      let number = object["value"] as? NSNumber, !(object["value"] is Bool),
      number.doubleValue.isFinite, abs(number.doubleValue) <= 1e15
    else { return nil }
    return IndustryIndicator(series: series, date: date, value: number.doubleValue)
  }
}
