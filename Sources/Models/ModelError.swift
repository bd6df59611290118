/// Why a model folder could not be used; `description` is one line that names the file and the mend.
public struct ModelError: Error, CustomStringConvertible, Sendable, Equatable {
  public var file: String
  public var problem: String
  public var description: String { "\(file): \(problem)" }
  public init(file: String, problem: String) {
    self.file = file
    self.problem = problem
  }
}
