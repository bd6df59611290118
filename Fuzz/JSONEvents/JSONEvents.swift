import Borrowers
import CFuzzer
import FuzzProperty

/// libFuzzer over values of borrower events and industry indicators in JSON.
@main
enum JSONEvents {
  static func main() {
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe CommandLine.unsafeArgv
    _ = unsafe LLVMFuzzerRunDriver(&count, &arguments, fuzzJSONEvent)
  }
}

@c(LLVMFuzzerTestOneInput)
public func fuzzJSONEvent(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
  unsafe DecoderProperty.check(UnsafeBufferPointer(start: data, count: size), .json)
  return 0
}
