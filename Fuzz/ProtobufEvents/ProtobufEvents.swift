import Borrowers
import CFuzzer
import FuzzProperty

/// libFuzzer over values of borrower events and industry indicators in Protobuf.
@main
enum ProtobufEvents {
  static func main() {
    var count = CommandLine.argc
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe CommandLine.unsafeArgv
    _ = unsafe LLVMFuzzerRunDriver(&count, &arguments, fuzzProtobufEvent)
  }
}

@c(LLVMFuzzerTestOneInput)
public func fuzzProtobufEvent(_ data: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
  unsafe DecoderProperty.check(UnsafeBufferPointer(start: data, count: size), .protobuf)
  return 0
}
