//! Coding agents as jobs, with a script in the place of an agent's CLI: what it is told, what it finds, and what is refused
//! before it starts.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Ran, TestEnv, script, wait_for};

/// Writes down what it is told in a directory of its own, and says what Claude Code would. What a test wants of it is said
/// in its prompt.
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

/// Whose commits there are.
pub(crate) const AUTHOR: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "a"),
    ("GIT_AUTHOR_EMAIL", "a@example.com"),
    ("GIT_COMMITTER_NAME", "a"),
    ("GIT_COMMITTER_EMAIL", "a@example.com"),
];

/// A world with an agent called claude, to which somebody is logged in.
struct Agents {
    env: TestEnv,
}

impl Agents {
    fn new() -> Self {
        let env = TestEnv::new();
        for directory in ["bin", "record", "work"] {
            std::fs::create_dir(env.dir().join(directory)).unwrap();
        }
        script(&env.dir().join("bin/claude"), FAKE);
        let agents = Self { env };
        agents.ok(["config", "set", "agents.per_minute", "0"]);
        agents
    }

    fn command<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
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

    fn run<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Ran {
        Ran::of(self.command(words))
    }

    fn ok<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.stdout.trim_end_matches('\n').to_owned()
    }

    /// Waits for a run, and returns its id.
    fn done<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(0), "{ran}");
        told_id(&ran)
    }

    /// Refused with this code and these words, and nothing is on record.
    fn refused(&self, command: Command, code: i32, expected: &str) {
        let before = self.jobs();
        let ran = Ran::of(command);
        assert!(ran.code == Some(code) && ran.stderr.contains(expected), "{expected}:\n{ran}");
        assert_eq!(self.jobs(), before);
    }

    /// The ids of all jobs on record.
    fn jobs(&self) -> Vec<String> {
        let jobs: Vec<serde_json::Value> = serde_json::from_str(&self.ok(["list", "--all", "--json"])).unwrap();
        jobs.iter().map(|job| job["job_id"].as_str().unwrap().to_owned()).collect()
    }

    /// What an agent wrote down, once it did.
    fn record(&self, id: &str, what: &str) -> String {
        // The last that is written at the beginning.
        wait_for("the agent", || self.record_path(id, "cwd").exists().then_some(()));
        std::fs::read_to_string(self.record_path(id, what)).unwrap()
    }

    fn record_path(&self, id: &str, what: &str) -> PathBuf {
        self.env.dir().join("record").join(id).join(what)
    }

    fn argv(&self, id: &str) -> Vec<String> {
        self.record(id, "argv").lines().map(str::to_owned).collect()
    }

    fn spec(&self, id: &str) -> serde_json::Value {
        let spec = std::fs::read(self.env.job_dir(id).join("spec.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&spec).unwrap()["spec"].clone()
    }

    /// A repository with one commit.
    fn repository(&self) -> PathBuf {
        let repository = self.env.dir().join("repository");
        std::fs::create_dir_all(repository.join("sub")).unwrap();
        std::fs::write(repository.join("sub/file"), "text\n").unwrap();
        for words in [vec!["init", "--quiet"], vec!["add", "."], vec!["commit", "--quiet", "-m", "first"]] {
            self.git(&repository, &words);
        }
        repository
    }

    /// Delegates in a worktree, and returns where that is.
    fn worktree(&self, repository: &Path, name: &str, prompt: &str) -> PathBuf {
        let path = repository.to_str().unwrap();
        self.done(["delegate", "--wait", "--worktree", "--name", name, "--cwd", path, prompt]);
        self.env.dir().join("repository-worktrees").join(name)
    }

    fn git(&self, directory: &Path, words: &[&str]) -> String {
        let mut git = self.env.command("git");
        git.envs(AUTHOR).arg("-C").arg(directory).args(words);
        let ran = Ran::of(git);
        assert_eq!(ran.code, Some(0), "{ran}");
        ran.stdout.trim().to_owned()
    }
}

/// The id that is told where standard output is for the answer.
pub(crate) fn told_id(ran: &Ran) -> String {
    let id = ran.stderr.lines().find_map(|line| line.strip_prefix("job "));
    id.unwrap_or_else(|| panic!("{ran}")).to_owned()
}

#[test]
fn an_agent_is_told_what_was_asked() {
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
        // A part of them cannot be an argument of jobcli either.
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
fn what_cannot_work_is_refused_before_anything_starts() {
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
    agents.refused(not_logged_in, 4, ".claude/.credentials.json` nor ANTHROPIC_API_KEY; start `claude` and log in");
    let mut codex = agents.command(["delegate", "--agent", "codex", "x"]);
    codex.env("CODEX_HOME", "/nosuch");
    script(&agents.env.dir().join("bin/codex"), FAKE);
    agents.refused(codex, 4, "`/nosuch/auth.json` nor CODEX_API_KEY; run `codex login`");
    agents.refused(agents.command(["delegate", "--cwd", "nosuch", "x"]), 1, "work/nosuch`: No such file");
    agents.refused(agents.command(["delegate", "--add-dir", "nosuch", "x"]), 2, "work/nosuch` is no directory");
    agents.refused(
        agents.command(["delegate", "--agent", "nobody", "x"]),
        2,
        "there are claude, codex, gemini, opencode",
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
        agents.refused(full(), 4, "root may not permit it everything");
    }
    let ran = Ran::of(in_sandbox);
    assert!(agents.argv(ran.stdout.trim()).contains(&"--permission-mode=bypassPermissions".to_owned()), "{ran}");
}

#[test]
fn whoever_is_logged_in_in_some_way_is_let_through() {
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
fn of_twenty_agents_four_run_at_a_time() {
    let agents = Agents::new();
    agents.ok(["config", "set", "max_running", "0"]);
    let mut queued = 0;
    for _ in 0..20 {
        let ran = agents.run(["delegate", "hang"]);
        assert_eq!(ran.code, Some(0), "{ran}");
        queued += usize::from(ran.stderr.starts_with("queued: 4 running"));
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
fn an_agent_starts_no_other_unless_the_settings_let_it() {
    let agents = Agents::new();
    let delegate = |prompt: &str| {
        let id = agents.done(["delegate", "--wait", prompt]);
        (agents.ok(["output", "--raw", &id]), agents.jobs().len())
    };
    // Some agents start their tools without the variable that says how deep they are.
    for (index, prompt) in ["delegate", "forget"].into_iter().enumerate() {
        let (output, jobs) = delegate(prompt);
        assert!(output.contains("an agent may start no other, unless the user sets `agents.depth`"), "{output}");
        assert_eq!(jobs, index + 1);
    }
    agents.ok(["config", "set", "agents.depth", "2"]);
    for (index, prompt) in ["delegate", "forget"].into_iter().enumerate() {
        assert_eq!(delegate(prompt).1, 4 + 2 * index);
    }
}

#[test]
fn a_key_makes_it_idempotent() {
    let agents = Agents::new();
    let repository = agents.repository();
    for worktree in [None, Some("--worktree")] {
        let key = format!("key-{}", worktree.is_some());
        let words = |prompt| {
            ["delegate", "--cwd", repository.to_str().unwrap(), "--key", &key, prompt].into_iter().chain(worktree)
        };
        let first = agents.ok(words("x"));
        assert_eq!(agents.ok(words("x")), first);
        agents.refused(agents.command(words("y")), 4, "runs another command or in another directory");
    }
    assert_eq!(agents.git(&repository, &["worktree", "list"]).lines().count(), 2);
    // The branch is there by then; elsewhere it is another request.
    let on_branch = |cwd: &Path| {
        agents.command(["delegate", "--cwd", cwd.to_str().unwrap(), "--key", "b", "--worktree=feature", "x"])
    };
    let first = Ran::of(on_branch(&repository));
    assert_eq!(Ran::of(on_branch(&repository)).stdout, first.stdout, "{first}");
    agents.refused(on_branch(agents.env.dir()), 4, "runs another command or in another directory");
    // Prompts are told apart also where they begin alike.
    let long = |end: &str| format!("{}{end}", "x".repeat(1_000));
    agents.ok(["delegate", "--key", "long", &long("a")]);
    agents.refused(agents.command(["delegate", "--key", "long", &long("b")]), 4, "runs another command");
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
    // As it was with claude-async.
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
        ("permission_mode = 'full'", "`full` has to be asked for with each run"),
        ("[agents.claude]\nformat = 'text'", "`agents.claude` in"),
        ("[agents.claude]\nmodell = 'x'", "unknown field `modell`"),
    ] {
        std::fs::write(&config, text).unwrap();
        let ran = Ran::of(with(&["delegate", "x"]));
        assert!(ran.code == Some(2) && ran.stderr.contains(expected), "{ran}");
    }
}

#[test]
fn a_conversation_goes_on_where_it_was() {
    let agents = Agents::new();
    let session = "109a7d28-e02b-4042-ab7c-251fa9834d6e";
    let work = agents.env.dir().to_str().unwrap().to_owned();
    let first = agents.done(["delegate", "--wait", "--name", "first", "--cwd", &work, "--resume", session, "x"]);
    assert!(agents.argv(&first).contains(&format!("--resume={session}")));
    let second = agents.done(["delegate", "--wait", "--resume", "first", "y"]);
    assert!(agents.argv(&second).contains(&format!("--resume={session}")));
    assert_eq!(agents.record(&second, "cwd"), agents.record(&first, "cwd"));
    agents.ok(["run", "--wait", "--name", "other", "true"]);
    agents.refused(agents.command(["delegate", "--resume", "other", "x"]), 4, "it is no run of an agent");
    let running = agents.ok(["delegate", "--resume", session, "hang"]);
    agents.refused(agents.command(["delegate", "--resume", &running, "x"]), 4, "it still runs");
    // Whichever way it is named: two that went on with it would write over each other.
    for reference in ["first", session] {
        agents.refused(agents.command(["delegate", "--resume", reference, "x"]), 4, "it has this conversation now");
    }
    agents.ok(["kill", &running]);
    // It may do what it might, and no more, unless more is asked for.
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

#[test]
fn agents_in_worktrees_do_not_step_on_each_other() {
    let agents = Agents::new();
    let repository = agents.repository();
    let sub = repository.join("sub");
    let mut running = Vec::new();
    for index in 0..4 {
        let name = format!("job-{index}");
        let words = ["delegate", "--wait", "--worktree", "--name", &name, "--cwd", sub.to_str().unwrap(), "commit"];
        let mut command = agents.command(words);
        running.push(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    }
    for (index, child) in running.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{told}");
        let id = told.lines().find_map(|line| line.strip_prefix("job ")).unwrap();
        let worktree = agents.env.dir().join(format!("repository-worktrees/job-{index}"));
        assert!(told.contains(&format!("worktree {}, branch jobcore/job-{index}\n", worktree.display())), "{told}");
        assert_eq!(agents.record(id, "cwd").trim(), worktree.join("sub").to_str().unwrap());
        assert_eq!(std::fs::read_to_string(worktree.join("sub/work.txt")).unwrap().trim(), id);
        let log = agents.git(&repository, &["log", "--format=%s", &format!("jobcore/job-{index}")]);
        assert_eq!(log, "work\nfirst");
        assert_eq!(agents.spec(id)["agent"]["worktree"]["branch"], format!("jobcore/job-{index}"));
    }
    assert_eq!(agents.git(&repository, &["status", "--porcelain"]), "");
    assert_eq!(agents.git(&repository, &["log", "--format=%s"]), "first");
}

#[test]
fn a_worktree_is_removed_when_nothing_is_lost_with_it() {
    let agents = Agents::new();
    let repository = agents.repository();
    let delegate = |name: &str, prompt: &str| agents.worktree(&repository, name, prompt);
    let worktree = delegate("a", "commit");
    std::fs::write(worktree.join("more"), "x").unwrap();
    let refused = agents.run(["rm", "--worktree", "a"]);
    assert_eq!(refused.code, Some(4), "{refused}");
    for expected in
        ["1 uncommitted change and 1 commit that no other branch has", "`jobcli rm --worktree --force a`", "jobcore/a"]
    {
        assert!(refused.stderr.contains(expected), "{expected}:\n{refused}");
    }
    std::fs::remove_file(worktree.join("more")).unwrap();
    agents.git(&repository, &["merge", "--quiet", "jobcore/a"]);
    agents.ok(["rm", "--worktree", "a"]);
    assert!(!worktree.exists());
    assert_eq!(agents.run(["status", "a"]).code, Some(3));
    // A second of the name does not get in the way of the first, which stays with its branch.
    let first = delegate("b", "commit");
    let kept = agents.run(["rm", "b"]);
    assert!(kept.stderr.contains(&format!("its worktree stays: {}, branch jobcore/b", first.display())), "{kept}");
    let ran =
        agents.run(["delegate", "--wait", "--worktree", "--name", "b", "--cwd", repository.to_str().unwrap(), "x"]);
    assert!(ran.stderr.contains("repository-worktrees/b-"), "{ran}");
    agents.ok(["rm", "--worktree", "b"]);
    assert!(first.join("work.txt").exists());
    // With all that is lost; a commit on no branch, too.
    let third = delegate("c", "x");
    agents.git(&third, &["checkout", "--quiet", "--detach"]);
    agents.git(&third, &["commit", "--quiet", "--allow-empty", "-m", "loose"]);
    assert_eq!(agents.run(["rm", "--worktree", "c"]).code, Some(4));
    let user = agents.ok(["run", "--name", "user", "--cwd", third.to_str().unwrap(), "sleep 1000"]);
    let used = agents.run(["rm", "--worktree", "c"]).stderr;
    assert!(used.contains("is running in its worktree") && !used.contains("--force"), "{used}");
    agents.ok(["kill", &user]);
    agents.ok(["rm", "--worktree", "--force", "c"]);
    assert_eq!(agents.git(&repository, &["branch", "--list", "jobcore/*", "--format=%(refname:short)"]), "jobcore/b");
    agents.ok(["run", "--wait", "--name", "plain", "true"]);
    assert!(agents.run(["rm", "--worktree", "plain"]).stderr.contains("no worktree was made for it"));
}

#[test]
fn no_worktree_is_left_of_what_is_refused() {
    let agents = Agents::new();
    let repository = agents.repository();
    let path = repository.to_str().unwrap();
    agents.refused(agents.command(["delegate", "--worktree", "x"]), 1, "not a git repository");
    agents.ok(["run", "--name", "taken", "sleep 1000"]);
    let delegate = |more: &[&'static str]| {
        agents.command(["delegate", "--worktree", "--cwd", path].into_iter().chain(more.iter().copied()).chain(["x"]))
    };
    agents.refused(delegate(&["--name", "taken"]), 4, "the name `taken` is that of job");
    agents.refused(delegate(&["--max-turns", "0"]), 2, "max turns");
    agents.git(&repository, &["branch", "mine"]);
    let branch = agents.command(["delegate", "--worktree=mine", "--cwd", path, "x"]);
    agents.refused(branch, 1, "a branch named `mine` exists already");
    std::fs::create_dir(repository.join("new")).unwrap();
    let new = repository.join("new");
    agents.refused(
        agents.command(["delegate", "--worktree", "--cwd", new.to_str().unwrap(), "x"]),
        1,
        "it is not part of the commit",
    );
    assert_eq!(agents.git(&repository, &["worktree", "list"]).lines().count(), 1);
    assert_eq!(agents.git(&repository, &["branch", "--list", "jobcore/*"]), "");
    assert!(!agents.env.dir().join("repository-worktrees").exists());
    let ran = agents.run(["delegate", "--wait", "--worktree=feature/x", "--cwd", path, "x"]);
    assert!(ran.stderr.contains("repository-worktrees/feature-x, branch feature/x"), "{ran}");
}

/// What an agent left in its worktree is looked at and runs nothing.
#[test]
fn a_planted_repository_in_a_worktree_is_refused() {
    let agents = Agents::new();
    let repository = agents.repository();
    let worktree = agents.worktree(&repository, "a", "x");
    let evil = worktree.join("evil");
    let traces = agents.env.dir().join("traces");
    std::fs::create_dir(&evil).unwrap();
    agents.git(&evil, &["init", "--quiet", "--bare", "."]);
    let monitor = agents.env.dir().join("bin/monitor");
    script(&monitor, &format!("#!/bin/sh\ntouch {}\n", traces.display()));
    agents.git(&evil, &["config", "core.bare", "false"]);
    agents.git(&evil, &["config", "core.fsmonitor", monitor.to_str().unwrap()]);
    let honest = std::fs::read(worktree.join(".git")).unwrap();
    std::fs::write(worktree.join(".git"), "gitdir: ./evil\n").unwrap();
    for words in [&["rm", "--worktree", "a"][..], &["rm", "--worktree", "--force", "a"]] {
        let ran = agents.run(words.iter().copied());
        assert!(ran.code == Some(1) && ran.stderr.contains(".git` is not what git made there"), "{ran}");
        assert!(!ran.stderr.contains("removes it nevertheless"), "{ran}");
    }
    assert!(!traces.exists() && evil.exists());
    // The configuration of the repository may name what is in the worktree.
    std::fs::write(worktree.join(".git"), honest).unwrap();
    agents.git(&repository, &["config", "core.fsmonitor", "./monitor"]);
    std::fs::rename(&monitor, worktree.join("monitor")).unwrap();
    let ran = agents.run(["rm", "--worktree", "a"]);
    assert!(ran.code == Some(4) && ran.stderr.contains("2 uncommitted changes"), "{ran}");
    agents.ok(["rm", "--worktree", "--force", "a"]);
    assert!(!traces.exists() && !worktree.exists());
}

/// Whatever git is told to show, and whatever else has the branch's name.
#[test]
fn nothing_of_a_worktree_is_overlooked() {
    let agents = Agents::new();
    let repository = agents.repository();
    agents.git(&repository, &["config", "status.showUntrackedFiles", "no"]);
    let worktree = agents.worktree(&repository, "a", "x");
    std::fs::write(worktree.join("new"), "x").unwrap();
    let ran = agents.run(["rm", "--worktree", "a"]);
    assert!(ran.code == Some(4) && ran.stderr.contains("has 1 uncommitted change\n"), "{ran}");
    std::fs::remove_file(worktree.join("new")).unwrap();
    let other = agents.worktree(&repository, "b", "commit");
    agents.git(&repository, &["tag", "jobcore/b", "HEAD"]);
    std::fs::create_dir_all(repository.join("jobcore/b")).unwrap();
    agents.git(&other, &["checkout", "--quiet", "--detach", "HEAD~1"]);
    let ran = agents.run(["rm", "--worktree", "b"]);
    assert!(ran.code == Some(4) && ran.stderr.contains("has 1 commit that no other branch has\n"), "{ran}");
    agents.ok(["rm", "--worktree", "a"]);
    // The command that is printed is one, whatever the path.
    let spaced = agents.env.dir().join("my repository");
    std::fs::rename(&repository, &spaced).unwrap();
    agents.done(["delegate", "--wait", "--worktree", "--name", "d", "--cwd", spaced.to_str().unwrap(), "x"]);
    let left = agents.env.dir().join("my repository-worktrees/d");
    let told = format!("`git -C '{}' worktree remove '{}'` removes it", spaced.display(), left.display());
    let ran = agents.run(["rm", "d"]);
    assert!(ran.stderr.contains(&told), "{ran}");
    std::fs::rename(&spaced, &repository).unwrap();
    // What is in a submodule goes with it.
    let part = agents.git(&repository, &["rev-parse", "HEAD"]);
    agents.git(&repository, &["update-index", "--add", "--cacheinfo", &format!("160000,{part},part")]);
    agents.git(&repository, &["commit", "--quiet", "-m", "part"]);
    let third = agents.worktree(&repository, "c", "x");
    agents.git(&third, &["clone", "--quiet", repository.to_str().unwrap(), "part"]);
    agents.git(&third.join("part"), &["checkout", "--quiet", &part]);
    let ran = agents.run(["rm", "--worktree", "c"]);
    assert!(ran.code == Some(4) && ran.stderr.contains("has 1 submodule with files\n"), "{ran}");
}

#[test]
fn a_worktree_without_its_repository_is_said_to_be_there() {
    let agents = Agents::new();
    let repository = agents.repository();
    let worktree = agents.worktree(&repository, "a", "x");
    let elsewhere = agents.env.dir().join("elsewhere");
    std::fs::rename(&repository, &elsewhere).unwrap();
    for words in [&["rm", "--worktree", "a"][..], &["rm", "--worktree", "--force", "a"]] {
        let ran = agents.run(words.iter().copied());
        let expected = format!("remove the worktree `{}` yourself", worktree.display());
        assert!(ran.code == Some(1) && ran.stderr.contains(&expected), "{ran}");
    }
    std::fs::remove_dir_all(&worktree).unwrap();
    agents.ok(["rm", "--worktree", "a"]);
}

#[test]
fn no_worktree_is_left_where_a_hook_fails() {
    let agents = Agents::new();
    let repository = agents.repository();
    script(&repository.join(".git/hooks/post-checkout"), "#!/bin/sh\necho no such tool >&2\nexit 1\n");
    let delegate = ["delegate", "--worktree", "--name", "a", "--cwd", repository.to_str().unwrap(), "x"];
    agents.refused(agents.command(delegate), 1, "failed in the new worktree: no such tool");
    assert!(!agents.env.dir().join("repository-worktrees").exists());
    assert_eq!(agents.git(&repository, &["branch", "--list", "jobcore/*"]), "");
}

#[test]
fn a_worktree_of_a_submodule_is_beside_it() {
    let agents = Agents::new();
    let repository = agents.repository();
    let outer = agents.env.dir().join("outer");
    std::fs::create_dir(&outer).unwrap();
    agents.git(&outer, &["init", "--quiet"]);
    let path = repository.to_str().unwrap();
    agents.git(&outer, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", path, "part"]);
    let worktree = outer.join("part-worktrees/a");
    let part = outer.join("part");
    agents.done(["delegate", "--wait", "--worktree", "--name", "a", "--cwd", part.to_str().unwrap(), "x"]);
    assert!(worktree.join("sub/file").exists());
    agents.ok(["rm", "--worktree", "a"]);
    assert!(!worktree.exists());
}

/// Told in words that fit, and none of git's own hints.
#[test]
fn a_branch_that_no_worktree_can_have_is_refused() {
    let agents = Agents::new();
    let repository = agents.repository();
    let path = repository.to_str().unwrap();
    for word in ["-x", "@", "a..b", "a.lock", "HEAD"] {
        let delegate = ["delegate", &format!("--worktree={word}"), "--cwd", path, "x"];
        agents.refused(agents.command(delegate), 2, &format!("`{word}` is no name that a branch can have"));
    }
    let named = ["delegate", "--worktree", "--name", "a..b", "--cwd", path, "x"];
    agents.refused(agents.command(named), 2, "`jobcore/a..b` is no name that a branch can have; `--worktree=BRANCH`");
    agents.git(&repository, &["branch", "jobcore"]);
    let blocked = ["delegate", "--worktree", "--name", "a", "--cwd", path, "x"];
    agents.refused(agents.command(blocked), 1, "beside the branch `jobcore` there cannot be `jobcore/a`");
    agents.git(&repository, &["branch", "deep/er"]);
    let blocked_below = ["delegate", "--worktree=deep", "--cwd", path, "x"];
    agents.refused(agents.command(blocked_below), 1, "beside the branch `deep/er` there cannot be `deep`");
    let mut without_git = agents.command(blocked);
    without_git.env("PATH", agents.env.dir().join("bin"));
    agents.refused(without_git, 1, "git: it is not in `PATH`");
    let empty = agents.env.dir().join("work");
    agents.git(&empty, &["init", "--quiet"]);
    agents.refused(agents.command(["delegate", "--worktree", "x"]), 1, "the repository has no commit yet");
}
