//! The memory that the allocator keeps.

/// Gives what is free back to the kernel, malloc_trim(3): before a process waits for long that has done its work.
pub(crate) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes a number, and gives back only pages that the allocator has not given to anybody.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
