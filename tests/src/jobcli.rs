//! `jobcli`, for the tests of this package.

fn main() -> std::process::ExitCode {
    jobcli::main()
}
