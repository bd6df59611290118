import Borrowers
import Scoring

/// Where a partition stands: all input before `inputOffset` and all journal before `journalOffset` is applied, and
/// `steps` steps were done since the last record was applied, the last journal entry taken or the watermark moved by the
/// record at `inputOffset`, whichever came last.
///
/// An offset alone cannot say where a transaction ended between two timers. The rest travels as the metadata of the
/// committed offset, in the transaction itself.
///
/// The position of partition 0 holds also where the forecasts of the whole input stand.
public struct Position: Equatable, Sendable {
  public var inputOffset: Int64
  public var journalOffset: Int64
  public var steps: Int64
  public var watermark: EventTime
  public var forecasts: ForecastPosition?

  public init(
    inputOffset: Int64, journalOffset: Int64, steps: Int64, watermark: EventTime, forecasts: ForecastPosition? = nil
  ) {
    self.forecasts = forecasts
    self.inputOffset = inputOffset
    self.journalOffset = journalOffset
    self.steps = steps
    self.watermark = watermark
  }

  /// `v1;journal;steps;watermark`, and where there are forecasts `;daily offset;time forecast last`, decimal; the input
  /// offset is the committed offset itself.
  public var metadata: String {
    let own = "v1;\(journalOffset);\(steps);\(watermark.milliseconds)"
    return own + (forecasts.map { ";\($0.dailyOffset);\($0.through.milliseconds)" } ?? "")
  }

  /// Nil when the metadata is not of this form: the offset was committed by something else.
  public init?(inputOffset: Int64, metadata: String) {
    let parts = metadata.split(separator: ";", omittingEmptySubsequences: false)
    guard parts.count == 4 || parts.count == 6, parts[0] == "v1", let journal = Int64(parts[1]),
      let steps = Int64(parts[2]),
      let watermark = Int64(parts[3]), journal >= 0, steps >= 0
    else { return nil }
    var forecasts: ForecastPosition?
    if parts.count == 6 {
      guard let offset = Int64(parts[4]), let through = Int64(parts[5]), offset >= 0 else { return nil }
      forecasts = ForecastPosition(dailyOffset: offset, through: EventTime(milliseconds: through))
    }
    self.init(
      inputOffset: inputOffset, journalOffset: journal, steps: steps,
      watermark: EventTime(milliseconds: watermark), forecasts: forecasts)
  }
}
