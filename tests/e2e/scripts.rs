//! The example scripts do what they promise when they are copied elsewhere.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::background::{Background, touch, until};
use crate::needs;
use crate::support::{self, Ran, TestEnv, installed, wait_for};

/// A script from the examples, not yet run.
fn script(env: &TestEnv, name: &str, arguments: &[&str]) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/scripts").join(name);
    let mut command = installed(env, path.to_str().unwrap());
    command.args(arguments).env("TMPDIR", env.dir());
    command
}

/// Whether all of these programs are installed.
fn needs(programs: &[&str]) -> bool {
    programs.iter().all(|name| needs::program(name).is_some())
}

/// All jobs, newest first.
fn jobs(env: &TestEnv) -> Vec<serde_json::Value> {
    serde_json::from_str(&env.ok(["list", "--all", "--json"])).unwrap()
}

#[test]
fn the_dev_server_is_started_once_and_found_later() {
    if !needs(&["python3", "curl"]) {
        return;
    }
    let env = TestEnv::new();
    fs::write(env.dir().join("index.html"), "the page\n").unwrap();
    let first = Ran::of(script(&env, "dev-server.sh", &[]));
    assert!(first.code == Some(0) && first.stdout.ends_with("\nthe page\n"), "{first}");
    let second = Ran::of(script(&env, "dev-server.sh", &[]));
    assert!(second.code == Some(0) && second.stdout.starts_with("it is already running\n"), "{second}");
    assert!(second.stdout.ends_with("\nthe page\n"), "{second}");
    assert_eq!(jobs(&env).len(), 1);
    let stop = Ran::of(script(&env, "dev-server.sh", &["stop"]));
    assert!(stop.code == Some(0) && stop.stdout.ends_with(": killed\n"), "{stop}");
    // A stopped server is no obstacle; a server that ends before it is ready is reported.
    support::script(&env.dir().join("bin/python3"), "#!/bin/sh\necho 'no such module'\n");
    let broken = Ran::of(script(&env, "dev-server.sh", &[]));
    assert!(broken.code == Some(1) && broken.stderr.ends_with("no such module\n"), "{broken}");
    assert_eq!(jobs(&env).len(), 2);
}

#[test]
fn the_build_loop_continues_until_the_build_passes() {
    if !needs(&["make", "cc"]) {
        return;
    }
    let env = TestEnv::new();
    fs::write(env.dir().join("Makefile"), "app: app.o\n").unwrap();
    fs::write(env.dir().join("app.c"), "int main(void) { return wrong; }\n").unwrap();
    let mut building = Background::spawn(script(&env, "build-loop.sh", &["app"]));
    let red: Vec<_> = std::iter::from_fn(|| building.line().filter(|line| !line.contains("***"))).collect();
    assert!(red.iter().any(|line| line.contains("app.c:1:25: error: ")), "{red:?}");
    fs::write(env.dir().join("app.c"), "int main(void) { return 0; }\n").unwrap();
    let rest: Vec<_> = std::iter::from_fn(|| building.line()).collect();
    assert_eq!(rest.last().map(String::as_str), Some("green"), "{rest:?}");
    assert_eq!(building.end().code(), Some(0));
    assert!(env.dir().join("app").exists());
    assert_eq!(jobs(&env).len(), 2);
}

#[test]
fn the_build_loop_ends_when_a_build_is_stopped() {
    if !needs(&["make"]) {
        return;
    }
    let env = TestEnv::new();
    fs::write(env.dir().join("Makefile"), "all:\n\techo begun; sleep 1000\n").unwrap();
    let mut building = Background::spawn(script(&env, "build-loop.sh", &[]));
    building.line().unwrap();
    env.ok(["wait", "--until", "output:^begun", "build"]);
    env.ok(["kill", "build"]);
    assert_eq!(building.end().code(), Some(1));
}

#[test]
fn the_repl_answers_fails_is_interrupted_and_ends() {
    if !needs(&["python3"]) {
        return;
    }
    let env = TestEnv::new();
    let ran = Ran::of(script(&env, "repl.sh", &[]));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
    let expected = "it says 42\nNameError: name 'no_such_name' is not defined\nand now 15\n>>> def triple(x):\n...     return 3 * x\n";
    assert!(ran.stdout.starts_with(expected), "{ran}");
    assert!(ran.stdout.contains("\nKeyboardInterrupt\n>>> triple(5)\n15\n"), "{ran}");
    assert_eq!((jobs(&env).len(), &jobs(&env)[0]["status"]), (1, &"completed".into()));
}

#[test]
fn fanned_out_jobs_are_reported_as_they_end() {
    let env = TestEnv::new();
    let line = format!("echo \"$1 at work\"; [ \"$1\" != b ] || exit 3; {}", until("go-$1"));
    let mut all = Background::spawn(script(&env, "fan-out.sh", &[&line, "a", "b", "c", "d", "e"]));
    assert_eq!(all.line().as_deref(), Some("b: failed"));
    assert_eq!(all.line().as_deref(), Some("b at work"));
    // Three run, and one waits until another has ended.
    wait_for("the fourth", || (env.status("d") == "running").then_some(()));
    assert_eq!(env.status("e"), "queued");
    for name in ["d", "a", "e", "c"] {
        touch(&env, &format!("go-{name}"));
        assert_eq!(all.line(), Some(format!("{name}: completed")));
    }
    assert_eq!(all.line().as_deref(), Some("1 of 5 failed"));
    assert_eq!((all.line(), all.end().code()), (None, Some(1)));

    assert!(!env.ok(["config", "get"]).contains("groups."), "{}", env.ok(["config", "get"]));

    let fine = Ran::of(script(&env, "fan-out.sh", &["true", "a", "b"]));
    assert!(fine.code == Some(0) && fine.stdout.ends_with("\n0 of 2 failed\n"), "{fine}");
}

/// Runs the script, and returns what it printed and the commands of its jobs, newest first.
fn workday(env: &TestEnv, arguments: &[&str]) -> (Ran, Vec<String>) {
    let ran = Ran::of(script(env, "workday.sh", arguments));
    assert_eq!(ran.code, Some(0), "{ran}");
    for expected in ["<h1>Hello from Python</h1>\n", "\nHello from C\n", ": killed\n", "\nnothing is left\n"] {
        assert!(ran.stdout.contains(expected), "{expected} is missing in:\n{ran}");
    }
    let jobs = jobs(env);
    let repl = jobs.iter().find(|job| job["command"] == "python3 -iq").unwrap();
    assert_eq!(env.ok(["output", "--stdout", repl["job_id"].as_str().unwrap()]), "Hi\n42");
    let left = fs::read_dir(env.dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| name.starts_with("tmp.")).collect::<Vec<_>>(), [""; 0], "{ran}");
    (ran, jobs.iter().map(|job| job["command"].as_str().unwrap().to_owned()).collect())
}

#[test]
fn a_day_of_work_goes_by_without_the_network() {
    if !needs(&["python3", "curl", "make", "cc"]) {
        return;
    }
    let (_, commands) = workday(&TestEnv::new(), &["--offline"]);
    assert_eq!(commands[..2], ["make && ./hello", "python3 -iq"]);
    assert_eq!(commands.len(), 3);
}

#[test]
fn a_day_of_work_goes_by() {
    let env = TestEnv::new();
    if !needs(&["python3", "curl", "make", "cc"]) || !needs::npm_registry(&env) {
        return;
    }
    let (ran, commands) = workday(&env, &[]);
    assert!(ran.stdout.contains("/@vite/client") && ran.stdout.contains("<h1>Hello from Vite</h1>\n"), "{ran}");
    assert_eq!(ran.stdout.matches(": killed\n").count(), 2, "{ran}");
    assert_eq!(commands[2..4], ["npm run dev", "npm install --engine-strict"]);
}
