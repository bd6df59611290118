// Compiled without the processor flags of the other modules, so that an older CPU gets a message and not an illegal
// instruction: nothing but the check and one call stands here.
import CProcessor
import Commands
import Foundation

if !processor_is_supported() {
  FileHandle.standardError.write(
    Data("lendpulse: this CPU lacks AVX2, FMA or BMI2 (x86-64-v3), which lendpulse is built for\n".utf8))
  exit(2)
}
exit(runCommandLine(Array(CommandLine.arguments.dropFirst())))
