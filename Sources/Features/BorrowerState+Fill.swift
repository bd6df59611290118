import Borrowers

/// Writes values one behind the other.
@safe struct ValueSink: FeatureSink {
  private let base: UnsafeMutablePointer<Float>
  private(set) var count = 0

  init(_ base: UnsafeMutablePointer<Float>) { unsafe self.base = base }

  @inline(__always) mutating func add(
    _ channel: Channel, _ aggregate: Aggregate, _ window: Window, _ reason: ReasonCode, _ value: Float
  ) {
    unsafe base[count] = value
    count += 1
  }

  @inline(__always) mutating func add(
    _ name: StaticString, _ window: StaticString, _ unit: StaticString, _ reason: ReasonCode, _ value: Float,
    isProtected: Bool, _ meaning: StaticString
  ) {
    unsafe base[count] = value
    count += 1
  }
}

extension BorrowerState {
  /// Fills features and picture as of `now` (serving: the borrower's time; an example: its date). A time before the
  /// borrower's time counts as that: what is known is not forgotten.
  public func fill(_ input: inout ModelInput, at now: EventTime) {
    let asOf = max(now, time)
    let inputs = gather(at: asOf)
    sums.shade(input, inputs.cellCount)
    var sink = unsafe ValueSink(input.features.baseAddress!)
    describeFeatures(inputs, &sink)
    assert(sink.count == FeatureCatalogue.count)
  }

  /// Adds tiles up and reads open amounts.
  func gather(at now: EventTime) -> FeatureInputs {
    let milliseconds = now.milliseconds
    var f = FeatureInputs(
      now: milliseconds, limit: profile.information.creditLimit, income: profile.information.monthlyIncome,
      exposure: platforms.exposure, daysPastDue: Double(arrears.daysPastDue(at: milliseconds)),
      amountPastDue: arrears.amountPastDue(at: milliseconds))
    sums.clear()
    gatherHours(Periods.hour(now), &f)
    gatherDays(Periods.day(now), &f)
    gatherMonths(Periods.day(now), &f)
    gatherDues(milliseconds, &f)
    sums.combine()
    return f
  }

  @inline(__always) private func gatherHours(_ current: Int, _ f: inout FeatureInputs) {
    for index in 0..<hours.tiles.count {
      let tile = hours.tiles[index]
      let age = current - tile.period
      if age > 48 { continue }
      sums.add(tile, band: age <= 1 ? 0 : (age <= 24 ? 1 : 2))
      if age <= 24 && BorrowerState.isNight(tile.period) { f.night24h += Float(tile.count) }
    }
  }

  @inline(__always) private func gatherDays(
    _ today: Int, _ f: inout FeatureInputs
  ) {
    var before = -1
    for index in 0..<days.tiles.count {
      let tile = days.tiles[index]
      let age = today - tile.period
      let band = age <= 7 ? 3 : (age <= 30 ? 4 : (age <= 60 ? 5 : (age <= 90 ? 6 : 7)))
      if band == 7 {
        sums.add(tile, band: band)
        addOld(tile.channel, tile.sum, month: Periods.month(day: tile.period), today: today, &f)
        continue
      }
      sums.add(tile, band: band)
      if tile.period != before {
        before = tile.period
        if age <= 7 { f.activeDays.0 += 1 }
        if age <= 30 { f.activeDays.1 += 1 }
        f.activeDays.2 += 1
      }
      if age < ModelInput.pictureDays {
        let cell = (ModelInput.pictureDays - 1 - age) * ModelInput.pictureChannels + tile.channel
        sums.note(cell: cell, BorrowerState.level(tile), at: f.cellCount)
        f.cellCount += 1
      }
    }
  }

  /// What a cell of the picture shows, before its logarithm.
  @inline(__always) private static func level(_ tile: Tile) -> Float {
    let hasAmount = countedChannels & (1 << UInt32(tile.channel)) == 0
    return hasAmount ? tile.sum : Float(tile.count)
  }

  /// Channels without amounts.
  private static let countedChannels: UInt32 =
    1 << UInt32(Channel.pageView.rawValue) | 1 << UInt32(Channel.search.rawValue) | 1
    << UInt32(Channel.session.rawValue)
    | 1 << UInt32(Channel.information.rawValue)

  /// What is older than 90 days: 30-day periods that end within 180 or 365 days.
  @inline(__always) private func addOld(_ channel: Int, _ sum: Float, month: Int, today: Int, _ f: inout FeatureInputs)
  {
    let isInHalfYear = month >= max(0, today - 180) / Periods.daysPerMonth
    let isInYear = month >= BorrowerState.firstMonth(today: today)
    if channel == Channel.drawdown.rawValue {
      if isInHalfYear { f.drawnHalfYear += sum }
      if isInYear { f.drawnYear += sum }
    } else if channel == Channel.repayment.rawValue {
      if isInHalfYear { f.repaidHalfYear += sum }
      if isInYear { f.repaidYear += sum }
    }
  }

  @inline(__always) private func gatherMonths(_ today: Int, _ f: inout FeatureInputs) {
    for index in 0..<months.tiles.count {
      let tile = months.tiles[index]
      addOld(tile.channel, tile.sum, month: tile.period, today: today, &f)
    }
    for index in 0..<days.tiles.count where today - days.tiles[index].period <= Periods.daysBack {
      addOld(days.tiles[index].channel, days.tiles[index].sum, month: .max, today: today, &f)
    }
  }

  @inline(__always) private func gatherDues(_ now: Int64, _ f: inout FeatureInputs) {
    for index in 0..<arrears.amounts.count {
      let amount = arrears.amounts[index]
      if amount.isPast(at: now) {
        f.openPast += 1
        continue
      }
      let days = Double(amount.dueAt - now) / Double(EventTime.millisecondsPerDay)
      if f.nextDueDays.isNaN { f.nextDueDays = Float(days) }
      if days <= 30 {
        f.comingCount += 1
        f.comingMonth += amount.remaining
      }
      if days <= 7 { f.comingWeek += amount.remaining }
    }
  }
}
