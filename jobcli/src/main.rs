//! The shell's way to background jobs. Everything is in the library beside it.

fn main() -> std::process::ExitCode {
    jobcli::main()
}
