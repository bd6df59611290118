/// What a field was found to hold.
enum FieldValueKind: UInt8 {
  /// A run of input bytes that are the string.
  case plainString
  /// A run of input bytes between JSON's quotes with escapes, all of them valid.
  case escapedString
  case number
  case integer
  case bool
  case object
  case array
}

/// The values of a record's known fields, by field index (under 64), the last one of each. Kept until the record has
/// been read, since what they must be depends on its type, which may come last.
@safe struct FieldValues: ~Copyable {
  struct Value {
    var kind = FieldValueKind.bool
    var start: UInt32 = 0
    var count: UInt32 = 0
    /// A number's value; of an integer the bits, of a Boolean 0 or 1.
    var bits: UInt64 = 0
  }

  private let values: UnsafeMutablePointer<Value>
  private var present: UInt64 = 0

  init() {
    unsafe values = UnsafeMutablePointer<Value>.allocate(capacity: 64)
    unsafe values.initialize(repeating: Value(), count: 64)
  }

  deinit { unsafe values.deallocate() }

  @inline(__always) mutating func removeAll() { present = 0 }
  @inline(__always) mutating func remove(_ fields: UInt64) { present &= ~fields }
  @inline(__always) func isPresent(_ field: Int) -> Bool { present >> UInt64(field) & 1 == 1 }

  @inline(__always) subscript(field: Int) -> Value {
    assert(field >= 0 && field < 64)
    return unsafe values[field]
  }

  @inline(__always) mutating func set(_ field: Int, _ value: Value) {
    assert(field >= 0 && field < 64)
    unsafe values[field] = value
    present |= 1 << UInt64(field)
  }
}

extension FieldValues: @unchecked Sendable {}  // It owns its memory alone.

/// The fields of one kind of record: their names, and which of them holds an object of further fields.
struct FieldNames: Sendable {
  var table: NameTable
  /// The field whose object's fields are named by `nestedTable`; -1 where there is none.
  var nestedField = -1
  var nestedTable: NameTable
  /// What is added to an index of `nestedTable`.
  var nestedOffset = 0
  /// The nested fields, one bit each.
  var nestedMask: UInt64 = 0
}
