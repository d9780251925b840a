//! The shell's way to background jobs. Everything is in the library beside it.

#![cfg_attr(all(target_os = "linux", target_env = "gnu"), no_main)]

/// What the C library calls. That of glibc has told the standard library the arguments before.
// SAFETY: no other function of this program has the name, and the C library calls it once, with arguments that it does not need.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[unsafe(no_mangle)]
extern "C" fn main() -> std::ffi::c_int {
    jobcore::front::process::run(jobcli::main)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() -> std::process::ExitCode {
    jobcli::main()
}
