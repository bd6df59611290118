import Glibc

/// The default of `instance_id`: the host's name and the first slot of the state directory that no other process holds.
/// The slot's file stays locked for as long as this value lives, and the kernel frees it when the process dies, so that
/// a restarted process takes the same one again.
public final class InstanceSlot: Sendable {
  public struct SlotError: Error, CustomStringConvertible, Sendable {
    public var description: String
  }

  /// `<host>-<slot>`.
  public let instanceID: String
  private let descriptor: Int32

  public static let slotsMax = 1_000

  /// Takes the first free slot of `directory`, which must exist and be writable.
  public init(directory: String) throws(SlotError) {
    var taken: (slot: Int, descriptor: Int32)?
    for slot in 0..<Self.slotsMax {
      let path = "\(directory)/slot-\(slot)"
      let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
      guard descriptor >= 0 else {
        throw SlotError(
          description:
            "state_directory \(directory): cannot make slot-\(slot) (\(unsafe String(cString: strerror(errno))))"
            + "; make the directory and let this user write to it, or set instance_id")
      }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
        taken = (slot, descriptor)
        break
      }
      close(descriptor)
    }
    guard let taken else {
      throw SlotError(description: "state_directory \(directory): all \(Self.slotsMax) slots are held; set instance_id")
    }
    descriptor = taken.descriptor
    instanceID = "\(Self.hostName)-\(taken.slot)"
  }

  deinit { close(descriptor) }

  /// The name up to its first dot, with what a transactional id should not hold replaced by `-`.
  private static var hostName: String {
    var bytes = [CChar](repeating: 0, count: 256)
    guard unsafe gethostname(&bytes, bytes.count - 1) == 0 else { return "host" }
    let name = bytes.prefix { $0 != 0 && $0 != CChar(UInt8(ascii: ".")) }.map { byte -> Character in
      let scalar = Unicode.Scalar(UInt8(bitPattern: byte))
      return scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil || scalar == "-")
        ? Character(scalar) : "-"
    }
    return name.isEmpty ? "host" : String(name)
  }
}
