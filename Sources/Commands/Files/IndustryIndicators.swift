import Borrowers

/// Industry repayment history from a file, one JSON a line; names the first line that is none.
enum IndustryIndicators {
  static func read(path: String, command: String) throws(CommandFailure) -> [IndustryIndicator] {
    var input = try LineInput(path: path, command: command)
    var decoder = IndustryIndicatorDecoder()
    var indicators: [IndustryIndicator] = []
    while let line = unsafe try input.next() {
      var indicator = IndustryIndicator()
      do throws(DecodingError) {
        unsafe try decoder.decode(line, contentType: nil, into: &indicator)
      } catch {
        let about = error.field.description.isEmpty ? "\(error.code.name)" : "\(error.code.name) (\(error.field))"
        throw .failed(
          "lendpulse \(command): \(path):\(indicators.count + 1): no industry indicator, \(about); it must be like "
            + "{\"series\":\"industry_repayment_rate\",\"date\":\"2026-10-11\",\"value\":0.953}")
      }
      indicators.append(indicator)
    }
    return indicators
  }
}
