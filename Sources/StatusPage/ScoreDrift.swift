import Glibc
import Models
import Pipeline
import Scoring
import Synchronization

/// The population stability index of each model's scores: of those of the last hour or so against the first ones that the
/// model published since this process began. It looks at the counts whenever the status is asked for, at most once a minute.
final class ScoreDrift: Sendable {
  struct Figure: Equatable {
    var model: String
    var index: Double
    /// What two samples of these sizes from one population stay under 19 times of 20.
    var band: Double
  }

  /// Scores that make the reference, and the fewest that are compared with it.
  static let referenceMin: UInt64 = 5_000
  static let recentMin: UInt64 = 1_000
  private static let keptMax = 60
  private static let stepNanoseconds: Int64 = 60_000_000_000

  private struct Track {
    var version = ""
    /// Counts when the version began to serve.
    var start = [UInt64](repeating: 0, count: ScoreBins.count)
    var reference: [UInt64]?
    var kept: [(at: Int64, counts: [UInt64])] = []
    var newest = [UInt64](repeating: 0, count: ScoreBins.count)
  }

  private let tracks = Mutex<[String: Track]>([:])
  private let clock: any Clock

  init(clock: any Clock = SystemClock()) { self.clock = clock }

  /// Those that can be told.
  func observe(_ bins: ScoreBins, versions: [(model: String, version: String)]) -> [Figure] {
    let now = clock.monotonic
    return tracks.withLock { tracks in
      versions.compactMap { model, version in
        let counts = Self.counts(bins, model)
        var track = tracks[model] ?? Track()
        if track.version != version {
          track = Track()
          track.version = version
          track.start = counts
        }
        Self.note(counts, now, &track)
        tracks[model] = track
        return Self.figure(version, track)
      }
    }
  }

  private static func counts(_ bins: ScoreBins, _ model: String) -> [UInt64] {
    switch model {
    case "overdue": bins.overdue
    case "demand": bins.demand
    default: bins.utilization
    }
  }

  private static func note(_ counts: [UInt64], _ now: Int64, _ track: inout Track) {
    // An engine that went to another instance took no counts away; still, nothing may go below zero.
    track.newest = counts
    let since = difference(counts, track.start)
    if track.reference == nil, since.reduce(0, +) >= referenceMin {
      track.reference = since
      track.kept = [(now, counts)]
    }
    guard track.reference != nil, let last = track.kept.last, now - last.at >= stepNanoseconds else { return }
    track.kept.append((now, counts))
    if track.kept.count > keptMax { track.kept.removeFirst() }
  }

  private static func difference(_ a: [UInt64], _ b: [UInt64]) -> [UInt64] { zip(a, b).map { $0 >= $1 ? $0 - $1 : 0 } }

  private static func figure(_ version: String, _ track: Track) -> Figure? {
    guard let reference = track.reference, let first = track.kept.first else { return nil }
    let recent = difference(track.newest, first.counts)
    guard recent.reduce(0, +) >= recentMin else { return nil }
    let (index, band) = stability(reference, recent)
    return Figure(model: version, index: index, band: band)
  }

  /// sum (a - e) ln(a / e) over the bins that either sample has; half a score is added to each, so that an empty one has a
  /// logarithm. Under one population it is about chi-squared with bins - 1 degrees of freedom, times 1/n + 1/m (Yurdakul,
  /// "Statistical Properties of Population Stability Index", 2018); the quantile is Wilson and Hilferty's.
  static func stability(_ expected: [UInt64], _ actual: [UInt64]) -> (index: Double, band: Double) {
    let used = expected.indices.filter { expected[$0] + actual[$0] > 0 }
    let n = Double(expected.reduce(0, +))
    let m = Double(actual.reduce(0, +))
    let bins = Double(used.count)
    guard n > 0, m > 0, bins > 1 else { return (0, 0) }
    var index = 0.0
    for bin in used {
      let e = (Double(expected[bin]) + 0.5) / (n + 0.5 * bins)
      let a = (Double(actual[bin]) + 0.5) / (m + 0.5 * bins)
      index += (a - e) * log(a / e)
    }
    let freedom = bins - 1
    let spread = 2 / (9 * freedom)
    let quantile = freedom * pow(1 - spread + 1.6449 * spread.squareRoot(), 3)
    return (index, quantile * (1 / n + 1 / m))
  }
}
