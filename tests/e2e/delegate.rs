//! Coding agents as jobs, with a script in the place of an agent's CLI: what the agent gets and finds, and what is
//! refused before it is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Ran, TestEnv, script, wait_for};

/// Records what it gets in a directory of its own, and prints what Claude Code would. The prompt says what a test wants
/// it to do.
const FAKE: &str = r#"#!/bin/bash
dir=$RECORD/$JOBCORE_JOB_ID
mkdir -p "$dir"
trap 'echo INT >> "$dir/signals"; exit 0' INT
printf '%s\n' "$@" > "$dir/argv"
cat > "$dir/stdin"
env > "$dir/environment"
pwd > "$dir/part"
mv "$dir/part" "$dir/cwd"
case $(head -c 100 "$dir/stdin" | tr -d '\0') in
    hang*) sleep 1000 & wait ;;
    delegate*) "$JOBCLI" delegate 'one more' 2>&1 ;;
    forget*) env -u JOBCORE_AGENT_DEPTH -u JOBCORE_JOB_ID "$JOBCLI" delegate 'one more' 2>&1 ;;
    commit*) echo "$JOBCORE_JOB_ID" > work.txt; git add . && git commit --quiet -m work ;;
esac
echo '{"type":"result","subtype":"success","is_error":false,"result":"done","session_id":"109a7d28-e02b-4042-ab7c-251fa9834d6e"}'
"#;

/// The author of the commits.
pub(crate) const AUTHOR: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "a"),
    ("GIT_AUTHOR_EMAIL", "a@example.com"),
    ("GIT_COMMITTER_NAME", "a"),
    ("GIT_COMMITTER_EMAIL", "a@example.com"),
];

/// An environment with an agent called claude that is logged in.
pub(crate) struct Agents {
    pub(crate) env: TestEnv,
}

impl Agents {
    pub(crate) fn new() -> Self {
        let env = TestEnv::new();
        for directory in ["bin", "record", "work"] {
            std::fs::create_dir(env.dir().join(directory)).unwrap();
        }
        script(&env.dir().join("bin/claude"), FAKE);
        let agents = Self { env };
        agents.ok(["config", "set", "agents.per_minute", "0"]);
        agents
    }

    pub(crate) fn command<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.env.jobcli(words);
        let others = std::env::var_os("PATH").unwrap_or_default();
        let bin = self.env.dir().join("bin");
        let path = std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&others))).unwrap();
        command
            .env("PATH", path)
            .env("RECORD", self.env.dir().join("record"))
            .env("ANTHROPIC_API_KEY", "key")
            .envs(AUTHOR)
            .current_dir(self.env.dir().join("work"));
        command
    }

    pub(crate) fn run<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Ran {
        Ran::of(self.command(words))
    }

    pub(crate) fn ok<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        self.run(words).ok()
    }

    /// Waits for a run, and returns its id.
    pub(crate) fn done<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(0), "{ran}");
        told_id(&ran)
    }

    /// Checks that the command is refused with this code and these words, and that nothing is on record.
    pub(crate) fn refused(&self, command: Command, code: i32, expected: &str) {
        let before = self.jobs();
        let ran = Ran::of(command);
        assert!(ran.code == Some(code) && ran.stderr.contains(expected), "{expected}:\n{ran}");
        assert_eq!(self.jobs(), before);
    }

    /// The ids of all jobs on record.
    pub(crate) fn jobs(&self) -> Vec<String> {
        let jobs: Vec<serde_json::Value> = serde_json::from_str(&self.ok(["list", "--all", "--json"])).unwrap();
        jobs.iter().map(|job| job["job_id"].as_str().unwrap().to_owned()).collect()
    }

    /// Returns what an agent recorded, once it has done so.
    pub(crate) fn record(&self, id: &str, what: &str) -> String {
        // The last record that it writes at its start.
        wait_for("the agent", || self.record_path(id, "cwd").exists().then_some(()));
        std::fs::read_to_string(self.record_path(id, what)).unwrap()
    }

    pub(crate) fn record_path(&self, id: &str, what: &str) -> PathBuf {
        self.env.dir().join("record").join(id).join(what)
    }

    pub(crate) fn argv(&self, id: &str) -> Vec<String> {
        self.record(id, "argv").lines().map(str::to_owned).collect()
    }

    pub(crate) fn spec(&self, id: &str) -> serde_json::Value {
        self.env.records(id).submission()["spec"].clone()
    }

    /// A repository with one commit.
    pub(crate) fn repository(&self) -> PathBuf {
        let repository = self.env.dir().join("repository");
        std::fs::create_dir_all(repository.join("sub")).unwrap();
        std::fs::write(repository.join("sub/file"), "text\n").unwrap();
        for words in [vec!["init", "--quiet"], vec!["add", "."], vec!["commit", "--quiet", "-m", "first"]] {
            self.git(&repository, &words);
        }
        repository
    }

    /// Delegates in a worktree, and returns the path of the worktree.
    pub(crate) fn worktree(&self, repository: &Path, name: &str, prompt: &str) -> PathBuf {
        let path = repository.to_str().unwrap();
        self.done(["delegate", "--wait", "--worktree", "--name", name, "--cwd", path, prompt]);
        self.env.dir().join("repository-worktrees").join(name)
    }

    pub(crate) fn git(&self, directory: &Path, words: &[&str]) -> String {
        let mut git = self.env.command("git");
        git.envs(AUTHOR).arg("-C").arg(directory).args(words);
        let ran = Ran::of(git);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.stdout.trim().to_owned()
    }
}

/// The id that is printed on standard error, because standard output is for the answer.
pub(crate) fn told_id(ran: &Ran) -> String {
    let id = ran.stderr.lines().find_map(|line| line.strip_prefix("job "));
    id.unwrap_or_else(|| panic!("{ran}")).to_owned()
}

#[test]
fn an_agent_gets_what_was_asked() {
    let agents = Agents::new();
    let command = [
        "delegate",
        "--model",
        "opus",
        "--effort",
        "high",
        "--max-turns",
        "3",
        "--max-budget",
        "1.5",
        "--allow-tool",
        "Bash(git *)",
        "--system-prompt",
        "-Be brief.",
        "--timeout",
        "1h",
        "--name",
        "fix",
        "--label",
        "a=b",
        "--wait",
        "fix \"it\"",
    ];
    let id = agents.done(command);
    assert_eq!(
        agents.argv(&id),
        [
            "--print",
            "--output-format=stream-json",
            "--verbose",
            "--permission-mode=acceptEdits",
            "--allowedTools=Bash(git *)",
            "--model=opus",
            "--effort=high",
            "--max-turns=3",
            "--max-budget-usd=1.5",
            "--append-system-prompt=-Be brief.",
        ]
    );
    assert_eq!(agents.record(&id, "stdin"), "fix \"it\"");
    let work = agents.env.dir().join("work").canonicalize().unwrap();
    assert_eq!(agents.record(&id, "cwd").trim(), work.to_str().unwrap());
    assert_eq!(agents.ok(["output", &id]), "done");
    assert!(agents.ok(["output", "--raw", &id]).contains("\"result\":\"done\""));
    let spec = agents.spec(&id);
    assert_eq!((&spec["name"], &spec["group"], &spec["labels"]["a"]), (&"fix".into(), &"agents".into(), &"b".into()));
    assert_eq!((&spec["output_limit"], &spec["timeout_ms"]), (&(256 << 20).into(), &3_600_000.into()));
    assert_eq!((&spec["agent"]["agent"], &spec["agent"]["prompt"]), (&"claude".into(), &"fix \"it\"".into()));
    let json: serde_json::Value = serde_json::from_str(&agents.ok(["delegate", "--json", "--wait", "x"])).unwrap();
    assert_eq!(json["status"], "completed");
}

#[test]
fn prompts_arrive_byte_for_byte() {
    let agents = Agents::new();
    let long = "0123456789abcdef\n".repeat(62_000);
    let prompts = ["-x --help", "--", "a\0b", "'\"$(id)`\\\n\r\n\t🙂 é", "@no file", " /cost", long.as_str()];
    for (index, prompt) in prompts.into_iter().enumerate() {
        // Some of them cannot be an argument of jobcli either.
        let path = agents.env.dir().join(format!("prompt-{index}"));
        std::fs::write(&path, prompt).unwrap();
        let id = agents.done(["delegate", "--wait", &format!("@{}", path.display())]);
        assert!(agents.record(&id, "stdin") == prompt, "prompt {index}");
        let mut from_stdin = agents.command(["delegate", "--wait", "-"]);
        from_stdin.stdin(std::fs::File::open(&path).unwrap());
        let ran = Ran::of(from_stdin);
        assert!(agents.record(&told_id(&ran), "stdin") == prompt, "prompt {index}:\n{ran}");
    }
    // It would be a command of the CLI itself.
    let id = agents.done(["delegate", "--wait", "/cost"]);
    assert_eq!(agents.record(&id, "stdin"), "\n/cost");
    let id = agents.done(["delegate", "--wait", "--", "-x"]);
    assert_eq!(agents.record(&id, "stdin"), "-x");
    for (words, expected) in [
        (vec!["delegate", " \n"], "prompt: it is empty"),
        (vec!["delegate", "@nosuch"], "prompt `nosuch`: No such file"),
    ] {
        agents.refused(agents.command(words), 2, expected);
    }
    let latin = agents.env.dir().join("latin");
    std::fs::write(&latin, b"caf\xe9").unwrap();
    agents.refused(agents.command(["delegate", &format!("@{}", latin.display())]), 2, "not valid UTF-8");
}

#[test]
fn runs_that_cannot_work_are_refused_before_anything_starts() {
    let agents = Agents::new();
    let plain = || agents.command(["delegate", "x"]);
    let mut not_installed = plain();
    not_installed.env("PATH", "/usr/bin:/bin");
    agents.refused(not_installed, 4, "`npm install --global @anthropic-ai/claude-code` installs Claude Code");
    let mut not_executable = plain();
    not_executable.env("CLAUDE_CLI_PATH", "/etc/passwd");
    agents.refused(not_executable, 4, "`agents.claude.program` in the settings file says where it is");
    let mut not_logged_in = plain();
    not_logged_in.env_remove("ANTHROPIC_API_KEY");
    agents.refused(
        not_logged_in,
        4,
        ".claude/.credentials.json` nor ANTHROPIC_API_KEY exists; start `claude` and log in",
    );
    let mut codex = agents.command(["delegate", "--agent", "codex", "x"]);
    codex.env("CODEX_HOME", "/nosuch");
    script(&agents.env.dir().join("bin/codex"), FAKE);
    agents.refused(codex, 4, "`/nosuch/auth.json` nor CODEX_API_KEY exists; run `codex login`");
    agents.refused(agents.command(["delegate", "--cwd", "nosuch", "x"]), 1, "work/nosuch`: No such file");
    agents.refused(agents.command(["delegate", "--add-dir", "nosuch", "x"]), 2, "work/nosuch` is not a directory");
    agents.refused(
        agents.command(["delegate", "--agent", "nobody", "x"]),
        2,
        "use one of claude, codex, gemini, opencode",
    );
    agents.refused(agents.command(["delegate", "--schema", "{", "x"]), 2, "schema: EOF");
    agents.refused(agents.command(["delegate", "--resume", "nosuch", "x"]), 3, "no job matches `nosuch`");
    agents.refused(agents.command(["delegate", "--permission-mode", "all", "x"]), 2, "`read_only`, `edit` or `full`");
    let full = || agents.command(["delegate", "--permission-mode", "full", "x"]);
    agents.refused(full(), 4, "set `agents.full`");
    agents.ok(["config", "set", "agents.full", "true"]);
    let mut in_sandbox = full();
    in_sandbox.env("IS_SANDBOX", "1");
    if nix::unistd::geteuid().is_root() {
        agents.refused(full(), 4, "it refuses full permissions as root");
    }
    let ran = Ran::of(in_sandbox);
    assert!(agents.argv(ran.stdout.trim()).contains(&"--permission-mode=bypassPermissions".to_owned()), "{ran}");
}

#[test]
fn every_way_to_be_logged_in_is_accepted() {
    let agents = Agents::new();
    let without_key = || {
        let mut command = agents.command(["delegate", "x"]);
        command.env_remove("ANTHROPIC_API_KEY");
        command
    };
    let home = agents.env.dir().join(".claude");
    std::fs::create_dir(&home).unwrap();
    for (file, text) in [(".credentials.json", "{}"), ("settings.json", r#"{"apiKeyHelper": "x"}"#)] {
        std::fs::write(home.join(file), text).unwrap();
        let ran = Ran::of(without_key());
        assert_eq!(ran.code, Some(0), "{file}: {ran}");
        std::fs::remove_file(home.join(file)).unwrap();
    }
    for variable in ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN"] {
        let mut command = without_key();
        command.env(variable, "1");
        let ran = Ran::of(command);
        let id = ran.stdout.trim();
        assert!(agents.record(id, "environment").contains(&format!("{variable}=1\n")), "{ran}");
    }
    agents.refused(without_key(), 4, "it is not logged in");
}

#[test]
fn an_agent_finds_nothing_of_the_session_that_started_it() {
    let agents = Agents::new();
    let mut command = agents.command(["delegate", "--wait", "x"]);
    command.envs([
        ("CLAUDECODE", "1"),
        ("CLAUDE_CODE_SESSION_ID", "s"),
        ("CODEX_THREAD_ID", "t"),
        ("CODEX_HOME", "/c"),
    ]);
    let ran = Ran::of(command);
    let environment = agents.record(&told_id(&ran), "environment");
    let has = |name: &str| environment.lines().any(|line| line.starts_with(&format!("{name}=")));
    assert_eq!(
        ["CLAUDECODE", "CLAUDE_CODE_SESSION_ID", "CODEX_THREAD_ID", "CODEX_HOME", "ANTHROPIC_API_KEY"].map(has),
        [false, false, false, true, true],
        "{environment}"
    );
    assert!(environment.contains("JOBCORE_AGENT_DEPTH=1\n"), "{environment}");
}

#[test]
fn four_of_twenty_agents_run_at_a_time() {
    let agents = Agents::new();
    agents.ok(["config", "set", "max_running", "0"]);
    let mut queued = 0;
    for _ in 0..20 {
        let ran = agents.run(["delegate", "hang"]);
        assert_eq!(ran.code, Some(0), "{ran}");
        queued += usize::from(ran.stderr.starts_with("queued: 4 of 4 running in group agents"));
    }
    assert_eq!(queued, 16);
    let count = |status: &str| agents.ok(["list", "--all", "--status", status]).lines().count() - 1;
    assert_eq!((count("running"), count("queued")), (4, 16));
    agents.ok(["kill", "--all"]);
    assert_eq!(count("killed"), 20);
}

#[test]
fn the_seventh_within_a_minute_is_refused() {
    let agents = Agents::new();
    agents.ok(["config", "set", "agents.per_minute", "6"]);
    for _ in 0..6 {
        agents.ok(["delegate", "x"]);
    }
    agents.refused(agents.command(["delegate", "x"]), 4, "6 agents were started within a minute; try again in ");
}

#[test]
fn an_agent_starts_no_other_unless_the_settings_permit_it() {
    let agents = Agents::new();
    let delegate = |prompt: &str| {
        let id = agents.done(["delegate", "--wait", prompt]);
        (agents.ok(["output", "--raw", &id]), agents.jobs().len())
    };
    // Some agents start their tools without the variable that holds their depth.
    for (index, prompt) in ["delegate", "forget"].into_iter().enumerate() {
        let (output, jobs) = delegate(prompt);
        assert!(
            output.contains("an agent may not start another agent, unless the user sets `agents.depth`"),
            "{output}"
        );
        assert_eq!(jobs, index + 1);
    }
    agents.ok(["config", "set", "agents.depth", "2"]);
    for (index, prompt) in ["delegate", "forget"].into_iter().enumerate() {
        assert_eq!(delegate(prompt).1, 4 + 2 * index);
    }
}

#[test]
fn a_key_makes_delegating_idempotent() {
    let agents = Agents::new();
    let repository = agents.repository();
    for worktree in [None, Some("--worktree")] {
        let key = format!("key-{}", worktree.is_some());
        let words = |prompt| {
            ["delegate", "--cwd", repository.to_str().unwrap(), "--key", &key, prompt].into_iter().chain(worktree)
        };
        let first = agents.ok(words("x"));
        assert_eq!(agents.ok(words("x")), first);
        agents.refused(agents.command(words("y")), 4, "has another command or another directory");
    }
    assert_eq!(agents.git(&repository, &["worktree", "list"]).lines().count(), 2);
    // By then the branch exists; in another directory it is a different request.
    let on_branch = |cwd: &Path| {
        agents.command(["delegate", "--cwd", cwd.to_str().unwrap(), "--key", "b", "--worktree=feature", "x"])
    };
    let first = Ran::of(on_branch(&repository));
    assert_eq!(Ran::of(on_branch(&repository)).stdout, first.stdout, "{first}");
    agents.refused(on_branch(agents.env.dir()), 4, "has another command or another directory");
    // Prompts are also told apart if they have the same beginning.
    let long = |end: &str| format!("{}{end}", "x".repeat(1_000));
    agents.ok(["delegate", "--key", "long", &long("a")]);
    agents.refused(agents.command(["delegate", "--key", "long", &long("b")]), 4, "has another command");
}

#[test]
fn a_stop_begins_with_sigint_and_leaves_nothing() {
    let agents = Agents::new();
    let id = agents.ok(["delegate", "hang"]);
    agents.record(&id, "cwd");
    assert!(agents.ok(["kill", &id]).contains("killed"));
    assert_eq!(agents.record(&id, "signals"), "INT\n");
    assert_eq!(agents.env.status(&id), "killed");
    agents.env.wait_until_empty();
}

#[test]
fn settings_choose_the_agent_and_how_it_is_started() {
    let agents = Agents::new();
    let other = agents.env.dir().join("bin/other");
    script(&other, FAKE);
    let config = agents.env.dir().join("config.toml");
    let text = format!(
        "agent = 'mine'\npermission_mode = 'read_only'\n[agents.mine]\nprogram = '{}'\narguments = ['go']\n\
         read_only = ['--look']\nprompt_arguments = ['--', '{{}}']\n[agents.claude]\nmodel = 'sonnet'",
        other.display()
    );
    std::fs::write(&config, text).unwrap();
    let with = |words: &[&str]| {
        let mut command = agents.command(words.iter().copied());
        command.env("JOBCORE_CONFIG", &config);
        command
    };
    let ran = Ran::of(with(&["delegate", "--wait", "-x"]));
    assert_eq!(ran.code, Some(2), "a flag of its own: {ran}");
    let ran = Ran::of(with(&["delegate", "--wait", "--", "-x"]));
    assert_eq!(agents.argv(&told_id(&ran)), ["go", "--look", "--", "-x"]);
    assert_eq!(agents.record(&told_id(&ran), "stdin"), "");
    let ran = Ran::of(with(&["delegate", "--agent", "claude", "--wait", "x"]));
    let argv = agents.argv(&told_id(&ran));
    assert!(argv.contains(&"--model=sonnet".into()) && argv.contains(&"--permission-mode=dontAsk".into()), "{argv:?}");
    // As with claude-async.
    let mut command = with(&["delegate", "--agent", "claude", "--wait", "x"]);
    command
        .env("CLAUDE_CLI_PATH", &other)
        .env("CLAUDE_ASYNC_DEFAULT_MODEL", "opus")
        .env("CLAUDE_ASYNC_DEFAULT_EFFORT", "low")
        .env("CLAUDE_ASYNC_DEFAULT_CWD", agents.env.dir());
    let ran = Ran::of(command);
    let argv = agents.argv(&told_id(&ran));
    assert!(argv.contains(&"--model=opus".into()) && argv.contains(&"--effort=low".into()), "{argv:?}");
    assert_eq!(agents.record(&told_id(&ran), "cwd").trim(), agents.env.dir().canonicalize().unwrap().to_str().unwrap());
    assert!(agents.spec(&told_id(&ran))["command"]["argv"][0].as_str().unwrap().ends_with("/bin/other"));
    for (text, expected) in [
        ("permission_mode = 'full'", "`full` has to be requested for each run"),
        ("[agents.claude]\nformat = 'text'", "`agents.claude` in"),
        ("[agents.claude]\nmodell = 'x'", "unknown field `modell`"),
    ] {
        std::fs::write(&config, text).unwrap();
        let ran = Ran::of(with(&["delegate", "x"]));
        assert!(ran.code == Some(2) && ran.stderr.contains(expected), "{ran}");
    }
}

#[test]
fn a_conversation_continues_where_it_was() {
    let agents = Agents::new();
    let session = "109a7d28-e02b-4042-ab7c-251fa9834d6e";
    let work = agents.env.dir().to_str().unwrap().to_owned();
    let first = agents.done(["delegate", "--wait", "--name", "first", "--cwd", &work, "--resume", session, "x"]);
    assert!(agents.argv(&first).contains(&format!("--resume={session}")));
    let second = agents.done(["delegate", "--wait", "--resume", "first", "y"]);
    assert!(agents.argv(&second).contains(&format!("--resume={session}")));
    assert_eq!(agents.record(&second, "cwd"), agents.record(&first, "cwd"));
    agents.ok(["run", "--wait", "--name", "other", "true"]);
    agents.refused(agents.command(["delegate", "--resume", "other", "x"]), 4, "it is not an agent run");
    let running = agents.ok(["delegate", "--resume", session, "hang"]);
    agents.refused(agents.command(["delegate", "--resume", &running, "x"]), 4, "it is still running");
    // However it is named: two runs that resumed it would overwrite each other's work.
    for reference in ["first", session] {
        agents.refused(agents.command(["delegate", "--resume", reference, "x"]), 4, "it is using this conversation");
    }
    agents.ok(["kill", &running]);
    // It may do what it was permitted before, and no more unless more is asked for.
    let mut look = vec!["delegate", "--wait", "--permission-mode", "read_only", "--allow-tool", "Bash(git *)"];
    look.extend(["--max-turns", "3", "--max-budget", "0.5", "--model", "opus", "--name", "look", "x"]);
    agents.done(look);
    let argv = agents.argv(&agents.done(["delegate", "--wait", "--resume", "look", "--allow-tool", "Write", "y"]));
    for expected in ["permission-mode=dontAsk", "allowedTools=Bash(git *)", "allowedTools=Write", "max-turns=3"] {
        assert!(argv.contains(&format!("--{expected}")), "{expected}: {argv:?}");
    }
    assert!(argv.contains(&"--max-budget-usd=0.5".into()) && argv.contains(&"--model=opus".into()), "{argv:?}");
    let argv = agents.argv(&agents.done(["delegate", "--wait", "--resume", "look", "--permission-mode", "edit", "y"]));
    assert!(argv.contains(&"--permission-mode=acceptEdits".into()), "{argv:?}");
    script(&agents.env.dir().join("bin/codex"), FAKE);
    agents.refused(
        agents.command(["delegate", "--agent", "codex", "--resume", "first", "x"]),
        4,
        "it is a run of `claude`",
    );
}
