extension Metrics {
  /// The mean of what came true among the `share` of rows with the highest forecasts, over the mean of all. Rows of equal
  /// forecast at the edge count in proportion. NaN where nothing came true.
  public static func lift(_ forecasts: [Double], _ actual: [Double], share: Double) -> Double {
    precondition(forecasts.count == actual.count)
    let total = actual.reduce(0, +)
    guard total != 0, share > 0 else { return .nan }
    let order = forecasts.indices.sorted {
      forecasts[$0] != forecasts[$1] ? forecasts[$0] > forecasts[$1] : $0 < $1
    }
    let wanted = share * Double(order.count)
    var taken = 0.0
    var sum = 0.0
    var start = 0
    while start < order.count, taken < wanted {
      var end = start
      var tied = 0.0
      while end < order.count, forecasts[order[end]] == forecasts[order[start]] {
        tied += actual[order[end]]
        end += 1
      }
      let part = min(1, (wanted - taken) / Double(end - start))
      sum += tied * part
      taken += Double(end - start) * part
      start = end
    }
    return sum / taken / (total / Double(order.count))
  }
}
