import COpenBLAS
import Dispatch
import Synchronization

/// Runs `body` for each index on all cores and returns the results in the order of the indices: what comes out does not
/// depend on how many cores there are. The first error in that order is thrown.
func parallelMap<Value: Sendable>(
  _ count: Int, _ body: @Sendable (Int) throws(TrainingError) -> Value
) throws(TrainingError) -> [Value] {
  // OpenBLAS splits sums by its number of threads; with one, they do not depend on the machine's cores, and ours are
  // busy with whole tasks already.
  openblas_set_num_threads(1)
  let results = Mutex<[Result<Value, TrainingError>?]>(Array(repeating: nil, count: count))
  DispatchQueue.concurrentPerform(iterations: count) { index in
    let result: Result<Value, TrainingError>
    do throws(TrainingError) {
      result = .success(try body(index))
    } catch {
      result = .failure(error)
    }
    results.withLock { $0[index] = result }
  }
  var values: [Value] = []
  for result in results.withLock({ $0 }) { values.append(try result!.get()) }
  return values
}

/// Counts what is done, from any thread.
final class Counter: Sendable {
  private let value = Atomic<Int>(0)
  func increment() -> Int { value.wrappingAdd(1, ordering: .relaxed).newValue }
}
