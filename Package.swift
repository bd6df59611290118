// swift-tools-version: 6.2
import PackageDescription

// The per-event modules are compiled for x86-64-v3 (without it `addProduct` is a software routine and 100 times
// slower). The executable target is not: it checks the CPU first, and must run on an older one to say so.
#if arch(x86_64)
  let processorFlags = ["-Xcc", "-march=x86-64-v3"]
#else
  let processorFlags: [String] = []
#endif

let warningsAreErrors = Context.environment["CI"] != nil

let baseSettings: [SwiftSetting] =
  [.swiftLanguageMode(.v6), .strictMemorySafety(), .enableExperimentalFeature("Lifetimes")]
  + (warningsAreErrors ? [.treatAllWarnings(as: .error)] : [])
// Decoders report their coverage only to the fuzzer's own build (`FUZZ=1 swift build --scratch-path .build-fuzz`).
let isFuzzing = Context.environment["FUZZ"] != nil
let fuzzerFlags = ["-sanitize=fuzzer,address"]

let settings: [SwiftSetting] =
  baseSettings
  + [
    .unsafeFlags(processorFlags),
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
  ] + (isFuzzing ? [.unsafeFlags(fuzzerFlags)] : [])

func library(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = []) -> Target {
  .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name + "Tests", dependencies: dependencies, swiftSettings: settings)
}

func fuzzer(_ name: String) -> Target {
  .executableTarget(
    name: "Fuzz" + name, dependencies: ["Borrowers", "FuzzProperty", "CFuzzer"], path: "Fuzz/" + name,
    swiftSettings: settings, linkerSettings: [.unsafeFlags(fuzzerFlags + ["-use-ld=lld"])])
}

let fuzzers: [Target] = [
  .systemLibrary(name: "CFuzzer", path: "Fuzz/CFuzzer"),
  .target(name: "FuzzProperty", dependencies: ["Borrowers"], path: "Fuzz/Property", swiftSettings: settings),
  fuzzer("JSONEvents"), fuzzer("ProtobufEvents"),
]

let package = Package(
  name: "lendpulse",
  products: [.executable(name: "lendpulse", targets: ["lendpulse"])],
  targets: [
    // C libraries of the system: a module map and a shim header each.
    .systemLibrary(name: "CRdKafka", pkgConfig: "rdkafka", providers: [.apt(["librdkafka-dev"])]),
    .systemLibrary(name: "CXGBoost", providers: [.apt(["libxgboost-dev"])]),
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CMicroHTTPD", pkgConfig: "libmicrohttpd", providers: [.apt(["libmicrohttpd-dev"])]),
    .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
    .systemLibrary(name: "CProcessor"),

    // The product, lowest layer first. Arrows point one way.
    library("Borrowers"),
    library("Features", ["Borrowers"]),
    library("Disk", ["Borrowers", "Features", "CLMDB"]),
    library("Models", ["Borrowers", "Features", "CCrypto"]),
    library("History", ["Borrowers", "CZlib", "CSQLite", "CLibPQ"]),
    library("Training", ["Borrowers", "Features", "Models", "History", "CXGBoost", "COpenBLAS"]),
    library("Scoring", ["Borrowers", "Features", "Models"]),
    library("Pipeline", ["Borrowers", "Features", "Models", "Scoring"]),
    library("Kafka", ["Borrowers", "Scoring", "Pipeline", "CRdKafka"]),
    library("Simulation", ["Borrowers", "Features", "Models", "Scoring", "Pipeline"]),
    library(
      "StatusPage", ["Borrowers", "Features", "Models", "Scoring", "Pipeline", "CMicroHTTPD"],
      resources: [.embedInCode("Resources/page.html"), .embedInCode("Resources/openapi.json")]),
    library(
      "Commands",
      [
        "Borrowers", "Features", "Disk", "Models", "History", "Training", "Scoring", "Pipeline", "Kafka", "Simulation",
        "StatusPage", "CYAML",
      ]),
    .executableTarget(name: "lendpulse", dependencies: ["Commands", "CProcessor"], swiftSettings: baseSettings),

    .executableTarget(
      name: "Benchmarks",
      dependencies: [
        "Borrowers", "Features", "Models", "Scoring", "Pipeline", "Kafka", "Simulation", "TestSupport", "CRdKafka",
      ],
      path: "Benchmarks", swiftSettings: settings),

    tests("Borrowers", ["Borrowers", "TestSupport"]),
    tests("Features", ["Borrowers", "Features"]),
    tests("Disk", ["Borrowers", "Features", "Disk"]),
    tests("Models", ["Borrowers", "Features", "Models", "TestSupport"]),
    tests("History", ["Borrowers", "History", "Simulation", "TestSupport"]),
    tests("Training", ["Borrowers", "Features", "Models", "History", "Training", "Simulation"]),
    tests("Scoring", ["Borrowers", "Features", "Models", "Scoring"]),
    tests("Pipeline", ["Borrowers", "Features", "Models", "Scoring", "Pipeline"]),
    tests("Kafka", ["Borrowers", "Scoring", "Pipeline", "Kafka", "CRdKafka"]),
    tests("Simulation", ["Borrowers", "Models", "Simulation", "TestSupport"]),
    tests("StatusPage", ["Borrowers", "Features", "Models", "Scoring", "Pipeline", "StatusPage", "TestSupport"]),
    tests(
      "Commands", ["Borrowers", "Features", "Models", "Scoring", "Pipeline", "Commands", "lendpulse", "TestSupport"]),
    // Starting programs, temporary directories: what tests of whole programs share.
    .target(
      name: "TestSupport", dependencies: ["CRdKafka"], path: "Tests/TestSupport", swiftSettings: settings),
    tests("House", ["TestSupport"]),
    tests("Integration", ["TestSupport"]),
  ] + (isFuzzing ? fuzzers : [])
)
