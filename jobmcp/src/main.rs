//! Background jobs for coding agents. Everything is in the library beside it.

fn main() -> std::process::ExitCode {
    jobmcp::main()
}
