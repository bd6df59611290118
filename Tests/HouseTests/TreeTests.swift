import Foundation
import TestSupport
import Testing

/// What every file of the project must keep to.
@Suite struct TreeTests {
  static let textual: Set<String> = [
    "swift", "md", "yaml", "json", "proto", "h", "modulemap", "py", "service", "env", "tmpfiles", "sh", "txt", "csv",
    "",
  ]

  static func texts() -> [(path: String, text: String)] {
    Repository.files().compactMap { path in
      guard textual.contains((path as NSString).pathExtension) else { return nil }
      guard let text = try? Repository.text(path) else { return nil }
      return (path, text)
    }
  }

  @Test func `no file names a path of the machine it was written on`() {
    // Put together here, so that this file does not name them either.
    let forbidden = ["work", "root", "farm", "home", "tmp"].map { "/" + $0 + "/" }
    for (path, text) in Self.texts() where path != "LICENSE" {
      for word in forbidden {
        for range in text.ranges(of: word) {
          let before = range.lowerBound == text.startIndex ? " " : text[text.index(before: range.lowerBound)]
          let isInsideAPath = before.isLetter || before.isNumber || "._-/}*".contains(before)
          #expect(isInsideAPath, "\(path) names \(word)")
        }
      }
    }
  }

  @Test func `nothing is left as an interface without a body`() {
    let unfinished = ["fatalError(\"" + "interface", "TO" + "DO", "FIX" + "ME", "XX" + "X:"]
    for (path, text) in Self.texts() where path.hasSuffix(".swift") {
      for word in unfinished {
        let isFinished = !text.contains(word)
        #expect(isFinished, "\(path) holds \(word)")
      }
    }
  }

  @Test func `every C library of the build is in the list of packages, with a reason`() throws {
    let manifest = try Repository.text("Package.swift")
    let listed = try Repository.text("scripts/packages").split(separator: "\n").filter { !$0.hasPrefix("#") }.map {
      $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }
    for row in listed { #expect(row.count == 4 && !row[3].isEmpty, "\(row)") }
    let needed = manifest.matches(of: #/\.apt\(\["([^"]+)"\]\)/#).map { String($0.output.1) }
    #expect(needed.count >= 6)
    for package in needed { #expect(listed.contains { $0[0] == package && $0[1] == "build" }, "\(package)") }
  }

  @Test func `every make command that the documents name is in the Makefile`() throws {
    let targets = Set(
      try Repository.text("Makefile").matches(of: #/(?m)^([a-z][a-z-]*):/#).map { String($0.output.1) })
    #expect(targets.isSuperset(of: ["demo", "test", "build", "bench", "fuzz", "format", "install"]))
    for (path, text) in Self.texts() where path.hasSuffix(".md") {
      for match in text.matches(of: #/(?m)(?:`|^    |^\$ )make ([a-z][a-z-]*)/#) {
        #expect(targets.contains(String(match.output.1)), "\(path): make \(match.output.1)")
      }
    }
  }

  @Test func `every local link of the documents leads somewhere`() {
    for (path, text) in Self.texts() where path.hasSuffix(".md") {
      let folder = Repository.root.appendingPathComponent(path).deletingLastPathComponent()
      for match in text.matches(of: #/\]\(([^)#:]+)(?:#[^)]*)?\)/#) {
        let target = folder.appendingPathComponent(String(match.output.1)).path
        #expect(FileManager.default.fileExists(atPath: target), "\(path): \(match.output.1)")
      }
    }
  }

  @Test func `continuous integration runs make test and nothing else`() throws {
    #expect(try Repository.text(".ci/run") == "#!/bin/sh\nexec make test\n")
    #expect(FileManager.default.isExecutableFile(atPath: Repository.root.appendingPathComponent(".ci/run").path))
  }

  @Test func `every script is well-formed and can be run`() async throws {
    for path in Repository.files() where path.hasPrefix("scripts/") && path != "scripts/packages" {
      let full = Repository.root.appendingPathComponent(path).path
      #expect(FileManager.default.isExecutableFile(atPath: full), "\(path)")
      guard try Repository.text(path).hasPrefix("#!/usr/bin/env bash") else { continue }
      let checked = try await run("/usr/bin/env", ["bash", "-n", full])
      #expect(checked.status == 0, "\(path): \(checked.errors)")
    }
  }
}
