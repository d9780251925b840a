//! The memory that the allocator keeps for itself.

/// The environment variable with which a process returns all free memory: without it, the allocator of the GNU C
/// library keeps some freed memory at hand, all over the heap, mallopt(3). Other allocators ignore it.
pub(crate) const SPARING: &[u8] = b"GLIBC_TUNABLES=glibc.malloc.tcache_count=0";

/// Returns free memory to the kernel, malloc_trim(3): before a process that has done its work waits for a long time.
pub(crate) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes a number, and returns only pages that the allocator has not handed out.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
