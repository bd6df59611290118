import Borrowers

/// Profile, credit score, assets and limit. Each group holds its newest update by event time; a late one fills only what
/// is missing.
struct ProfileState: ~Copyable {
  var information = BasicInformation()
  /// Of the newest update of each group; `.distantPast` where there was none.
  var profileAt = EventTime.distantPast.milliseconds
  var scoreAt = EventTime.distantPast.milliseconds
  var assetsAt = EventTime.distantPast.milliseconds
  var limitAt = EventTime.distantPast.milliseconds
  /// The earliest limit over 0.
  var firstGrantAt = EventTime.distantFuture.milliseconds
  /// Drawn at or after the first grant, as it was known when each drawdown was applied.
  var drawnSinceGrant = 0.0
  /// The highest exposure over the limit, after any event.
  var peakUtilization: Float = 0

  init() {}

  mutating func reset() {
    information = BasicInformation()
    profileAt = EventTime.distantPast.milliseconds
    scoreAt = EventTime.distantPast.milliseconds
    assetsAt = EventTime.distantPast.milliseconds
    limitAt = EventTime.distantPast.milliseconds
    firstGrantAt = EventTime.distantFuture.milliseconds
    drawnSinceGrant = 0
    peakUtilization = 0
  }

  @inline(__always) private static func take(_ new: Double, _ held: inout Double, isNewest: Bool) {
    if new.isFinite && (isNewest || held.isNaN) { held = new }
  }

  @inline(__always) private static func take(
    _ slice: TextSlice, of text: UnsafeBufferPointer<UInt8>, _ held: inout UInt32, isNewest: Bool
  ) {
    guard slice.isPresent, isNewest || held == 0 else { return }
    held = unsafe Murmur.hash32(text.slice(slice))
  }

  mutating func updateProfile(_ update: ProfileUpdate, _ text: UnsafeBufferPointer<UInt8>, at time: Int64) {
    let isNewest = time >= profileAt
    if isNewest { profileAt = time }
    ProfileState.take(update.birthYear, &information.birthYear, isNewest: isNewest)
    ProfileState.take(update.monthlyIncome, &information.monthlyIncome, isNewest: isNewest)
    unsafe ProfileState.take(update.region, of: text, &information.region, isNewest: isNewest)
    unsafe ProfileState.take(update.householdRegion, of: text, &information.householdRegion, isNewest: isNewest)
    unsafe ProfileState.take(update.education, of: text, &information.education, isNewest: isNewest)
    unsafe ProfileState.take(update.occupation, of: text, &information.occupation, isNewest: isNewest)
    unsafe ProfileState.take(update.maritalStatus, of: text, &information.maritalStatus, isNewest: isNewest)
    unsafe ProfileState.take(update.gender, of: text, &information.gender, isNewest: isNewest)
    if let consent = update.marketingConsent, isNewest || information.marketingConsent == nil {
      information.marketingConsent = consent
    }
  }

  mutating func updateScore(_ score: Double, at time: Int64) {
    ProfileState.take(score, &information.creditScore, isNewest: time >= scoreAt)
    scoreAt = max(scoreAt, time)
  }

  mutating func updateAssets(deposits: Double, propertyValue: Double, at time: Int64) {
    ProfileState.take(deposits, &information.deposits, isNewest: time >= assetsAt)
    ProfileState.take(propertyValue, &information.propertyValue, isNewest: time >= assetsAt)
    assetsAt = max(assetsAt, time)
  }

  mutating func updateLimit(_ limit: Double, at time: Int64) {
    ProfileState.take(limit, &information.creditLimit, isNewest: time >= limitAt)
    limitAt = max(limitAt, time)
    if limit > 0 { firstGrantAt = min(firstGrantAt, time) }
  }

  mutating func draw(_ amount: Double, at time: Int64) {
    if time >= firstGrantAt { drawnSinceGrant = Money.settled(drawnSinceGrant + amount) }
  }

  mutating func watch(exposure: Double) {
    if information.creditLimit > 0 {
      peakUtilization = max(peakUtilization, Saturating.ratio(exposure, information.creditLimit))
    }
  }

  // MARK: Coding

  // 16 bits say which fields follow; consent takes two of them.
  private static let birthYear: UInt32 = 1 << 0
  private static let monthlyIncome: UInt32 = 1 << 1
  private static let region: UInt32 = 1 << 2
  private static let householdRegion: UInt32 = 1 << 3
  private static let education: UInt32 = 1 << 4
  private static let occupation: UInt32 = 1 << 5
  private static let maritalStatus: UInt32 = 1 << 6
  private static let gender: UInt32 = 1 << 7
  private static let hasConsent: UInt32 = 1 << 8
  private static let consents: UInt32 = 1 << 9
  private static let profileTime: UInt32 = 1 << 10
  private static let score: UInt32 = 1 << 11
  private static let assets: UInt32 = 1 << 12
  private static let limit: UInt32 = 1 << 13
  private static let firstGrant: UInt32 = 1 << 14
  private static let peak: UInt32 = 1 << 15

  static let encodedMax = 2 + 9 * 10 + 6 * 5 + 5 * 10 + 4

  func encode(_ writer: inout StateWriter) {
    let past = EventTime.distantPast.milliseconds
    var flags: UInt32 = 0
    if !information.birthYear.isNaN { flags |= ProfileState.birthYear }
    if !information.monthlyIncome.isNaN { flags |= ProfileState.monthlyIncome }
    if information.region != 0 { flags |= ProfileState.region }
    if information.householdRegion != 0 { flags |= ProfileState.householdRegion }
    if information.education != 0 { flags |= ProfileState.education }
    if information.occupation != 0 { flags |= ProfileState.occupation }
    if information.maritalStatus != 0 { flags |= ProfileState.maritalStatus }
    if information.gender != 0 { flags |= ProfileState.gender }
    if let consent = information.marketingConsent {
      flags |= ProfileState.hasConsent | (consent ? ProfileState.consents : 0)
    }
    if profileAt != past { flags |= ProfileState.profileTime }
    if scoreAt != past { flags |= ProfileState.score }
    if assetsAt != past { flags |= ProfileState.assets }
    if limitAt != past { flags |= ProfileState.limit }
    if firstGrantAt != EventTime.distantFuture.milliseconds { flags |= ProfileState.firstGrant }
    if peakUtilization != 0 { flags |= ProfileState.peak }
    writer.fixed(UInt16(truncatingIfNeeded: flags))
    if flags & ProfileState.birthYear != 0 { writer.number(information.birthYear) }
    if flags & ProfileState.monthlyIncome != 0 { writer.number(information.monthlyIncome) }
    if flags & ProfileState.region != 0 { writer.fixed(information.region) }
    if flags & ProfileState.householdRegion != 0 { writer.fixed(information.householdRegion) }
    if flags & ProfileState.education != 0 { KnownText.encode(information.education, &writer) }
    if flags & ProfileState.occupation != 0 { writer.fixed(information.occupation) }
    if flags & ProfileState.maritalStatus != 0 { KnownText.encode(information.maritalStatus, &writer) }
    if flags & ProfileState.gender != 0 { KnownText.encode(information.gender, &writer) }
    if flags & ProfileState.profileTime != 0 { writer.fixed(ProfileState.withinMinute(profileAt)) }
    if flags & ProfileState.score != 0 {
      writer.fixed(ProfileState.withinMinute(scoreAt))
      writer.number(information.creditScore)
    }
    if flags & ProfileState.assets != 0 {
      writer.fixed(ProfileState.withinMinute(assetsAt))
      writer.number(information.deposits)
      writer.number(information.propertyValue)
    }
    if flags & ProfileState.limit != 0 {
      writer.fixed(ProfileState.withinMinute(limitAt))
      writer.number(information.creditLimit)
    }
    if flags & ProfileState.firstGrant != 0 {
      // A grant may only be before or at the newest limit's time.
      writer.varint(UInt64(max(0, limitAt - firstGrantAt)))
      writer.number(drawnSinceGrant)
    }
    if flags & ProfileState.peak != 0 { writer.fixed(peakUtilization.bitPattern) }
  }

  mutating func decode(_ reader: inout StateReader, lastMinutes: borrowing FixedList<UInt32>) {
    reset()
    let flags = UInt32(reader.fixed(UInt16.self))
    if flags & ProfileState.birthYear != 0 { information.birthYear = reader.number() }
    if flags & ProfileState.monthlyIncome != 0 { information.monthlyIncome = reader.number() }
    if flags & ProfileState.region != 0 { information.region = reader.fixed(UInt32.self) }
    if flags & ProfileState.householdRegion != 0 { information.householdRegion = reader.fixed(UInt32.self) }
    if flags & ProfileState.education != 0 { information.education = KnownText.decode(&reader) }
    if flags & ProfileState.occupation != 0 { information.occupation = reader.fixed(UInt32.self) }
    if flags & ProfileState.maritalStatus != 0 { information.maritalStatus = KnownText.decode(&reader) }
    if flags & ProfileState.gender != 0 { information.gender = KnownText.decode(&reader) }
    if flags & ProfileState.hasConsent != 0 { information.marketingConsent = flags & ProfileState.consents != 0 }
    if flags & ProfileState.profileTime != 0 { profileAt = ProfileState.time(.profileUpdated, lastMinutes, &reader) }
    if flags & ProfileState.score != 0 {
      scoreAt = ProfileState.time(.creditScoreUpdated, lastMinutes, &reader)
      information.creditScore = reader.number()
    }
    if flags & ProfileState.assets != 0 {
      assetsAt = ProfileState.time(.assetsUpdated, lastMinutes, &reader)
      information.deposits = reader.number()
      information.propertyValue = reader.number()
    }
    if flags & ProfileState.limit != 0 {
      limitAt = ProfileState.time(.limitChanged, lastMinutes, &reader)
      information.creditLimit = reader.number()
    }
    if flags & ProfileState.firstGrant != 0 {
      firstGrantAt = limitAt - Int64(reader.count(upTo: 1 << 54))
      drawnSinceGrant = reader.number()
    }
    if flags & ProfileState.peak != 0 { peakUtilization = Float(bitPattern: reader.fixed(UInt32.self)) }
  }

  // A group's time is that of the newest event of its kind, whose minute is written elsewhere.
  @inline(__always) private static func withinMinute(_ time: Int64) -> UInt16 { UInt16(max(0, time) % 60_000) }

  @inline(__always) private static func time(
    _ kind: EventKind, _ lastMinutes: borrowing FixedList<UInt32>, _ reader: inout StateReader
  ) -> Int64 {
    let minute = lastMinutes[Int(kind.rawValue)]
    if minute == 0 { reader.fail() }
    return Int64(minute) * 60_000 + Int64(reader.fixed(UInt16.self))
  }
}

/// The texts that features know, held in one byte; any other as its hash.
enum KnownText {
  static let all: [UInt32] = [
    "graduate_school", "university", "high_school", "other", "married", "single", "female", "male",
  ].map { (text: String) in Murmur.hash32(Array(text.utf8)) }

  static func encode(_ hash: UInt32, _ writer: inout StateWriter) {
    for index in 0..<all.count where all[index] == hash {
      writer.byte(UInt8(index))
      return
    }
    writer.byte(255)
    writer.fixed(hash)
  }

  static func decode(_ reader: inout StateReader) -> UInt32 {
    let code = Int(reader.byte())
    if code < all.count { return all[code] }
    if code != 255 { reader.fail() }
    return reader.fixed(UInt32.self)
  }
}

extension UnsafeBufferPointer<UInt8> {
  /// An event's string; empty where it is absent.
  @inline(__always) func slice(_ slice: TextSlice) -> UnsafeBufferPointer<UInt8> {
    guard slice.isPresent else { return unsafe UnsafeBufferPointer(rebasing: self[..<0]) }
    return unsafe UnsafeBufferPointer(rebasing: self[Int(slice.start)..<Int(slice.start) + Int(slice.count)])
  }
}
