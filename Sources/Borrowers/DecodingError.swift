/// Why a record could not be taken: the stable `lendpulse.error.code` of its dead letter. A name never changes meaning.
public enum DeadLetterCode: UInt8, CaseIterable, Sendable {
  case emptyValue = 1
  case tooLarge = 2
  case tooDeep = 3
  case invalidJSON = 4
  case invalidUTF8 = 5
  case invalidProtobuf = 6
  case unsupportedContentType = 7
  case missingField = 8
  case wrongType = 9
  case outOfRange = 10
  case unknownType = 11
  case invalidTime = 12
  case timeOutOfRange = 13
  case keyMismatch = 14
  case misplaced = 15

  public var name: StaticString {
    switch self {
    case .emptyValue: "empty_value"
    case .tooLarge: "too_large"
    case .tooDeep: "too_deep"
    case .invalidJSON: "invalid_json"
    case .invalidUTF8: "invalid_utf8"
    case .invalidProtobuf: "invalid_protobuf"
    case .unsupportedContentType: "unsupported_content_type"
    case .missingField: "missing_field"
    case .wrongType: "wrong_type"
    case .outOfRange: "out_of_range"
    case .unknownType: "unknown_type"
    case .invalidTime: "invalid_time"
    case .timeOutOfRange: "time_out_of_range"
    case .keyMismatch: "key_mismatch"
    case .misplaced: "misplaced"
    }
  }
}

/// A record that could not be decoded. It holds no part of the record: what it names is a field and a code.
public struct DecodingError: Error, Equatable, Sendable {
  public var code: DeadLetterCode
  /// The field it is about, by its name on the wire; empty where none is.
  public var field: StaticString

  public init(_ code: DeadLetterCode, field: StaticString = "") {
    self.code = code
    self.field = field
  }

  public static func == (a: DecodingError, b: DecodingError) -> Bool {
    a.code == b.code && a.field.description == b.field.description
  }
}
