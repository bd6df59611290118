import Foundation

/// Why a file could not be used, in words for one line of an error.
enum FileProblem {
  static func reason(_ error: any Error) -> String {
    switch (error as? CocoaError)?.code {
    case .fileReadNoSuchFile, .fileNoSuchFile: return "no such file"
    case .fileReadNoPermission, .fileWriteNoPermission: return "permission denied"
    default: break
    }
    let code = (error as NSError).userInfo[NSUnderlyingErrorKey].flatMap { ($0 as? NSError)?.code }
    return code.map { reason(errno: Int32($0)) } ?? "it cannot be opened"
  }

  static func reason(errno code: Int32) -> String {
    unsafe String(cString: strerror(code)).lowercased()
  }
}
