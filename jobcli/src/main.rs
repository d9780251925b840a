//! The `jobcli` program. All of its code is in the library of this crate.

#![cfg_attr(all(target_os = "linux", target_env = "gnu"), no_main)]

/// The entry point that the C library calls. glibc has already passed the arguments to the standard library.
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
