import Glibc

/// The protocol of sd_notify: one datagram to the socket that `$NOTIFY_SOCKET` names. Without it nothing is sent.
struct ServiceNotification: Sendable {
  private let socketPath: String?

  init(environment: [String: String]) { socketPath = environment["NOTIFY_SOCKET"] }

  func ready(status: String) { send("READY=1\nSTATUS=\(status)") }
  func status(_ text: String) { send("STATUS=\(text)") }
  func stopping() { send("STOPPING=1\nSTATUS=finishing and leaving the group") }

  /// Best effort: a service manager that does not listen is no reason to fail.
  private func send(_ message: String) {
    guard let socketPath, let address = SocketAddress(socketPath) else { return }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    let bytes = Array(message.utf8)
    var (storage, count) = (address.storage, address.count)
    unsafe withUnsafePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { target in
        _ = unsafe sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), target, count)
      }
    }
  }

  /// A path, or an abstract name that begins with `@`.
  private struct SocketAddress {
    var storage = sockaddr_un()
    var count: socklen_t

    init?(_ path: String) {
      let bytes = Array(path.utf8)
      let room = MemoryLayout.size(ofValue: storage.sun_path)
      guard let first = bytes.first, bytes.count < room, [UInt8(ascii: "/"), UInt8(ascii: "@")].contains(first) else {
        return nil
      }
      storage.sun_family = sa_family_t(AF_UNIX)
      unsafe withUnsafeMutableBytes(of: &storage.sun_path) { target in
        unsafe target.copyBytes(from: bytes)
        if first == UInt8(ascii: "@") { unsafe target[0] = 0 }
      }
      let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
      // The zero behind a path counts, that behind an abstract name would be part of it.
      count = socklen_t(offset + bytes.count + (first == UInt8(ascii: "@") ? 0 : 1))
    }
  }
}
