//! Codex, Gemini CLI and opencode are woken when jobs end: the real programs, with simulated models.

use std::fs::File;

use serde_json::json;

use crate::agents::{Agent, CODEX};
use crate::background::{touch, until};
use crate::models::Models;
use crate::sessions::{Session, goes_on_when_its_job_ends, path, plugin, report_latency, told, turns};
use crate::support::{JOBCLI, Ran, TestEnv, wait_for};

/// Installs the plugin of this repository, whose hooks are trusted by `--dangerously-bypass-hook-trust`.
fn install(env: &TestEnv, codex: &Agent) {
    let run = |arguments: &[&str]| {
        let mut command = env.command(&codex.program);
        command.args(arguments).env("PATH", path(env));
        let ran = Ran::of(command);
        assert_eq!(ran.code, Some(0), "{ran}");
    };
    let repository = format!("{}/..", env!("CARGO_MANIFEST_DIR"));
    run(&["plugin", "marketplace", "add", &repository]);
    run(&["plugin", "add", "jobcore@jobcore"]);
}

/// Has the threads of Codex notified by a message.
fn queue_messages(env: &TestEnv, codex: &Agent) {
    let (home, program) = (env.dir().display(), codex.program.display());
    let line = format!("HOME='{home}' '{JOBCLI}' hook codex end --program '{program}'");
    env.ok(["config", "set", "callers.codex.on_end", &line]);
}

/// Has a session of Codex submit this job, and returns its name in that session.
fn submit(name: &str) -> String {
    format!("shell {JOBCLI} run --name {name} '{}; exit 3'\nsay it runs", until(name))
}

#[test]
fn a_run_of_codex_continues_when_its_job_ends() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(codex) = Agent::codex(&env, &models) else { return };
    install(&env, &codex);
    let call = json!({ "command": format!("{}; exit 3", until("build")), "name": "build", "wait_s": 0 });
    let arguments = ["--dangerously-bypass-hook-trust", "--dangerously-bypass-approvals-and-sandbox"];
    let prompt = format!("call jobs.execute {call}\nsay it runs");
    let mut command = codex.asked(&env, &[&CODEX[..], &arguments].concat(), &prompt);
    command.env("PATH", path(&env)).env("JOBCORE_STORE", env.store());
    goes_on_when_its_job_ends(&env, &models, command);
    assert!(env.job("build")["caller"].as_str().unwrap().starts_with("codex:"));
}

#[test]
fn an_idle_codex_takes_a_turn_when_its_job_ends() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(codex) = Agent::codex(&env, &models) else { return };
    queue_messages(&env, &codex);
    let configuration = env.dir().join(".codex/config.toml");
    let trusted = format!("\n[projects.\"{}\"]\ntrust_level = \"trusted\"\n", env.dir().display());
    std::fs::write(&configuration, std::fs::read_to_string(&configuration).unwrap() + &trusted).unwrap();
    let arguments = ["--dangerously-bypass-approvals-and-sandbox", &submit("build")];
    let session = Session::start(&env, &codex, &arguments, &[]);
    session.shows("it runs");
    touch(&env, "build");
    let woken = told(&models, "Automatic message from jobcore");
    let id = &env.job("build")["short_id"];
    assert!(woken.contains(&format!("background job {} failed with exit code 3", id.as_str().unwrap())), "{woken}");
    assert!(!woken.contains("build"), "{woken}");
    assert_eq!(env.ok(["inbox", "--caller", env.job("build")["caller"].as_str().unwrap()]), "");
    session.end();
    assert_eq!(turns(&models, "Automatic message from jobcore"), 1);
    report_latency(&env, &models, "build", "Automatic message from jobcore");
}

#[test]
fn a_closed_codex_is_left_alone_until_it_continues() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(codex) = Agent::codex(&env, &models) else { return };
    install(&env, &codex);
    queue_messages(&env, &codex);
    let asked = |more: &[&str], prompt: &str| {
        let arguments = ["--dangerously-bypass-hook-trust", "--dangerously-bypass-approvals-and-sandbox"];
        let mut command = codex.asked(&env, &[&CODEX[..], &arguments, more].concat(), prompt);
        command.env("PATH", path(&env)).env("JOBCORE_STORE", env.store());
        let ran = Ran::of(command);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran
    };
    // A job with a port is a server, which is not waited for.
    let serve = "import os, socket, time\ns = socket.socket()\ns.bind((\"127.0.0.1\", 0))\ns.listen()\nopen(\"up\", \"w\").close()\n\
                 while not os.path.exists(\"build\"):\n    time.sleep(0.05)\nraise SystemExit(3)\n";
    std::fs::write(env.dir().join("serve.py"), serve).unwrap();
    let prompt =
        format!("shell {JOBCLI} run --name build python3 serve.py; until [ -e up ]; do sleep 0.05; done\nsay it runs");
    asked(&[], &prompt);
    touch(&env, "build");
    env.run(["wait", "--quiet", "build"]);
    let on_end = || env.job("build")["on_end"][0]["output"].as_str().map(str::to_owned);
    let noted = wait_for("the end of what is run at the end", on_end);
    assert!(noted.contains("no Codex is open on a terminal"), "{noted}");
    assert_eq!(turns(&models, "exit code 3"), 0);
    asked(&["resume", "--last"], "say good morning");
    let recap = models.heard().into_iter().find(|heard| heard.said.contains("failed with exit code 3"));
    assert!(recap.is_some(), "{:#?}", models.heard());
}

#[test]
fn a_run_of_gemini_cli_continues_when_its_job_ends() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(gemini) = Agent::gemini(&env, &models) else { return };
    let agree = env.dir().join("agree");
    std::fs::write(&agree, "y\n").unwrap();
    let mut command = env.command(&gemini.program);
    command.args(["extensions", "install", "--consent", "--skip-settings", &plugin("gemini-cli")]);
    command.envs(gemini.variables.iter().cloned()).stdin(File::open(agree).unwrap());
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(0), "{ran}");
    std::fs::write(env.dir().join(".git"), "").unwrap();
    let mut command = gemini.asked(&env, &["--yolo", "--skip-trust"], &submit("build"));
    command.env("PATH", path(&env)).env("JOBCORE_STORE", env.store());
    goes_on_when_its_job_ends(&env, &models, command);
    assert!(env.job("build")["caller"].as_str().unwrap().starts_with("gemini-cli:/"));
}

#[test]
fn an_idle_opencode_takes_a_turn_when_its_job_ends() {
    let (env, models) = (TestEnv::new(), Models::start());
    let Some(opencode) = Agent::opencode(&env, &models) else { return };
    let plugins = env.dir().join(".config/opencode/plugin");
    std::fs::create_dir_all(&plugins).unwrap();
    std::fs::copy(plugin("opencode") + "/jobcore.js", plugins.join("jobcore.js")).unwrap();
    let session = Session::start(&env, &opencode, &["--prompt", &submit("build")], &[]);
    session.shows("it runs");
    touch(&env, "build");
    let woken = told(&models, "failed with exit code 3");
    assert!(woken.contains("Not an error") && woken.contains("build ("), "{woken}");
    assert!(env.job("build")["caller"].as_str().unwrap().starts_with("opencode:/"));
    session.end();
    assert_eq!(turns(&models, "failed with exit code 3"), 1);
    report_latency(&env, &models, "build", "failed with exit code 3");
}
