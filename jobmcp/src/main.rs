//! The `jobmcp` program. All of its code is in the library of this crate.

fn main() -> std::process::ExitCode {
    jobmcp::main()
}
