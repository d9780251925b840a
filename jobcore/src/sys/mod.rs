//! What talks to the kernel, so that nothing else has to. Each file offers one facility by what it is for, with the difference
//! between systems inside it; callers know no system.
//!
//! Elsewhere, rustix and nix serve for names and numbers of POSIX that the standard library lacks, and for the terminal that a
//! person sits at. `tests/layers.rs` has the list of those files.

// In the order in which to read them:
// - `own.rs`, `user.rs`, `descriptor.rs`, `signals.rs`, `limits.rs`, `heap.rs`: this process, and the user as whom it acts
// - `cpus.rs`, `io_priority.rs`, `confine.rs`: limits that a command is given
// - `cgroup.rs`: control groups, which limit the memory of a whole job and let it stand still
// - `world.rs`, `namespace.rs`, `boot.rs`, `load.rs`: what a command inherits, what of the machine is seen from here, and how
//   busy that is
// - `stat.rs`, `process.rs`, `members.rs`: which processes there are, who one is, and which belong together
// - `pausing.rs`: stopping all of a tree, and letting it continue
// - `child.rs`, `oom.rs`, `port.rs`, `reading.rs`: ends of children, kills for want of memory, who listens, and who waits for
//   its input
// - `spawn.rs`, `pty.rs`, `pipe.rs`: starting a command, its terminal and its pipes
// - `outlet.rs`: where a process writes to that was started elsewhere
// - `lock.rs`, `watch.rs`, `appear.rs`, `file.rs`: files
// - `ready.rs`, `alarm.rs`: waiting for any of it, and for a time of day

pub(crate) mod alarm;
pub(crate) mod appear;
pub(crate) mod boot;
pub(crate) mod cgroup;
pub(crate) mod child;
pub(crate) mod confine;
mod cpus;
pub(crate) mod descriptor;
pub(crate) mod file;
pub(crate) mod heap;
mod io_priority;
pub(crate) mod limits;
pub(crate) mod load;
pub(crate) mod lock;
pub(crate) mod members;
pub(crate) mod namespace;
pub(crate) mod oom;
pub(crate) mod outlet;
pub(crate) mod own;
pub(crate) mod pausing;
pub(crate) mod pipe;
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod pty;
pub(crate) mod reading;
pub(crate) mod ready;
pub(crate) mod signals;
pub(crate) mod spawn;
pub(crate) mod stat;
pub(crate) mod user;
pub(crate) mod watch;
pub(crate) mod world;
