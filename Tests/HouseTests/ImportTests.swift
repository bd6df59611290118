import Foundation
import TestSupport
import Testing

/// The table of modules in docs/architecture.md is binding: the build checks that no module uses another that it does not
/// depend on, but lets through what comes transitively.
@Suite struct ImportTests {
  struct Row {
    var modules: [String]
    /// nil: all.
    var imports: [String]?
  }

  static let ofTheToolchain: Set<String> = ["Foundation", "Synchronization", "Glibc", "Musl", "Testing", "Dispatch"]

  static func table() throws -> [Row] {
    let lines = try Repository.text("docs/architecture.md").split(separator: "\n").map(String.init)
    guard let header = lines.firstIndex(of: "| module | what | imports |") else {
      throw CocoaError(.fileReadCorruptFile)
    }
    return lines[(header + 2)...].prefix { $0.hasPrefix("|") }.map { line in
      let cells = line.split(separator: "|", omittingEmptySubsequences: false).map {
        $0.trimmingCharacters(in: .whitespaces)
      }
      let modules = cells[1].split(separator: " ").map { $0.trimmingCharacters(in: ["`"]) }
      let names = cells[3].split(separator: ",").map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " `")) }
      return Row(modules: modules, imports: names.contains("all") ? nil : names)
    }
  }

  static func imports(of module: String) throws -> Set<String> {
    var found = Set<String>()
    for path in Repository.files() where path.hasPrefix("Sources/\(module)/") && path.hasSuffix(".swift") {
      for line in try Repository.text(path).split(separator: "\n") {
        var words = line.split(separator: " ")
        while let first = words.first, first.hasPrefix("@") || ["public", "package", "internal"].contains(first) {
          words.removeFirst()
        }
        guard words.first == "import", words.count >= 2 else { continue }
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
        let name = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
        found.insert(String(name.split(separator: ".")[0]))
      }
    }
    return found.subtracting(ofTheToolchain)
  }

  @Test func `every module is in the table`() throws {
    let named = Set(try Self.table().flatMap(\.modules))
    let present = Set(
      Repository.files().filter { $0.hasPrefix("Sources/") }.map { String($0.split(separator: "/")[1]) })
    #expect(named == present)
  }

  @Test func `each module imports what the table says, and nothing else`() throws {
    let rows = try Self.table()
    let all = Set(rows.flatMap(\.modules)).filter { !Self.isCLibrary($0) }
    for row in rows {
      for module in row.modules where !Self.isCLibrary(module) {
        let imports = try Self.imports(of: module)
        if let allowed = row.imports {
          #expect(imports == Set(allowed.filter { !$0.isEmpty }), "\(module)")
        } else {
          let others = imports.filter { !Self.isCLibrary($0) }
          #expect(others.isSubset(of: all), "\(module)")
        }
      }
    }
  }

  @Test func `each C library has one owner`() throws {
    let rows = try Self.table()
    let modules = rows.flatMap(\.modules)
    for library in modules where Self.isCLibrary(library) {
      let owners = try modules.filter { try Self.imports(of: $0).contains(library) }
      #expect(owners.count == 1, "\(library): \(owners)")
    }
  }

  /// Every C library's module begins with a C and goes on with a capital; no other module does.
  static func isCLibrary(_ module: String) -> Bool {
    module.count > 2 && module.first == "C" && module.dropFirst().first?.isUppercase == true
  }
}
