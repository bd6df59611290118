import CCrypto

/// A SHA-256 in the making: owns libcrypto's context.
@safe public struct SHA256: ~Copyable {
  private let context: OpaquePointer

  public init() {
    guard let context = unsafe EVP_MD_CTX_new(), unsafe EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
      fatalError("libcrypto has no SHA-256")
    }
    unsafe self.context = context
  }

  deinit { unsafe EVP_MD_CTX_free(context) }

  public mutating func update(_ bytes: [UInt8]) {
    let done = unsafe bytes.withUnsafeBytes { unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
    precondition(done == 1, "libcrypto could not hash")
  }

  /// 64 lower-case hex digits.
  public consuming func finish() -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    let done = unsafe digest.withUnsafeMutableBufferPointer {
      unsafe EVP_DigestFinal_ex(context, $0.baseAddress, nil)
    }
    precondition(done == 1, "libcrypto could not hash")
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in digest {
      text.append(digits[Int(byte >> 4)])
      text.append(digits[Int(byte & 15)])
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// The 32 bytes of the digest of `salt` and `bytes`; neither is long.
  public static func digest(salt: [UInt8], _ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    let input = unsafe salt + bytes
    var digest = [UInt8](repeating: 0, count: 32)
    let done = unsafe digest.withUnsafeMutableBufferPointer {
      unsafe EVP_Digest(input, input.count, $0.baseAddress, nil, EVP_sha256(), nil)
    }
    precondition(done == 1, "libcrypto could not hash")
    return digest
  }

  public static func hex(of bytes: [UInt8]) -> String {
    var hash = SHA256()
    hash.update(bytes)
    return hash.finish()
  }
}
