//! The kernel counts for each control group what it kills because memory ran out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::{JOBCLI, Ran, TestEnv, send, wait_for};

/// A control group with little memory. It is removed once it is empty.
struct Small(PathBuf);

impl Small {
    /// Makes one inside a group of this process, of the old or the new kind; `None` if that is not permitted.
    fn make() -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let made = groups.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, group) = rest.split_once(':')?;
            let (mount, limit) = match controllers {
                "" => ("/sys/fs/cgroup", "memory.max"),
                "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                _ => return None,
            };
            let name = format!("jobcore-test-{}", std::process::id());
            let path = Path::new(mount).join(group.trim_start_matches('/')).join(name);
            fs::create_dir(&path).ok()?;
            // Opened without creating it: a directory that is not a control group, or has no such limit, has no such
            // file.
            let limited = fs::OpenOptions::new().write(true).open(path.join(limit));
            let written = limited.and_then(|mut file| std::io::Write::write_all(&mut file, b"64M"));
            match written {
                Ok(()) => Some(Self(path)),
                Err(_) => {
                    let _ = fs::remove_dir(&path);
                    None
                }
            }
        });
        if made.is_none() {
            crate::needs::say_skipped("no control group with little memory can be made");
        }
        made
    }

    /// jobcli with these arguments, in the group.
    fn jobcli(&self, env: &TestEnv, arguments: &[&str]) -> Command {
        let mut command = env.command("sh");
        command.args(["-c", "echo $$ > \"$GROUP/cgroup.procs\" && exec \"$@\"", "sh", JOBCLI]).args(arguments);
        command.env("GROUP", &self.0);
        command
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            wait_for("nothing to be left in the control group", || fs::remove_dir(&self.0).ok());
        }
    }
}

#[test]
fn a_command_that_the_kernel_kills_for_its_memory_is_recognised() {
    let Some(_) = crate::needs::program("python3") else { return };
    let Some(group) = Small::make() else { return };
    let env = TestEnv::new();
    let submit = |line: &str| Ran::of(group.jobcli(&env, &["run", line])).ok();
    let greedy = submit("exec python3 -c 'b\"x\" * 10**9'");
    assert_eq!(env.run(["wait", &greedy]).code, Some(128 + 9));
    let job = env.job(&greedy);
    assert_eq!((&job["status"], &job["cause"], &job["signal"]), (&"failed".into(), &"oom".into(), &"SIGKILL".into()));
    assert!(env.ok(["show", &greedy]).contains("memory ran out"), "{job}");

    // The kernel has killed in that group before, but did not kill this one.
    let killed = submit("exec sleep 1000");
    send(env.main_process(&killed), Signal::SIGKILL);
    assert_eq!(env.run(["wait", &killed]).code, Some(128 + 9));
    assert_eq!(env.job(&killed)["cause"], "signalled");

    // A supervisor that took over counts from then on.
    let line = "touch ready; while [ ! -e greedy ]; do sleep 0.02; done; exec python3 -c 'b\"x\" * 10**9'";
    let adopted = submit(line);
    wait_for("the command", || env.dir().join("ready").exists().then_some(()));
    env.replace_supervisor(&adopted);
    crate::background::touch(&env, "greedy");
    let code = env.run(["wait", &adopted]).code;
    let cause = env.job(&adopted)["cause"].clone();
    // Kernels before 6.15 do not report the exit code to a process that is not the parent.
    assert!((code, cause.as_str().unwrap()) == (Some(137), "oom") || code == Some(125), "{code:?} {cause}");
    drop(env);
}
