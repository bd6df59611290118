import CXGBoost
import Foundation

/// What a tree ensemble is trained for.
enum TreeObjective: String, Sendable {
  case logistic = "binary:logistic"
  case squaredError = "reg:squarederror"
}

/// The parameters of a tree ensemble, by XGBoost's names.
struct TreeSettings: Sendable {
  var objective = TreeObjective.logistic
  var rounds = 100
  var maxDepth = 4
  var learningRate = 0.1
  var minChildWeight = 1.0
  var lambda = 1.0
  var gamma = 0.0
  var rowShare = 1.0
  var columnShareOfTree = 1.0
  var columnShareOfNode = 1.0
  /// Over 1: a random forest of that many trees in each round.
  var parallelTrees = 1
  var maxBins = 256
  /// Of each column: 1, a higher value never lowers the forecast; -1, never raises it; 0, free. Empty: all free.
  var constraints: [Int] = []
  var seed: UInt64 = 0
}

/// A trained ensemble.
struct TrainedTrees: Sendable {
  /// XGBoost's JSON, as `XGBoosterSaveModel` writes it.
  var json: [UInt8]
  var rounds: Int
  /// Of the validation rows, where there were any: the metric's value at the chosen round.
  var validationLoss: Double?
  /// The same by round, up to the last one trained.
  var validationLosses: [Double] = []
}

/// Rows in XGBoost's own form; owns the handle.
@safe struct TreeRows: ~Copyable {
  fileprivate let handle: DMatrixHandle
  let rows: Int

  init(_ matrix: FeatureMatrix, labels: [Float]?) throws(TrainingError) {
    precondition(labels == nil || labels!.count == matrix.rows)
    unsafe handle = try Self.make(matrix)
    rows = matrix.rows
    guard let labels else { return }
    let status = unsafe labels.withUnsafeBufferPointer {
      unsafe XGDMatrixSetFloatInfo(handle, "label", $0.baseAddress, bst_ulong($0.count))
    }
    precondition(status == 0, "labels that are one for each row are taken")
  }

  private static func make(_ matrix: FeatureMatrix) throws(TrainingError) -> DMatrixHandle {
    var handle: DMatrixHandle?
    try unsafe check(
      matrix.values.withUnsafeBufferPointer {
        unsafe XGDMatrixCreateFromMat_omp(
          $0.baseAddress, bst_ulong(matrix.rows), bst_ulong(matrix.columns), .nan, &handle, 1)
      })
    return unsafe handle!
  }

  deinit { unsafe XGDMatrixFree(handle) }
}

/// A booster of XGBoost; owns the handle. It works on one thread: floating-point sums in an order that depends on the
/// number of threads would make other trees elsewhere. Parallelism is over folds and members.
@safe struct Booster: ~Copyable {
  private let handle: BoosterHandle

  private init(owning handle: BoosterHandle) { unsafe self.handle = handle }

  private static func make(_ handles: [DMatrixHandle?]) throws(TrainingError) -> BoosterHandle {
    var handle: BoosterHandle?
    try unsafe check(
      handles.withUnsafeBufferPointer { unsafe XGBoosterCreate($0.baseAddress, bst_ulong($0.count), &handle) })
    return unsafe handle!
  }

  /// Reads what `trained.json` holds.
  static func reading(_ trained: TrainedTrees) throws(TrainingError) -> Booster {
    let booster = unsafe Booster(owning: try make([]))
    try unsafe check(
      trained.json.withUnsafeBytes {
        unsafe XGBoosterLoadModelFromBuffer(booster.handle, $0.baseAddress, bst_ulong($0.count))
      })
    try booster.set("nthread", "1")
    return booster
  }

  deinit { unsafe XGBoosterFree(handle) }

  private func set(_ name: String, _ value: String) throws(TrainingError) {
    try unsafe check(XGBoosterSetParam(handle, name, value))
  }

  private func configure(_ settings: TreeSettings, meanLabel: Double) throws(TrainingError) {
    try set("verbosity", "0")
    try set("nthread", "1")
    try set("tree_method", "hist")
    try set("objective", settings.objective.rawValue)
    try set("eval_metric", settings.objective == .logistic ? "logloss" : "rmse")
    try set("max_depth", "\(settings.maxDepth)")
    try set("eta", "\(settings.learningRate)")
    try set("min_child_weight", "\(settings.minChildWeight)")
    try set("lambda", "\(settings.lambda)")
    try set("gamma", "\(settings.gamma)")
    try set("subsample", "\(settings.rowShare)")
    try set("colsample_bytree", "\(settings.columnShareOfTree)")
    try set("colsample_bynode", "\(settings.columnShareOfNode)")
    try set("num_parallel_tree", "\(settings.parallelTrees)")
    try set("max_bin", "\(settings.maxBins)")
    try set("base_score", "\(meanLabel)")
    try set("seed", "\(settings.seed & 0x7FFF_FFFF)")
    if settings.constraints.contains(where: { $0 != 0 }) {
      try set("monotone_constraints", "(" + settings.constraints.map(String.init).joined(separator: ",") + ")")
    }
  }

  /// Trains on `training`. With validation rows, stops when their loss has not fallen for `patience` rounds and keeps the
  /// best round.
  static func train(
    _ training: borrowing TreeRows, meanLabel: Double, _ settings: TreeSettings
  ) throws(TrainingError) -> TrainedTrees {
    let booster = unsafe Booster(owning: try make([training.handle]))
    try booster.configure(settings, meanLabel: meanLabel)
    for round in 0..<settings.rounds {
      try unsafe check(XGBoosterUpdateOneIter(booster.handle, Int32(round), training.handle))
    }
    return TrainedTrees(json: try booster.json(), rounds: settings.rounds)
  }

  static func train(
    _ training: borrowing TreeRows, validation: borrowing TreeRows, meanLabel: Double, _ settings: TreeSettings,
    patience: Int
  ) throws(TrainingError) -> TrainedTrees {
    let booster = unsafe Booster(owning: try make([training.handle, validation.handle]))
    try booster.configure(settings, meanLabel: meanLabel)
    var best = (loss: Double.infinity, round: 0)
    var losses: [Double] = []
    for round in 0..<settings.rounds {
      try unsafe check(XGBoosterUpdateOneIter(booster.handle, Int32(round), training.handle))
      let loss = try unsafe booster.loss(of: validation.handle, round: round)
      losses.append(loss)
      if loss < best.loss { best = (loss, round) }
      if round - best.round >= patience { break }
    }
    var sliced: BoosterHandle?
    try unsafe check(XGBoosterSlice(booster.handle, 0, Int32(best.round + 1), 1, &sliced))
    let kept = unsafe Booster(owning: sliced!)
    return TrainedTrees(
      json: try kept.json(), rounds: best.round + 1, validationLoss: best.loss, validationLosses: losses)
  }

  /// Parses `[3]\tv-logloss:0.4321`.
  private func loss(of rows: DMatrixHandle, round: Int) throws(TrainingError) -> Double {
    var handles: [DMatrixHandle?] = unsafe [rows]
    var result: UnsafePointer<CChar>?
    let status = unsafe "v".withCString { name in
      var names: [UnsafePointer<CChar>?] = unsafe [name]
      return unsafe XGBoosterEvalOneIter(handle, Int32(round), &handles, &names, 1, &result)
    }
    try check(status)
    let text = unsafe String(cString: result!)
    guard let loss = text.split(separator: ":").last.flatMap({ Double($0) }) else {
      throw TrainingError(.failed, "XGBoost: its evaluation cannot be read: \(text)")
    }
    return loss
  }

  private func json() throws(TrainingError) -> [UInt8] {
    var length: bst_ulong = 0
    var bytes: UnsafePointer<CChar>?
    try unsafe check(XGBoosterSaveModelToBuffer(handle, "{\"format\": \"json\"}", &length, &bytes))
    return unsafe Array(UnsafeRawBufferPointer(start: bytes, count: Int(length)))
  }

  /// Columns by the total gain of their splits, largest first; those that no tree splits on are not among them.
  func columnsByGain() throws(TrainingError) -> [Int] {
    var count: bst_ulong = 0
    var dimensions: bst_ulong = 0
    var names: UnsafeMutablePointer<UnsafePointer<CChar>?>?
    var shape: UnsafePointer<bst_ulong>?
    var gains: UnsafePointer<Float>?
    try unsafe check(
      XGBoosterFeatureScore(
        handle, "{\"importance_type\": \"total_gain\"}", &count, &names, &dimensions, &shape, &gains))
    var columns: [(column: Int, gain: Float)] = []
    for index in 0..<Int(count) {
      // Columns without names are called f0, f1, ...
      let name = unsafe String(cString: names![index]!)
      guard let column = Int(name.dropFirst()) else {
        throw TrainingError(.failed, "XGBoost: its column cannot be read: \(name)")
      }
      unsafe columns.append((column, gains![index]))
    }
    columns.sort { $0.gain != $1.gain ? $0.gain > $1.gain : $0.column < $1.column }
    return columns.map(\.column)
  }

  /// The forecasts before the objective's link: log-odds for `logistic`.
  func margins(_ rows: borrowing TreeRows) throws(TrainingError) -> [Double] {
    var shape: UnsafePointer<bst_ulong>?
    var dimensions: bst_ulong = 0
    var result: UnsafePointer<Float>?
    let configuration =
      "{\"type\": 1, \"training\": false, \"iteration_begin\": 0, \"iteration_end\": 0, \"strict_shape\": true}"
    try unsafe check(
      XGBoosterPredictFromDMatrix(handle, rows.handle, configuration, &shape, &dimensions, &result))
    return unsafe UnsafeBufferPointer(start: result, count: rows.rows).map(Double.init)
  }
}

/// Which columns are worth standardising at every event: those that a few trees on the same training rows gained most
/// from. (All 256 features of a linear model cost more to standardise than a forest costs to walk.)
enum ColumnRanking {
  static func fitting(
    _ matrix: FeatureMatrix, labels: [Float], objective: TreeObjective, limit: Int, takesLogarithms: Bool = true
  ) throws(TrainingError) -> InputFitting {
    let settings = TreeSettings(
      objective: objective, rounds: 30, maxDepth: 4, learningRate: 0.2, minChildWeight: 5, lambda: 5)
    let mean = labels.reduce(0) { $0 + Double($1) } / Double(labels.count)
    let trees = try Booster.train(try TreeRows(matrix, labels: labels), meanLabel: mean, settings)
    let ranked = try Booster.reading(trees).columnsByGain()
    // Where no split gains anything, all columns are alike.
    let fitting = InputFitting(matrix, ranked: ranked, limit: limit, takesLogarithms: takesLogarithms)
    return fitting.inputs.features.isEmpty ? InputFitting(matrix, takesLogarithms: takesLogarithms) : fitting
  }
}

private func check(_ status: Int32) throws(TrainingError) {
  guard status != 0 else { return }
  let message = unsafe String(cString: XGBGetLastError()).split(separator: "\n").first ?? "unknown"
  throw TrainingError(.failed, "XGBoost: \(message)")
}
