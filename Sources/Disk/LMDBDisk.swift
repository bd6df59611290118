import Borrowers
import CLMDB
import Features
import Glibc

/// Borrowers moved out of memory, in an LMDB environment whose file has no name: it is unlinked as soon as it is open, so
/// nothing is left of it when the process ends, however it ends, and nobody else can open it. It is an extension of memory,
/// not a part of what is kept: nothing of it is synced.
///
/// One thread. What cannot be written stays in memory; what was written and cannot be read ends the process with a line,
/// and a restart restores it from the state topic.
@safe public final class LMDBDisk: BorrowerDisk {
  private let environment: OpaquePointer
  private let database: MDB_dbi
  /// Renewed for each read.
  private let reading: OpaquePointer

  /// Virtual addresses, neither memory nor disk: 256 GiB, as much as a partition's memory could hold.
  private static let mapBytes = 1 << 38

  public struct Failed: Error, CustomStringConvertible, Sendable {
    public var description: String
  }

  /// Makes the file in `directory`.
  public init(directory: String) throws(Failed) {
    let path = "\(directory)/borrowers-\(getpid())-\(UInt64.random(in: 0 ... .max)).moved"
    var environment: OpaquePointer?
    try Self.check(unsafe mdb_env_create(&environment), directory)
    guard let environment = unsafe environment else { preconditionFailure("LMDB made no environment") }
    var isOpen = false
    defer { if !isOpen { unsafe mdb_env_close(environment) } }
    let flags = UInt32(MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC | MDB_NOMETASYNC | MDB_NORDAHEAD | MDB_NOTLS)
    try Self.check(unsafe mdb_env_set_mapsize(environment, Self.mapBytes), directory)
    try Self.check(unsafe mdb_env_open(environment, path, flags, 0o600), directory)
    unsafe unlink(path)
    var transaction: OpaquePointer?
    try Self.check(unsafe mdb_txn_begin(environment, nil, 0, &transaction), directory)
    var database = MDB_dbi()
    let opened = unsafe mdb_dbi_open(transaction, nil, UInt32(MDB_INTEGERKEY), &database)
    if opened != 0 { unsafe mdb_txn_abort(transaction) }
    try Self.check(opened, directory)
    try Self.check(unsafe mdb_txn_commit(transaction), directory)
    var reading: OpaquePointer?
    try Self.check(unsafe mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &reading), directory)
    guard let reading = unsafe reading else { preconditionFailure("LMDB made no transaction") }
    unsafe mdb_txn_reset(reading)
    unsafe self.environment = environment
    self.database = database
    unsafe self.reading = reading
    isOpen = true
  }

  deinit {
    unsafe mdb_txn_abort(reading)
    unsafe mdb_env_close(environment)
  }

  private static func check(_ code: Int32, _ directory: String) throws(Failed) {
    guard code != 0 else { return }
    throw Failed(
      description: "state_directory \(directory): borrowers cannot move out of memory there: "
        + (unsafe String(cString: mdb_strerror(code))))
  }

  public func exchange(removing removed: [UInt32], adding added: [UInt32], bytes: (Int) -> [UInt8]) -> Bool {
    var transaction: OpaquePointer?
    guard unsafe mdb_txn_begin(environment, nil, 0, &transaction) == 0 else { return false }
    var code: Int32 = 0
    for number in removed where code == 0 {
      code = unsafe Self.withKey(number) { key in unsafe mdb_del(transaction, database, key, nil) }
      if code == MDB_NOTFOUND { code = 0 }
    }
    for (index, number) in added.enumerated() where code == 0 {
      var value = bytes(index)
      code = unsafe Self.withKey(number) { key in
        unsafe value.withUnsafeMutableBytes { bytes in
          var data = unsafe MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
          return unsafe mdb_put(transaction, database, key, &data, 0)
        }
      }
    }
    guard code == 0 else {
      unsafe mdb_txn_abort(transaction)
      return false
    }
    return unsafe mdb_txn_commit(transaction) == 0
  }

  public func read(_ number: UInt32, into buffer: inout ByteBuffer) {
    var data = unsafe MDB_val()
    var code = unsafe mdb_txn_renew(reading)
    if code == 0 { code = unsafe Self.withKey(number) { key in unsafe mdb_get(reading, database, key, &data) } }
    guard code == 0 else {
      fatalError(
        "lendpulse: a borrower moved out of memory cannot be read: \(unsafe String(cString: mdb_strerror(code)))")
    }
    if let start = unsafe data.mv_data {
      unsafe buffer.append(
        UnsafeBufferPointer(start: start.assumingMemoryBound(to: UInt8.self), count: data.mv_size))
    }
    unsafe mdb_txn_reset(reading)
  }

  private static func withKey(_ number: UInt32, _ body: (UnsafeMutablePointer<MDB_val>) -> Int32) -> Int32 {
    var number = number
    return unsafe withUnsafeMutableBytes(of: &number) { bytes in
      var key = unsafe MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
      return unsafe body(&key)
    }
  }
}
