//! The memory that the allocator keeps.

/// What of its environment lets a process give back all that is free: without it, the allocator of the GNU C library keeps some of what
/// was freed at hand, all over the heap, mallopt(3). Others do not know it.
pub(crate) const SPARING: &[u8] = b"GLIBC_TUNABLES=glibc.malloc.tcache_count=0";

/// Gives what is free back to the kernel, malloc_trim(3): before a process waits for long that has done its work.
pub(crate) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes a number, and gives back only pages that the allocator has not given to anybody.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
