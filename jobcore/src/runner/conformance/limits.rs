//! How every runner applies the limits of a job.

use super::Bench;
use crate::error::Error;
use crate::spec::{Cpus, IoPriority, Limits};
use crate::state::Status;

/// Hard limits come right after the start, and with a runner whose jobs are its own children so do all others, so the
/// command waits for them.
pub async fn the_limits_of_a_job_apply_to_its_command(bench: &Bench) {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let own = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("it is there");
    let cpu = own.trim().parse::<Cpus>().expect("it is a list").iter().next().expect("it runs on one");
    let limits = Limits::default().with_nice(19).with_cpus(cpu.to_string().parse().expect("it is a list"));
    let limits = limits.with_memory(1 << 30).with_open_files(64).with_core(0).with_io(IoPriority::Idle);
    let waiting = "until [ \"$(ulimit -Hn) $(ulimit -Hd) $(ulimit -Hc)\" = '64 1048576 0' ]; do :; done";
    let confined = format!("until grep -q 'Cpus_allowed_list:\t{cpu}$' /proc/self/status; do :; done");
    let line = format!("{waiting}; {confined}; ulimit -Sn; ulimit -Sd; ulimit -Sc");
    let (job, _) = bench.finish(bench.shell(&line).limits(limits.clone())).await;
    assert_eq!(bench.output(&job, None).await, "64\n1048576\n0\n");
    assert_eq!(job.spec.limits, limits);
    // The 19th field of proc_pid_stat(5) is the niceness.
    let line = "until [ \"$(cut -d ' ' -f 19 /proc/self/stat)\" = 19 ]; do :; done";
    let (job, _) = bench.finish(bench.shell(line).limits(Limits::default().with_nice(19))).await;
    assert_eq!(job.status(), Status::Completed);
}

/// Nothing is left behind.
pub async fn limits_that_cannot_be_applied_are_refused(bench: &Bench) {
    let refused = [
        (Limits::default().with_cpus("1000-1023".parse().expect("it is a list")), "cpus"),
        (Limits::default().with_open_files(1 << 62), "open_files"),
    ];
    for (limits, limit) in refused {
        let spec = bench.shell("true").limits(limits).build().expect("some machine could give them");
        let error = bench.jobs.submit(spec).await.expect_err("this one cannot");
        assert!(matches!(error, Error::InvalidSpec { field, .. } if field == limit), "{error}");
    }
}
