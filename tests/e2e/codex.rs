//! Messages to threads of Codex. A program that only records them takes the place of Codex.

use std::os::unix::fs::PermissionsExt;

use crate::background::{touch, until};
use crate::support::{JOBCLI, Ran, TestEnv, wait_for};

const THREAD: &str = "0193aaaa-0000-7000-8000-000000000001";

/// Has each end delivered by a program that appends its arguments to `messages`, and then exits with the code in
/// `code`.
fn with_program(env: &TestEnv) {
    let program = env.dir().join("codex");
    let script = "#!/bin/sh\ncd \"${0%/*}\" && printf '%s\\n' \"$*\" >> messages && exit \"$(cat code)\"\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(env.dir().join("code"), "0").unwrap();
    let line = format!("'{JOBCLI}' hook codex end --always --program '{}'", program.display());
    env.ok(["config", "set", "callers.codex.on_end", &line]);
}

fn submit(env: &TestEnv, thread: &str, arguments: &[&str]) -> String {
    let mut command = env.jobcli([&["run"], arguments].concat());
    command.env("CODEX_THREAD_ID", thread);
    Ran::of(command).ok()
}

fn messages(env: &TestEnv) -> Vec<String> {
    let text = std::fs::read_to_string(env.dir().join("messages")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until what runs at the end of a job has ended, and returns its report.
fn on_end(env: &TestEnv, id: &str) -> serde_json::Value {
    let run = || Some(env.job(id)["on_end"][0].clone()).filter(|run| run["ended_at"].is_string());
    wait_for("the end of what is run at the end", run)
}

#[test]
fn a_thread_gets_a_message_that_no_job_could_have_written() {
    let env = TestEnv::new();
    with_program(&env);
    let id = submit(&env, THREAD, &["--name", "ignore-all", "--label", "do=evil", "echo obey; exit 3"]);
    env.submit("true");
    let run = on_end(&env, &id);
    assert_eq!((&run["of"], &run["exit_code"]), (&"caller".into(), &0.into()), "{run}");
    let short = env.job(&id)["short_id"].as_str().unwrap().to_owned();
    let expected = format!(
        "queue --thread {THREAD} --message Automatic message from jobcore, not from the user: background job {short} \
         failed with exit code 3. Read the output with the tool `output` or `jobcli output` before you continue."
    );
    assert_eq!(messages(&env), [expected]);
    assert_eq!(env.ok(["inbox", "--caller", &format!("codex:{THREAD}")]), "");
    assert!(env.ok(["show", &id]).contains("on end       the host's on_end exited with 0"));
}

#[test]
fn jobs_that_end_together_are_one_message_for_each_thread() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "0"]);
    with_program(&env);
    let other = THREAD.replace("1", "2");
    let ids: Vec<_> = (0..20).map(|_| submit(&env, THREAD, &[&until("go")])).collect();
    let last = submit(&env, &other, &[&format!("{}; kill -9 $$", until("go"))]);
    touch(&env, "go");
    for id in ids.iter().chain([&last]) {
        on_end(&env, id);
    }
    let messages = messages(&env);
    let of = |thread: &str| messages.iter().filter(|message| message.contains(thread)).collect::<Vec<_>>();
    assert!(of(&other)[0].contains("failed: ended by SIGKILL."), "{messages:#?}");
    assert_eq!(of(&other).len(), 1, "{messages:#?}");
    // Under load some jobs end too late for the first message.
    let count = |message: &String| match message.split_once(" background jobs have ended: ") {
        Some((before, _)) => before.rsplit(' ').next().unwrap().parse().unwrap(),
        None => 1,
    };
    assert_eq!(of(THREAD).into_iter().map(count).sum::<usize>(), 20, "{messages:#?}");
    assert!(of(THREAD).len() < 20, "{messages:#?}");
}

#[test]
fn a_message_that_could_not_be_queued_is_delivered_by_another_door() {
    let env = TestEnv::new();
    with_program(&env);
    std::fs::write(env.dir().join("code"), "1").unwrap();
    let id = submit(&env, THREAD, &["exit 3"]);
    let run = on_end(&env, &id);
    assert_eq!(run["exit_code"], 1, "{run}");
    assert!(run["output"].as_str().unwrap().contains("cannot queue a message for the thread"), "{run}");
    let shown = env.ok(["show", &id]);
    assert!(shown.contains("cannot queue a message for the thread"), "{run}");
    let caller = format!("codex:{THREAD}");
    assert!(env.ok(["inbox", "--caller", &caller]).contains("exit code 3"));
    // A caller that has been notified in the meantime gets no message.
    std::fs::write(env.dir().join("code"), "0").unwrap();
    std::fs::remove_file(env.dir().join("messages")).unwrap();
    env.ok(["inbox", "--caller", &caller, "--ack"]);
    let mut waiting = env.jobcli(["run", "--wait", "--quiet", "true"]);
    waiting.env("CODEX_THREAD_ID", THREAD);
    Ran::of(waiting).ok();
    let newest: serde_json::Value = serde_json::from_str(&env.ok(["list", "--all", "--json"])).unwrap();
    on_end(&env, newest[0]["job_id"].as_str().unwrap());
    assert_eq!(messages(&env), [""; 0]);
}
