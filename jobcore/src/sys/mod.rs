//! Everything that talks to the kernel. Each file offers one facility, named for its purpose, and hides the differences
//! between systems; callers need not know the system.
//!
//! Elsewhere, rustix and nix are used only for POSIX names and numbers that the standard library lacks, and for the
//! user's terminal. `tests/layers.rs` lists those files.

// In the order in which to read them:
// - `own.rs`, `user.rs`, `descriptor.rs`, `signals.rs`, `limits.rs`, `heap.rs`: this process and its user
// - `cpus.rs`, `io_priority.rs`, `confine.rs`: the limits given to a command
// - `cgroup.rs`: control groups that limit the memory of a whole job, or freeze it
// - `world.rs`, `namespace.rs`, `boot.rs`, `load.rs`: what a command inherits, how much of the machine is visible from
//   here, and how busy the machine is
// - `stat.rs`, `process.rs`, `members.rs`: which processes exist, how to identify one, and which belong together
// - `pausing.rs`: stopping all processes of a tree, and letting them continue
// - `child.rs`, `oom.rs`, `port.rs`, `reading.rs`: ends of children, out-of-memory kills, which process listens on a
//   port, and which waits for input
// - `spawn.rs`, `pty.rs`, `pipe.rs`: starting a command, its terminal and its pipes
// - `outlet.rs`: where a process that was started elsewhere writes to
// - `lock.rs`, `watch.rs`, `appear.rs`, `file.rs`: files
// - `ready.rs`, `alarm.rs`: waiting for any of these, and for a time of day

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
