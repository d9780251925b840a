//! What talks to the kernel, so that nothing else has to. Each file offers one facility by what it is for, with the difference
//! between systems inside it; callers know no system. From the outside in:
//!
//! * this process: [`own`], [`user`], [`descriptor`], [`signals`], [`limits`]; [`world`] is what a command inherits of it,
//!   [`namespace`] the part of the machine that it sees, [`boot`] since when that runs;
//! * other processes: [`stat`] (which there are, and what they tell of themselves), [`process`] (who one is, its end, signals to
//!   it), [`members`] (which belong together), [`child`] (ends of its own children), [`oom`] and [`port`] (what else is known of them);
//! * starting one: [`spawn`], [`pty`], [`pipe`];
//! * files: [`lock`], [`watch`], [`appear`], [`file`];
//! * waiting for any of it: [`ready`].
//!
//! Outside of this folder nothing calls rustix or nix but for names and numbers of POSIX that the standard library lacks, and for
//! the terminal that a person sits at; `tests/layers.rs` has the list.

pub(crate) mod appear;
pub(crate) mod boot;
pub(crate) mod child;
pub(crate) mod descriptor;
pub(crate) mod file;
pub(crate) mod limits;
pub(crate) mod lock;
pub(crate) mod members;
pub(crate) mod namespace;
pub(crate) mod oom;
pub(crate) mod own;
pub(crate) mod pipe;
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod pty;
pub(crate) mod ready;
pub(crate) mod signals;
pub(crate) mod spawn;
pub(crate) mod stat;
pub(crate) mod user;
pub(crate) mod watch;
pub(crate) mod world;
