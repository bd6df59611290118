/// What went wrong at the broker, named for the recovery that it calls for. `description` is one line for a person: it
/// names the culprit and the mend, and holds no personal data.
public struct BrokerError: Error, Equatable, CustomStringConvertible, Sendable {
  public enum Kind: Equatable, Sendable {
    /// Another producer took over our transactional id, or our transaction timed out: drop state, new producer, restore.
    case fenced
    /// The transaction cannot be committed, and was not: abort it.
    case abortable
    /// Nothing happened: try again.
    case retriable
    /// Whether the transaction was committed is not known: drop state, new producer, restore.
    case unknownOutcome
    /// Nothing helps: the process ends.
    case fatal
    /// A login or access list refuses us.
    case authentication
    /// No broker answers.
    case unreachable
    /// A topic that must be there is not.
    case missingTopic
    /// Topics are there, and not as they must be.
    case unfitTopic
    /// A setting that the client refuses.
    case invalidSetting
    /// A position lies outside the log that is still there.
    case outOfRange
  }

  public var kind: Kind
  public var description: String

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }
}
