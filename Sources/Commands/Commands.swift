/// Runs the command line; returns the exit status.
@inline(never) public func runCommandLine(_ arguments: [String]) -> Int32 { 0 }
