import Borrowers

/// An amount to be paid by the end of a day, of the card or of the instalment loan. Days are world days (0 is the first).
struct Obligation {
  /// Cents open; 0: nothing is due.
  var open = 0
  var dueDay = 0
  /// The day it is meant to be paid; `Int.max`: the borrower cannot pay, until cured.
  var payDay = 0
  /// `payment_missed` events sent for it.
  var reminders = 0

  /// Full days past its due date on `day`; 0 or less while there is time.
  func daysPastDue(on day: Int) -> Int { open > 0 ? day - dueDay - 1 : 0 }
}

/// What a borrower is about to do about money needed.
enum Need: UInt8 {
  case none
  /// Looks around: searches, views of pages.
  case looking
  /// Has applied and waits to draw, or (a prospect) to be granted a limit.
  case applied
}

/// One borrower's hidden life. Money is in cents.
struct SimulatedBorrower {
  var random: RandomSource
  /// Events sent so far.
  var sequence: UInt32 = 0

  // Traits, for life. `quality` is about normal; `appetite` and `engagement` lie within 0...1.
  let quality: Double
  let appetite: Double
  let engagement: Double
  let monthlyIncome: Int
  let birthYear: Int
  let joinDay: Int
  /// Day of the month of the statement, of the salary.
  let statementDay: Int
  let payday: Int
  let hasCard: Bool
  let isScored: Bool
  let loanPlatform: Int
  /// Words of the profile, by index.
  let region: Int
  let householdRegion: Int
  let education: Int
  let occupation: Int
  let maritalStatus: Int
  let gender: Int
  var consent: Bool?

  /// What weighs on the borrower now: drifts back to 0, jumps at a shock (work lost, illness).
  var strain: Double
  /// Days without a salary left.
  var daysWithoutSalary = 0
  var deposits: Int
  var limit: Int
  var isErased = false
  var isWrittenOff = false

  var cardBalance = 0
  var cardDue = Obligation()
  var loanLeft = 0
  var installment = 0
  var loanNumber = 0
  var loanDueDayOfMonth = 0
  var loanDue = Obligation()

  var need = Need.none
  var needDays = 0
  /// Of the headroom that the need takes.
  var needShare = 0.0

  // The truth under way: as of the newest as-of date.
  var truthPropensity = 0.0
  var truthOverdue = false
  var truthDrawn = 0

  /// `days` is how long the world lasts: a share of the borrowers joins on the way.
  init(seed: UInt64, index: Int, days: Int) {
    var random = RandomSource(seed: RandomSource.mix(seed) ^ RandomSource.mix(UInt64(index) &* 0x2545_f491_4f6c_dd1d))
    quality = random.gaussian() + 0.35
    let taste = random.uniform()
    appetite = taste * taste
    engagement = random.uniform(0.1, 1)
    monthlyIncome = Int(180_000 * exponential(0.45 * random.gaussian() + 0.25 * quality)) / 100 * 100
    birthYear = random.integer(1950...2004)
    joinDay = random.happens(0.85) ? 0 : random.integer(0...max(days - 1, 0))
    statementDay = random.integer(1...28)
    payday = random.integer(1...28)
    hasCard = random.happens(0.65)
    isScored = random.happens(0.7)
    loanPlatform = random.integer(1...2)
    region = random.integer(0...Vocabulary.regions.count - 1)
    householdRegion = random.happens(0.7) ? region : random.integer(0...Vocabulary.regions.count - 1)
    education = random.integer(0...Vocabulary.education.count - 1)
    occupation = random.integer(0...Vocabulary.occupations.count - 1)
    maritalStatus = random.integer(0...Vocabulary.maritalStatus.count - 1)
    gender = random.integer(0...1)
    consent = random.happens(0.1) ? nil : random.happens(0.78)
    strain = 0.45 * random.gaussian()
    deposits = Int(Double(monthlyIncome) * exponential(0.9 * (quality - strain) - 0.4 + 0.4 * random.gaussian()))
    let isProspect = random.happens(0.25)
    limit =
      isProspect ? 0 : Int(Double(monthlyIncome) * random.uniform(1, 4)) / 10_000 * 10_000 + 50_000
    if !isProspect && hasCard && random.happens(0.6) {
      cardBalance = Int(Double(limit) * random.uniform(0.02, 0.3 + 0.4 * appetite))
    }
    self.random = random
  }

  /// Financial health now, about normal; a payment due is missed the more likely the lower it is.
  var health: Double { quality - strain }

  /// The probability that a payment due now is missed altogether.
  var defaultPropensity: Double { logistic(-3.7 - 2.3 * health) }

  func isInArrears(on day: Int) -> Bool { cardDue.daysPastDue(on: day) > 0 || loanDue.daysPastDue(on: day) > 0 }

  /// What may still be drawn.
  var headroom: Int { max(0, limit - cardBalance - loanLeft) }
}
