//! `jobmcp` with the fixtures of the conformance suite.

fn main() -> std::process::ExitCode {
    jobmcp::main()
}
