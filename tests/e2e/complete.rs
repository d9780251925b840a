//! What a shell offers when Tab is pressed.

use nix::sys::signal::Signal;

use crate::needs;
use crate::support::{Ran, TestEnv, installed, is_alive, send, wait_for};
use crate::terminal::Screen;

/// Does in bash what bash itself does at a Tab after the last of `words`, and prints what it would offer.
const TAB: &str = r#"
source <(jobcli completions bash)
tab() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9 COMPREPLY=()
    local completer=$(complete -p jobcli)
    completer=${completer##*-F }
    "${completer%% *}" jobcli "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[@]}"
}
tab jobcli "$@"
"#;

/// Returns what bash offers, without flags: those are offered along with everything else if nothing has been typed yet.
fn tab(env: &TestEnv, words: &[&str]) -> Vec<String> {
    let mut bash = installed(env, "bash");
    bash.args(["-c", TAB, "bash"]).args(words);
    let ran = Ran::of(bash);
    assert_eq!((ran.stderr.as_str(), ran.code), ("", Some(0)), "{ran}");
    ran.stdout.lines().filter(|word| !word.is_empty() && !word.starts_with('-')).map(str::to_owned).collect()
}

fn short(id: &str) -> &str {
    &id[24..32]
}

#[test]
fn jobs_are_completed_by_name_and_id_the_newest_first() {
    let env = TestEnv::new();
    let old = env.ok(["run", "--wait", "--name", "web", "true"]);
    let server = env.ok(["run", "--name", "web", "sleep 1000"]);
    let ended = env.ok(["run", "--wait", "true"]);
    for verb in ["show", "status", "output", "tail", "wait", "rm", "logs"] {
        assert_eq!(tab(&env, &[verb, ""]), [short(&ended), "web", short(&server), short(&old)], "{verb}");
        assert_eq!(tab(&env, &[verb, "w"]), ["web"], "{verb}");
    }
    // An ended job cannot be stopped.
    assert_eq!(tab(&env, &["kill", ""]), ["web", short(&server)]);
    assert_eq!(tab(&env, &["kill", "--job_id", "we"]), ["web"]);
    // After other words, and by more of the id than is shown.
    assert_eq!(tab(&env, &["wait", "--any", short(&old), &old[24..33]]), [&old[24..]]);
    assert_eq!(tab(&env, &["status", "--active", &ended[24..29]]), [short(&ended)]);
}

#[test]
fn the_newest_are_offered_and_older_ones_once_an_id_is_typed() {
    let env = TestEnv::new();
    let oldest = env.submit("true");
    let submit = "for i in {1..100}; do \"$JOBCLI\" run true; done";
    let mut bash = env.command("bash");
    bash.args(["-c", submit]);
    let ran = Ran::of(bash);
    let newest: Vec<_> = ran.stdout.lines().rev().map(|id| short(id).to_owned()).collect();
    assert_eq!(tab(&env, &["show", ""]), newest);
    assert_eq!(tab(&env, &["show", short(&oldest)]), [short(&oldest)]);
}

#[test]
fn labels_groups_settings_and_statuses_are_completed() {
    let env = TestEnv::new();
    env.ok([
        "run",
        "--wait",
        "--label",
        "kind=server",
        "--label",
        "odd=a b*",
        "--label",
        "new",
        "--group",
        "web",
        "true",
    ]);
    env.ok(["group", "set", "heavy", "--limit", "1"]);
    assert_eq!(tab(&env, &["list", "--label", ""]), ["kind=server", "new"], "a shell would tear what is odd");
    assert_eq!(tab(&env, &["run", "--group", ""]), ["heavy"]);
    assert_eq!(tab(&env, &["group", "set", "h"]), ["heavy"]);
    assert_eq!(tab(&env, &["list", "--status", "c"]), ["completed"]);
    assert_eq!(tab(&env, &["config", "get", "groups."]), ["groups.heavy.limit"]);
    assert_eq!(tab(&env, &["config", "set", "max"]), ["max_running"]);
    assert_eq!(tab(&env, &["completions", "z"]), ["zsh"]);
}

#[test]
fn without_a_store_nothing_is_offered_made_or_reported() {
    let env = TestEnv::without_store();
    assert_eq!(tab(&env, &["show", ""]), [""; 0]);
    assert!(!env.store().exists());
    let other = env.dir().join("other");
    std::fs::create_dir(&other).unwrap();
    assert_eq!(tab(&env, &["--store", other.to_str().unwrap(), "kill", ""]), [""; 0]);
    assert_eq!(std::fs::read_dir(&other).unwrap().count(), 0, "a directory is not made a store");
    // The store that the line names counts.
    let id = env.submit("true");
    assert_eq!(tab(&env, &["--store", "/nosuch", "show", ""]), [""; 0]);
    assert_eq!(tab(&env, &["show", "--store", env.store().to_str().unwrap(), ""]), [short(&id)]);
    std::fs::write(env.dir().join("wrong.toml"), "nonsense").unwrap();
    assert_eq!(tab(&env, &["show", "--config", "wrong.toml", ""]), [""; 0]);
}

/// A Tab starts nothing: it only looks.
#[test]
fn a_due_job_stays_due() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let running = env.submit("sleep 1000");
    let queued = env.submit("touch started; sleep 1000");
    env.main_process(&running);
    // After the supervisor is killed, nothing takes care of the queue.
    let supervisor = env.supervisor(&running);
    send(supervisor, Signal::SIGKILL);
    wait_for("the supervisor to be gone", || (!is_alive(supervisor)).then_some(()));
    let supervisors = env.processes().len();
    assert_eq!(tab(&env, &["kill", ""]), [short(&queued), short(&running)]);
    assert_eq!(env.processes().len(), supervisors);
    env.ok(["kill", "--all", "--grace", "0s"]);
}

/// zsh loads the script at the first Tab, which must already be answered, not only the second.
#[test]
fn zsh_answers_the_first_tab() {
    let Some(_) = needs::program("zsh") else { return };
    let env = TestEnv::new();
    env.ok(["run", "--wait", "--name", "web", "true"]);
    let ran = Ran::of({
        let mut shell = installed(&env, "sh");
        shell.args(["-c", "mkdir functions && jobcli completions zsh > functions/_jobcli"]);
        shell
    });
    assert_eq!(ran.code, Some(0), "{ran}");
    for (name, way) in [("loaded", "fpath=(~/functions $fpath)"), ("sourced", "")] {
        let source = if way.is_empty() { "source <(jobcli completions zsh)" } else { "" };
        let begin =
            format!("PATH=~/bin:$PATH\n{way}\nautoload -Uz compinit\ncompinit -u -D\n{source}\nPS1='ready> '\n");
        std::fs::write(env.dir().join(".zshrc"), begin).unwrap();
        let Some(screen) = Screen::open(&env, name, "exec zsh -d") else { return };
        screen.until_shown("ready>");
        screen.press(&["jobcli show w", "Tab"]);
        screen.until_shown("jobcli show web");
    }
}

#[test]
fn fish_offers_jobs() {
    let Some(_) = needs::program("fish") else { return };
    let env = TestEnv::new();
    env.ok(["run", "--wait", "--name", "web", "true"]);
    let mut fish = installed(&env, "fish");
    fish.args(["--no-config", "-c", "jobcli completions fish | source; complete --do-complete 'jobcli show w'"]);
    assert_eq!(Ran::of(fish).ok(), "web\tcompleted true");
}

/// zsh and fish also get a description of each candidate.
#[test]
fn every_shell_is_answered_in_its_own_format() {
    let env = TestEnv::new();
    env.ok(["run", "--wait", "--name", "web", "true # \x1b[31m\nred"]);
    let told = |shell: &str, expected: &str| {
        let mut command = env.jobcli(["--", "jobcli", "show", "w"]);
        command.env("JOBCLI_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", "2");
        let ran = Ran::of(command);
        assert_eq!((ran.stdout.as_str(), ran.code), (expected, Some(0)), "{shell}: {ran}");
    };
    told("fish", "web\tcompleted true # \\u{1b}[31m⏎red\n");
    told("zsh", "web:completed true # \\\\u{1b}[31m⏎red");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = env.ok(["completions", shell]);
        assert!(script.contains("JOBCLI_COMPLETE") && script.contains("jobcli"), "{shell}");
    }
    // The program also works if such a variable is set for another reason.
    let mut command = env.jobcli(["list", "--count"]);
    command.env("JOBCLI_COMPLETE", "");
    assert_eq!(Ran::of(command).code, Some(0));
}

#[test]
fn agents_are_completed_with_those_that_are_declared() {
    let env = TestEnv::new();
    std::fs::write(env.dir().join("config.toml"), "[agents.mine]\nedit = []\n").unwrap();
    let config = ["--config", "config.toml", "delegate"];
    let words = |more: [&'static str; 2]| [config.as_slice(), &more].concat();
    assert_eq!(tab(&env, &words(["--agent", ""])), ["claude", "codex", "gemini", "mine", "opencode"]);
    assert_eq!(tab(&env, &words(["--permission-mode", "r"])), ["read_only"]);
    env.ok(["run", "--wait", "--name", "other", "true"]);
    assert_eq!(tab(&env, &words(["--resume", "o"])), ["other"]);
}
