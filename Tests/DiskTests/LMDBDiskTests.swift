import Borrowers
import Features
import Foundation
import Testing

@testable import Disk

@Suite struct LMDBDiskTests {
  static func directory() throws -> String {
    let path = NSTemporaryDirectory() + "lendpulse-disk-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  static func read(_ disk: LMDBDisk, _ number: UInt32) -> [UInt8] {
    var buffer = ByteBuffer()
    disk.read(number, into: &buffer)
    return unsafe Array(buffer.bytes)
  }

  @Test func `what is put in comes out, whatever is put in and taken out meanwhile`() throws {
    let directory = try Self.directory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let disk = try LMDBDisk(directory: directory)
    var oracle: [UInt32: [UInt8]] = [:]
    var random = SystemRandomNumberGenerator()
    for round in 0..<200 {
      let removed = oracle.keys.sorted().filter { _ in Int.random(in: 0..<4, using: &random) == 0 }
      let added = (0..<50).map { _ in UInt32.random(in: 1...4_000, using: &random) }
      let unique = Array(Set(added).subtracting(removed))
      let values = unique.map { number in
        [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: Int.random(in: 0...9_000, using: &random))
      }
      #expect(disk.exchange(removing: removed, adding: unique) { values[$0] })
      for number in removed { oracle[number] = nil }
      for (number, value) in zip(unique, values) { oracle[number] = value }
      if round % 20 == 0 { for (number, value) in oracle { #expect(Self.read(disk, number) == value) } }
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory).isEmpty, "the file has no name")
  }

  @Test func `a directory that is not there is one line that names it`() {
    let error = #expect(throws: LMDBDisk.Failed.self) { _ = try LMDBDisk(directory: "nowhere/at/all") }
    #expect(error?.description.contains("state_directory nowhere/at/all") == true)
  }
}
