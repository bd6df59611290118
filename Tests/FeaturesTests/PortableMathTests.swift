import Features
import Foundation
import Testing

/// Units in the last place between two finite numbers of one sign.
private func distance(_ a: Double, _ b: Double) -> Int64 {
  abs(Int64(bitPattern: a.bitPattern) - Int64(bitPattern: b.bitPattern))
}

private func distance(_ a: Float, _ b: Float) -> Int32 {
  abs(Int32(bitPattern: a.bitPattern) - Int32(bitPattern: b.bitPattern))
}

@Suite struct PortableMathTests {
  @Test func `log agrees with libm to two units in the last place`() {
    var generator = SplitMix(seed: 1)
    for _ in 0..<20_000 {
      let x = Double(bitPattern: generator.next() & 0x7FEF_FFFF_FFFF_FFFF)
      #expect(distance(Portable.log(x), Foundation.log(x)) <= 2, "x = \(x)")
      let near = 0.5 + generator.uniform() * 1.5
      #expect(distance(Portable.log(near), Foundation.log(near)) <= 2, "x = \(near)")
      let single = Float(bitPattern: UInt32(truncatingIfNeeded: generator.next()) & 0x7F7F_FFFF)
      #expect(distance(Portable.log(single), logf(single)) <= 2, "x = \(single)")
      let nearSingle = Float(near)
      #expect(distance(Portable.log(nearSingle), logf(nearSingle)) <= 2, "x = \(nearSingle)")
    }
  }

  @Test func `exp agrees with libm to two units in the last place`() {
    var generator = SplitMix(seed: 2)
    for _ in 0..<20_000 {
      let x = generator.uniform() * 1460 - 748
      #expect(distance(Portable.exp(x), Foundation.exp(x)) <= 2, "x = \(x)")
      let small = generator.uniform() * 4 - 2
      #expect(distance(Portable.exp(small), Foundation.exp(small)) <= 2, "x = \(small)")
      let single = Float(generator.uniform() * 194 - 105)
      #expect(distance(Portable.exp(single), expf(single)) <= 2, "x = \(single)")
      let smallSingle = Float(small)
      #expect(distance(Portable.exp(smallSingle), expf(smallSingle)) <= 2, "x = \(smallSingle)")
    }
  }

  @Test func `the logarithm of sixteen numbers has the bits of each`() {
    var generator = SplitMix(seed: 3)
    for _ in 0..<2_000 {
      var x = SIMD16<Float>.zero
      for lane in 0..<16 { x[lane] = Float(1 + generator.uniform() * Portable.exp(generator.uniform() * 60)) }
      let all = Portable.logAtLeastOne(x)
      for lane in 0..<16 { #expect(all[lane].bitPattern == Portable.log(x[lane]).bitPattern) }
    }
  }

  @Test func `the ends of the ranges are as IEEE 754 has them`() {
    #expect(Portable.log(0.0 as Double) == -.infinity)
    #expect(Portable.log(1.0 as Double) == 0)
    #expect(Portable.log(1.0 as Float) == 0)
    #expect(Portable.log(Double.infinity) == .infinity)
    #expect(Portable.log(Float.infinity) == .infinity)
    #expect(Portable.log(-1.0 as Double).isNaN)
    #expect(Portable.log(Float.nan).isNaN)
    #expect(Portable.log(Double.nan).isNaN)
    #expect(Portable.log(Double.leastNonzeroMagnitude) == Foundation.log(Double.leastNonzeroMagnitude))
    #expect(Portable.exp(0.0 as Double) == 1)
    #expect(Portable.exp(0.0 as Float) == 1)
    #expect(Portable.exp(Double.infinity) == .infinity)
    #expect(Portable.exp(-Double.infinity) == 0)
    #expect(Portable.exp(Float.infinity) == .infinity)
    #expect(Portable.exp(-Float.infinity) == 0)
    #expect(Portable.exp(Double.nan).isNaN)
    #expect(Portable.exp(Float.nan).isNaN)
    #expect(Portable.exp(710.0 as Double) == .infinity)
    #expect(Portable.exp(-746.0 as Double) == 0)
    #expect(Portable.exp(89.0 as Float) == .infinity)
    #expect(Portable.exp(-104.0 as Float) == 0)
  }
}
