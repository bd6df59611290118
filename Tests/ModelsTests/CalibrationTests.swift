import Foundation
import Testing

@testable import Models

struct CalibrationTests {
  @Test("a piecewise map goes through its knots, straight between, constant or in proportion beyond")
  func piecewise() {
    let constant = Calibration.piecewise(x: [0, 1, 3], y: [2, 2, 6])
    let proportional = Calibration.piecewise(x: [0, 1, 3], y: [2, 2, 6], beyond: .proportional)
    for (x, y) in [(-5.0, 2.0), (0, 2), (0.5, 2), (1, 2), (2, 4), (3, 6), (9, 6)] { #expect(constant(x) == y) }
    #expect(proportional(9) == 18)
    #expect(proportional(2) == 4)
    #expect(Calibration.piecewise(x: [5], y: [7])(1) == 7)
  }

  @Test("Platt's map is the logistic of a line")
  func platt() {
    let calibration = Calibration.platt(slope: 2, intercept: -1)
    for x in [-40.0, -1, 0, 0.5, 3, 40] {
      #expect(near(calibration(x), 1 / (1 + exp(1 - 2 * x)), 1e-14))
    }
  }

  @Test("a calibration that is not monotone, not finite or not whole is refused")
  func refused() {
    let bad = [
      Calibration.piecewise(x: [0, 0], y: [1, 2]), .piecewise(x: [0, 1], y: [2, 1]), .piecewise(x: [], y: []),
      .piecewise(x: [0, 1], y: [1]), .piecewise(x: [0, .infinity], y: [1, 2]), .platt(slope: -1, intercept: 0),
      .platt(slope: .nan, intercept: 0), Calibration(form: .platt), Calibration(form: .piecewise),
    ]
    for calibration in bad { #expect(throws: ModelError.self) { try calibration.validate("x", file: "m") } }
  }

  @Test("the demand interval holds the forecast and is never negative")
  func demand() {
    let quantiles = DemandDescription(
      combination: .hurdle, lower: .piecewise(x: [0, 100], y: [0, 20], beyond: .proportional),
      upper: .piecewise(x: [0, 10, 100], y: [0, 0, 300], beyond: .proportional))
    let small = DemandModel.combine(0.1, 50, quantiles)
    #expect(small == DemandPrediction(borrowingProbability: 0.1, amount: 5, lower: 1, upper: 5))
    let large = DemandModel.combine(1, 200, quantiles)
    #expect(large == DemandPrediction(borrowingProbability: 1, amount: 200, lower: 40, upper: 600))
    let negative = DemandModel.combine(0.5, -3, quantiles)
    #expect(negative == DemandPrediction(borrowingProbability: 0.5, amount: 0, lower: 0, upper: 0))
  }
}
